/**
 * Positions in a JSON text that JSON.parse accepted, and the keys that occur twice in a map, which JSON.parse passes
 * over in silence. Pure. The text is known to be well-formed, so every branch may rely on it.
 */
import type { Path } from './paths.ts';
import { deepest, type PositionNode } from './positions.ts';

export interface JsonScan {
  readonly root: PositionNode;
  /** Second and later occurrences. */
  /** Where it becomes too deep; what is behind was not looked at. */
  readonly tooDeepAt?: number;
  readonly duplicates: readonly { readonly path: Path; readonly offset: number }[];
}

export function scanJson(text: string): JsonScan {
  const duplicates: { path: Path; offset: number }[] = [];
  const structure = /[^\s:,]/g;
  let offset = 0;

  /** The next character that is not blank, colon or comma. */
  function peek(): string {
    structure.lastIndex = offset;
    offset = structure.exec(text)?.index ?? text.length;
    return text[offset] ?? '';
  }

  function skipString(): string {
    const start = offset;
    offset++;
    while (text[offset] !== '"') offset += text[offset] === '\\' ? 2 : 1;
    offset++;
    return text.slice(start, offset);
  }

  function value(path: Path, keyStart: number | undefined): PositionNode {
    const first = peek();
    const start = offset;
    const children = new Map<string | number, PositionNode>();
    if (path.length > deepest) throw new TooDeep(start);
    if (first === '{') {
      offset++;
      while (peek() !== '}') {
        const keyOffset = offset;
        const key = String(JSON.parse(skipString()));
        const childPath = [...path, key];
        if (children.has(key)) duplicates.push({ path: childPath, offset: keyOffset });
        children.set(key, value(childPath, keyOffset));
      }
      offset++;
    } else if (first === '[') {
      offset++;
      for (let index = 0; peek() !== ']'; index++) children.set(index, value([...path, index], undefined));
      offset++;
    } else if (first === '"') {
      skipString();
    } else {
      while (offset < text.length && !/[\s,\]}]/.test(text[offset] ?? '')) offset++;
    }
    return { start, children, ...(keyStart !== undefined && { keyStart }) };
  }

  try {
    return { root: value([], undefined), duplicates };
  } catch (thrown) {
    if (thrown instanceof TooDeep)
      return { root: { start: 0, children: new Map() }, duplicates, tooDeepAt: thrown.offset };
    throw thrown;
  }
}

class TooDeep extends Error {
  readonly offset: number;
  constructor(offset: number) {
    super('too deep');
    this.offset = offset;
  }
}
