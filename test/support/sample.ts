/**
 * Cases that have many points of one sort: all of them, or with `NODEKILN_SAMPLE` (`./dev e2e --sample`) a spread of them, as
 * many as the case's `sample.json` says.
 */
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const cases = join(import.meta.dirname, '..', 'e2e');

/** `sample.json` in the folder of a case. */
export interface Sample {
  /** Of each sort, about. */
  readonly points: number;
}

/** What the case in a folder says. */
export function sampleIn(folder: string): Sample {
  const said: unknown = JSON.parse(readFileSync(join(folder, 'sample.json'), 'utf8'));
  if (typeof said === 'object' && said !== null && 'points' in said && Number.isSafeInteger(said.points))
    return { points: Number(said.points) };
  throw new Error(`${folder}/sample.json: points is no number`);
}

/** Every case that is sampled, by its folder's name; the others always run whole. */
export async function samples(): Promise<ReadonlyMap<string, Sample>> {
  const found = new Map<string, Sample>();
  for await (const file of glob('*/sample.json', { cwd: cases }))
    found.set(basename(dirname(file)), sampleIn(join(cases, dirname(file))));
  return found;
}

/** Of today, unless `NODEKILN_SEED` says another. Who samples prints it, so that the same points can be had again. */
export const sampleSeed = Number(process.env['NODEKILN_SEED'] ?? Math.floor(Date.now() / 86_400_000));

/** True where a sample is asked for. */
export const sampled = (process.env['NODEKILN_SAMPLE'] ?? '') !== '';

/**
 * All points, or `count` of them spread evenly. They begin at another one for every `seed`, so that runs of many days see
 * all; the first and the last are always among them.
 */
export function sampleOf<T>(
  points: readonly T[],
  { count, seed, whole = !sampled }: { count: number; seed: number; whole?: boolean },
): readonly T[] {
  if (whole || points.length <= count) return points;
  const stride = points.length / count;
  const offset = seed % Math.max(1, Math.floor(stride));
  const chosen = new Set([0, points.length - 1]);
  for (let index = 0; index < count; index += 1)
    chosen.add(Math.min(points.length - 1, Math.floor(index * stride) + offset));
  return points.filter((_point, index) => chosen.has(index));
}
