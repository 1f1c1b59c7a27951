/**
 * What an agent that runs has to say of itself, for `nodekiln status`: what it cannot put right now, and what it remarked last.
 * Of its documents it keeps reports in the journal; this is of everything else, and goes with the start of the machine.
 */
import { array, looseObject, string, unknown, type infer as Infer } from 'zod/mini';

export const agentStatePath = '/run/nodekiln/agent.json';

const shape = looseObject({
  /** By controller; each is tried again. */
  troubles: array(looseObject({ controller: string(), since: string(), error: unknown() })),
  /** The newest last. */
  notices: array(looseObject({ at: string(), type: string(), reason: string(), message: string() })),
});

export type AgentState = Infer<typeof shape>;

/** Undefined where the text is none. */
export function parseAgentState(text: string | undefined): AgentState | undefined {
  try {
    return shape.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined;
  }
}
