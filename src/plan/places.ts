/** Which steps write or take away a place, or anything below it. Pure; linear in places. */
import { aboveOf } from '../model/path.ts';
import type { Step } from '../model/steps.ts';

/** For every place that some step reads: who writes it, or anything below it, each step once for each of its places. */
export function writersOfWhatIsRead(steps: readonly Step[]): ReadonlyMap<string, readonly Step[]> {
  const writers = new Map<string, Step[]>();
  for (const { reads } of steps) for (const place of reads) writers.set(place, []);
  if (writers.size === 0) return writers;
  const above = aboveOf((place) => writers.get(place));
  for (const step of steps) {
    for (const place of step.writes) {
      writers.get(place)?.push(step);
      for (const readers of above(place)) readers.push(step);
    }
  }
  return writers;
}
