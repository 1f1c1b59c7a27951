/**
 * status(host, journal) → what is applied, and what is pending, failed or drifted, per resource. Changes nothing: the
 * present claims are compared with the host as a reconciliation would.
 *
 * `pending`: an intent without its done mark. `drifted`: was in place and no longer is. `failed`: the last run failed on it,
 * or systemd says that the unit failed.
 */
import type { Journal } from '../apply/journal.ts';
import { prepare } from '../apply/reconcile.ts';
import { overImage } from '../documents/documents.ts';
import { digestOf } from '../documents/sources/source.ts';
import { openSource } from '../documents/sources/table.ts';
import { asNodekilnError } from '../errors.ts';
import { bootResultPath, lastResultPath } from '../model/state-paths.ts';
import { claimSourceOrder, type ResourceId, type ClaimSource } from '../model/resources.ts';
import type { Host, UnitStatus } from '../host/port.ts';
import { effectiveClaims } from '../plan/claims.ts';
import type { Change } from '../model/steps.ts';
import { keptReports, lastReport, type AgentReport } from '../telemetry/agent-report.ts';
import { agentStatePath, parseAgentState, type AgentState } from '../telemetry/agent-state.ts';
import type { BootResult } from '../telemetry/result.ts';
import { parseBootResult } from './boot-result.ts';
import { textOf } from '../model/bytes.ts';

export interface HostStatus {
  /** Undefined where nodekiln never ran. */
  readonly generation:
    | { readonly number: number; readonly source: ClaimSource; readonly status: string; readonly createdAt: string }
    | undefined;
  /** The journal was damaged and ownership rebuilt from the generation files. */
  readonly rebuilt: boolean;
  /** What of it was damaged and set aside. */
  readonly damage: readonly string[];
  readonly sources: readonly { readonly source: ClaimSource; readonly resources: number }[];
  readonly summary: Readonly<Record<ResourceState, number>> & { readonly inPlace: number };
  /** Only what is not in place. */
  readonly resources: readonly ResourceStatus[];
  readonly units: readonly UnitLine[];
  /** The last run of a boot. */
  readonly boot: BootLine | undefined;
  /** The one that did the work in this start of the machine, where the last one found nothing to do. */
  readonly worked: BootLine | undefined;
  /** Records of boots that are there and cannot be read. */
  readonly bootDamage: readonly string[];
  /** What the agent reported last. */
  readonly agent: AgentReport | undefined;
  /** Its last reports, the oldest first, each with the digests of the documents it is about. */
  readonly agentReports: readonly AgentReport[];
  /** What the agent's source says now, as against what was reported about; of a source on this host. */
  readonly agentDocuments: AgentDocuments | undefined;
  /** What an agent that runs cannot put right, and what it remarked last. */
  readonly agentState: AgentState | undefined;
}

export interface AgentDocuments {
  readonly source: string;
  /** As in reports; absent when the source cannot be read now. */
  readonly digest?: string;
  /** Why it cannot. */
  readonly error?: unknown;
  /** The last report is about these documents. */
  readonly reported: boolean;
}

export type ResourceState = 'pending' | 'failed' | 'drifted';

export interface ResourceStatus {
  readonly id: string;
  readonly source: ClaimSource;
  readonly state: ResourceState;
  readonly change: Change['type'];
  readonly details: readonly string[];
}

export type UnitLine = Pick<
  UnitStatus,
  'name' | 'activeState' | 'subState' | 'unitFileState' | 'result' | 'restarts'
> & {
  /** Milliseconds of CLOCK_MONOTONIC; 0 when it never was. */
  readonly activeSinceMs: number;
};

export type BootLine = Pick<
  BootResult,
  'outcome' | 'unchanged' | 'generation' | 'finishedAt' | 'nodekilnVersion' | 'join' | 'error'
> & { readonly milestones: BootResult['milestones'] };

export async function status(host: Host, journal: Journal | undefined): Promise<HostStatus> {
  const { boot, worked, damage: bootDamage } = await readBoots(host);
  const agentState = parseAgentState(textOf(await host.files.read(agentStatePath).catch(() => undefined)));
  if (!journal) {
    return {
      generation: undefined,
      rebuilt: false,
      damage: [],
      sources: [],
      summary: { inPlace: 0, pending: 0, failed: 0, drifted: 0 },
      resources: [],
      units: [],
      boot: boot && bootLine(boot),
      worked: worked && bootLine(worked),
      bootDamage,
      agent: undefined,
      agentReports: [],
      agentDocuments: undefined,
      agentState,
    };
  }
  const claims = journal.claims();
  const current = journal.currentGeneration();
  const changes = await changesOf(host, journal);
  const agent = lastReport(journal);
  const failed = failedResources(boot, agent);
  const resources = changes.map((change) => resourceStatus(change, failed));
  const effective = effectiveClaims(claims);
  const names = [...effective.values()].flatMap(({ resource }) => (resource.kind === 'unit' ? [resource.name] : []));
  const countOf = (state: ResourceState): number => resources.filter((resource) => resource.state === state).length;
  const wanted = [...effective.keys()];
  const changing = new Set(changes.map((change) => change.id));
  return {
    generation: current && {
      number: current.number,
      source: current.source,
      status: current.status,
      createdAt: new Date(current.createdMs).toISOString(),
    },
    rebuilt: journal.damage.length > 0,
    damage: journal.damage,
    sources: claimSourceOrder.flatMap((source) => {
      const count = claims[source]?.length ?? 0;
      return count === 0 ? [] : [{ source, resources: count }];
    }),
    summary: {
      inPlace: wanted.filter((id) => !changing.has(id)).length,
      pending: countOf('pending'),
      failed: countOf('failed'),
      drifted: countOf('drifted'),
    },
    resources,
    units: await unitLines(host, names.sort()),
    boot: boot && bootLine(boot),
    worked: worked && bootLine(worked),
    bootDamage,
    agent,
    agentReports: keptReports(journal),
    // Of a cluster only the agent knows, as itself.
    agentDocuments: agent?.source.startsWith('dir:') === true ? await documentsNow(host, agent) : undefined,
    agentState,
  };
}

async function documentsNow(host: Host, { source, digest: reported }: AgentReport): Promise<AgentDocuments> {
  try {
    const { texts } = await openSource(source, { host }).read();
    const digest = digestOf(await overImage(host.files, texts));
    return { source, digest, reported: digest === reported };
  } catch (thrown) {
    return { source, error: asNodekilnError(thrown).toJSON(), reported: reported === undefined };
  }
}

/** What each source would change now. A reconciliation looks at its own source's resources only, so each has its turn. */
async function changesOf(host: Host, journal: Journal): Promise<Change[]> {
  const claims = journal.claims();
  const changes = new Map<ResourceId, Change>();
  for (const source of claimSourceOrder) {
    const resources = new Map((claims[source] ?? []).map((resource) => [resource.id, resource]));
    const desired = { resources, goal: undefined, warnings: [] };
    const { plan } = await prepare({ host, journal, source, desired });
    // containerd is not asked for its images: whether one is there is what a lost journal knew.
    const known = plan.changes.filter(
      ({ touched, observed }) => !(touched?.unsure === true && observed.kind === 'image'),
    );
    for (const change of known) changes.set(change.id, change);
  }
  return [...changes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function resourceStatus(change: Change, failed: ReadonlySet<string>): ResourceStatus {
  const { id, source, type, details, observed, touched } = change;
  const unitFailed = observed.kind === 'unit' && observed.activeState === 'failed';
  const state = failed.has(id) || unitFailed ? 'failed' : touched?.done === true ? 'drifted' : 'pending';
  return { id, source, state, change: type, details };
}

/** What the last runs failed on. What is in place again does not differ and so is not asked for here. */
function failedResources(boot: BootResult | undefined, agent: unknown): Set<string> {
  const steps = (boot?.steps ?? []).filter((step) => step.status === 'failed').map((step) => step.resource);
  return new Set([...steps, ...resourceOf(boot?.error), ...(isRecord(agent) ? resourceOf(agent['error']) : [])]);
}

function resourceOf(error: unknown): string[] {
  return isRecord(error) && typeof error['resource'] === 'string' ? [error['resource']] : [];
}

async function unitLines(host: Host, names: readonly string[]): Promise<UnitLine[]> {
  if (host.units.mode === 'offline') {
    return Promise.all(
      names.map(async (name) => ({
        name,
        activeState: 'inactive' as const,
        subState: 'offline',
        unitFileState: await host.units.enablement(name),
        activeSinceMs: 0,
      })),
    );
  }
  return Promise.all(
    names.map(async (name) => {
      const { activeState, subState, unitFileState, activeEnterUsec, result, restarts } = await host.units.get(name);
      return {
        name,
        activeState,
        subState,
        unitFileState,
        activeSinceMs: activeEnterUsec / 1000,
        ...(result !== undefined && { result }),
        ...(restarts !== undefined && { restarts }),
      };
    }),
  );
}

async function readBoots({ files }: Host): Promise<{ boot?: BootResult; worked?: BootResult; damage: string[] }> {
  const damage: string[] = [];
  const read = async (path: string): Promise<BootResult | undefined> => {
    try {
      const content = await files.read(path);
      return content && parseBootResult(textOf(content), path);
    } catch (thrown) {
      damage.push(asNodekilnError(thrown).message);
      return undefined;
    }
  };
  const [published, last] = [await read(bootResultPath), await read(lastResultPath)];
  if (!last) return { damage, ...(published && { boot: published }) };
  return { damage, boot: last, ...(published && { worked: published }) };
}

function bootLine(boot: BootResult): BootLine {
  const { outcome, unchanged, generation, finishedAt, nodekilnVersion, milestones, join, error } = boot;
  return {
    outcome,
    unchanged,
    generation,
    finishedAt,
    nodekilnVersion,
    milestones,
    ...(join && { join }),
    ...(error !== undefined && { error }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
