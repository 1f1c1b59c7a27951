/**
 * From an OperatingSystemConfig to resources, the same that a NodeConfig is made of. Pure.
 *
 * A document of this kind describes the whole node, so it takes over what the image or the boot brought. Only kubelet and
 * containerd, and what they read, decide about a run; one failing unit of somebody else's keeps nothing else waiting.
 */
import { healthzUrl, containerdSocket, itemDefaults, ownUnitDefaults } from '../../../config/defaults.ts';
import { parseDuration } from '../../../config/duration.ts';
import type { Path } from '../../../config/paths.ts';
import { base } from '../../../desired/render-items.ts';
import { refuseErrands } from '../../../desired/own-units.ts';
import { createRendering, sorted, type Rendering } from '../../../desired/rendering.ts';
import type { Place } from '../../../errors.ts';
import { toBase64 } from '../../../model/bytes.ts';
import type { Facts } from '../../../model/facts.ts';
import {
  nodeGoal,
  type DesiredState,
  type FileContent,
  type FileResource,
  type Importance,
  type Readiness,
  type ResourceId,
  type SensitiveText,
  type UnitResource,
} from '../../../model/resources.ts';
import type { SecretData } from '../kind.ts';
import { addContainerdFiles, containerdDropIn, containerdFolders, mirrorsOf } from './containerd.ts';
import { containerdConfigPath } from '../../../model/containerd-configuration.ts';
import { filesFor, unitsOf, type MergedUnit, type Placed } from './merge.ts';
import type { OperatingSystemConfig, OscFile } from './schema.ts';

export interface RenderOptions {
  /** The place of a value of the document, for messages. */
  readonly placeOf?: (path: Path) => Place | undefined;
  /** Data of the Secrets that files name; a problem where it is missing, but for who asks without a source (`unknown`). */
  readonly secrets?: ReadonlyMap<string, SecretData> | 'unknown';
}

/** In place of the reference's own agent there is ours: what only it would run is neither fetched nor started. */
const replacedUnits: ReadonlySet<string> = new Set(['gardener-node-agent.service', 'gardener-node-init.service']);

const transferBudgetMs = 300_000;
const defaultPermissions = 0o600;

/** NK_DOCUMENT_INVALID for what is wrong on this very host. */
export function renderOperatingSystemConfig(
  document: OperatingSystemConfig,
  facts: Facts,
  options: RenderOptions = {},
): DesiredState {
  const rendering: OscRendering = {
    ...createRendering(facts, (path) => options.placeOf?.(path)),
    document,
    secrets: options.secrets,
    units: unitsOf(document),
  };
  const { warnings, notes } = rendering;
  renderFiles(rendering);
  renderContainerd(rendering);
  renderUnits(rendering);
  refuseErrands(rendering);
  rendering.refuseProblems('the OperatingSystemConfig cannot be applied here');
  const hasGoal = rendering.resources.has(nodeGoal);
  return {
    resources: sorted(rendering.resources),
    goal: hasGoal ? nodeGoal : undefined,
    warnings,
    ...(notes.length > 0 && { notes }),
  };
}

interface OscRendering extends Rendering {
  readonly document: OperatingSystemConfig;
  readonly secrets: RenderOptions['secrets'];
  readonly units: readonly Placed<MergedUnit>[];
}

function note(path: Path, message: string, { notes, originOf }: OscRendering): void {
  const origin = originOf(path);
  notes.push(`${origin === undefined ? '' : `${origin}: `}${message}`);
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

function renderFiles(rendering: OscRendering): void {
  const { document, facts, add, originOf } = rendering;
  for (const { path, item } of filesFor(document, facts.hostName)) {
    const readers = rendering.units.filter((unit) => unit.item.filePaths.includes(item.path));
    const isImage = item.content.imageRef !== undefined;
    // Programs of the agent that ours stands in for.
    if (isImage && readers.length > 0 && readers.every((unit) => replacedUnits.has(unit.item.name))) {
      note(path, `${item.path} is not fetched: nodekiln takes the place of what would run it`, rendering);
      continue;
    }
    const mode = item.permissions ?? defaultPermissions;
    const content = contentOf(item, { path, mode, rendering });
    if (!content) continue;
    const importance = !isImage || readers.some((unit) => isOwn(unit.item.name)) ? 'required' : 'bestEffort';
    const resource: FileResource = {
      kind: 'file',
      id: `file:${item.path}`,
      path: item.path,
      ...base({ importance, takeover: true, origin: originOf(path) }),
      entry: { type: 'file', content, mode: mode.toString(8).padStart(4, '0'), uid: 0, gid: 0 },
    };
    warnOfMode(item, path, rendering);
    add(resource, path);
  }
}

/** What others cannot read on the host is shown nowhere else either. */
function contentOf(
  { content }: OscFile,
  { path, mode, rendering }: { path: Path; mode: number; rendering: OscRendering },
): FileContent | undefined {
  const { document, facts, secrets, report } = rendering;
  const { inline, secretRef, imageRef } = content;
  const guarded = (text: string): string | SensitiveText => ((mode & 0o004) === 0 ? { sensitive: text } : text);
  if (imageRef) {
    const mirrors = mirrorsOf(document.spec.criConfig?.containerd, imageRef.image.includes('@'));
    return {
      image: {
        reference: imageRef.image,
        member: imageRef.filePathInImage,
        architecture: facts.arch.cpu,
        ...(mirrors.length > 0 && { transfer: { budgetMs: transferBudgetMs, mirrors } }),
      },
    };
  }
  if (secretRef) {
    if (secrets === 'unknown') {
      note(
        path,
        `the Secret ${secretRef.name} is known only to the agent: whether it has the key ${secretRef.dataKey} was not checked`,
        rendering,
      );
      return { text: { sensitive: '' } };
    }
    const data = secrets?.get(secretRef.name) ?? {};
    const value = Object.hasOwn(data, secretRef.dataKey) ? data[secretRef.dataKey] : undefined;
    if (value) return { base64: { sensitive: toBase64(value.reveal()) } };
    const missing = secrets?.has(secretRef.name)
      ? `the Secret ${secretRef.name} has no key ${secretRef.dataKey}`
      : `the Secret ${secretRef.name} cannot be read from here`;
    report([...path, 'content', 'secretRef'], missing);
    return undefined;
  }
  const { encoding, data } = inline ?? { encoding: undefined, data: '' };
  return encoding === 'b64' ? { base64: guarded(data.replaceAll(/\s/g, '')) } : { text: guarded(data) };
}

/** Decimal is what the format wants, octal what people write. */
function warnOfMode({ permissions }: OscFile, path: Path, { warnings, originOf }: OscRendering): void {
  if (permissions === undefined || permissions <= 0o777) return;
  const origin = originOf([...path, 'permissions']);
  warnings.push(
    `${origin === undefined ? '' : `${origin}: `}permissions ${permissions} are ${permissions.toString(8)} in octal; they are written in decimal`,
  );
}

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

const containerdUnit = 'containerd.service';

function isOwn(name: string): boolean {
  return `unit:${name}` === nodeGoal || name === containerdUnit;
}

function renderContainerd(rendering: OscRendering): void {
  const { criConfig } = rendering.document.spec;
  if (criConfig?.containerd)
    addContainerdFiles({ cgroupDriver: criConfig.cgroupDriver, containerd: criConfig.containerd }, rendering);
}

function renderUnits(rendering: OscRendering): void {
  const { units, document, add } = rendering;
  for (const { path, item } of units) add(unitOf(item, path, rendering), path);
  // The runtime is configured also where the document says nothing else of its unit.
  const isNamed = units.some(({ item }) => item.name === containerdUnit);
  if (document.spec.criConfig?.containerd && !isNamed) {
    const path = ['spec', 'criConfig'];
    add(unitOf({ name: containerdUnit, dropIns: new Map(), filePaths: [] }, path, rendering), path);
  }
}

function unitOf(unit: MergedUnit, path: Path, rendering: OscRendering): UnitResource {
  const { document, resources, originOf } = rendering;
  const { name, content } = unit;
  const isRuntime = name === containerdUnit && document.spec.criConfig?.containerd !== undefined;
  const importance: Importance = isOwn(name) ? 'required' : 'bestEffort';
  const common = {
    kind: 'unit',
    id: `unit:${name}`,
    name,
    ...base({
      importance,
      takeover: true,
      origin: originOf(path),
      needs: isRuntime ? containerdFolders.map((folder) => `file:${folder}`) : [],
    }),
    onChange: 'restart',
    ...waiting(name),
  } as const;
  if (replacedUnits.has(name)) {
    note(path, `${name} is stopped and disabled: nodekiln takes its place`, rendering);
    return { ...common, dropIns: [], enablement: 'disabled', state: 'stopped', inputs: [] };
  }
  const dropIns = isRuntime
    ? new Map([[containerdDropIn.name, containerdDropIn.content], ...unit.dropIns])
    : unit.dropIns;
  const inputs = unit.filePaths.map((file): ResourceId => `file:${file}`).filter((id) => resources.has(id));
  return {
    ...common,
    // Whoever wrote the unit may have put a secret into it.
    ...(content !== undefined && { content: { sensitive: content } }),
    dropIns: [...dropIns].map(([dropIn, text]) => ({ name: dropIn, content: { sensitive: text } })),
    enablement: unit.enable === false ? 'disabled' : 'enabled',
    state: unit.enable === false || unit.command === 'stop' ? 'stopped' : 'started',
    inputs: isRuntime ? [`file:${containerdConfigPath}`, ...inputs] : inputs,
  };
}

function waiting(name: string): { readonly readiness: Readiness; readonly deadlineMs: number } {
  if (`unit:${name}` === nodeGoal)
    return {
      readiness: { type: 'http', url: healthzUrl },
      deadlineMs: parseDuration(ownUnitDefaults['kubelet.service'].deadline),
    };
  if (name === containerdUnit)
    return {
      readiness: { type: 'socket', path: containerdSocket },
      deadlineMs: parseDuration(ownUnitDefaults['containerd.service'].deadline),
    };
  return { readiness: { type: 'active' }, deadlineMs: parseDuration(itemDefaults.unit.deadline) };
}
