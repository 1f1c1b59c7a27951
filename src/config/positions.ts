/**
 * Where things stand in the text of a document: line and column (from 1) of every key and value. A tree that mirrors
 * the document, made by `positions-json.ts` or `positions-yaml.ts`. Pure.
 */
import type { Path } from './paths.ts';

/** Maps and lists in one another: documents have a dozen. */
export const deepest = 200;
export const tooDeep = `maps and lists stand in one another more than ${deepest} deep`;

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value's place in the text, in characters from its beginning. */
export interface PositionNode {
  readonly start: number;
  /** Where the key stands, for a value in a map. */
  readonly keyStart?: number;
  readonly children: ReadonlyMap<string | number, PositionNode>;
}

/** `key`: where the name stands; `value`: where what follows it begins. */
export type PositionTarget = 'key' | 'value';

/** Where the values of a document stand in its text. */
export interface Positions {
  /** The place of a path; for one that is not in the text, the nearest thing around it. */
  locate(path: Path, target: PositionTarget): Position;
}

export function positionsOf(text: string, root: PositionNode): Positions {
  const lines = lineStarts(text);
  return {
    locate(path, target) {
      let node = root;
      let depth = 0;
      for (const part of path) {
        const child = node.children.get(part);
        if (!child) break;
        node = child;
        depth++;
      }
      const found = depth === path.length;
      // Something missing is reported at the key of the map that lacks it.
      const offset = found && target === 'value' ? node.start : (node.keyStart ?? node.start);
      return positionAt(lines, offset);
    },
  };
}

export function lineStarts(text: string): number[] {
  const starts = [0];
  for (let index = text.indexOf('\n'); index !== -1; index = text.indexOf('\n', index + 1)) starts.push(index + 1);
  return starts;
}

export function positionAt(starts: readonly number[], offset: number): Position {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}
