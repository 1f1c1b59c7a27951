/** Characters that are no text, which a value must not hold: one may end a line of the file that it stands in. Pure. */

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
