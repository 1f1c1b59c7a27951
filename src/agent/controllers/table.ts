/** Every controller of the agent, by name. */
import type { AgentContext, Controller, ControllerBody } from '../controller.ts';
import { clientCertificate } from './client-certificate.ts';
import { desiredState } from './desired-state.ts';
import { documentCondition } from './document-condition.ts';
import { heartbeat } from './heartbeat.ts';
import { hostName } from './host-name.ts';
import { inPlace } from './in-place.ts';
import { node } from './node.ts';
import { nodeMachine } from './node-machine.ts';
import { podCidr } from './pod-cidr.ts';
import { routes } from './routes.ts';
import { runtimeHealth } from './runtime-health.ts';
import { tokens } from './tokens.ts';
import { unitConditions } from './unit-conditions.ts';

export type ControllerName =
  | 'client-certificate'
  | 'desired-state'
  | 'document-condition'
  | 'heartbeat'
  | 'host-name'
  | 'in-place'
  | 'node'
  | 'node-machine'
  | 'pod-cidr'
  | 'routes'
  | 'runtime-health'
  | 'tokens'
  | 'unit-conditions';

/** Undefined: this agent has no use for it. */
type MakeController = (context: AgentContext) => ControllerBody | undefined;

const controllers = {
  'client-certificate': clientCertificate,
  tokens,
  'desired-state': desiredState,
  'node-machine': nodeMachine,
  node,
  'in-place': inPlace,
  heartbeat,
  'pod-cidr': podCidr,
  routes,
  'runtime-health': runtimeHealth,
  'unit-conditions': unitConditions,
  'document-condition': documentCondition,
  'host-name': hostName,
} as const satisfies Record<ControllerName, MakeController>;

export function makeController(name: ControllerName, context: AgentContext): Controller | undefined {
  const make: MakeController = controllers[name];
  const body = make(context);
  return body && { name, ...body };
}

export const controllerNames = Object.keys(controllers) as ControllerName[];

/** Those that an agent has, in the order of the table. */
export function makeControllers(context: AgentContext): readonly Controller[] {
  return controllerNames.map((name) => makeController(name, context)).filter((one) => one !== undefined);
}
