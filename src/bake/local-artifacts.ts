/**
 * What a bake takes from this machine's own files, looked at before its first effect: that it is there, can be read, is of
 * the form and digest that the manifest or the lock file names, and that the keys and certificates are there that the rest is
 * checked with. What is in the root already is not looked at again.
 *
 * NK_ARTIFACT_MISSING, NK_ARTIFACT_UNREADABLE, NK_ARTIFACT_DIGEST, NK_ARTIFACT_NO_PROGRAM, NK_ARTIFACT_ARCHITECTURE of the
 * first, with all others as lines; NK_INTERRUPTED.
 */
import { requireProgram } from '../artifacts/cache/fill.ts';
import { readContainerImageArchive } from '../artifacts/container-image-archive.ts';
import { formName, programForm } from '../artifacts/elf/program.ts';
import { formats, headBytes } from '../artifacts/formats/table.ts';
import { digestOfFile, requireDigest, withLocalFile } from '../artifacts/sources/local-file.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import type { Host, OpenFile } from '../host/port.ts';
import type {
  ArtifactLocation,
  BinaryResource,
  ContainerImageResource,
  PackageSource,
  Resource,
  ResourceId,
  TransferSettings,
} from '../model/resources.ts';
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
  for (const path of trusted(from, resource.transfer))
    await withLocalFile(host, { path: absolute(path, about) }, () => Promise.resolve());
  const digest = source.digest ?? about.held.get(resource.id);
  if (from.type === 'path')
    await withLocalFile(host, { path: absolute(from.path, about) }, async (file) => {
      const { path } = from;
      if (file.stat.size === 0)
        throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} is empty`, { resource: resource.id });
      await requireForm(file, { path, resource, source });
      if (digest === undefined) return;
      requireDigest(path, await digestOfFile(host, file, { what: path, signal: about.signal }), digest);
    });
  if (from.type === 'oci-layout' || from.type === 'image-layout') {
    const index = join(absolute(from.path, about), 'index.json');
    await withLocalFile(host, { path: index }, () => Promise.resolve());
  }
}

/** Paths of keys and certificates; those that stand in the manifest itself are none. */
function trusted(from: ArtifactLocation, transfer: TransferSettings | undefined): string[] {
  const signature = from.type === 'oci' ? from.signature : undefined;
  const named = [
    ...(from.type === 'apt' ? [from.signedBy] : []),
    ...(from.type === 'dnf' ? from.keys : []),
    ...(signature ? ['key' in signature ? signature.key : signature.trustedRoot] : []),
    ...(transfer?.caFile === undefined ? [] : [transfer.caFile]),
  ];
  return named.filter((text) => !text.includes('-----BEGIN'));
}

/** What a package holds is known when it is read; that it is one is seen now, and what a plain file is, too. */
async function requireForm(
  file: OpenFile,
  { path, resource, source }: { path: string; resource: BinaryResource; source: PackageSource },
): Promise<void> {
  const { tool, architecture } = resource;
  if (source.type === 'file') {
    const form = await programForm(file, file.stat.size);
    requireProgram(form, { tool, source: { path }, ...(architecture !== undefined && { architecture }) });
    return;
  }
  const head = await file.read(0, headBytes);
  if (formats[source.type].matches(head)) return;
  const why = `is no ${source.type} but ${formName(head)}`;
  throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} ${why}`, { resource: resource.id });
}

function absolute(path: string, { base }: About): string {
  return isAbsolute(path) ? path : join(base, path);
}
