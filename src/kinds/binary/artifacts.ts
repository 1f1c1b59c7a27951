/** From where a document says an artifact is to a local file to take the binary out of. */
import type { PackageFile } from '../../artifacts/cache/fill.ts';
import { progressText } from '../../artifacts/sources/progress.ts';
import type { SourceSpec } from '../../artifacts/sources/source.ts';
import {
  reveal,
  type ArtifactLocation,
  type BinaryResource,
  type PackageSource,
  type SignatureRequirement,
} from '../../model/resources.ts';
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import type { PerformContext } from '../performer.ts';
import { isAbsolute, join } from '../../model/path.ts';

/** Relative paths are relative to the folder of the document they stand in. */
export function artifactPath(base: string, path: string): string {
  return isAbsolute(path) ? path : join(base, path);
}

/** Every path that a document may name of this machine, absolute. */
function located(from: ArtifactLocation, base: string): ArtifactLocation {
  const key = (text: string): string => (text.includes('-----BEGIN') ? text : artifactPath(base, text));
  switch (from.type) {
    case 'path':
    case 'folder':
    case 'oci-layout':
    case 'image-layout':
      return { ...from, path: artifactPath(base, from.path) };
    case 'oci':
      return from.signature ? { ...from, signature: locatedSignature(from.signature, base) } : from;
    case 'apt':
      return { ...from, signedBy: key(from.signedBy) };
    case 'dnf':
      return { ...from, keys: from.keys.map(key) };
    case 'own':
    case 'url':
    case 'image':
      return from;
  }
}

/** The same of who must have signed. */
export function locatedSignature(signature: SignatureRequirement, base: string): SignatureRequirement {
  if ('trustedRoot' in signature) return { ...signature, trustedRoot: artifactPath(base, signature.trustedRoot) };
  return signature.key.includes('-----BEGIN') ? signature : { key: artifactPath(base, signature.key) };
}

/** Fetches the artifact unless it is a file already. Errors of the source; NK_ARTIFACT_NONE_USABLE for a folder without the package. */
export async function openSource(
  context: PerformContext,
  resource: BinaryResource,
  source: PackageSource,
): Promise<PackageFile> {
  const { digest } = source;
  const from = located(source.from, context.artifactBase);
  // For a plain file package and binary are the same bytes.
  const expected = digest === undefined ? {} : source.type === 'file' ? { digest } : { packageDigest: digest };
  // A member of an image is taken out while it is fetched.
  const member = source.member === undefined || from.type.startsWith('image') ? {} : { member: source.member };
  const common = { format: source.type, ...expected, ...member };
  if (from.type === 'path') return { ...common, path: from.path, location: asWritten(from.path, from, source.from) };
  if (from.type === 'own') return { ...common, path: ownPath(context.host, from.part), location: 'nodekiln itself' };
  if (from.type === 'folder')
    return { ...common, path: await packageIn(context.host, from.path, { resource, source }) };
  const fetched = await context.downloads.fetch(sourceSpec(context, resource, { ...source, from }), {
    transfer: resource.transfer,
    ...(from.type === 'oci' && from.signature && { signature: from.signature }),
    signal: context.signal,
    onProgress: (progress) => context.progress(progressText(progress), progress),
  });
  return { ...common, path: fetched.path, location: asWritten(fetched.location, from, source.from) };
}

function ownPath({ program }: Host, part: 'script' | 'executable'): string {
  const path = program[part];
  if (path === undefined) throw new NodekilnError('NK_INTERNAL', 'nodekiln runs from no bundle');
  return path;
}

/** A place of this machine as its document names it: what is recorded of it holds wherever the document lies. */
function asWritten(location: string, at: ArtifactLocation, written: ArtifactLocation): string {
  if (!('path' in at) || !('path' in written) || !location.startsWith(at.path)) return location;
  return `${written.path}${location.slice(at.path.length)}`;
}

/** The right package of a folder. NK_ARTIFACT_MISSING, with what the folder holds instead. */
export async function packageIn(
  host: Pick<Host, 'local' | 'archives'>,
  directory: string,
  { resource, source }: { resource: BinaryResource; source: Pick<PackageSource, 'type'> },
): Promise<string> {
  const { matchDirectory } = await import('../../artifacts/match-directory.ts');
  const { chosen, passedOver } = await matchDirectory(host, directory, {
    kind: source.type === 'rpm' ? 'rpm' : 'deb',
    component: resource.tool,
    version: resource.version,
    architecture: resource.architecture ?? '',
  });
  if (chosen) return join(directory, chosen.file);
  throw new NodekilnError(
    'NK_ARTIFACT_MISSING',
    `${directory} holds no package of ${resource.tool} ${resource.version}`,
    {
      resource: resource.id,
      lines: passedOver.map(({ file, why }) => `${file}: ${why}`),
    },
  );
}

function sourceSpec(
  { host }: PerformContext,
  resource: BinaryResource,
  { from, digest, member = '' }: PackageSource,
): SourceSpec {
  const expected = digest === undefined ? {} : { digest };
  const platform = resource.architecture === undefined ? {} : { architecture: resource.architecture };
  switch (from.type) {
    case 'url':
      return { type: 'http', url: reveal(from.url), ...expected };
    case 'oci':
    case 'oci-layout': {
      const { signature: _, ...location } = { signature: undefined, ...from };
      return { ...location, ...platform, ...expected };
    }
    case 'image':
      return { ...from, type: 'image-file', member, ...platform, ...expected };
    case 'image-layout': {
      const { path, tag } = from;
      return { type: 'image-file', layout: path, ...(tag !== undefined && { tag }), member, ...platform, ...expected };
    }
    case 'apt':
    case 'dnf': {
      const { architecture = host.program.architecture, version } = resource;
      return { ...from, url: reveal(from.url), version, architecture, ...expected };
    }
    case 'path':
    case 'folder':
    case 'own':
      throw new NodekilnError('NK_INTERNAL', `a ${from.type} needs no fetching`);
  }
}
