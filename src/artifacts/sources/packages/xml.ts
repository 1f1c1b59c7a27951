/**
 * As much of XML as repository metadata needs: elements with attributes and text, in pieces of bounded size. No document
 * types, no entities but the five of XML and characters by number: nothing can be drawn in or blown up. Pure.
 */

/** An element as it stands in a text. */
export interface Element {
  readonly attributes: Readonly<Record<string, string>>;
  /** What stands inside, as written. */
  readonly inner: string;
}

/** The elements of a name in a text, not those nested in one of the same name. */
export function elements(text: string, name: string): Element[] {
  const opening = new RegExp(
    `<(?:[A-Za-z][\\w.-]*:)?${name}((?:\\s+[\\w:.-]+\\s*=\\s*(?:"[^"]*"|'[^']*'))*)\\s*(/?)>`,
    'g',
  );
  const found: Element[] = [];
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    const [, written = '', empty] = match;
    const close = empty === '/' ? opening.lastIndex : closing(text, name, opening.lastIndex);
    found.push({ attributes: attributesOf(written), inner: text.slice(opening.lastIndex, close) });
    opening.lastIndex = Math.max(opening.lastIndex, close);
  }
  return found;
}

/** The first element of the name, or undefined. */
export function firstElement(text: string, name: string): Element | undefined {
  return elements(text, name)[0];
}

/** The text of the first element of the name. */
export function textOf(text: string, name: string): string | undefined {
  const element = firstElement(text, name);
  return element && decode(element.inner.trim());
}

function closing(text: string, name: string, from: number): number {
  const end = new RegExp(`</(?:[A-Za-z][\\w.-]*:)?${name}\\s*>`, 'g');
  end.lastIndex = from;
  return end.exec(text)?.index ?? text.length;
}

function attributesOf(text: string): Record<string, string> {
  const attributes: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [, name = '', double, single] of text.matchAll(/([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g))
    attributes[name] = decode(double ?? single ?? '');
  return attributes;
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal, hex, name) => {
    if (typeof name === 'string') return named[name.toLowerCase()] ?? whole;
    const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
