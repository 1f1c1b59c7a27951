/**
 * Giving up versions in the cache that nobody needs any more: only after a success, never what is in use, at most what the
 * policy says. The choice is pure; the effect removes a file before its entry, so that a run that is killed between the two
 * leaves an entry without a file, which is refused when asked for and given up by the next run, and never a file that
 * nobody knows of.
 */
import type { CachePolicy, InUse } from '../../model/resources.ts';
import type { Files } from '../../host/port.ts';
import { cachedPath, readIndex, removeFromCache } from './cache.ts';
import type { CacheEntry, CacheIndex } from './cache.ts';
import { cacheKey, compareVersions, parseVersion } from '../../model/version.ts';

/** What to give up of the tools that are in use, and why. Oldest first. */
export function reclaimable(
  index: CacheIndex,
  inUse: readonly InUse[],
  policy: CachePolicy,
): { readonly entry: CacheEntry; readonly why: string }[] {
  const used = new Set(
    inUse.flatMap(({ tool, version }) =>
      version === undefined ? [] : [cachedPath(tool, cacheKey(parseVersion(version)))],
    ),
  );
  // A tool that no document names is somebody else's.
  const named = new Set(inUse.map(({ tool }) => tool));
  const spare = index.entries
    .filter((entry) => named.has(entry.tool) && !used.has(cachedPath(entry.tool, entry.key)))
    .sort((a, b) => compareVersions(b.key, a.key, 'semver'));
  const kept: CacheEntry[] = [];
  const given: { entry: CacheEntry; why: string }[] = [];
  let bytes = 0;
  for (const entry of spare) {
    const beside = kept.filter(({ tool }) => tool === entry.tool).length;
    if (beside >= policy.keep) {
      given.push({ entry, why: `${policy.keep} newer ${policy.keep === 1 ? 'version is' : 'versions are'} kept` });
    } else if (policy.maxBytes !== undefined && bytes + entry.size > policy.maxBytes) {
      given.push({ entry, why: `more than ${policy.maxBytes} bytes would be kept` });
    } else {
      kept.push(entry);
      bytes += entry.size;
    }
  }
  return given.reverse();
}

/** Paths of the versions that were given up. */
export async function reclaim(files: Files, inUse: readonly InUse[], policy: CachePolicy): Promise<string[]> {
  const given = reclaimable(await readIndex(files), inUse, policy);
  for (const { entry } of given) await removeFromCache(files, entry.tool, entry.version);
  return given.map(({ entry }) => cachedPath(entry.tool, entry.key));
}
