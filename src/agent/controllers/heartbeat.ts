/**
 * The Lease that says that the agent is alive, renewed with a deadline of its own each time: a connection that is half dead
 * must not hold it up. It belongs to the Node and goes with it; without a Node there is none.
 */
import { renewLease, type Lease } from '../../kube/lease.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

export const heartbeatNamespace = 'kube-system';

/** Undefined without a cluster, or when nobody wants it. */
export function heartbeat({ cluster, config, host }: AgentContext): ControllerBody | undefined {
  const { enabled, lease, duration, period } = config.heartbeat;
  if (!cluster || !enabled) return undefined;
  const { api, nodeName } = cluster;
  const name = lease.replaceAll('{node}', nodeName);
  let registered = '';
  let last: Lease | undefined;
  return {
    inputs: [
      {
        name: 'node',
        // Not at every change of it: when it comes, or is another one.
        async *watch(signal) {
          for await (const _change of cluster.watchNode(signal)) {
            const uid = cluster.node()?.metadata.uid ?? '';
            if (uid === registered) continue;
            registered = uid;
            yield;
          }
        },
      },
    ],
    outputs: [`lease:${heartbeatNamespace}/${name}`],
    resyncMs: period,
    deadlineMs: Math.min(period, duration),
    reconcile: async ({ signal }) => {
      const uid = cluster.node()?.metadata.uid;
      // Without a Node nobody waits for its heartbeat.
      if (uid === undefined || cluster.contest) return { outcome: 'done' };
      const before = last;
      // What a renewal that fails leaves is not known.
      last = undefined;
      last = await renewLease(
        api,
        {
          last: before,
          name,
          namespace: heartbeatNamespace,
          holder: name,
          durationMs: duration,
          nowMs: host.clock.now(),
          owner: { apiVersion: 'v1', kind: 'Node', name: nodeName, uid },
        },
        { signal, timeoutMs: Math.min(period, 10_000) },
      );
      return { outcome: 'done' };
    },
  };
}
