/** Cases that have many points of one sort: all of them, or with `NODEKILN_SAMPLE` (`./dev e2e --sample`) a spread of them. */

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
