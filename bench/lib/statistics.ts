/** What a row of measured numbers says. Pure; the same numbers always give the same answer. */

export interface Summary {
  readonly n: number;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly min: number;
  readonly max: number;
}

export function summarize(values: readonly number[]): Summary {
  return {
    n: values.length,
    median: quantile(values, 0.5),
    p10: quantile(values, 0.1),
    p90: quantile(values, 0.9),
    min: Math.min(...values),
    max: Math.max(...values),
  };
}

/** Linear between neighbours; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

export interface Ratio {
  readonly ratio: number;
  /** 95 % interval of the ratio of medians, by resampling both rows. */
  readonly low: number;
  readonly high: number;
}

const resamples = 4000;

export function ratioOfMedians(above: readonly number[], below: readonly number[]): Ratio {
  const random = randomNumbers(1);
  const resample = (values: readonly number[]): number =>
    quantile(
      values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN),
      0.5,
    );
  const ratios = Array.from({ length: resamples }, () => resample(above) / resample(below));
  return {
    ratio: quantile(above, 0.5) / quantile(below, 0.5),
    low: quantile(ratios, 0.025),
    high: quantile(ratios, 0.975),
  };
}

/** mulberry32: good enough to draw with, and the same numbers give the same interval again. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Growth {
  /** Time grows as size to this power: the slope of the medians' logarithms, by least squares. */
  readonly exponent: number;
  /** 95 % interval, by resampling every row. */
  readonly low: number;
  readonly high: number;
}

/** How the medians of the rows grow with their sizes. */
export function growth(rows: readonly (readonly [size: number, values: readonly number[]])[]): Growth {
  const random = randomNumbers(1);
  const drawn = (values: readonly number[]): number[] =>
    values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN);
  const of = (sample: (values: readonly number[]) => readonly number[]): number =>
    slope(rows.map(([size, values]) => [Math.log(size), Math.log(quantile(sample(values), 0.5))]));
  const exponents = Array.from({ length: resamples / 4 }, () => of(drawn));
  return { exponent: of((values) => values), low: quantile(exponents, 0.025), high: quantile(exponents, 0.975) };
}

function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const above = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  return above / points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
}
