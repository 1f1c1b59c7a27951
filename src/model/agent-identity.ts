/** Who agents are, to an API server and to others on their host: whoever looks for them and they themselves must mean the same. */

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

/** Runs the agent of the host. */
export const agentUnit = 'nodekiln-agent.service';

/** Of a Node: what there is its agent's. */
export const ownedAnnotation = 'nodekiln.dev/owned';
