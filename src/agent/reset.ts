/**
 * Takes back what the agent and its bootstrap brought, and who this node is: what its source asked for is removed as if the source
 * asked for nothing any more (what it replaced comes back), then kubelet stops, the credentials of node and agent go, and last
 * units, configuration and program, if a bootstrap brought them. What image and boot brought stays. Killed midway, the next run
 * goes on.
 */
import { runWith, withHostState } from '../apply/run.ts';
import { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import { dirname } from '../model/path.ts';
import type { Report } from '../model/report.ts';
import type { DesiredState } from '../model/resources.ts';
import { documentPaths } from '../config/defaults.ts';
import { agentBootstrapPath, agentFolder, bootstrapBroughtPath, programFolder } from '../model/state-paths.ts';
import { toolsFolder } from '../desired/own-path.ts';
import { agentBootstrapUnitName, agentUpdateUnitName } from '../desired/own-units.ts';
import { readBrought, type Brought } from './bootstrap-brought.ts';
import { readAgentConfig } from './config.ts';
import { agentUnit } from '../model/agent-identity.ts';
import { dropPodRoutes } from './pod-routes/table.ts';
import { beforeFolder } from './self-update/before.ts';
import { offerFolder } from './self-update/offer.ts';
import { programPaths } from './self-update/own-part.ts';

/** What was done. */
export interface ResetReport {
  /** `removed file:/etc/x`, `disabled unit:a.service`, in order. */
  readonly changes: readonly string[];
  /** Units that were stopped beside those that the agent brought. */
  readonly stopped: readonly string[];
  /** Paths of credentials, and of what agent and bootstrap brought beside documents. */
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
  // Another bootstrap makes a node of it again.
  agentBootstrapPath,
  '/var/lib/kubelet/pki',
  '/var/lib/kubelet/kubeconfig',
  '/var/lib/kubelet/kubeconfig-real',
  '/etc/kubernetes/bootstrap-kubeconfig',
  agentFolder,
];

const unitPath = (name: string): string => `/etc/systemd/system/${name}`;

/**
 * Throws what removing throws; what was not removed then stands in the journal. What reading the AgentConfig throws, with nothing
 * done: who does not know which tokens there are would leave them.
 */
export async function resetNode(host: Host, options: ResetOptions = {}): Promise<ResetReport> {
  const { dryRun = false, signal } = options;
  // Files that the agent filled from Secrets.
  const tokens = (await readAgentConfig(host.files, {})).tokens.map(({ path }) => path);
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
  const { removed, disabled } = await removeRest(host, tokens, dryRun);
  const done = [...changes, ...disabled];
  const unchanged = done.length + stopped.length + routes.length + removed.length === 0;
  return { changes: done, stopped, removed, routes, unchanged };
}

/** Whatever is still there when it is killed is found by the next run: the record of what was brought goes last. */
async function removeRest(
  host: Host,
  tokens: readonly string[],
  dryRun: boolean,
): Promise<{ readonly removed: string[]; readonly disabled: string[] }> {
  const { files } = host;
  const brought = await readBrought(files);
  const removed: string[] = [];
  const remove = async (paths: readonly string[]): Promise<void> => {
    for (const path of paths) {
      if (!(await files.stat(path))) continue;
      if (!dryRun) await files.removeTree(path);
      removed.push(path);
    }
  };
  await remove([...credentials, ...tokens]);
  const disabled = await disable(host, brought, dryRun);
  const units = [agentUpdateUnitName, ...(brought.has('unit') ? [agentUnit] : [])].map(unitPath);
  const before = removed.length;
  await remove(units);
  if (!dryRun && removed.length > before) await host.units.daemonReload();
  await remove(brought.has('config') ? [documentPaths.agent] : []);
  await remove([beforeFolder, offerFolder, ...(brought.has('program') ? programPaths : [])]);
  await remove([...brought].filter((what) => what.startsWith('/')));
  if (!dryRun) {
    // What a bootstrap that was killed left on its way.
    await files.sweep([dirname(programFolder)]);
    await files.remove(emptied);
  }
  await remove([bootstrapBroughtPath]);
  return { removed, disabled };
}

/** Folders that nothing else is in any more; deepest first. */
const emptied = [programFolder, dirname(programFolder), dirname(documentPaths.agent), toolsFolder];

async function disable({ units }: Host, brought: ReadonlySet<Brought>, dryRun: boolean): Promise<string[]> {
  const names = [agentUpdateUnitName, ...(brought.has('enablement') ? [agentUnit] : [])];
  const disabled: string[] = [];
  for (const name of names) {
    if ((await units.enablement(name)) !== 'enabled') continue;
    if (!dryRun) await units.setEnablement('disable', [name]);
    disabled.push(`disabled unit:${name}`);
  }
  return disabled;
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
