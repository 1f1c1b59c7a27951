/**
 * Effects of `binary` resources: filling the cache at bake, activating at boot. Sources are tried in their order; why each
 * earlier one did not serve is kept with the step and, when none served, in the error.
 */
import { addToCache, materialise, type AddRequest } from '../../artifacts/cache/fill.ts';
import {
  activate,
  findCached,
  openCached,
  readIndex,
  removeFromCache,
  targetDigest,
  verifyCached,
  cachedPath,
  type CacheRequest,
} from '../../artifacts/cache/cache.ts';
import type { BinaryResource, BinarySource, PackageSource } from '../../model/resources.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import type { Files, Host, StagedFile } from '../../host/port.ts';
import type { BinaryObservation } from '../../model/steps.ts';
import type { ActionOf, ObserveContext, PerformContext } from '../performer.ts';
import { noneServes, type Refusal } from '../refusals.ts';
import { openSource } from './artifacts.ts';

/** What is cached and what is at the target; files whose seals hold are not read. */
export async function observeBinary(context: ObserveContext, resource: BinaryResource): Promise<BinaryObservation> {
  const { files } = context.host;
  const target = resource.place.type === 'activate' ? resource.place.target : undefined;
  const uncached = async (cacheRefusals: readonly string[]): Promise<BinaryObservation> => ({
    kind: 'binary',
    cached: undefined,
    cacheRefusals,
    ...(await placed(context, target)),
  });
  if (target !== undefined && !resource.sources.some(({ type }) => type === 'cache')) return uncached([]);
  const lookup = findCached(await readIndex(files), cacheRequest(resource));
  if (!lookup.found) return uncached(lookup.why);
  const verified = await verifyCached(files, lookup.entry);
  if (!verified.ok) return uncached([verified.why]);
  const { entry } = lookup;
  const shared = target === undefined ? undefined : await sharedInode(files, target, entry);
  return {
    kind: 'binary',
    cached: { key: entry.key, file: cachedPath(entry.tool, entry.key), digest: entry.digest },
    cacheRefusals: [],
    ...(shared === undefined ? await placed(context, target) : { targetDigest: shared }),
  };
}

function cacheRequest({ tool, version, architecture }: BinaryResource): CacheRequest {
  return { tool, version, ...(architecture !== undefined && { architecture }) };
}

/** The digest when the target is the cached file itself (a hard link): nothing has to be read. */
async function sharedInode(
  files: Files,
  target: string,
  entry: Parameters<typeof targetDigest>[2] & {},
): Promise<string | undefined> {
  const [there, cached] = await Promise.all([files.stat(target), files.stat(cachedPath(entry.tool, entry.key))]);
  const same =
    there !== undefined && cached !== undefined && there.inode === cached.inode && there.device === cached.device;
  return same ? targetDigest(files, target, entry) : undefined;
}

/** What is at the target, read only when its seal in the journal does not hold, and what we put there. */
async function placed(
  context: ObserveContext,
  path: string | undefined,
): Promise<Pick<BinaryObservation, 'targetDigest' | 'placedDigest'>> {
  if (path === undefined) return { targetDigest: undefined };
  const { files } = context.host;
  const stat = await files.stat(path);
  if (stat?.type !== 'file') return { targetDigest: undefined };
  const seal = context.notes?.seal(path);
  const current = { size: stat.size, mtimeNs: String(stat.mtimeNs), inode: String(stat.inode) };
  if (seal?.size === current.size && seal.mtimeNs === current.mtimeNs && seal.inode === current.inode)
    return { targetDigest: seal.digest, placedDigest: seal.digest };
  const digest = await files.digest(path);
  // A seal over other content stays: it is what tells that somebody changed the file.
  if (seal === undefined || seal.digest === digest) context.notes?.setSeal(path, { ...current, digest });
  return { targetDigest: digest, ...(seal && { placedDigest: seal.digest }) };
}

/** Fills the cache from the first source that serves. Errors as `noneServes`, or that of the only source. */
export async function performCache(context: PerformContext, resource: BinaryResource): Promise<void> {
  await firstThatServes(resource, async (source) => {
    if (source.type === 'cache') throw new NodekilnError('NK_INTERNAL', 'the cache cannot be filled from itself');
    const wanted = await request(context, resource, source);
    const { entry } = await context.unpacking(() => addToCache(context.host, wanted));
    context.detail(`cached as ${cachedPath(entry.tool, entry.key)} from ${entry.source.location}`);
  });
}

/** Puts the binary at its target, by way of the cache where that is allowed. Errors as `performCache`. */
export async function performActivate(context: PerformContext, resource: BinaryResource): Promise<void> {
  const target = resource.place.type === 'activate' ? resource.place.target : '';
  await firstThatServes(resource, async (source) => {
    if (source.type === 'cache') return activateCached(context, resource, target);
    const wanted = await request(context, resource, source);
    if (mayBeCached(resource, source) && (await keep(context, wanted)))
      return activateCached(context, resource, target);
    const placed = await context.unpacking(() => materialise(context.host, target, wanted));
    await seal(context, target, placed.digest);
    context.notes.setArtifact(resource.id, {
      location: wanted.source.location ?? wanted.source.path,
      digest: placed.packageDigest,
      size: placed.packageSize,
      ...(placed.package.version !== undefined && { version: placed.package.version }),
    });
    return context.detail(`placed from ${wanted.source.location ?? wanted.source.path}`);
  });
}

async function activateCached(context: PerformContext, resource: BinaryResource, target: string): Promise<void> {
  const { files } = context.host;
  const lookup = await openCached(files, cacheRequest(resource));
  if (!lookup.found) throw new NodekilnError('NK_ARTIFACT_MISSING', lookup.why.join('; '));
  const { method } = await activate(files, { entry: lookup.entry, target });
  await seal(context, target, lookup.entry.digest);
  context.detail(`activated ${cachedPath(lookup.entry.tool, lookup.entry.key)} by ${method}`);
}

/**
 * What comes from a source that stands in for the cache is kept there, so that a second start, a downgrade and a rollback
 * need no network. Never what was asked for instead of the cache: it may be another build of the same version.
 */
function mayBeCached(resource: BinaryResource, source: PackageSource): boolean {
  return source.role !== 'custom' && resource.sources.some(({ type }) => type === 'cache');
}

/** Puts it into the cache; false when its place there is taken by what is not ours to replace. */
async function keep(context: PerformContext, wanted: AddRequest): Promise<boolean> {
  try {
    const { entry } = await context.unpacking(() => addToCache(context.host, wanted));
    context.detail(`cached as ${cachedPath(entry.tool, entry.key)} from ${entry.source.location}`);
    return true;
  } catch (thrown) {
    const { code, message } = asNodekilnError(thrown);
    if (code !== 'NK_FILE_WRITE' && code !== 'NK_CACHE_CONFLICT') throw thrown;
    context.detail(`not kept in the cache: ${message}`);
    return false;
  }
}

async function request(context: PerformContext, resource: BinaryResource, source: PackageSource) {
  const { host } = context;
  return {
    tool: resource.tool,
    version: resource.version,
    source: await openSource(context, resource, locked(context, resource, source)),
    ...(resource.architecture !== undefined && { architecture: resource.architecture }),
    ...(context.signal && { signal: context.signal }),
    check: (_extracted: unknown, staged: StagedFile) => requireLibraries(host, resource, staged),
  };
}

/** Where the document names no digest, the one of the lock file stands in. */
function locked(context: PerformContext, { id }: BinaryResource, source: PackageSource): PackageSource {
  const digest = source.digest ?? context.lockedDigests.get(id);
  return digest === undefined ? source : { ...source, digest };
}

/** What cannot start must not replace what does. */
async function requireLibraries({ files }: Host, resource: BinaryResource, staged: StagedFile): Promise<void> {
  const { checkLibraries } = await import('../../artifacts/elf/libraries.ts');
  const missing = await checkLibraries(files, staged, resource.tool);
  if (missing.length === 0) return;
  throw new NodekilnError(
    'NK_ARTIFACT_LIBRARIES',
    `${resource.tool} ${resource.version} cannot start here: ${missing.map(({ library }) => library).join(', ')}`,
    {
      resource: resource.id,
      lines: missing.map(({ library, neededBy, versions }) =>
        versions.length === 0
          ? `${library}, needed by ${neededBy}, is missing`
          : `${library} lacks ${versions.join(', ')}, needed by ${neededBy}`,
      ),
    },
  );
}

async function seal(context: PerformContext, path: string, digest: string): Promise<void> {
  const stat = await context.host.files.stat(path);
  if (stat)
    context.notes.setSeal(path, { size: stat.size, mtimeNs: String(stat.mtimeNs), inode: String(stat.inode), digest });
}

/** Gives up what an earlier definition had cached. */
export async function performForget(context: PerformContext, action: ActionOf<'forget-cached'>): Promise<void> {
  await removeFromCache(context.host.files, action.tool, action.version);
}

/** Tries the sources in order. With one source its own error is thrown; with several, one that names them all. */
async function firstThatServes(resource: BinaryResource, use: (source: BinarySource) => Promise<void>): Promise<void> {
  const refusals: Refusal[] = [];
  for (const source of resource.sources) {
    try {
      return await use(source);
    } catch (thrown) {
      const error = asNodekilnError(thrown);
      if (error.code === 'NK_INTERRUPTED') throw error;
      refusals.push({ source: source.type === 'cache' ? 'cache' : source.role, error });
    }
  }
  const [only] = refusals;
  if (only && refusals.length === 1 && only.source !== 'cache') throw only.error;
  throw noneServes(`${resource.tool} ${resource.version}`, resource.id, refusals);
}
