/**
 * Whether the host still has the name that the agent started with: its Node, its certificate and its Lease go by it. When it
 * has another one, the agent ends, and systemd starts it under the new name.
 */
import { NodekilnError } from '../../errors.ts';
import { readHostName } from '../../host/facts.ts';
import type { AgentContext, ControllerBody } from '../controller.ts';

const resyncMs = 30_000;
const deadlineMs = 10_000;

/** Undefined without a cluster, or where the AgentConfig says what the Node is called. */
export function hostName({ cluster, config, host, end }: AgentContext): ControllerBody | undefined {
  if (!cluster || config.nodeName !== undefined) return undefined;
  return {
    inputs: [],
    outputs: [],
    resyncMs,
    deadlineMs,
    reconcile: async () => {
      const now = (await readHostName(host)).toLowerCase();
      if (now !== '' && now !== cluster.nodeName)
        end(
          new NodekilnError(
            'NK_AGENT_RESTART',
            `the host is called ${now} now, and was ${cluster.nodeName} when the agent started`,
          ),
        );
      return { outcome: 'done' };
    },
  };
}
