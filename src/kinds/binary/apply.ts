/**
 * Effects of `binary` resources: filling the cache at bake, activating at boot. Sources are tried in their order; why each
 * earlier one did not serve is kept with the step and, when none served, in the error.
 */
import { addToCache, materialise, type ArtifactSource } from '../../artifacts/fill-cache.ts';
import {
  activate,
  findCached,
  openCached,
  readIndex,
  removeFromCache,
  targetDigest,
  verifyCached,
  cachedPath,
} from '../../artifacts/cache.ts';
import type { BinaryResource, BinarySource } from '../../desired/resources.ts';
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import type { Files } from '../../host/port.ts';
import type { BinaryObservation } from '../../plan/types.ts';
import type { ActionOf, ObserveContext, PerformContext } from '../performer.ts';
import { artifactPath } from './artifacts.ts';

export async function observeBinary(context: ObserveContext, resource: BinaryResource): Promise<BinaryObservation> {
  const { files } = context.host;
  const target = resource.place.type === 'activate' ? resource.place.target : undefined;
  const cacheSource = resource.sources.find((source) => source.type === 'cache');
  if (resource.place.type === 'activate' && !cacheSource) {
    return { kind: 'binary', cached: undefined, cacheRefusals: [], targetDigest: await sealedDigest(context, target) };
  }
  const lookup = findCached(await readIndex(files), {
    tool: resource.tool,
    version: cacheSource?.version ?? resource.version,
  });
  if (!lookup.found)
    return {
      kind: 'binary',
      cached: undefined,
      cacheRefusals: lookup.why,
      targetDigest: await sealedDigest(context, target),
    };
  const verified = await verifyCached(files, lookup.entry);
  const { entry } = lookup;
  return {
    kind: 'binary',
    cached: verified.ok ? { key: entry.key, file: cachedPath(entry.tool, entry.key), digest: entry.digest } : undefined,
    cacheRefusals: verified.ok ? [] : [verified.why],
    targetDigest:
      target === undefined
        ? undefined
        : ((await sharedInode(files, target, entry)) ?? (await sealedDigest(context, target))),
  };
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

/** The digest of a file, read only when its seal in the journal does not hold. */
async function sealedDigest(context: ObserveContext, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const { files } = context.host;
  const stat = await files.stat(path);
  if (stat?.type !== 'file') return undefined;
  const seal = context.notes?.seal(path);
  if (seal?.size === stat.size && seal.mtimeNs === String(stat.mtimeNs) && seal.inode === String(stat.inode))
    return seal.digest;
  const digest = await files.digest(path);
  context.notes?.setSeal(path, { size: stat.size, mtimeNs: String(stat.mtimeNs), inode: String(stat.inode), digest });
  return digest;
}

export async function performCache(context: PerformContext, resource: BinaryResource): Promise<void> {
  await firstThatServes(resource, async (source) => {
    if (source.type === 'cache') throw new NodekilnError('NK_INTERNAL', 'the cache cannot be filled from itself');
    const added = await addToCache(context.host.files, {
      tool: resource.tool,
      version: resource.version,
      source: artifactSource(context, source),
      ...(context.signal && { signal: context.signal }),
    });
    context.detail(`cached as ${cachedPath(added.entry.tool, added.entry.key)} from ${added.entry.source.location}`);
  });
}

export async function performActivate(context: PerformContext, resource: BinaryResource): Promise<void> {
  const { files } = context.host;
  const target = resource.place.type === 'activate' ? resource.place.target : '';
  await firstThatServes(resource, async (source) => {
    if (source.type === 'cache') {
      const lookup = await openCached(files, { tool: resource.tool, version: source.version });
      if (!lookup.found) throw new NodekilnError('NK_ARTIFACT_MISSING', lookup.why.join('; '));
      const { method } = await activate(files, { entry: lookup.entry, target });
      await seal(context, target, lookup.entry.digest);
      context.detail(`activated ${cachedPath(lookup.entry.tool, lookup.entry.key)} by ${method}`);
      return;
    }
    const placed = await materialise(files, target, {
      tool: resource.tool,
      source: artifactSource(context, source),
      ...(context.signal && { signal: context.signal }),
    });
    await seal(context, target, placed.digest);
    context.detail(`placed from ${source.path ?? source.url ?? source.type}`);
  });
}

async function seal(context: PerformContext, path: string, digest: string): Promise<void> {
  const stat = await context.host.files.stat(path);
  if (stat)
    context.notes.setSeal(path, { size: stat.size, mtimeNs: String(stat.mtimeNs), inode: String(stat.inode), digest });
}

export async function performForget(context: PerformContext, action: ActionOf<'forget-cached'>): Promise<void> {
  await removeFromCache(context.host.files, action.tool, action.version);
}

function artifactSource(context: PerformContext, source: Exclude<BinarySource, { type: 'cache' }>): ArtifactSource {
  if (source.path === undefined) {
    throw new NodekilnError('NK_UNSUPPORTED', `${source.url ?? source.type}: only local artifacts can be read yet`, {
      hint: 'Fetch it first and give its path.',
    });
  }
  return {
    format: source.type,
    path: artifactPath(context.artifactBase, source.path),
    ...(source.member !== undefined && { member: source.member }),
    // For a plain file package and binary are the same bytes.
    ...(source.digest !== undefined &&
      (source.type === 'file' ? { digest: source.digest } : { packageDigest: source.digest })),
  };
}

/** Tries the sources in order. With one source its own error is thrown; with several, one that names them all. */
async function firstThatServes(resource: BinaryResource, use: (source: BinarySource) => Promise<void>): Promise<void> {
  const refusals: { source: BinarySource; error: NodekilnError }[] = [];
  for (const source of resource.sources) {
    try {
      return await use(source);
    } catch (thrown) {
      refusals.push({ source, error: asNodekilnError(thrown) });
    }
  }
  const [only] = refusals;
  if (only && refusals.length === 1 && only.source.type !== 'cache') throw only.error;
  throw new NodekilnError('NK_ARTIFACT_NONE_USABLE', `no source has a usable ${resource.tool} ${resource.version}`, {
    resource: resource.id,
    cause: only?.error,
    problems: refusals.map(({ source, error }) => ({ message: `${source.type}: ${error.message}` })),
  });
}
