/** `nodekiln agent update`: what nodekiln-agent-update.service runs. */
import { onThisMachine } from './this-machine.ts';
import { oneLine } from './printing.ts';
import type { Verb } from './verb.ts';

export const agentUpdateVerb: Verb = {
  spec: {
    name: 'agent update',
    summary: 'restart the agent as the one that its documents ask for, or bring the one before back',
    description:
      'For nodekiln-agent-update.service, which the agent starts when documents change its own program, configuration or unit. Waits until all of it is in place, restarts nodekiln-agent.service and watches it; one that does not come up is taken back, with NK_AGENT_UPDATE_FAILED. Without such a change it does nothing.',
    arguments: [],
    options: [],
    examples: ['nodekiln agent update --json'],
    kind: 'AgentUpdateReport',
    root: 'always',
    systemd: true,
    endsItself: true,
  },
  async run({ signal }) {
    const { finishAgentUpdate } = await import('../agent/self-update/errand.ts');
    const report = await onThisMachine((host) => finishAgentUpdate(host, { signal }));
    const texts = {
      none: 'nothing to do: no agent gives way to another',
      updated: 'updated: another agent has taken over',
      returned: `NK_AGENT_UPDATE_FAILED: ${report.reason ?? ''}`,
    };
    return { data: report, text: oneLine(texts[report.outcome]) };
  },
};
