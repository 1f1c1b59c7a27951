/**
 * Verifying an image: every check is derived from the lock that the bake left in its root, so that there is no second
 * list. All checks run, whatever the others find; nothing is changed, and a containerd that had to be started for them is
 * gone afterwards.
 *
 * Errors: NK_DOCUMENT_MISSING (no lock: nothing was baked here), NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID. What is wrong
 * with the image is in the report.
 */
import { cacheIndexPath, readIndex, requireWhole, type CacheIndex } from '../../artifacts/cache/cache.ts';
import { lookAtJournal } from '../../apply/journal.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { createLinuxContainers } from '../../host/linux/containers.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { inParallel } from '../../model/parallel.ts';
import type { Host } from '../../host/port.ts';
import { imageLockPath, parseImageLock, type ImageLock } from '../../image/image-lock.ts';
import { checkBinary } from './binaries.ts';
import { areas, subjectOf, type Area, type Check } from './check.ts';
import { checkEntries, checkExtensions } from './entries.ts';
import { checkOwn } from './own-checks.ts';
import { checkCache, checkFiles } from './files.ts';
import { checkIdentity } from './identity.ts';
import { checkImages } from './images.ts';
import { checkPackages } from './packages.ts';
import { checkUnits } from './units.ts';
import { textOf } from '../../model/bytes.ts';

export interface VerifyOptions {
  /** The root folder; the running machine when it is `/`. */
  readonly root: string;
  /** Take binaries whose seal holds, and blobs of the right size, as right without reading them. */
  readonly trustSeals?: boolean;
}

export interface VerifyReport {
  readonly root: string;
  readonly image: ImageLock['image'];
  readonly ok: boolean;
  readonly summary: Readonly<Record<Check['status'], number>>;
  readonly checks: readonly Check[];
}

const lanes = 4;

export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const host = createLinuxHost({ root: options.root, containers: createLinuxContainers });
  try {
    return await verifyHost(host, options);
  } finally {
    await host.close();
  }
}

export async function verifyHost(host: Host, options: VerifyOptions): Promise<VerifyReport> {
  const lock = await readLock(host);
  const trustSeals = options.trustSeals ?? false;
  const live = host.units.mode === 'live';
  const others = await claimsOfOthers(host);
  const { index, problem } = await usableIndex(host);
  const kept = new Set([...lock.files.map(({ path }) => path), ...(lock.kept ?? []), ...others.files]);
  const results = await Promise.all([
    attempt('binaries', async () => {
      const found = await inParallel(lock.binaries, lanes, (binary) =>
        checkBinary(host, binary, { index, trustSeals, architecture: lock.image.architecture }),
      );
      return found.flat();
    }),
    attempt('packages', () => checkPackages(host, lock)),
    attempt('images', () => checkImages(host, lock, { trustSeals })),
    attempt('units', () => checkUnits(host, lock, live ? others.units : new Set())),
    attempt('files', () => checkFiles(host.files, lock, others.files)),
    attempt('files', () => checkEntries(host.files, lock, others.files)),
    attempt('extensions', () => checkExtensions(host.files, lock, others.files)),
    attempt('manifest', () => checkOwn(host, lock)),
    attempt('cache', async () => [
      ...problem,
      ...(await checkCache(host.files, { lock, index, others: others.files })),
    ]),
    attempt('identity', () => checkIdentity(host.files, { live, kept })),
  ]);
  const checks = results.flat().toSorted((a, b) => areas.indexOf(a.area) - areas.indexOf(b.area));
  const count = (status: Check['status']): number => checks.filter((check) => check.status === status).length;
  const summary = { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
  return { root: host.root, image: lock.image, ok: summary.failed === 0, summary, checks };
}

async function readLock(host: Host): Promise<ImageLock> {
  const bytes = await host.files.read(imageLockPath);
  if (bytes) return parseImageLock(textOf(bytes), imageLockPath);
  throw new NodekilnError('NK_DOCUMENT_MISSING', `${host.root} has no ${imageLockPath}: nodekiln did not bake it`, {
    hint: 'Bake it with `nodekiln bake`; the lock is the last thing a bake writes.',
  });
}

/** An area that cannot be looked at is one failed check, not the end of the others. */
async function attempt(area: Area, look: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await look();
  } catch (thrown) {
    const checks: Check[] = [];
    subjectOf(checks, area, 'all of it').fail('can be checked', asNodekilnError(thrown).message);
    return checks;
  }
}

async function usableIndex(host: Host): Promise<{ index: CacheIndex; problem: Check[] }> {
  const problem: Check[] = [];
  try {
    const index = await readIndex(host.files);
    requireWhole(index);
    return { index, problem };
  } catch (thrown) {
    subjectOf(problem, 'cache', cacheIndexPath).fail('readable', asNodekilnError(thrown).message);
    return { index: { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ArtifactCache', entries: [] }, problem };
  }
}

/** What boots and agents asked for here since: theirs, not the image's. */
async function claimsOfOthers(host: Host): Promise<{ files: Set<string>; units: Set<string> }> {
  const files = new Set<string>();
  const units = new Set<string>();
  const journal = await lookAtJournal(host);
  try {
    for (const [source, resources] of Object.entries(journal?.claims() ?? {})) {
      if (source === 'image') continue;
      for (const resource of resources ?? []) {
        if (resource.kind === 'file') files.add(resource.path);
        if (resource.kind === 'extension') files.add(`/etc/extensions/${resource.name}.raw`);
        if (resource.kind === 'binary' && resource.place.type === 'activate') files.add(resource.place.target);
        if (resource.kind === 'unit') {
          units.add(resource.name);
          files.add(`/etc/systemd/system/${resource.name}`);
        }
      }
    }
  } finally {
    journal?.close();
  }
  return { files, units };
}
