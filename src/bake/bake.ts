/**
 * The bake: an ImageManifest and a root folder → everything a node will need at boot is in the root: versioned binaries in
 * the cache, packages installed, container images in containerd's content store, our own program and units. Nothing of it
 * runs: no maintainer script starts a service, and no unit is enabled that the manifest does not name. What everything
 * resolved to is kept in a lock file beside the manifest, and with all that `verify` asks in the root itself.
 *
 * Paths in the manifest are relative to the manifest. Baking again changes only what differs; a bake that was killed is
 * taken up where it was.
 */
import type { StepEvent } from '../telemetry/events.ts';
import type { Journal } from '../apply/journal.ts';
import type { Result } from '../apply/reconcile.ts';
import { runWith, withHostState, type HostState } from '../apply/run.ts';
import { cachedPath, cacheIndexPath, mendIndex } from '../artifacts/cache/cache.ts';
import {
  compareManifestLocks,
  describeDifference,
  emptyManifestLock,
  lockedId,
  targetLock,
  manifestLockPath,
  replaceTarget,
  requireFrozen,
  requireUnchanged,
  unchangedHint,
  type ManifestLock,
  type LockedPackage,
} from '../artifacts/manifest-lock.ts';
import { parseText } from '../config/load.ts';
import { refuseWrittenByOthers } from '../documents/sources/folder.ts';
import { imageManifest } from '../documents/kinds/image-manifest.ts';
import type { ImageDocument } from '../documents/kinds/kind.ts';
import type { Facts } from '../model/facts.ts';
import type {
  ArtifactLocation,
  BinaryResource,
  DesiredState,
  Resource,
  ResourceId,
  SkippedComponent,
} from '../model/resources.ts';
import { asNodekilnError, NodekilnError, whyRefused } from '../errors.ts';
import { observeFacts } from '../host/facts.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxContainers } from '../host/linux/containers.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host, Program } from '../host/port.ts';
import { imageLockPath, sbomPath, type ImageLock, type ImagePackage } from '../image/image-lock.ts';
import { installedPackages, packageFiles, type PackageFile } from '../image/packages.ts';
import { spdxDocument } from '../image/sbom.ts';
import { measureSpace, type Space } from '../image/space.ts';
import { enabledUnits, unitFolders } from '../image/units.ts';
import { resultStep, type ResultStep } from '../telemetry/result.ts';
import { version } from '../model/program.ts';
import { ownChecks } from '../desired/own-checks.ts';
import type { PathReaders } from '../desired/own-path.ts';
import { requireLocalArtifacts } from './local-artifacts.ts';
import { collectImageLock, readImageLock, writeImageLock } from './image-lock.ts';
import { withResolver } from './resolver.ts';
import { readPathReaders } from '../image/path-readers.ts';
import {
  lockedDigests,
  noManifestLock,
  readManifestLock,
  requireSameQuestions,
  targetOf,
  withLockedPackages,
  writeManifestLock,
} from './manifest-lock.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { canonicalJson } from '../model/canonical.ts';
import { rootFile } from '../model/files.ts';
import { dirname, resolve } from '../model/path.ts';
import type { StepRecord } from '../model/report.ts';
import type { Plan, StepAction } from '../model/steps.ts';

export interface BakeOptions {
  /** Path of the ImageManifest. */
  readonly manifest: string;
  /** The root folder of the image. */
  readonly root: string;
  /** Path of the lock file; beside the manifest unless told. */
  readonly lockFile?: string;
  /** Nothing may differ from the lock file. */
  readonly frozen?: boolean;
  /** Artifacts that changed at their source are accepted. */
  readonly updateLock?: boolean;
  /** Packages unpacked and images imported at a time; as many as processors unless told. */
  readonly jobs?: number;
  /** Transfers at a time. */
  readonly transfers?: number;
  /** Where to write the bill of materials, beside its place in the root. */
  readonly sbom?: string;
  /** Measure what takes space in the root. */
  readonly space?: boolean;
  readonly onEvent?: (event: StepEvent) => void;
  readonly signal?: AbortSignal;
}

export interface BakeReport {
  readonly root: string;
  readonly outcome: Result['outcome'];
  readonly generation: number;
  /** Number of resources that differed. */
  readonly changes: number;
  readonly steps: readonly ResultStep[];
  /** Units that packages had enabled and that are disabled again. */
  readonly disabledUnits: readonly string[];
  readonly lock: {
    readonly path: string;
    readonly outcome: 'written' | 'unchanged';
    /** What differs from the lock file as it was. */
    readonly differences: readonly string[];
  };
  /** Components that are not meant for this system, and why. */
  readonly skipped: readonly SkippedComponent[];
  /** When it was asked for. */
  readonly space?: Space;
  readonly warnings: readonly string[];
}

/** A bake that ended before its end, once it was known what it had to do. Baking again takes it up. */
export interface UnfinishedBake {
  readonly root: string;
  readonly outcome: 'failed' | 'interrupted';
  /** Number of resources that differed. */
  readonly changes: number;
  /** What ended: done, failed, or passed over for what failed. */
  readonly steps: readonly ResultStep[];
  /** Steps that were not begun, or not ended. */
  readonly left: readonly string[];
  readonly error: NodekilnError;
}

const lockWaitMs = 10_000;
/** Steps that take an artifact from somewhere. */
const takes: readonly StepAction['do'][] = ['cache', 'activate', 'import'];
const packagesNote = 'packages before the first bake';
const programFolder = '/opt/nodekiln/bin';

/** Throws before anything is changed when the manifest or the root is unusable. What ends it later is in the answer. */
export async function bake(options: BakeOptions): Promise<BakeReport | UnfinishedBake> {
  const host = withFaults(createLinuxHost({ root: options.root, containers: createLinuxContainers }));
  try {
    if (host.program.owner.uid !== 0)
      throw new NodekilnError('NK_NOT_ROOT', 'baking needs root rights: files in the image belong to root');
    return await bakeHost(host, await readManifest(host, options.manifest), options);
  } finally {
    await host.close();
  }
}

/** What is decided before anything is changed. */
interface Asked {
  readonly manifest: ImageDocument;
  readonly options: BakeOptions;
  readonly base: string;
  readonly facts: Facts;
  readonly target: string;
  /** Of the root when this was asked. */
  readonly pathReaders: PathReaders;
  readonly desired: DesiredState;
  readonly lockPath: string;
  /** The manifest's lock file as it was, and its part for this system. */
  readonly whole: ManifestLock | undefined;
  readonly locked: ManifestLock;
  /** What this bake must not differ from, and the digests that follow from it. */
  readonly hold: ManifestLock;
  readonly held: ReadonlyMap<ResourceId, string>;
}

async function bakeHost(
  host: Host,
  manifest: ImageDocument,
  options: BakeOptions,
): Promise<BakeReport | UnfinishedBake> {
  const asked = await ask(host, manifest, options);
  const lock = { waitMs: lockWaitMs, ...(options.signal && { signal: options.signal }) };
  const programs = [...asked.desired.resources.values()].some(({ kind }) => kind === 'action');
  return withHostState(host, lock, (state) => withResolver(host, { programs }, () => apply(state, asked)));
}

async function ask(host: Host, manifest: ImageDocument, options: BakeOptions): Promise<Asked> {
  const base = dirname(absolute(host, options.manifest));
  const lockPath = absolute(host, options.lockFile ?? manifestLockPath(options.manifest));
  const facts = await observeFacts(host);
  if (facts.os.id === '') {
    throw new NodekilnError(
      'NK_UNSUPPORTED',
      `${options.root} is not the root of an operating system: it has no /etc/os-release`,
      { hint: 'Make one first, for instance with mmdebstrap.' },
    );
  }
  const target = targetOf(facts);
  const whole = await readManifestLock(host.local, lockPath);
  if (options.frozen === true && !whole) throw noManifestLock(lockPath);
  const locked = targetLock(whole ?? emptyManifestLock, target);
  const pathReaders = await readPathReaders(host.files);
  const rendered = manifest.render(facts, pathReaders);
  if (options.frozen === true) requireSameQuestions(locked, rendered, { target, base, file: lockPath });
  const { document } = manifest.loaded;
  const pinned = options.frozen === true ? withLockedPackages(rendered, document, { lock: locked, target }) : rendered;
  const { boot = true, agent = false } = document.spec.nodekiln ?? {};
  const desired = boot || agent ? withProgram(pinned, await ownProgram(host)) : pinned;
  const hold = options.updateLock === true ? emptyManifestLock : locked;
  const held = lockedDigests(desired, { lock: hold, target, base });
  for (const path of [lockPath, ...(options.sbom === undefined ? [] : [absolute(host, options.sbom)])])
    await requireWritable(host, path);
  return { manifest, options, base, facts, target, pathReaders, desired, lockPath, whole, locked, hold, held };
}

/** Found out now: a bake that cannot keep what it resolved to is none. NK_FILE_WRITE. */
async function requireWritable({ local }: Host, path: string): Promise<void> {
  if ((await local.stat(path))?.type === 'directory')
    throw new NodekilnError('NK_FILE_WRITE', `cannot write ${path}: a folder is in its place`);
  let folder = dirname(path);
  // Folders that are missing are made when something comes into them.
  while (folder !== '/' && (await local.stat(folder)) === undefined) folder = dirname(folder);
  const probe = await local.stage(folder);
  await probe.discard();
}

/** What the root was before this bake, where what it became is compared with it. */
interface Before {
  /** What was damaged of our own. */
  readonly damage: readonly string[];
  readonly previous: ImageLock | undefined;
  readonly packages: readonly ImagePackage[];
  readonly enabled: readonly string[];
}

async function apply(state: HostState, asked: Asked): Promise<BakeReport | UnfinishedBake> {
  const { host, journal } = state;
  await sweep(host, asked.desired);
  const indexDamage = await mendIndex(host.files);
  const previous = await readImageLock(host.files);
  const before: Before = {
    damage: [
      ...journal.damage.map((what) => `the journal was rebuilt: ${what}`),
      ...(indexDamage === undefined ? [] : [`${indexDamage}; it was written anew and lies beside as .damaged`]),
    ],
    previous,
    packages: await packagesBefore({ host, journal, previous }),
    enabled: await enabledUnits(host.files),
  };
  return carryOut(state, { asked, before, begun: { plan: undefined, ended: new Map() }, earlier: undefined });
}

interface Work {
  readonly asked: Asked;
  readonly before: Before;
  readonly begun: Begun;
  /** What a run before this one came to. */
  readonly earlier: Result | undefined;
}

/** Once more for the sudo and the shells that its packages brought. */
async function carryOut(state: HostState, work: Work): Promise<BakeReport | UnfinishedBake> {
  const { asked, before, begun, earlier } = work;
  const { host } = state;
  const { options, desired, base, held } = asked;
  const came = await runWith<{ readonly report: BakeReport | UnfinishedBake } | { readonly more: Work }>(state, {
    source: 'image',
    artifactBase: base,
    lockedDigests: held,
    ...(options.jobs !== undefined && { jobs: options.jobs }),
    ...(options.transfers !== undefined && { transfers: options.transfers }),
    onEvent: (event) => {
      options.onEvent?.(event);
      if (event.type === 'end') begun.ended.set(event.record.id, event.record);
    },
    ...(options.signal && { signal: options.signal }),
    ask: async () => ({ desired }),
    onPrepared: async ({ plan, effective }) => {
      const differing = new Set(
        plan.steps.filter(({ action }) => takes.includes(action.do)).map(({ resource }) => resource),
      );
      const resources = [...differing].flatMap((id) => effective.get(id)?.resource ?? []);
      const explain = (error: NodekilnError, id: ResourceId): NodekilnError =>
        explained(error, { held: lockedHere(asked.hold, id, asked.target), file: asked.lockPath });
      await requireLocalArtifacts(host, resources, { base, held, signal: options.signal, explain });
      begun.plan = plan;
    },
    publish: async (ended) => {
      try {
        if (ended.type === 'stopped') throw ended.error;
        const result = together(earlier, ended.result);
        const brought = earlier || result.error ? undefined : await askAgain(host, asked);
        if (brought) return { more: { ...work, asked: brought, earlier: result } };
        return { report: await record(state, { asked, before, result }) };
      } catch (thrown) {
        if (!begun.plan) throw thrown;
        return {
          report: unfinished({ root: options.root, plan: begun.plan, ended: begun.ended }, asNodekilnError(thrown)),
        };
      }
    },
  });
  return 'more' in came ? carryOut(state, came.more) : came.report;
}

/** Undefined where nothing came that is told where to look for commands. */
async function askAgain(host: Host, { manifest, options, pathReaders }: Asked): Promise<Asked | undefined> {
  const now = await readPathReaders(host.files);
  return canonicalJson(now) === canonicalJson(pathReaders) ? undefined : ask(host, manifest, options);
}

/** Of two runs, the first of which did not fail. */
function together(earlier: Result | undefined, result: Result): Result {
  if (!earlier) return result;
  return {
    ...result,
    outcome: result.outcome === 'converged' ? earlier.outcome : result.outcome,
    changes: earlier.changes + result.changes,
    steps: [...earlier.steps, ...result.steps],
  };
}

/** What a bake has to do, once that is known, and what of it ended so far. */
interface Begun {
  plan: Plan | undefined;
  readonly ended: Map<string, StepRecord>;
}

function unfinished(
  { root, plan, ended }: { root: string; plan: Plan; ended: ReadonlyMap<string, StepRecord> },
  error: NodekilnError,
): UnfinishedBake {
  return {
    root,
    outcome: error.code === 'NK_INTERRUPTED' ? 'interrupted' : 'failed',
    changes: plan.changes.length,
    steps: [...ended.values()].map(resultStep),
    left: plan.steps.map(({ id }) => id).filter((id) => !ended.has(id)),
    error,
  };
}

/** Writes what the image and the manifest resolved to, and says what became of the bake. */
async function record(
  { host, journal }: HostState,
  { asked, before, result }: { asked: Asked; before: Before; result: Result },
): Promise<BakeReport> {
  const { options, desired, facts, target, base, lockPath, whole, locked, hold, held } = asked;
  const disabledUnits = await disableUnasked(host, before.enabled, desired);
  if (result.error) {
    const failed = result.steps.find(({ error }) => error === result.error)?.resource ?? '';
    throw explained(result.error, { held: lockedHere(hold, failed, target), file: lockPath });
  }
  const { lock: imageLock, warnings } = await collectImageLock({
    host,
    journal,
    desired,
    facts,
    name: asked.manifest.loaded.document.metadata?.name ?? '',
    target,
    base,
    before: before.packages,
    previous: before.previous,
    locked: locked.artifacts,
    checks: ownChecks(asked.manifest.loaded.document.spec.verify),
    imagesUnchanged: !result.steps.some(({ resource }) => resource.startsWith('image:')),
  });
  const resolved: ManifestLock = {
    artifacts: imageLock.artifacts,
    packages: await lockedPackages(host, imageLock, { target, locked }),
  };
  requireUnchanged(hold, resolved, lockPath);
  if (options.frozen === true) requireFrozen(locked, resolved, lockPath);
  const written = replaceTarget(whole ?? emptyManifestLock, target, resolved);
  const outcome = await writeManifestLock(host, lockPath, written);
  await writeSbom(host, imageLock, options);
  await writeImageLock(host.files, imageLock);
  return {
    root: options.root,
    outcome: result.outcome,
    generation: result.generation,
    changes: result.changes,
    steps: result.steps.map(resultStep),
    disabledUnits,
    lock: {
      path: lockPath,
      outcome,
      differences: whole ? compareManifestLocks(locked, resolved).map(describeDifference) : [],
    },
    skipped: desired.skipped ?? [],
    ...(options.space === true && { space: await measureSpace(host, imageLock) }),
    warnings: [...before.damage, ...desired.warnings.filter((warning) => !heldByLock(warning, held)), ...warnings],
  };
}

/** What a killed bake left under temporary names, wherever this one might have written: it may have nothing to write there. */
async function sweep(host: Host, desired: DesiredState): Promise<void> {
  const folders = new Set(['/', imageLockPath, cacheIndexPath].flatMap(foldersOf));
  for (const resource of desired.resources.values()) {
    if (resource.kind === 'file') for (const folder of foldersOf(resource.path)) folders.add(folder);
    if (resource.kind === 'binary' && resource.place.type === 'activate')
      for (const folder of foldersOf(resource.place.target)) folders.add(folder);
  }
  for (const folder of [...foldersOf(cachedPath('any', '0')), ...(await unitFolders(host.files))]) folders.add(folder);
  await host.files.sweep([...folders]);
}

/** The folders above a path, the root included. */
function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return ['/', ...parts.map((_part, index) => `/${parts.slice(0, index + 1).join('/')}`)];
}

/** Remembered before anything is installed: a bake that was killed and begins again must not take its own packages for the root's. */
async function packagesBefore(about: {
  host: Host;
  journal: Journal;
  previous: ImageLock | undefined;
}): Promise<readonly ImagePackage[]> {
  const { host, journal, previous } = about;
  if (previous) return previous.packages.before;
  const noted = journal.note(packagesNote, Array.isArray);
  if (noted !== undefined) return noted as ImagePackage[];
  const { packages } = await installedPackages(host);
  journal.setNote(packagesNote, packages);
  journal.flush();
  return packages;
}

/** What the manifest leaves open and the lock file does not. */
function heldByLock(warning: string, held: ReadonlyMap<ResourceId, string>): boolean {
  return [...held.keys()].some((id) => warning.startsWith(`${id} has no digest`));
}

function lockedHere(lock: ManifestLock, resource: string, target: string): boolean {
  return lock.artifacts.some(({ id }) => id === lockedId(resource, target));
}

/** A digest that the lock holds and the manifest does not was wanted by the lock file. */
function explained(error: NodekilnError, { held, file }: { held: boolean; file: string }): NodekilnError {
  if (error.code !== 'NK_ARTIFACT_DIGEST' || !held) return error;
  return new NodekilnError(error.code, `${error.message} (${file})`, {
    cause: error,
    hint: unchangedHint,
    lines: error.lines,
    problems: error.problems,
    ...(error.resource !== undefined && { resource: error.resource }),
  });
}

/** Before the lock, which is the last thing a bake writes. */
async function writeSbom(host: Host, lock: ImageLock, { manifest, sbom }: BakeOptions): Promise<void> {
  const content = bytesOf(spdxDocument(lock, { toolVersion: version, createdMs: await createdAt(host, manifest) }));
  await host.files.write([rootFile(sbomPath, content, 0o644)]);
  if (sbom === undefined) return;
  const { local, program } = host;
  await local.write([{ type: 'file', path: absolute(host, sbom), content, mode: 0o644, ...program.owner }]);
}

/** The time that reproducible builds agree on (reproducible-builds.org/specs/source-date-epoch), else the manifest's own. */
async function createdAt(host: Host, manifest: string): Promise<number> {
  const epoch = host.program.environment['SOURCE_DATE_EPOCH'];
  if (epoch !== undefined && /^\d{1,12}$/.test(epoch)) return Number(epoch) * 1000;
  const opened = await host.local.open(absolute(host, manifest));
  await opened?.close();
  return Number(opened?.stat.mtimeNs ?? 0n) / 1e6;
}

/** With digest and size of each package file where the repository's metadata are at hand, or were when it was locked. */
async function lockedPackages(
  host: Host,
  { packages }: ImageLock,
  about: { target: string; locked: ManifestLock },
): Promise<LockedPackage[]> {
  const known = new Map(about.locked.packages.map((item) => [`${item.id} ${item.version}`, item]));
  const items = packages.installed.map((item) => ({
    item,
    id: lockedId(`package:${item.name}:${item.architecture}`, about.target),
  }));
  const open = items.filter(({ item, id }) => known.get(`${id} ${item.version}`)?.digest === undefined);
  const found =
    packages.manager === 'dpkg'
      ? await packageFiles(
          host,
          open.map(({ item }) => item),
        )
      : new Map<string, PackageFile>();
  return items.map(({ item: { name, architecture, version }, id }) => {
    const { digest, size } = known.get(`${id} ${version}`) ?? found.get(`${name} ${architecture} ${version}`) ?? {};
    return {
      id,
      version,
      ...(digest !== undefined && { digest }),
      ...(size !== undefined && { size }),
    };
  });
}

async function readManifest(host: Host, path: string): Promise<ImageDocument> {
  const unreadable = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_DOCUMENT_MISSING', `${path} cannot be read: ${why}`, { cause, place: { file: path } });
  let content;
  try {
    content = await host.local.read(absolute(host, path));
  } catch (cause) {
    throw unreadable(whyRefused(cause), cause);
  }
  if (!content) throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} does not exist`, { place: { file: path } });
  await refuseWrittenByOthers(host.local, absolute(host, path));
  return imageManifest.load({ parsed: await parseText({ file: path, text: textOf(content) }), mode: 0 });
}

/** A path of the command line in our own file system. */
function absolute({ program }: Host, path: string): string {
  return resolve(program.workingDirectory, path);
}

// ── our own program ──────────────────────────────────────────────────────────────────────────────────────────────

/** The program in the image is the one that bakes it, bundle and runtime, or a host program that it is given; by digest. */
async function ownProgram({ program, local }: Host): Promise<BinaryResource[]> {
  return Promise.all(
    partsOf(program).map(async ({ tool, from, path }): Promise<BinaryResource> => {
      const digest = await local.digest(path);
      return {
        kind: 'binary',
        id: `binary:nodekiln/${tool}`,
        scope: 'shared',
        deferrable: false,
        importance: 'required',
        needs: [],
        tool,
        version: digest,
        sources: [{ type: 'file', role: 'manifest', from, digest }],
        place: { type: 'activate', target: `${programFolder}/${tool}` },
      };
    }),
  );
}

function partsOf({ environment, script, executable }: Program): readonly ProgramPart[] {
  const given = environment['NODEKILN_HOST_PROGRAM'];
  if (given !== undefined) return [{ tool: 'nodekiln', from: { type: 'path', path: given }, path: given }];
  if (script === undefined) return [];
  return [
    { tool: 'nodekiln', from: { type: 'own', part: 'script' }, path: script },
    { tool: 'node', from: { type: 'own', part: 'executable' }, path: executable },
  ];
}

interface ProgramPart {
  readonly tool: string;
  readonly from: ArtifactLocation;
  readonly path: string;
}

function withProgram(desired: DesiredState, program: readonly BinaryResource[]): DesiredState {
  const resources = new Map<ResourceId, Resource>(desired.resources);
  for (const binary of program) resources.set(binary.id, binary);
  return { ...desired, resources };
}

// ── units that packages enable ───────────────────────────────────────────────────────────────────────────────────

async function disableUnasked(host: Host, before: readonly string[], desired: DesiredState): Promise<string[]> {
  const asked = new Set(
    [...desired.resources.values()].flatMap((resource) =>
      resource.kind === 'unit' && resource.enablement === 'enabled' ? [resource.name] : [],
    ),
  );
  const unasked = (await enabledUnits(host.files)).filter((name) => !before.includes(name) && !asked.has(name));
  if (unasked.length > 0) await host.units.setEnablement('disable', unasked);
  return unasked;
}
