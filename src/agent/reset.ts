/**
 * Takes back what the agent brought, and who this node is: what its source asked for is removed as if the source asked for
 * nothing any more (what it replaced comes back), then kubelet stops and the credentials of node and agent go. What image and
 * boot brought stays. Killed midway, the next run goes on.
 */
import { runWith, withHostState } from '../apply/run.ts';
import { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import type { Report } from '../model/report.ts';
import type { DesiredState } from '../model/resources.ts';
import { agentBootstrapPath, agentFolder } from '../model/state-paths.ts';
import { agentBootstrapUnitName, agentUpdateUnitName } from '../desired/own-units.ts';
import { agentUnit } from '../model/agent-identity.ts';
import { dropPodRoutes } from './pod-routes/table.ts';
import { beforeFolder } from './self-update/before.ts';

/** What was done. */
export interface ResetReport {
  /** `removed file:/etc/x`, in order. */
  readonly changes: readonly string[];
  /** Units that were stopped beside those that the agent brought. */
  readonly stopped: readonly string[];
  /** Credentials that were there. */
  readonly removed: readonly string[];
  /** Routes to pods of other nodes that the agent kept. */
  readonly routes: readonly string[];
  /** Nothing of it was there. */
  readonly unchanged: boolean;
}

export interface ResetOptions {
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

const nothing: DesiredState = { resources: new Map(), goal: undefined, warnings: [] };
const kubeletUnit = 'kubelet.service';
const lockWaitMs = 60_000;

/** Who the node and its agent are: certificates, keys, tokens, and what was made of them. */
const credentials = [
  '/var/lib/kubelet/pki',
  '/var/lib/kubelet/kubeconfig',
  '/etc/kubernetes/bootstrap-kubeconfig',
  agentFolder,
  beforeFolder,
  // Another bootstrap makes a node of it again.
  agentBootstrapPath,
];

/** Throws what removing throws; what was not removed then stands in the journal. */
export async function resetNode(host: Host, options: ResetOptions = {}): Promise<ResetReport> {
  const { dryRun = false, signal } = options;
  // It would put back what goes.
  const stopped = await stop(host, [agentBootstrapUnitName, agentUpdateUnitName, agentUnit], dryRun);
  const changes = await withHostState(
    host,
    { waitMs: lockWaitMs, ...(signal && { signal }) },
    async (state): Promise<readonly string[]> => {
      let planned: string[] | undefined;
      const error = await runWith<NodekilnError | undefined>(state, {
        source: 'agent',
        artifactBase: '/',
        ...(signal && { signal }),
        ask: () => Promise.resolve({ desired: nothing }),
        onPrepared: ({ plan }) => {
          planned = plan.changes.map(({ id, type }) => `${type === 'remove' ? 'removed' : 'restored'} ${id}`);
          // Ends the run with nothing touched.
          if (dryRun) throw new NodekilnError('NK_INTERRUPTED', 'only what would be done is asked for');
        },
        publish: (ended) => Promise.resolve(ended.type === 'stopped' ? ended.error : firstError(ended.result)),
      });
      if (error && !(dryRun && planned)) throw error;
      return planned ?? [];
    },
  );
  stopped.push(...(await stop(host, [kubeletUnit], dryRun)));
  const routes = await dropPodRoutes(host, { dryRun });
  const removed: string[] = [];
  for (const path of credentials) {
    if (!(await host.files.stat(path))) continue;
    if (!dryRun) await host.files.removeTree(path);
    removed.push(path);
  }
  const unchanged = changes.length + stopped.length + routes.length + removed.length === 0;
  return { changes, stopped, removed, routes, unchanged };
}

/** Also of a removal that a run would do without: nothing may be left here. */
function firstError({ steps }: Report): NodekilnError | undefined {
  return steps.find(({ error }) => error)?.error;
}

/** NK_UNIT_FAILED when it runs on: with its identity gone it would only do harm. */
async function stopped({ units }: Host, name: string): Promise<void> {
  const result = await (await units.stop(name)).result;
  if (result === 'done') return;
  throw new NodekilnError('NK_UNIT_FAILED', `${name} could not be stopped: its job ended as ${result}`, {
    resource: `unit:${name}`,
  });
}

async function stop(host: Host, units: readonly string[], dryRun: boolean): Promise<string[]> {
  const running: string[] = [];
  for (const name of units) {
    const { activeState } = await host.units.get(name);
    if (!['active', 'activating', 'reloading'].includes(activeState)) continue;
    if (!dryRun) await stopped(host, name);
    running.push(name);
  }
  return running;
}
