/**
 * The bake: an ImageManifest and a root folder → everything a node will need at boot is in the root: versioned binaries in
 * the cache, packages installed, container images in containerd's content store, our own program and units. Nothing of it
 * runs: no maintainer script starts a service, and no unit is enabled that the manifest does not name.
 *
 * Paths in the manifest are relative to the manifest. Baking again changes only what differs.
 */
import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { ProgressEvent } from '../apply/executor.ts';
import { openJournal } from '../apply/journal.ts';
import { takeLock } from '../apply/lock.ts';
import { carryOut, prepare, type Result } from '../apply/reconcile.ts';
import { parseDocument, type LoadedDocument } from '../config/load.ts';
import { formatPath, type Path } from '../config/paths.ts';
import { sha256 } from '../desired/canonical.ts';
import { renderImage } from '../desired/render-image.ts';
import type { BinaryResource, DesiredState, Resource, ResourceId } from '../desired/resources.ts';
import { errnoOf, NodekilnError, type Place } from '../errors.ts';
import { observeFacts } from '../host/facts.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxContainers } from '../host/linux/containers.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { createRootExec } from '../host/linux/root-exec.ts';
import type { Host } from '../host/port.ts';
import { resultStep, type ResultStep } from '../telemetry/result.ts';

export interface BakeOptions {
  /** Path of the ImageManifest. */
  readonly manifest: string;
  /** The root folder of the image. */
  readonly root: string;
  readonly onEvent?: (event: ProgressEvent) => void;
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
  readonly warnings: readonly string[];
}

const lockWaitMs = 10_000;
const programFolder = '/opt/nodekiln/bin';

/** Throws before anything is changed when the manifest or the root is unusable, and with the first failed step's error. */
export async function bake(options: BakeOptions): Promise<BakeReport> {
  if (process.getuid?.() !== 0)
    throw new NodekilnError('NK_NOT_ROOT', 'baking needs root rights: files in the image belong to root');
  const manifest = await readManifest(options.manifest);
  const rootHost = createLinuxHost({
    root: options.root,
    containers: (host) => createLinuxContainers(host.root, host.net),
  });
  const host = withFaults({ ...rootHost, exec: createRootExec(rootHost.root) });
  try {
    return await bakeHost(host, manifest, options);
  } finally {
    await host.close();
  }
}

async function bakeHost(
  host: Host,
  manifest: LoadedDocument<'ImageManifest'>,
  options: BakeOptions,
): Promise<BakeReport> {
  const artifactBase = dirname(resolve(options.manifest));
  const facts = await observeFacts(host);
  if (facts.os.id === '') {
    throw new NodekilnError(
      'NK_UNSUPPORTED',
      `${options.root} is not the root of an operating system: it has no /etc/os-release`,
      {
        hint: 'Make one first, for instance with mmdebstrap.',
      },
    );
  }
  const desired = withProgram(
    renderImage(manifest.document, facts, { artifactBase, placeOf: (path) => placeIn(manifest, path) }),
    await ownProgram(),
  );
  const lock = takeLock(host.root, lockWaitMs);
  const journal = openJournal(host.root);
  try {
    const prepared = await prepare({ host, journal, source: 'image', desired });
    const enabledBefore = await enabledUnits(host);
    const result = await carryOut(prepared, {
      artifactBase,
      ...(options.onEvent && { onEvent: options.onEvent }),
      ...(options.signal && { signal: options.signal }),
    });
    const disabledUnits = await disableUnasked(host, enabledBefore, desired);
    if (result.error) throw result.error;
    return {
      root: options.root,
      outcome: result.outcome,
      generation: result.generation,
      changes: result.changes,
      steps: result.steps.map(resultStep),
      disabledUnits,
      warnings: desired.warnings,
    };
  } finally {
    journal.close();
    lock.release();
  }
}

async function readManifest(path: string): Promise<LoadedDocument<'ImageManifest'>> {
  let text;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} cannot be read: ${errnoOf(cause) ?? 'unknown error'}`, {
      cause,
      place: { file: path },
    });
  }
  return parseDocument({ file: path, text }, 'ImageManifest');
}

function placeIn({ file, positions }: LoadedDocument<'ImageManifest'>, path: Path): Place {
  return { file, ...positions.locate(path, 'value'), path: formatPath(path) };
}

// ── our own program ──────────────────────────────────────────────────────────────────────────────────────────────

/** The program in the image is the one that bakes it: bundle and runtime, by digest. */
async function ownProgram(): Promise<BinaryResource[]> {
  const script = process.argv[1];
  if (script === undefined) return [];
  const parts = [
    { tool: 'nodekiln', path: realpathSync(script) },
    { tool: 'node', path: realpathSync(process.execPath) },
  ];
  return Promise.all(
    parts.map(async ({ tool, path }): Promise<BinaryResource> => {
      const digest = sha256(await readFile(path));
      return {
        kind: 'binary',
        id: `binary:nodekiln/${tool}`,
        scope: 'shared',
        deferrable: false,
        importance: 'required',
        needs: [],
        tool,
        version: digest,
        sources: [{ type: 'file', role: 'manifest', from: { type: 'path', path }, digest }],
        place: { type: 'activate', target: `${programFolder}/${tool}` },
      };
    }),
  );
}

function withProgram(desired: DesiredState, program: readonly BinaryResource[]): DesiredState {
  const resources = new Map<ResourceId, Resource>(desired.resources);
  for (const binary of program) resources.set(binary.id, binary);
  return { ...desired, resources };
}

// ── units that packages enable ───────────────────────────────────────────────────────────────────────────────────

const unitFolder = '/etc/systemd/system';

/** Names linked into `*.wants` and `*.requires` folders: what starts at boot. */
async function enabledUnits(host: Host): Promise<Set<string>> {
  const folders = (await host.files.list(unitFolder)).filter((name) => /\.(wants|requires|upholds)$/.test(name));
  const names = await Promise.all(folders.map((folder) => host.files.list(`${unitFolder}/${folder}`)));
  return new Set(names.flat());
}

async function disableUnasked(host: Host, before: ReadonlySet<string>, desired: DesiredState): Promise<string[]> {
  const asked = new Set(
    [...desired.resources.values()].flatMap((resource) =>
      resource.kind === 'unit' && resource.enablement === 'enabled' ? [resource.name] : [],
    ),
  );
  const unasked = [...(await enabledUnits(host))].filter((name) => !before.has(name) && !asked.has(name)).sort();
  if (unasked.length > 0) await host.units.setEnablement('disable', unasked);
  return unasked;
}
