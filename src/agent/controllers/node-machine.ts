/**
 * Whether the Node is this machine's alone. While it is another's, too, this agent writes nothing there
 * (`NodeCluster.contest`), goes on with what is on the machine, and says which other machine it is.
 */
import { NodekilnError } from '../../errors.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const resyncMs = 60_000;
const deadlineMs = 10_000;
/** What a machine that is gone has left is written over by our kubelet, which may only be about to be put in place. */
const leftoverMs = 2 * 60_000;

/** Undefined without a cluster. */
export function nodeMachine({ cluster, host, onNotice }: AgentContext): ControllerBody | undefined {
  if (!cluster) return undefined;
  let wasSaid = false;
  return {
    inputs: [{ name: 'node', watch: (signal) => cluster.watchNode(signal) }],
    outputs: [],
    resyncMs,
    deadlineMs,
    reconcile: () => {
      const { contest } = cluster;
      if (!contest) {
        wasSaid = false;
        return Promise.resolve({ outcome: 'done' });
      }
      const { other, isShared, sinceMs } = contest;
      const restMs = isShared ? 0 : sinceMs + leftoverMs - host.clock.monotonic();
      if (restMs > 0) return Promise.resolve({ outcome: 'postponed', waitMs: restMs });
      const message = isShared
        ? `the Node ${cluster.nodeName} is another machine’s, too: ${other}`
        : `the Node ${cluster.nodeName} is another machine’s, and the kubelet of this one has not written it: ${other}`;
      if (!wasSaid)
        for (const say of [cluster.event, onNotice])
          say?.({ type: 'Warning', reason: 'NodeNameTaken', message: `NK_CLUSTER_NAME_TAKEN: ${message}` });
      wasSaid = true;
      return Promise.resolve({ outcome: 'failed', error: new NodekilnError('NK_CLUSTER_NAME_TAKEN', message) });
    },
  };
}
