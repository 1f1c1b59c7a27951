/**
 * Routes to the pods of other nodes, where the AgentConfig asks for them: from each Node's podCIDRs by way of its InternalIP, as far
 * as that is on a link of this host. What Nodes say is judged (`../pod-routes/wanted.ts`), other routes of the host are left alone.
 * They stay while the API server is away, and over restarts of the agent; without the AgentConfig's word they go.
 */
import { asNodekilnError, NodekilnError } from '../../errors.ts';
import { kubeletConfigPath } from '../../config/defaults.ts';
import { readHostRoutes } from '../../host/routes.ts';
import type { Host } from '../../host/port.ts';
import { startInformer, type Change, type Informer } from '../../kube/informer.ts';
import { fieldOf, type KubeObject } from '../../kube/objects.ts';
import { textOf } from '../../model/bytes.ts';
import { addressBytes } from '../../model/ip-address.ts';
import { createNotices, nodes, podCidrsOf, type NodeCluster, type NodeObject } from '../cluster.ts';
import type { AgentContext, ControllerBody, Reconciled } from '../controller.ts';
import { dropPodRoutes, putPodRoutes } from '../pod-routes/table.ts';
import { wantedRoutes, type PeerNode, type Routeless } from '../pod-routes/wanted.ts';

const deadlineMs = 60_000;
/** Longer than the longest pause between two tries of a watch. */
const refusedAgainMs = 60_000;
const outputs = ['routes:pods'];

export function routes(context: AgentContext): ControllerBody {
  const { cluster, config, host } = context;
  if (cluster && config.podRoutes) return keepRoutes(context, cluster);
  return {
    inputs: [],
    outputs,
    resyncMs: 24 * 3_600_000,
    deadlineMs,
    reconcile: async () => {
      await dropPodRoutes(host);
      return { outcome: 'done' };
    },
  };
}

interface PeerObject extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly creationTimestamp?: string };
  readonly spec?: Pick<NonNullable<NodeObject['spec']>, 'podCIDR' | 'podCIDRs'>;
  readonly status?: Pick<NonNullable<NodeObject['status']>, 'addresses'>;
}

function keepRoutes({ host, config, onNotice }: AgentContext, cluster: NodeCluster): ControllerBody {
  const changes = createNotices();
  let informer: Informer<PeerObject> | undefined;
  let trouble: { readonly thrown: unknown; readonly atMs: number } | undefined;
  const said = new Set<string>();

  return {
    inputs: [{ name: 'nodes', watch: (signal) => watchNodes(signal) }],
    outputs,
    resyncMs: config.resync,
    deadlineMs,
    reconcile: async ({ signal }): Promise<Reconciled> => {
      // Whose Node this is not known to be: what there is stays.
      if (!informer?.isSynced || cluster.contest) return refusal();
      const [now, guarded] = await Promise.all([
        readHostRoutes(host.exec, signal),
        guardedAddresses(host, cluster, signal),
      ]);
      const question = {
        ownName: cluster.nodeName,
        nodes: [...informer.objects.values()].map(peerOf),
        host: now,
        guarded,
      };
      const { routes: wanted, routeless } = wantedRoutes(question);
      await putPodRoutes(host, { now, wanted, signal });
      say(routeless);
      return refusal();
    },
  };

  /**
   * A server that is away is told by whoever follows this node; that Nodes may not be read is told by nobody else. It is tried again
   * all the while: what was refused longer ago was not refused again.
   */
  function refusal(): Reconciled {
    if (!trouble || host.clock.monotonic() - trouble.atMs >= refusedAgainMs) return { outcome: 'done' };
    const error = asNodekilnError(trouble.thrown);
    if (error.code !== 'NK_CLUSTER_FORBIDDEN') return { outcome: 'done' };
    return {
      outcome: 'failed',
      error: new NodekilnError('NK_CLUSTER_FORBIDDEN', error.message, {
        cause: error,
        hint: 'podRoutes needs to see all Nodes: `nodekiln cluster rbac --pod-routes | kubectl apply -f -`.',
      }),
    };
  }

  async function* watchNodes(signal: AbortSignal): AsyncGenerator<void> {
    await cluster.identity.available(signal);
    informer = startInformer<PeerObject>({
      api: cluster.api,
      clock: host.clock,
      resource: nodes,
      signal,
      keep: whatIsRead,
      onChange: (change) => {
        if (isOther(change)) changes.tell();
      },
      onPutBack: () => cluster.onPutBack(),
      onTrouble: (thrown) => {
        trouble = { thrown, atMs: host.clock.monotonic() };
        changes.tell();
      },
    });
    // Nobody else may be there.
    void informer.synced.then(
      () => changes.tell(),
      () => undefined,
    );
    yield* changes.listen(signal);
  }

  /** Each once, and all of one kind together: a thousand nodes behind a router are one message. */
  function say(routeless: readonly Routeless[]): void {
    const keyOf = ({ node, why }: Routeless): string => `${node} ${why}`;
    const current = new Set(routeless.map(keyOf));
    for (const key of said) if (!current.has(key)) said.delete(key);
    for (const kind of ['refused', 'indirect'] as const) {
      const fresh = routeless.filter((one) => one.kind === kind && !said.has(keyOf(one)));
      for (const one of fresh) said.add(keyOf(one));
      const event = noticeOf(kind, fresh);
      if (event) for (const tell of [cluster.event, onNotice]) tell?.(event);
    }
  }
}

/** Of a large cluster only this much of each Node is in memory. */
function whatIsRead({ metadata, spec, status }: PeerObject): PeerObject {
  const { name, uid, resourceVersion, creationTimestamp } = metadata;
  return {
    metadata: {
      name,
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
    spec: { podCIDRs: podCidrsOf({ ...(spec && { spec }) }) },
    status: {
      addresses: (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').slice(0, mostAddresses),
    },
  };
}

const mostAddresses = 8;

function isOther(change: Change<PeerObject>): boolean {
  if (change.type !== 'modified') return true;
  return JSON.stringify(peerOf(change.object)) !== JSON.stringify(peerOf(change.before));
}

function peerOf({ metadata, spec, status }: PeerObject): PeerNode {
  return {
    name: metadata.name,
    podCidrs: spec?.podCIDRs ?? [],
    internalIps: (status?.addresses ?? []).map(({ address }) => address),
    createdAt: metadata.creationTimestamp ?? '',
  };
}

/** What everybody must be able to reach: the API server and the DNS of the cluster. */
async function guardedAddresses(
  { exec, files }: Host,
  { identity }: NodeCluster,
  signal: AbortSignal,
): Promise<{ readonly address: string; readonly what: string }[]> {
  const hosts = identity.servers.map((server) => new URL(server).hostname.replaceAll(/^\[|\]$/g, ''));
  const servers = await Promise.all(hosts.map((name) => addressesOf(exec, name, signal)));
  return [
    ...servers.flat().map((address) => ({ address, what: 'the API server' })),
    ...(await dnsOf(files)).map((address) => ({ address, what: 'the DNS of the cluster' })),
  ];
}

/** Of a name, or of itself; none where the name or the program that looks it up is away. */
async function addressesOf(exec: Host['exec'], name: string, signal: AbortSignal): Promise<readonly string[]> {
  if (addressBytes(name)) return [name];
  const found = await exec.run(['getent', 'ahosts', name], { timeoutMs: 5_000, signal }).catch(() => undefined);
  return (found?.stdout ?? '')
    .split('\n')
    .flatMap((line) => line.split(/\s/, 1))
    .filter((word) => word !== '');
}

async function dnsOf(files: Host['files']): Promise<readonly string[]> {
  try {
    const servers = fieldOf(JSON.parse(textOf(await files.read(kubeletConfigPath)) ?? ''), 'clusterDNS');
    return Array.isArray(servers) ? servers.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

const mostNamed = 5;

function noticeOf(
  kind: Routeless['kind'],
  fresh: readonly Routeless[],
): Parameters<NodeCluster['event']>[0] | undefined {
  if (fresh.length === 0) return undefined;
  const named = fresh.slice(0, mostNamed).map(({ node, why }) => `${node}: ${why}`);
  const more = fresh.length > mostNamed ? [`and of ${fresh.length - mostNamed} more`] : [];
  const code = kind === 'refused' ? 'NK_POD_ROUTE_REFUSED' : 'NK_POD_ROUTE_INDIRECT';
  return {
    type: 'Warning',
    reason: kind === 'refused' ? 'PodRouteRefused' : 'PodRouteIndirect',
    message: `${code}: no route to the pods of ${[...named, ...more].join('; ')}`,
  };
}
