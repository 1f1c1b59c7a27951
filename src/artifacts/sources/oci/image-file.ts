/**
 * One file out of a container image, as a container started from it would see it: layers from the top down, whiteouts,
 * symbolic and hard links resolved inside the image. Nothing is unpacked but that file. Source: OCI image
 * specification v1.1, "Layer Filesystem Changeset".
 *
 * Errors: NK_NO_SPACE, NK_ARTIFACT_MEMBER (missing, a folder, a device, links without end), NK_ARTIFACT_ARCHITECTURE, those of the
 * repository and of extract.ts.
 */
import { candidateEntries, candidatesAmong, type Candidates } from '../../candidates.ts';
import { NodekilnError } from '../../../errors.ts';
import type { ArchiveEntry } from '../../../host/port.ts';
import { textOf } from '../../../model/bytes.ts';
import { basename, dirname, join, normalize } from '../../../model/path.ts';
import { extractMember } from '../../extract.ts';
import type { Extracted } from '../../extract.ts';
import { defaultLimits } from '../../formats/limits.ts';
import { readPackage, withPackage } from '../../formats/open.ts';
import type { PackageHost } from '../../formats/open.ts';
import { requireSpace } from '../../space.ts';
import { withLocalFile } from '../local-file.ts';
import type { Descriptor, Manifest } from './model.ts';
import type { BlobOptions, Repository } from './repository.ts';
import { imageConfig } from './schema.ts';

const maxLinks = 40;
const maxConfigBytes = 4 * 1024 * 1024;
const whiteout = '.wh.';
const opaque = '.wh..wh..opq';

/** Which file of which image. */
export interface ContainerImageFileRequest extends BlobOptions {
  readonly host: PackageHost;
  readonly repository: Repository;
  readonly manifest: Manifest;
  readonly what: string;
  /** Path inside the image. */
  readonly member: string;
  readonly architecture: string | undefined;
  readonly digest?: string;
  readonly signal?: AbortSignal;
}

/** The file at `to`, durable. */
export async function extractFromImage(request: ContainerImageFileRequest, to: string): Promise<Extracted> {
  await checkPlatform(request);
  const layers = new Layers(request);
  let wanted = normalise(request.member);
  for (let links = 0; links <= maxLinks; links++) {
    const found = await lookUp(layers, wanted, request);
    if (found.type === 'link') {
      wanted = found.path;
      continue;
    }
    const { host, folder, what } = request;
    await requireSpace(host.local, folder, { bytes: found.size, what: `${request.member} of ${what}` });
    return extractMember(host, {
      source: await layers.path(found.layer),
      what,
      format: 'tarball',
      member: found.name,
      to,
      packageDigest: false,
      ...(request.digest !== undefined && { digest: request.digest }),
      ...(request.signal && { signal: request.signal }),
    });
  }
  throw unusable(request, 'leads through more links than can be followed');
}

/** Layers are fetched when they are looked into, each once. */
class Layers {
  readonly #request: ContainerImageFileRequest;
  readonly #paths = new Map<number, Promise<string>>();

  constructor(request: ContainerImageFileRequest) {
    this.#request = request;
  }

  get count(): number {
    return this.#request.manifest.layers.length;
  }

  path(index: number): Promise<string> {
    const known = this.#paths.get(index);
    if (known) return known;
    const { repository, manifest } = this.#request;
    const layer = manifest.layers[index] as Descriptor;
    const work = async (): Promise<string> => {
      const { host, folder, what } = this.#request;
      await requireSpace(host.local, folder, { bytes: layer.size, what: `a layer of ${what}` });
      return (await repository.blob(layer, this.#request)).path;
    };
    const begun = work();
    this.#paths.set(index, begun);
    return begun;
  }
}

type Found =
  | { readonly type: 'file'; readonly layer: number; readonly name: string; readonly size: number }
  | { readonly type: 'link'; readonly path: string };

/** Where the path is, or what a link on the way makes of it. */
async function lookUp(layers: Layers, wanted: string, request: ContainerImageFileRequest): Promise<Found> {
  // A hard link names a file of its own or a lower layer; above it nothing has been there since.
  let target = wanted;
  for (let layer = layers.count - 1; layer >= 0; layer--) {
    const seen = await scan(await layers.path(layer), target, request);
    const { hidden } = seen;
    let { entry } = seen;
    for (let links = 0; entry?.type === 'hardlink'; links++) {
      if (links === maxLinks) throw unusable(request, 'leads through more links than can be followed');
      target = entry.target ?? '';
      entry = (await scan(await layers.path(layer), target, request)).entry;
    }
    if (seen.parent) return { type: 'link', path: throughLink(seen.parent, target) };
    if (entry) {
      if (entry.type === 'file') return { type: 'file', layer, name: entry.name, size: entry.size };
      if (entry.type === 'symlink') return { type: 'link', path: linkTarget(entry) };
      throw unusable(request, `is no regular file but a ${entry.type}`, await candidates(layers, wanted, request));
    }
    if (hidden) break;
  }
  throw unusable(request, 'is not in the image', await candidates(layers, wanted, request));
}

/** Of what a container started from the image would see. */
async function candidates(
  layers: Layers,
  wanted: string,
  { host, what, signal }: ContainerImageFileRequest,
): Promise<Candidates> {
  const seen = new Map<string, ArchiveEntry>();
  let left = candidateEntries;
  for (let layer = 0; layer < layers.count && left > 0; layer++) {
    const path = await layers.path(layer);
    const source = { path, what, format: 'tarball', limits: defaultLimits, ...(signal && { signal }) } as const;
    const { entries } = await withPackage(host, source, (opened) =>
      readPackage(host, opened, { tell: { first: left }, fileDigest: false }),
    );
    left -= entries.length;
    cover(seen, entries);
  }
  return candidatesAmong([...seen.values()], [wanted]);
}

/** Lays a layer over what is seen of those below it. */
function cover(seen: Map<string, ArchiveEntry>, layer: readonly ArchiveEntry[]): void {
  const hideBelow = (folder: string): void => {
    for (const name of seen.keys()) if (folder === '' || name.startsWith(`${folder}/`)) seen.delete(name);
  };
  const isWhiteout = ({ name }: ArchiveEntry): boolean => basename(name).startsWith(whiteout);
  for (const { name } of layer.filter(isWhiteout)) {
    const folder = name.includes('/') ? dirname(name) : '';
    const hidden = name === join(folder, opaque) ? folder : join(folder, basename(name).slice(whiteout.length));
    if (hidden !== folder) seen.delete(hidden);
    hideBelow(hidden);
  }
  for (const entry of layer) {
    if (isWhiteout(entry)) continue;
    if (entry.type !== 'directory' && seen.get(entry.name)?.type === 'directory') hideBelow(entry.name);
    seen.set(entry.name, entry);
  }
}

interface Scan {
  readonly entry: ArchiveEntry | undefined;
  /** A folder on the way that is a symbolic link in this layer. */
  readonly parent: ArchiveEntry | undefined;
  /** A whiteout, or a file where a folder would be: lower layers have no say. */
  readonly hidden: boolean;
}

async function scan(path: string, wanted: string, { host, what, signal }: ContainerImageFileRequest): Promise<Scan> {
  const parents = ancestors(wanted);
  const whiteouts = [...parents, wanted].map((name) => beside(name, `${whiteout}${basename(name)}`));
  const opaques = ['', ...parents].map((name) => join(name, opaque));
  const source = { path, what, format: 'tarball', limits: defaultLimits, ...(signal && { signal }) } as const;
  const { entries } = await withPackage(host, source, (opened) =>
    readPackage(host, opened, {
      tell: { names: [wanted, ...parents, ...whiteouts, ...opaques] },
      fileDigest: false,
    }),
  );
  let entry: ArchiveEntry | undefined;
  let parent: ArchiveEntry | undefined;
  let hidden = false;
  for (const one of entries) {
    if (one.name === wanted) entry = one;
    else if (!parents.includes(one.name)) hidden = true;
    else if (one.type === 'symlink') parent = one;
    else if (one.type !== 'directory') hidden = true;
  }
  return { entry, parent, hidden };
}

/** `usr`, `usr/bin` of `usr/bin/kubelet`. */
function ancestors(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

function beside(path: string, name: string): string {
  return join(dirname(path), name);
}

function throughLink(link: ArchiveEntry, wanted: string): string {
  return normalise(join(linkTarget(link), wanted.slice(link.name.length)));
}

/** Inside the image: `..` at its root stays there. */
function linkTarget({ name, target = '' }: ArchiveEntry): string {
  return normalise(target.startsWith('/') ? target : join('/', dirname(name), target));
}

function normalise(path: string): string {
  return normalize(join('/', path)).slice(1);
}

/** The image's own word, for images that come without an index. */
async function checkPlatform(request: ContainerImageFileRequest): Promise<void> {
  const { host, architecture, repository, manifest, what } = request;
  if (architecture === undefined || manifest.config.size > maxConfigBytes) return;
  const { path, temporary } = await repository.blob(manifest.config, { folder: request.folder });
  const text = await withLocalFile(host, { path }, async (file) => textOf(await file.read(0, file.stat.size)));
  const parsed = imageConfig.safeParse(parseJson(text));
  if (temporary) await host.local.remove([path]);
  const stated = parsed.success ? parsed.data.architecture : undefined;
  if (!stated || stated === architecture) return;
  throw new NodekilnError('NK_ARTIFACT_ARCHITECTURE', `${what} is for ${stated}, not ${architecture}`, {
    resource: what,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unusable({ what, member }: ContainerImageFileRequest, why: string, instead?: Candidates): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_MEMBER', `${member} of ${what} ${why}`, { resource: what, ...instead });
}
