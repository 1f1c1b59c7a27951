/** Who agents are to an API server: whoever gives them rights or certificates and the agents themselves must mean the same. */

/** Of every agent. */
export const agentGroup = 'nodekiln:node-agents';
const userPrefix = 'nodekiln:node-agent:';

/** The user that the agent of a node is. */
export function agentUser(nodeName: string): string {
  return `${userPrefix}${nodeName}`;
}

/** The node of an agent's user; undefined of anybody else. */
export function nodeOfAgent(user: string): string | undefined {
  return user.startsWith(userPrefix) ? user.slice(userPrefix.length) : undefined;
}
