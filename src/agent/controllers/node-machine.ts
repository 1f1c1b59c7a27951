/**
 * Whether the Node is this machine's alone. Two machines of one name write one Node in turns; while that is so, this agent
 * writes nothing there (`NodeCluster.isContested`), goes on with what is on the machine, and says which other machine it is.
 */
import { NodekilnError } from '../../errors.ts';
import { isSameMachine, readMachineIdentity } from '../../host/machine-identity.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const resyncMs = 60_000;
const deadlineMs = 10_000;

/** Undefined without a cluster. */
export function nodeMachine({ cluster, host, onNotice }: AgentContext): ControllerBody | undefined {
  if (!cluster) return undefined;
  let other = '';
  let wasContested = false;
  return {
    inputs: [{ name: 'node', watch: (signal) => cluster.watchNode(signal) }],
    outputs: [],
    resyncMs,
    deadlineMs,
    reconcile: async () => {
      const told = cluster.node()?.status?.nodeInfo;
      if (told && !isSameMachine(told, await readMachineIdentity(host.files))) other = told.machineID ?? '';
      if (!cluster.isContested) {
        wasContested = false;
        return { outcome: 'done' };
      }
      const message = `the Node ${cluster.nodeName} is another machine’s, too: its machine ID is ${other}`;
      if (!wasContested)
        for (const say of [cluster.event, onNotice])
          say?.({ type: 'Warning', reason: 'NodeNameTaken', message: `NK_CLUSTER_NAME_TAKEN: ${message}` });
      wasContested = true;
      return { outcome: 'failed', error: new NodekilnError('NK_CLUSTER_NAME_TAKEN', message) };
    },
  };
}
