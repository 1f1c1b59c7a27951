/** The table of kinds, planning half: one line per kind and question, exhaustive, no magic. */
import type { Resource, ResourceId, ResourceKind } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Change, Observation, Step, Touched } from '../model/steps.ts';
import { actionPlanner } from './action/plan.ts';
import { binaryPlanner } from './binary/plan.ts';
import { extensionPlanner } from './extension/plan.ts';
import { filePlanner } from './file/plan.ts';
import { imagePlanner } from './image/plan.ts';
import { kernelPlanner } from './kernel/plan.ts';
import type { Difference, ObservationOf, PlanContext } from './planner.ts';
import { unitPlanner } from './unit/plan.ts';

/** How the host differs from the resource; undefined when it does not. */
export function compareResource(
  resource: Resource,
  observed: Observation,
  about: { touched: Touched | undefined; context: PlanContext },
): Difference | undefined {
  switch (resource.kind) {
    case 'file':
      return filePlanner.compare({ resource, observed: of('file', observed), ...about });
    case 'unit':
      return unitPlanner.compare({ resource, observed: of('unit', observed), ...about });
    case 'binary':
      return binaryPlanner.compare({ resource, observed: of('binary', observed), ...about });
    case 'image':
      return imagePlanner.compare({ resource, observed: of('image', observed), ...about });
    case 'kernel':
      return kernelPlanner.compare({ resource, observed: of('kernel', observed), ...about });
    case 'action':
      return actionPlanner.compare({ resource, observed: of('action', observed), ...about });
    case 'extension':
      return extensionPlanner.compare({ resource, observed: of('extension', observed), ...about });
  }
}

/** The steps that bring the resource about. */
export function stepsFor(change: Change, resource: Resource, context: PlanContext): Step[] {
  switch (resource.kind) {
    case 'file':
      return filePlanner.steps(change, resource, context);
    case 'unit':
      return unitPlanner.steps(change, resource, context);
    case 'binary':
      return binaryPlanner.steps(change, resource, context);
    case 'image':
      return imagePlanner.steps(change, resource, context);
    case 'kernel':
      return kernelPlanner.steps(change, resource, context);
    case 'action':
      return actionPlanner.steps(change, resource, context);
    case 'extension':
      return extensionPlanner.steps(change, resource, context);
  }
}

/** The steps that undo everything we ever did for a resource nobody asks for any more. */
export function removalSteps(touched: Touched, observed: Observation): Step[] {
  const kind = kindOf(touched.id);
  switch (kind) {
    case 'file':
      return filePlanner.removal(touched, of(kind, observed));
    case 'unit':
      return unitPlanner.removal(touched, of(kind, observed));
    case 'binary':
      return binaryPlanner.removal(touched, of(kind, observed));
    case 'image':
      return imagePlanner.removal(touched, of(kind, observed));
    case 'kernel':
      return kernelPlanner.removal(touched, of(kind, observed));
    case 'action':
      return actionPlanner.removal(touched, of(kind, observed));
    case 'extension':
      return extensionPlanner.removal(touched, of(kind, observed));
  }
}

const kinds: readonly ResourceKind[] = ['file', 'unit', 'binary', 'extension', 'image', 'kernel', 'action'];

export function kindOf(id: ResourceId): ResourceKind {
  const kind = kinds.find((known) => id.startsWith(`${known}:`));
  if (!kind) throw new NodekilnError('NK_INTERNAL', `${id} is of no known kind`);
  return kind;
}

function of<K extends Observation['kind']>(kind: K, observed: Observation): ObservationOf<K> {
  if (isOf(kind, observed)) return observed;
  throw new NodekilnError('NK_INTERNAL', `a ${observed.kind} was observed where a ${kind} is planned`);
}

function isOf<K extends Observation['kind']>(kind: K, observed: Observation): observed is ObservationOf<K> {
  return observed.kind === kind;
}
