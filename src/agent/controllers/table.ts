/** Every controller of the agent, by name. */
import type { AgentContext, Controller, ControllerBody } from '../controller.ts';
import { desiredState } from './desired-state.ts';

export type ControllerName = 'desired-state';

const controllers = {
  'desired-state': desiredState,
} as const satisfies Record<ControllerName, (context: AgentContext) => ControllerBody>;

export function makeController(name: ControllerName, context: AgentContext): Controller {
  return { name, ...controllers[name](context) };
}

export const controllerNames = Object.keys(controllers) as ControllerName[];
