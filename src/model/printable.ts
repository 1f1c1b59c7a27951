/**
 * Characters that are no text: which ones a value must not hold, and how what comes from outside is shown. Pure.
 *
 * A control character may end a line of a file or move a terminal’s cursor; the Unicode ones turn around what is read. Shown
 * they are escapes as JSON has them, so that a JSON text stays the same value.
 */

/** C0, DEL and C1 (general category Cc), and halves of a character (Cs), which no UTF-8 has. */
const noText = /[\p{Cc}\p{Cs}]/gu;

/** Of these `allowed` may be there. */
export function hasNoTextCharacter(
  text: string,
  allowed = '',
): { readonly code: string; readonly at: number } | undefined {
  for (const { 0: character, index } of text.matchAll(noText))
    if (!allowed.includes(character)) return { code: codeOf(character), at: index + 1 };
  return undefined;
}

/** `U+000D` */
function codeOf(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/**
 * Beside these what changes the direction of the text around it, ends a line (U+2028, U+2029), is not seen (soft hyphen, zero
 * width space, byte order mark, tags), or is no character at all.
 */
const unseen =
  /[\p{Cc}\p{Cs}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\u00ad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** A text as it may be printed: lines and tabs stay, every other character that is no text is an escape. */
export function visible(text: string): string {
  return text.replaceAll(unseen, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** The same for what has one line, in a message or a table. */
export function visibleLine(text: string): string {
  return text.replaceAll(unseen, (character) => (character === '\t' ? character : escaped(character)));
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': String.raw`\n`, '\r': String.raw`\r` };

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return shortEscapes[character] ?? units.map((unit) => String.raw`\u` + unit.toString(16).padStart(4, '0')).join('');
}
