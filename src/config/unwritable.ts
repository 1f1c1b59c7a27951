/** What no file that a document is rendered into can hold as it is written, with what to write instead. Pure. */
import { hasNoTextCharacter } from '../model/printable.ts';
import { isMap, type Path } from './paths.ts';

export interface Unwritable {
  readonly path: Path;
  /** Completes "<key> …". */
  readonly message: string;
  /** The key itself is meant, not its value. */
  readonly isKey?: true;
}

/** JavaScript writes numbers from here on with an exponent, as floating point, which they are then. */
const exponentFrom = 1e21;

/** In a tree of somebody else's schema, which is written as JSON or TOML. */
export function unwritable(value: unknown, format: 'json' | 'toml', path: Path = []): Unwritable[] {
  if (Array.isArray(value))
    return value.flatMap((item, index) =>
      format === 'toml' && (item === null || item === undefined)
        ? [{ path: [...path, index], message: 'is empty (null), which no list in TOML can hold: take it out' }]
        : unwritable(item, format, [...path, index]),
    );
  if (isMap(value)) return Object.entries(value).flatMap(([key, inner]) => unwritable(inner, format, [...path, key]));
  if (typeof value !== 'number') return [];
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < exponentFrom)
    return [{ path, message: 'is a whole number with more digits than are kept: write it as a string, in quotes' }];
  if (format === 'json' && !Number.isFinite(value))
    return [{ path, message: 'is no finite number, which no JSON can hold: write one' }];
  return [];
}

/** The first key or text with half a character (a surrogate without its other): no UTF-8 has it. */
export function halfCharacter(value: unknown, path: Path = []): Unwritable | undefined {
  const wrong = (text: string): string | undefined => {
    if (text.isWellFormed()) return undefined;
    const { code, at } = hasNoTextCharacter(text.replaceAll(/\p{Cc}/gu, ' ')) ?? { code: 'none', at: 0 };
    return `is no text: character ${at} is ${code}, half of a character; take it out`;
  };
  if (typeof value === 'string') {
    const message = wrong(value);
    return message === undefined ? undefined : { path, message };
  }
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const message = wrong(key);
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    if (message !== undefined) return { path: at, message, isKey: true };
    const found = halfCharacter(inner, at);
    if (found) return found;
  }
  return undefined;
}
