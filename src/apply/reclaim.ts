/** After a success: the cache gives up what the document lets it. What any source of this host uses stays. */
import { reclaim } from '../artifacts/cache/reclaim.ts';
import type { Host } from '../host/port.ts';
import { cachedUseOf } from '../kinds/planners.ts';
import type { Prepared } from './reconcile.ts';

/** Paths of the versions given up; none without a policy, or when not everything was applied. */
export async function reclaimAfter(host: Host, prepared: Prepared): Promise<string[]> {
  const { desired, sharedOnly } = prepared.input;
  // A half-booted machine is an image: its nodes may ask for any version.
  if (!desired.cache || sharedOnly === true) return [];
  const inUse = [...prepared.effective.values()].flatMap(({ resource }) => cachedUseOf(resource) ?? []);
  // What was applied stands, and the next success tries again.
  return reclaim(host.files, inUse, desired.cache).catch(() => []);
}
