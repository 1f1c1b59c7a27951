/**
 * The manifest's lock file at work: what is locked is demanded of the sources, what they gave is compared and kept.
 * Everything here but reading and writing the file is pure.
 *
 * Errors: those of artifacts/lock.ts; NK_DOCUMENT_MISSING (frozen without a lock file), NK_FILE_WRITE.
 */
import {
  formatManifestLock,
  lockedId,
  parseManifestLock,
  type ManifestLock,
  type LockedArtifact,
} from '../artifacts/manifest-lock.ts';
import { installActions } from '../desired/packages.ts';
import { addressNotShown, shownAddress } from '../model/shown-address.ts';
import { reveal } from '../model/resources.ts';
import type {
  Address,
  ArtifactLocation,
  BinaryResource,
  DesiredState,
  ContainerImageResource,
  PackageManager,
  Resource,
  ResourceId,
} from '../model/resources.ts';
import type { Facts } from '../model/facts.ts';
import type { ImageManifest } from '../config/schema-image.ts';
import { refuseWrittenByOthers } from '../documents/sources/folder.ts';
import { NodekilnError, type Problem } from '../errors.ts';
import { bytesOf, equalBytes, textOf } from '../model/bytes.ts';
import { isAbsolute, relative } from '../model/path.ts';
import type { Files, Host } from '../host/port.ts';

/** Undefined when there is none; NK_DOCUMENT_EXPOSED when others can change it. The path is absolute, as for writing. */
export async function readManifestLock(local: Files, path: string): Promise<ManifestLock | undefined> {
  await refuseWrittenByOthers(local, path);
  const content = await local.read(path);
  return content && parseManifestLock(textOf(content), path);
}

/** Whole and durable, and only when it differs; it belongs to whoever bakes. */
export async function writeManifestLock(
  { local, program }: Pick<Host, 'local' | 'program'>,
  path: string,
  lock: ManifestLock,
): Promise<'written' | 'unchanged'> {
  const content = bytesOf(formatManifestLock(lock));
  const present = await local.read(path);
  if (present && equalBytes(present, content)) return 'unchanged';
  await local.write([{ type: 'file', path, content, mode: 0o644, ...program.owner }]);
  return 'written';
}

/** `debian/13 amd64`: what one bake is for. */
export function targetOf({ os, arch }: Facts): string {
  return `${[os.id, os.release, os.variant].filter((part) => part !== undefined && part !== '').join('/')} ${arch.cpu}`;
}

export type ArtifactResource = BinaryResource | ContainerImageResource;

/** The resources whose artifacts are locked: not our own program, which is whoever bakes. */
export function artifactResources(desired: DesiredState): ArtifactResource[] {
  return [...desired.resources.values()].filter(
    (resource): resource is ArtifactResource =>
      (resource.kind === 'binary' && !resource.id.startsWith('binary:nodekiln/')) || resource.kind === 'image',
  );
}

/** What the manifest asks for, in one line that stays the same on every machine. */
export function askedOf(resource: ArtifactResource, base: string): string {
  if (resource.kind === 'image') {
    const { reference, archive } = resource;
    return archive === undefined ? `${reference} registry` : `${reference} archive ${locationIn(archive, base)}`;
  }
  const sources = resource.sources.flatMap((source) => {
    if (source.type === 'cache') return [];
    const member = source.member === undefined ? '' : ` member ${source.member}`;
    return [`${source.type} ${describeLocation(source.from, base)}${member}`];
  });
  return [resource.tool, resource.version, ...sources].join(' ');
}

function describeLocation(from: ArtifactLocation, base: string): string {
  switch (from.type) {
    case 'path':
    case 'folder':
    case 'image-layout':
    case 'oci-layout':
      return `${from.type} ${locationIn(from.path, base)}${'tag' in from && from.tag !== undefined ? `:${from.tag}` : ''}`;
    case 'url':
      return `url ${withoutSecrets(from.url)}`;
    case 'oci':
      return `oci ${from.reference}${from.file === undefined ? '' : ` file ${from.file}`}`;
    case 'own':
      return `own ${from.part}`;
    case 'image':
      return `image ${from.reference}`;
    case 'apt':
      return `apt ${withoutSecrets(from.url)} ${from.suite} ${from.components.join(',')} ${from.package}`;
    case 'dnf':
      return `dnf ${withoutSecrets(from.url)} ${from.package}`;
  }
}

/** Neither user nor password nor query: those may be secrets, and may change from day to day. */
function withoutSecrets(address: Address): string {
  const url = reveal(address);
  if (!URL.canParse(url) || shownAddress(url) === addressNotShown) return addressNotShown;
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** Paths relative to the manifest, so that the lock is the same on every machine; the rest as it is. */
export function locationIn(location: string, base: string): string {
  if (!isAbsolute(location)) return location;
  const near = relative(base, location);
  return near.startsWith('..') ? location : near;
}

/** Digests that the lock knows for what the manifest still asks in the same words: they are demanded of the sources. */
export function lockedDigests(
  desired: DesiredState,
  about: { lock: ManifestLock; target: string; base: string },
): ReadonlyMap<ResourceId, string> {
  const locked = new Map(about.lock.artifacts.map((artifact) => [artifact.id, artifact]));
  return new Map(
    artifactResources(desired).flatMap((resource) => {
      const artifact = locked.get(lockedId(resource.id, about.target));
      return artifact?.asked === askedOf(resource, about.base) ? [[resource.id, artifact.digest] as const] : [];
    }),
  );
}

/** Packages by the very versions that the lock holds: for a frozen bake. */
export function withLockedPackages(
  desired: DesiredState,
  manifest: ImageManifest,
  about: { lock: ManifestLock; target: string },
): DesiredState {
  const versions = new Map(
    about.lock.packages.map(({ id, version }) => [/^package:([^:]+):/.exec(id)?.[1] ?? id, version]),
  );
  const resources = new Map<ResourceId, Resource>(desired.resources);
  for (const component of manifest.spec.components ?? []) {
    if (component.action !== 'install') continue;
    const manager: PackageManager = component.source.type;
    const packages = component.source.packages.map((item) => {
      const named = typeof item === 'string' ? { name: item } : item;
      const version = named.version ?? versions.get(named.name);
      return { name: named.name, ...(version !== undefined && { version }) };
    });
    for (const action of installActions(component.name, manager, packages)) {
      const present = resources.get(action.id);
      if (present) resources.set(action.id, { ...present, ...action });
    }
  }
  return { ...desired, resources };
}

/** Frozen: whatever can be known before anything is fetched. */
export function requireSameQuestions(
  lock: ManifestLock,
  desired: DesiredState,
  about: { target: string; base: string; file: string },
): void {
  const locked = new Map(lock.artifacts.map((artifact) => [artifact.id, artifact]));
  const problems: Problem[] = [];
  const note = (message: string): void => void problems.push({ message, place: { file: about.file } });
  for (const resource of artifactResources(desired)) {
    const id = lockedId(resource.id, about.target);
    const artifact = locked.get(id);
    const asked = askedOf(resource, about.base);
    if (!artifact) note(`${id} is not in the lock file`);
    else if (artifact.asked !== asked) note(`${id} is asked for as “${asked}”, and “${artifact.asked}” is locked`);
    locked.delete(id);
  }
  for (const id of locked.keys()) note(`${id} is in the lock file and no longer in the manifest`);
  if (problems.length === 0) return;
  throw new NodekilnError('NK_CHECK_DIFFERENCES', `the manifest does not ask for what ${about.file} holds`, {
    hint: 'Bake without --frozen and review the lock file.',
    problems,
  });
}

export function noManifestLock(path: string): NodekilnError {
  return new NodekilnError('NK_DOCUMENT_MISSING', `--frozen needs the lock file ${path}, and there is none`, {
    hint: 'Bake without --frozen once, and keep the lock file in version control.',
  });
}

export interface Resolved {
  readonly location: string;
  readonly digest: string;
  readonly size: number;
  readonly version?: string;
}

export function lockedArtifactOf(
  resource: ArtifactResource,
  resolved: Resolved,
  about: { target: string; base: string },
): LockedArtifact {
  return {
    id: lockedId(resource.id, about.target),
    asked: askedOf(resource, about.base),
    location: locationIn(resolved.location, about.base),
    ...(resolved.version !== undefined && { version: resolved.version }),
    digest: resolved.digest,
    size: resolved.size,
  };
}
