/**
 * What a bake takes from this machine's own files, looked at before its first effect: that it is there, can be read, and is
 * of the digest that the manifest or the lock file names. What is in the root already is not looked at again.
 *
 * NK_ARTIFACT_MISSING, NK_ARTIFACT_UNREADABLE, NK_ARTIFACT_DIGEST, NK_ARTIFACT_ARCHITECTURE of the first, with all others as
 * lines; NK_INTERRUPTED.
 */
import { readContainerImageArchive } from '../artifacts/container-image-archive.ts';
import { digestOfFile, requireDigest, withLocalFile } from '../artifacts/sources/local-file.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import type { BinaryResource, ContainerImageResource, Resource, ResourceId } from '../model/resources.ts';
import { isAbsolute, join } from '../model/path.ts';

interface About {
  /** Where relative paths start. */
  readonly base: string;
  /** Digests that the lock file holds. */
  readonly held: ReadonlyMap<ResourceId, string>;
  readonly signal: AbortSignal | undefined;
  /** What went wrong with a resource's artifact, in the words of whoever bakes. */
  readonly explain: (error: NodekilnError, id: ResourceId) => NodekilnError;
}

/** `resources`: those that differ from what is in the root. */
export async function requireLocalArtifacts(host: Host, resources: readonly Resource[], about: About): Promise<void> {
  const failures: NodekilnError[] = [];
  for (const resource of resources) {
    try {
      if (resource.kind === 'image') await lookAtArchive(host, resource, about);
      if (resource.kind === 'binary') await lookAtSources(host, resource, about);
    } catch (thrown) {
      const error = asNodekilnError(thrown);
      if (error.code === 'NK_INTERRUPTED') throw error;
      failures.push(about.explain(error, resource.id));
    }
  }
  const [first, ...others] = failures;
  if (!first || others.length === 0) {
    if (first) throw first;
    return;
  }
  throw new NodekilnError(first.code, `${first.message}; ${others.length} more cannot be taken either`, {
    cause: first,
    hint: first.hint,
    lines: [...first.lines, ...others.map(({ code, message }) => `${code}: ${message}`)],
    ...(first.resource !== undefined && { resource: first.resource }),
  });
}

async function lookAtArchive(host: Host, resource: ContainerImageResource, about: About): Promise<void> {
  const digest = resource.digest ?? about.held.get(resource.id);
  const { architecture, archive } = resource;
  if (archive === undefined) return;
  await readContainerImageArchive(host, absolute(archive, about), {
    ...(digest !== undefined && { digest }),
    ...(architecture !== undefined && { architecture }),
    ...(about.signal && { signal: about.signal }),
  });
}

/** Where several sources may serve, a missing one is no fault. */
async function lookAtSources(host: Host, resource: BinaryResource, about: About): Promise<void> {
  const [source, ...others] = resource.sources;
  if (source === undefined || source.type === 'cache' || others.length > 0) return;
  const { from } = source;
  const digest = source.digest ?? about.held.get(resource.id);
  if (from.type === 'path')
    await withLocalFile(host, { path: absolute(from.path, about) }, async (file) => {
      const { path } = from;
      if (file.stat.size === 0)
        throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} is empty`, { resource: resource.id });
      if (digest === undefined) return;
      requireDigest(path, await digestOfFile(host, file, { what: path, signal: about.signal }), digest);
    });
  if (from.type === 'oci-layout' || from.type === 'image-layout') {
    const index = join(absolute(from.path, about), 'index.json');
    await withLocalFile(host, { path: index }, () => Promise.resolve());
  }
}

function absolute(path: string, { base }: About): string {
  return isAbsolute(path) ? path : join(base, path);
}
