/**
 * The controller of the agent's own Node: labels, annotations and taints of the documents that are in force, what was applied,
 * and units that somebody asks to restart by an annotation.
 *
 * What was applied is reported last of all, once everything is in place: others take it for done.
 */
import type { Journal } from '../../apply/journal.ts';
import { NodekilnError } from '../../errors.ts';
import { version } from '../../model/program.ts';
import type { NodePart } from '../../documents/kinds/kind.ts';
import type { Applied, ResourcesState } from '../applied.ts';
import { nodes, type NodeCluster, type NodeObject } from '../cluster.ts';
import type { AgentContext, ControllerBody, ReconcileContext, Reconciled } from '../controller.ts';
import { nodeChange } from '../node-patch.ts';
import { keepRename, renamedBy } from '../renamed-secret.ts';
import { agentUnit } from '../../model/agent-identity.ts';
import { restartUnits } from '../restart-units.ts';

/** `unit,unit`: these restart once, and the annotation goes. */
const restartAnnotations = ['nodekiln.dev/restart-units', 'worker.gardener.cloud/restart-systemd-services'] as const;
/** Digest of the documents that are in force. */
const appliedAnnotation = 'nodekiln.dev/applied';
/** Which nodekiln tends it, and which resources are not as documents ask, JSON. */
const statusAnnotation = 'nodekiln.dev/status';
/** What others take for done. */
const checksumAnnotation = 'checksum/cloud-config-data';
const versionLabel = 'worker.gardener.cloud/kubernetes-version';
const fieldManager = 'nodekiln-agent';

const resyncMs = 10 * 60_000;
const deadlineMs = 3 * 60_000;

/** Undefined without a cluster. */
export function node(context: AgentContext): ControllerBody | undefined {
  const { cluster, applied } = context;
  if (!cluster) return undefined;
  return {
    inputs: [
      { name: 'node', watch: (signal) => cluster.watchNode(signal) },
      { name: 'applied', watch: (signal) => applied.watch(signal) },
    ],
    outputs: ['node:metadata', 'node:taints'],
    resyncMs,
    deadlineMs,
    reconcile: (turn) => reconcile(context, cluster, turn),
  };
}

async function reconcile(context: AgentContext, cluster: NodeCluster, turn: ReconcileContext): Promise<Reconciled> {
  const own = cluster.node();
  // kubelet registers it; its coming is a change.
  if (!own || cluster.contest) return { outcome: 'done' };
  const now = context.applied.current();
  if (now) {
    await keep(cluster, wantedOf(now, own, context.applied.resources()), turn.signal);
    context.applied.told(now);
  }
  if (await secretRenamed(context, own)) return { outcome: 'done' };
  await restartAsked(context, cluster, turn);
  return { outcome: 'done' };
}

function wantedOf(
  { digest, checksum, node: part }: Applied,
  { status }: NodeObject,
  resources: ResourcesState | undefined,
): NodePart {
  const kubelet = status?.nodeInfo?.kubeletVersion?.replace(/^v/, '');
  return {
    labels: {
      ...part?.labels,
      ...(checksum !== undefined && kubelet !== undefined && kubelet !== '' && { [versionLabel]: kubelet }),
    },
    annotations: {
      ...part?.annotations,
      ...(digest !== undefined && { [appliedAnnotation]: digest }),
      ...(resources && { [statusAnnotation]: JSON.stringify({ nodekiln: version, ...resources }) }),
      ...(checksum !== undefined && { [checksumAnnotation]: checksum }),
    },
    taints: part?.taints ?? [],
  };
}

async function keep(cluster: NodeCluster, wanted: NodePart, signal: AbortSignal): Promise<void> {
  const { api, nodeName } = cluster;
  const own = cluster.node();
  if (!own) return;
  const { drop, apply, taints } = nodeChange(own, wanted);
  const patch = (content: object): Promise<unknown> =>
    api.patch(nodes, nodeName, { type: 'merge', content }, { signal });
  if (taints)
    // Somebody else writes taints, too: of another version the list is another.
    await patch({ metadata: { resourceVersion: own.metadata.resourceVersion }, spec: { taints } });
  if (drop) await patch({ metadata: drop });
  if (apply)
    await api.apply(
      nodes,
      { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, ...apply } },
      { fieldManager, force: true, signal },
    );
}

/** What it follows is opened once: the agent starts anew with it. */
async function secretRenamed(
  { host, configured, source, cluster, end }: AgentContext,
  own: NodeObject,
): Promise<boolean> {
  const name = renamedBy(own, source.address);
  if (name === undefined) return false;
  await keepRename(host.files, configured, name);
  const message = `the documents are in the Secret ${name} now, as a label of the Node says`;
  cluster?.event({ type: 'Normal', reason: 'SourceChanged', message });
  end(new NodekilnError('NK_AGENT_RESTART', `the agent starts anew: ${message}`));
  return true;
}

/** The annotation goes first: else an agent that restarts itself would do so for ever. */
async function restartAsked(context: AgentContext, cluster: NodeCluster, turn: ReconcileContext): Promise<void> {
  const annotations = cluster.node()?.metadata.annotations ?? {};
  const asked = restartAnnotations.filter((key) => (annotations[key] ?? '') !== '');
  if (asked.length === 0) return;
  const names = asked.flatMap((key) => namesIn(annotations[key] ?? ''));
  const content = { metadata: { annotations: Object.fromEntries(asked.map((key) => [key, null])) } };
  await cluster.api.patch(nodes, cluster.nodeName, { type: 'merge', content }, { signal: turn.signal });
  await turn.withState(async ({ host, journal }) => {
    const known = unitsOf(journal);
    await restartUnits(
      { units: host.units, clock: host.clock, signal: turn.signal, event: (event) => cluster.event(event) },
      names.filter((name) => name !== agentUnit),
      (name) => known.has(name),
    );
  });
  if (names.includes(agentUnit))
    context.end(new NodekilnError('NK_AGENT_RESTART', 'the agent starts anew, as an annotation of its Node asks'));
}

function namesIn(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))].map((name) =>
    name.includes('.') ? name : `${name}.service`,
  );
}

/** Units that documents name, and the two that every node has: whoever may annotate a Node may not restart any other. */
function unitsOf(journal: Journal): ReadonlySet<string> {
  const claimed = Object.values(journal.claims()).flat();
  return new Set([
    'kubelet.service',
    'containerd.service',
    ...claimed.flatMap((resource) => (resource.kind === 'unit' ? [resource.name] : [])),
  ]);
}
