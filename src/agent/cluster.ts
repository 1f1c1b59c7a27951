/**
 * The cluster of this node as its agent sees it: the API as the agent's own identity, the agent's own Node followed by one
 * watch, and what the agent says there of its own accord. While the server is away, the last known state stays.
 */
import type { AgentClusterItem } from '../config/agent-config.ts';
import { createKubeApi, type KubeApi } from '../kube/api.ts';
import { createKubeClient } from '../kube/client.ts';
import { createDoubt, type Doubt } from '../kube/doubt.ts';
import { startInformer, type Informer } from '../kube/informer.ts';
import type { KubeObject, Resource } from '../kube/objects.ts';
import type { Host } from '../host/port.ts';
import { createEvents, type NodeEvent, type SayEvent } from './events.ts';
import { openIdentity, type AgentIdentity } from './identity.ts';
import { openNodeOwner, type NodeContest } from './node-owner.ts';

export const nodes: Resource = { apiVersion: 'v1', plural: 'nodes' };

/** What of a Node is read here. */
export interface NodeObject extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly NodeCondition[];
    readonly nodeInfo?: {
      readonly machineID?: string;
      readonly systemUUID?: string;
      readonly kubeletVersion?: string;
    };
  };
}

/** Empty while the cluster has given it none. */
export function podCidrsOf(node: Pick<NodeObject, 'spec'> | undefined): readonly string[] {
  const { podCIDR, podCIDRs = podCIDR === undefined ? [] : [podCIDR] } = node?.spec ?? {};
  return podCIDRs;
}

export interface NodeCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastHeartbeatTime?: string;
  readonly lastTransitionTime?: string;
}

export interface NodeCluster {
  readonly api: KubeApi;
  readonly nodeName: string;
  readonly identity: AgentIdentity;
  /** As it was last seen; undefined before that, and when there is none. */
  node(): NodeObject | undefined;
  /** False until the API server said for the first time whether there is a Node. */
  readonly isNodeKnown: boolean;
  /** Yields when it begins to look, and whenever the Node may have changed. Ends with the signal. */
  watchNode(signal: AbortSignal): AsyncIterable<void>;
  /** Another machine has the name of this node; undefined when none is known to. While there is one, nothing is written there. */
  readonly contest: NodeContest | undefined;
  /** Whether the cluster still is what it was; for whoever follows something of it. */
  readonly doubt: Doubt;
  /** Whoever follows something else of the cluster has seen that it is at an earlier state than it was. */
  onPutBack(): void;
  /** Says it on the Node; best effort, never throws. */
  readonly event: SayEvent;
  /**
   * Puts a condition on the Node by server-side apply, beside those that were put before. Keeps `lastTransitionTime` while the
   * status stays. Errors of the API.
   */
  setCondition(
    condition: Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface NodeClusterOptions {
  readonly host: Pick<Host, 'files' | 'net' | 'clock' | 'exec' | 'program'>;
  readonly cluster: AgentClusterItem;
  readonly nodeName: string;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** What went wrong and is tried again. */
  readonly onTrouble?: (trouble: unknown) => void;
  readonly onNotice?: (notice: NodeEvent) => void;
}

const putBackOnceMs = 5 * 60_000;
const putBack: NodeEvent = {
  type: 'Warning',
  reason: 'ClusterPutBack',
  message:
    'the cluster is at an earlier state than it was: it was put back to an older copy; what it asks for now is followed',
};

/** Whose the conditions are. */
const conditionManager = 'nodekiln-agent-conditions';

/** What reading a kubeconfig throws, where the cluster is that of one. */
export async function openNodeCluster(options: NodeClusterOptions): Promise<NodeCluster> {
  const { host, cluster, nodeName, signal, onTrouble, onNotice } = options;
  const identity = await openIdentity(host, cluster, onTrouble);
  const { servers, credentials } = identity;
  const client = createKubeClient(host, { servers, credentials }, { keepAlive: true });
  const doubt = createDoubt();
  const api = createKubeApi(client, host.clock, {
    onEarlier: () => {
      tellPutBack();
      doubt.raise();
    },
  });
  const own = createNotices();
  let informer: Informer<NodeObject> | undefined;
  const node = (): NodeObject | undefined => informer?.objects.get(nodeName);
  const owner = await openNodeOwner(host, onTrouble);
  const judgeMachine = (): void => owner.judge(node()?.status?.nodeInfo ?? {});

  const event = createEvents({
    api,
    clock: host.clock,
    nodeName,
    nodeUid: () => node()?.metadata.uid,
    signal,
    ...(onTrouble && { onTrouble }),
  });

  let toldMs = -Infinity;
  // Each watch finds out for itself.
  const tellPutBack = (): void => {
    if (host.clock.monotonic() - toldMs < putBackOnceMs) return;
    toldMs = host.clock.monotonic();
    for (const say of [event, onNotice]) say?.(putBack);
  };
  const follow = async (): Promise<void> => {
    await identity.available(signal);
    informer = startInformer<NodeObject>({
      api,
      clock: host.clock,
      resource: nodes,
      fieldSelector: `metadata.name=${nodeName}`,
      signal,
      onChange: () => {
        judgeMachine();
        own.tell();
      },
      doubt,
      onPutBack: tellPutBack,
      ...(onTrouble && { onTrouble }),
    });
    await informer.synced;
    judgeMachine();
    own.tell();
  };
  let following: Promise<void> | undefined;

  return {
    api,
    nodeName,
    identity,
    node,
    get isNodeKnown() {
      return informer?.isSynced === true;
    },
    get contest() {
      return owner.contest;
    },
    watchNode: (until) => {
      following ??= follow().catch((thrown: unknown) => {
        if (!signal.aborted) onTrouble?.(thrown);
      });
      return own.listen(until);
    },
    event,
    doubt,
    onPutBack: tellPutBack,
    setCondition: conditionsOf(options, api, node),
  };
}

/** Writes conditions of the Node, each with all that were written before. */
function conditionsOf(
  { host: { clock }, nodeName }: NodeClusterOptions,
  api: KubeApi,
  node: NodeCluster['node'],
): NodeCluster['setCondition'] {
  const conditions = new Map<string, NodeCondition>();
  return async (condition, until) => {
    const now = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
    const before =
      conditions.get(condition.type) ?? node()?.status?.conditions?.find(({ type }) => type === condition.type);
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
    conditions.set(condition.type, { ...condition, lastHeartbeatTime: now, lastTransitionTime: since ?? now });
    const object = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: nodeName },
      status: { conditions: [...conditions.values()] },
    };
    await api.apply(nodes, object, {
      fieldManager: conditionManager,
      force: true,
      subresource: 'status',
      signal: until,
    });
  };
}

interface Notices {
  tell(): void;
  /** Yields at once, then for each time it was told since; several between two looks are one. */
  listen(signal: AbortSignal): AsyncGenerator<void>;
}

/** Tells everybody who listens that something has changed. */
export function createNotices(): Notices {
  let told = Promise.withResolvers<void>();
  let turn = 0;
  return {
    tell: () => {
      turn += 1;
      told.resolve();
      told = Promise.withResolvers();
    },
    async *listen(signal) {
      const ended = Promise.withResolvers<void>();
      const end = (): void => ended.resolve();
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
      try {
        for (let seen = -1; !signal.aborted;) {
          if (turn === seen) await Promise.race([told.promise, ended.promise]);
          else {
            seen = turn;
            yield;
          }
        }
      } finally {
        signal.removeEventListener('abort', end);
      }
    },
  };
}
