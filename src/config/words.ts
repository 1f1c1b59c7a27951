/**
 * Words for messages about documents: what a value is, what was probably meant. Pure.
 */

import { addressNotShown, holdsSecret, looksSecret, shownAddress } from '../model/shown-address.ts';

const longestQuote = 40;

/** `the number 644`, `a list`; strings are cut. Never call it with a secret. */
export function inWords(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'empty (null)';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return looksSecret(value) ? addressInWords(value) : quoted(value);
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'boolean') return `the boolean ${value}`;
  return 'a map';
}

/** The same of what should be an address: host and path alone where it may hold more. */
export function addressInWords(value: unknown): string {
  if (typeof value !== 'string' || !holdsSecret(value)) return inWords(value);
  const shown = shownAddress(value);
  if (shown === addressNotShown) return 'a string that may hold a password (not shown)';
  return `${quoted(shown)} with more that may be secret (not shown)`;
}

/** A text that names something, in quotes; not where it looks like an address with a password. */
export function named(text: string): string {
  return looksSecret(text) ? 'what may be secret (not shown)' : `"${text}"`;
}

function quoted(text: string): string {
  return text === '' ? 'an empty string' : `the string "${shorten(text)}"`;
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > longestQuote ? `${line.slice(0, longestQuote)}…` : line;
}

/** `a, b or c` */
export function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** The candidate nearest to the word, if it is near enough to be a slip of the fingers. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const limit = Math.min(3, Math.max(1, Math.floor(word.length / 3)));
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && (!best || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1 each. */
export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      const swapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, right.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
