/** The schema of what an agent that runs says of itself. */
import { array, looseObject, string, unknown } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';

export const agentState = looseObject({
  /** By controller; each is tried again. */
  troubles: array(looseObject({ controller: string(), since: string(), error: unknown() })),
  /** The newest last. */
  notices: array(looseObject({ at: string(), type: string(), reason: string(), message: string() })),
});

export type AgentState = Infer<typeof agentState>;
