/**
 * Whether the Node is this machine's alone. Two machines of one name write one Node in turns; while that is so, this agent
 * writes nothing there (`NodeCluster.isContested`), goes on with what is on the machine, and says which other machine it is.
 */
import { NodekilnError } from '../../errors.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const resyncMs = 60_000;
const deadlineMs = 10_000;

/** Undefined without a cluster. */
export function nodeMachine({ cluster, onNotice }: AgentContext): ControllerBody | undefined {
  if (!cluster) return undefined;
  let wasContested = false;
  return {
    inputs: [{ name: 'node', watch: (signal) => cluster.watchNode(signal) }],
    outputs: [],
    resyncMs,
    deadlineMs,
    reconcile: () => {
      if (!cluster.isContested) {
        wasContested = false;
        return Promise.resolve({ outcome: 'done' });
      }
      const message = `the Node ${cluster.nodeName} is another machine’s, too: its machine ID is ${cluster.contestant}`;
      if (!wasContested)
        for (const say of [cluster.event, onNotice])
          say?.({ type: 'Warning', reason: 'NodeNameTaken', message: `NK_CLUSTER_NAME_TAKEN: ${message}` });
      wasContested = true;
      return Promise.resolve({ outcome: 'failed', error: new NodekilnError('NK_CLUSTER_NAME_TAKEN', message) });
    },
  };
}
