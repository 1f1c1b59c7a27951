/**
 * Collects the lock of an image after its bake: reads what is there, by digest, and how it stands. What an earlier bake
 * of the same root found out about content that has not changed is taken over, so that an unchanged bake stays quick.
 *
 * Errors: NK_ARTIFACT_VERSION (a program prints another version than it is named for), NK_ARTIFACT_NO_PROGRAM, NK_ARTIFACT_MISSING.
 */
import { cacheKey, parseVersion } from '../model/version.ts';
import { cachedPath, readIndex, type CacheIndex } from '../artifacts/cache/cache.ts';
import { lockedId, type LockedArtifact } from '../artifacts/manifest-lock.ts';
import type { Journal } from '../apply/journal.ts';
import type { Facts } from '../model/facts.ts';
import type { BinaryResource, DesiredState } from '../model/resources.ts';
import { programProblem } from '../artifacts/elf/program.ts';
import { NodekilnError } from '../errors.ts';
import type { Files, Host } from '../host/port.ts';
import { findExtensions } from '../image/extensions.ts';
import { comparePackages, installedPackages } from '../image/packages.ts';
import { formatImageLock, imageLockPath, parseImageLock } from '../image/image-lock.ts';
import type { ImageBinary, ImageLock, ImagePackage, OwnChecks } from '../image/image-lock.ts';
import { enabledUnits, maskedUnits } from '../image/units.ts';
import { readVersion } from '../image/version-output.ts';
import { artifactResources, askedOf, lockedArtifactOf, type ArtifactResource, type Resolved } from './manifest-lock.ts';
import { textOf } from '../model/bytes.ts';

export interface CollectInput {
  readonly host: Host;
  readonly journal: Journal;
  readonly desired: DesiredState;
  readonly facts: Facts;
  readonly name: string;
  readonly target: string;
  readonly base: string;
  readonly before: readonly ImagePackage[];
  readonly previous: ImageLock | undefined;
  /** What the manifest's lock file holds for this system. */
  readonly locked: readonly LockedArtifact[];
  readonly checks: OwnChecks | undefined;
  /** True when no image was imported by this run. */
  readonly imagesUnchanged: boolean;
}

export interface Collected {
  readonly lock: ImageLock;
  readonly warnings: readonly string[];
}

/** The lock that an earlier bake left; a damaged one is made again. */
export async function readImageLock(files: Files): Promise<ImageLock | undefined> {
  const bytes = await files.read(imageLockPath);
  if (bytes === undefined) return undefined;
  try {
    return parseImageLock(textOf(bytes), imageLockPath);
  } catch {
    return undefined;
  }
}

export async function writeImageLock(files: Files, lock: ImageLock): Promise<void> {
  const content = new TextEncoder().encode(formatImageLock(lock));
  await files.write([{ type: 'file', path: imageLockPath, content, mode: 0o644, uid: 0, gid: 0 }]);
}

export async function collectImageLock(input: CollectInput): Promise<Collected> {
  const { host, facts, desired } = input;
  const index = await readIndex(host.files);
  const warnings: string[] = [];
  const [binaries, packages, images, units, files] = await Promise.all([
    binariesOf(input, index, warnings),
    packagesOf(input),
    imagesOf(input),
    unitsOf(host, desired),
    filesOf(host.files, desired),
  ]);
  const { os, arch } = facts;
  const { links, folders } = await entriesOf(host.files, desired);
  const lock: ImageLock = {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'ImageLock',
    image: {
      name: input.name,
      os: os.id,
      release: os.release,
      ...(os.variant !== undefined && { variant: os.variant }),
      architecture: arch.cpu,
    },
    artifacts: artifactsOf(input, index),
    binaries,
    packages,
    images,
    units,
    files,
    links,
    folders,
    extensions: await findExtensions(host.files),
    ...(input.checks && { checks: input.checks }),
  };
  return { lock, warnings };
}

// ── artifacts ────────────────────────────────────────────────────────────────────────────────────────────────────

function artifactsOf(
  { journal, desired, target, base, previous, locked }: CollectInput,
  index: CacheIndex,
): LockedArtifact[] {
  return artifactResources(desired).map((resource) => {
    const cached = resource.kind === 'binary' && resource.place.type === 'cache' ? entryOf(index, resource) : undefined;
    const resolved: Resolved | undefined = cached
      ? {
          location: cached.source.location,
          digest: cached.source.packageDigest ?? cached.digest,
          size: cached.source.packageSize ?? cached.size,
          version: cached.source.revision ?? cached.version,
        }
      : journal.artifact(resource.id);
    if (resolved) return lockedArtifactOf(resource, resolved, { target, base });
    // A journal that was lost has left it in place.
    const [id, asked] = [lockedId(resource.id, target), askedOf(resource, base)];
    const earlier = [...(previous?.artifacts ?? []), ...locked].find((one) => one.id === id && one.asked === asked);
    if (earlier) return earlier;
    throw new NodekilnError(
      'NK_STATE_UNUSABLE',
      `${resource.id} is in place, and neither nodekiln’s journal nor a lock knows what it came from`,
      { resource: resource.id, hint: anew(resource) },
    );
  });
}

function anew(resource: ArtifactResource): string {
  const { place } = resource.kind === 'binary' ? resource : {};
  return place?.type === 'activate'
    ? `Remove ${place.target} from the root and bake again: it is fetched anew.`
    : 'Bake into a fresh root.';
}

function entryOf(index: CacheIndex, { tool, version }: BinaryResource): CacheIndex['entries'][number] | undefined {
  const key = cacheKey(parseVersion(version));
  return index.entries.find((entry) => entry.tool === tool && entry.key === key);
}

// ── binaries ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function binariesOf(input: CollectInput, index: CacheIndex, warnings: string[]): Promise<ImageBinary[]> {
  const { host, desired, previous } = input;
  const known = new Map(previous?.binaries.map((binary) => [binary.path, binary]));
  const resources = [...desired.resources.values()].filter((resource) => resource.kind === 'binary');
  return Promise.all(
    resources.map(async (resource): Promise<ImageBinary> => {
      const { id, tool, version } = resource;
      const entry = resource.place.type === 'cache' ? entryOf(index, resource) : undefined;
      const path = resource.place.type === 'activate' ? resource.place.target : cachedPath(tool, entry?.key ?? version);
      const stat = await host.files.stat(path);
      if (!stat) throw new NodekilnError('NK_ARTIFACT_MISSING', `${path} is missing after the bake`, { resource: id });
      const problem = await programProblem(host.files, path, input.facts.arch.cpu);
      if (problem !== undefined)
        throw new NodekilnError('NK_ARTIFACT_NO_PROGRAM', `${path} ${problem}`, {
          resource: id,
          hint: 'An earlier bake put it there. Correct the source in the manifest, and bake into a fresh root.',
        });
      const digest = entry?.digest ?? (await host.files.digest(path));
      const binary = { id, path, tool, version, digest, size: stat.size };
      const earlier = known.get(path);
      if (earlier?.digest === digest && earlier.version === version && (earlier.states ?? earlier.prints))
        return { ...binary, ...answerOf(earlier) };
      // Our own program's versions are digests, and a download may have none.
      const named = /^sha256:|^0$/.test(version) ? undefined : version;
      const answer = await readVersion(host, { path, tool, version: named });
      if (answer.why !== undefined)
        warnings.push(`${id}: its version is unknown: ${answer.why}; verify will compare its digest only`);
      return { ...binary, ...answerOf(answer) };
    }),
  );
}

function answerOf({ states, prints }: Pick<ImageBinary, 'states' | 'prints'>): Pick<ImageBinary, 'states' | 'prints'> {
  return { ...(states && { states }), ...(prints && { prints }) };
}

// ── packages ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function packagesOf({ host, before }: CollectInput): Promise<ImageLock['packages']> {
  const { manager, packages } = await installedPackages(host);
  const differences = comparePackages(before, packages);
  const changed = new Set(
    differences.flatMap((difference) => (difference.type === 'missing' ? [] : [keyOf(difference.package)])),
  );
  return {
    manager,
    before: packages.filter((item) => !changed.has(keyOf(item))),
    installed: packages.filter((item) => changed.has(keyOf(item))),
  };
}

function keyOf({ name, architecture, version }: ImagePackage): string {
  return `${name} ${architecture} ${version}`;
}

// ── container images ─────────────────────────────────────────────────────────────────────────────────────────────

async function imagesOf({ host, desired, previous, imagesUnchanged }: CollectInput): Promise<ImageLock['images']> {
  const resources = [...desired.resources.values()].filter((resource) => resource.kind === 'image');
  if (resources.length === 0) return [];
  const known = new Map(previous?.images.map((image) => [image.reference, image]));
  const earlier = resources.flatMap(({ reference }) => known.get(reference) ?? []);
  // Asking means starting the root's containerd.
  if (imagesUnchanged && earlier.length === resources.length) return earlier;
  const stored = new Map((await host.containers.list()).map((image) => [image.reference, image]));
  return resources.map(({ id, reference }) => {
    const image = stored.get(reference);
    if (image) return image;
    throw new NodekilnError('NK_ARTIFACT_MISSING', `${reference} is not in containerd’s store after the bake`, {
      resource: id,
    });
  });
}

// ── units and files ──────────────────────────────────────────────────────────────────────────────────────────────

/** What must not come up before it is configured, whoever brought it. */
const runtimeUnits = ['containerd.service', 'kubelet.service'];

async function unitsOf(host: Host, desired: DesiredState): Promise<ImageLock['units']> {
  const named = [...desired.resources.values()].flatMap((resource) =>
    resource.kind === 'unit' ? [resource.name] : [],
  );
  const [enabled, masked] = await Promise.all([enabledUnits(host.files), maskedUnits(host.files)]);
  const names = [...new Set([...named, ...enabled, ...masked, ...runtimeUnits])];
  const states = await Promise.all(names.map(async (name) => ({ name, state: await host.units.enablement(name) })));
  return states.filter(({ state }) => state !== '');
}

/** Files and unit files of the manifest; not those with secrets, whose digests would tell too much. */
async function filesOf(files: Files, desired: DesiredState): Promise<ImageLock['files']> {
  const paths = [...desired.resources.values()].flatMap((resource): string[] => {
    if (resource.kind === 'unit') {
      const folder = '/etc/systemd/system';
      return [
        ...(typeof resource.content === 'string' ? [`${folder}/${resource.name}`] : []),
        ...resource.dropIns
          .filter(({ content }) => typeof content === 'string')
          .map(({ name }) => `${folder}/${resource.name}.d/${name}`),
      ];
    }
    if (resource.kind !== 'file' || resource.entry.type !== 'file') return [];
    const { content } = resource.entry;
    const isPublic = 'image' in content || typeof ('text' in content ? content.text : content.base64) === 'string';
    return isPublic ? [resource.path] : [];
  });
  return Promise.all(
    paths.map(async (path) => {
      const stat = await files.stat(path);
      if (!stat) throw new NodekilnError('NK_FILE_WRITE', `${path} is missing after the bake`);
      const mode = stat.mode.toString(8).padStart(4, '0');
      return { path, digest: await files.digest(path), mode, uid: stat.uid, gid: stat.gid };
    }),
  );
}

/** Links and folders of the manifest, as they are now. */
async function entriesOf(files: Files, desired: DesiredState): Promise<Required<Pick<ImageLock, 'links' | 'folders'>>> {
  const links: { path: string; target: string }[] = [];
  const folders: NonNullable<ImageLock['folders']> = [];
  for (const resource of desired.resources.values()) {
    if (resource.kind !== 'file' || resource.entry.type === 'file') continue;
    const { path } = resource;
    const stat = await files.stat(path);
    if (!stat) throw new NodekilnError('NK_FILE_WRITE', `${path} is missing after the bake`);
    if (stat.target !== undefined) links.push({ path, target: stat.target });
    else folders.push({ path, mode: stat.mode.toString(8).padStart(4, '0'), uid: stat.uid, gid: stat.gid });
  }
  return { links, folders };
}
