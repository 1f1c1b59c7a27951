/** Which steps write or take away a place, or anything below it. Pure. */
import type { Step } from '../model/steps.ts';

export interface WritersByPlace {
  /** Each step once for each of its places that is this one or below it; places below are separated by `/`. */
  within(place: string): readonly Step[];
}

/** Sorts once; each question costs a binary search and its answer. */
export function writersByPlace(steps: readonly Step[]): WritersByPlace {
  const writers = new Map<string, Step[]>();
  for (const step of steps) {
    for (const place of step.writes) {
      const others = writers.get(place);
      if (others) others.push(step);
      else writers.set(place, [step]);
    }
  }
  let sorted: readonly string[] | undefined;

  /** Those that start with the prefix stand together. */
  const below = (prefix: string): Step[] => {
    sorted ??= [...writers.keys()].sort();
    const found: Step[] = [];
    for (let index = firstNotBefore(sorted, prefix); sorted[index]?.startsWith(prefix) === true; index++)
      found.push(...(writers.get(sorted[index] ?? '') ?? []));
    return found;
  };
  return { within: (place) => [...(writers.get(place) ?? []), ...below(`${place}/`)] };
}

function firstNotBefore(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
