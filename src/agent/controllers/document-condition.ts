/**
 * The condition `DesiredStateApplied` of the Node: how the last run about the documents ended, with the code of what went
 * wrong as its reason. Written when that changes, so it says since when.
 */
import { visibleLine } from '../../model/printable.ts';
import { anotherNode } from '../another-node.ts';
import type { RunEnd } from '../applied.ts';
import type { NodeCondition } from '../cluster.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const resyncMs = 5 * 60_000;
const deadlineMs = 60_000;
/** Messages of conditions are for people: they end somewhere. */
const longestMessage = 1000;

/** Undefined without a cluster. */
export function documentCondition({ cluster, applied }: AgentContext): ControllerBody | undefined {
  if (!cluster) return undefined;
  let written: string | undefined;
  return {
    inputs: [
      { name: 'applied', watch: (signal) => applied.watch(signal) },
      { name: 'another node', watch: (signal) => anotherNode(cluster, signal) },
    ],
    outputs: ['node:condition/DesiredStateApplied'],
    resyncMs,
    deadlineMs,
    reconcile: async ({ signal }) => {
      const [ended, node] = [applied.ended(), cluster.node()];
      if (!ended || !node || cluster.contest) return { outcome: 'done' };
      const condition = endedCondition(ended);
      // A Node that was made again says nothing of it yet.
      const text = JSON.stringify([node.metadata.uid, condition]);
      if (text === written) return { outcome: 'done' };
      await cluster.setCondition(condition, signal);
      written = text;
      return { outcome: 'done' };
    },
  };
}

function endedCondition({
  outcome,
  source,
  error,
}: RunEnd): Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'> {
  const type = 'DesiredStateApplied';
  if (error) {
    const message = visibleLine(`${source}: ${error.message}`);
    return { type, status: 'False', reason: error.code, message: message.slice(0, longestMessage) };
  }
  if (outcome === 'converged')
    return { type, status: 'True', reason: 'Converged', message: `${source} is in place as a whole` };
  return { type, status: 'False', reason: 'Degraded', message: `${source}: something that may fail has failed` };
}
