/**
 * Chance that can be had again: the seed is told with the test, and `NODEKILN_SEED` sets it. The numbers are those of
 * mulberry32, good enough to pick cases by.
 */
export interface Chance {
  /** From 0 to below 1. */
  next(): number;
  /** One of the values. */
  pick<Value>(values: readonly [Value, ...Value[]]): Value;
}

export function createChance(context: { diagnostic(message: string): void }): Chance {
  const given = process.env['NODEKILN_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`NODEKILN_SEED is no whole number: ${given}`);
  context.diagnostic(`NODEKILN_SEED=${seed}`);
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, pick: (values) => values[Math.floor(next() * values.length)] ?? values[0] };
}
