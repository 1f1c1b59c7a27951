/** Locked files keep content, mode and owner; the cache's folders hold nothing that nobody knows. */
import { cachedPath, cacheDirectory, cacheIndexPath, type CacheIndex } from '../../artifacts/cache/cache.ts';
import type { Files } from '../../host/port.ts';
import { imageLockPath, sbomPath, type ImageLock } from '../../image/image-lock.ts';
import { walk } from '../../image/traces.ts';
import { subjectOf, type Check } from './check.ts';

export async function checkFiles(files: Files, lock: ImageLock, others: ReadonlySet<string>): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { path, digest, mode, uid, gid } of lock.files) {
    const subject = subjectOf(checks, 'files', path);
    if (others.has(path)) {
      subject.skip('content', 'replaced since, by this node’s own document');
      continue;
    }
    const stat = await files.stat(path);
    if (stat?.type !== 'file') {
      subject.fail('content', stat ? `${path} is a ${stat.type}` : `${path} is missing`);
      subject.skip('attributes', 'it is no file');
      continue;
    }
    const actual = await files.digest(path);
    subject.judge('content', actual === digest ? undefined : `${path} has the digest ${actual}, not ${digest}`);
    const [is, wanted] = [`${stat.mode.toString(8).padStart(4, '0')} ${stat.uid}:${stat.gid}`, `${mode} ${uid}:${gid}`];
    subject.judge('attributes', is === wanted ? undefined : `${path} is ${is}, not ${wanted}`);
  }
  return checks;
}

const ownFolder = '/opt/nodekiln';

export async function checkCache(
  files: Files,
  about: { lock: ImageLock; index: CacheIndex; others: ReadonlySet<string> },
): Promise<Check[]> {
  const { lock, index, others } = about;
  const checks: Check[] = [];
  const known = new Set([
    ...lock.binaries.map(({ path }) => path),
    ...lock.files.map(({ path }) => path),
    ...(lock.links ?? []).map(({ path }) => path),
    ...others,
    cacheIndexPath,
    imageLockPath,
    sbomPath,
  ]);
  const inUse = (path: string): boolean => known.has(path) || [...known].some((other) => other.startsWith(`${path}/`));
  for (const folder of [cacheDirectory, ownFolder]) {
    const unexpected: string[] = [];
    await walk(files, folder, (path) => {
      if (!inUse(path)) unexpected.push(path);
    });
    const subject = subjectOf(checks, 'cache', folder);
    subject.judge('nothing unexpected', unexpected.length === 0 ? undefined : unexpected.join(', '));
  }
  const locked = new Map(lock.binaries.map(({ path, digest }) => [path, digest]));
  const differing = index.entries
    .map(({ tool, key, digest }) => ({ path: cachedPath(tool, key), digest }))
    .filter(({ path, digest }) => locked.get(path) !== digest && !others.has(path));
  const subject = subjectOf(checks, 'cache', cacheIndexPath);
  subject.judge(
    'as locked',
    differing.length === 0 ? undefined : `${differing.map(({ path }) => path).join(', ')}: not what was locked`,
  );
  return checks;
}
