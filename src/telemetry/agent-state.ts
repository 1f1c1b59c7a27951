/**
 * What an agent that runs has to say of itself, for `nodekiln status`: what it cannot put right now, and what it remarked last.
 * Of its documents it keeps reports in the journal; this is of everything else, and goes with the start of the machine.
 */
import { agentState, type AgentState } from './schema-agent-state.ts';

export type { AgentState } from './schema-agent-state.ts';

export const agentStatePath = '/run/nodekiln/agent.json';

/** Undefined where the text is none. */
export function parseAgentState(text: string | undefined): AgentState | undefined {
  try {
    return agentState.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined;
  }
}
