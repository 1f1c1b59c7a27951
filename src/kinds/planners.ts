/** The registry of kinds, planning half: one line per kind, no magic. */
import type { Resource, ResourceKind } from '../desired/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Change, Observation, Step, Touched } from '../plan/types.ts';
import { actionPlanner } from './action/plan.ts';
import { binaryPlanner } from './binary/plan.ts';
import { filePlanner } from './file/plan.ts';
import { imagePlanner } from './image/plan.ts';
import { kernelPlanner } from './kernel/plan.ts';
import type { Difference, KindPlanner, ObservationOf, PlanContext, ResourceOf } from './planner.ts';
import { unitPlanner } from './unit/plan.ts';

type PlannedKind = Exclude<ResourceKind, 'extension'>;

const planners: { readonly [K in PlannedKind]: KindPlanner<K> } = {
  file: filePlanner,
  unit: unitPlanner,
  binary: binaryPlanner,
  image: imagePlanner,
  kernel: kernelPlanner,
  action: actionPlanner,
};

/** A kind's planner applied to a resource and an observation that must be of that kind. */
function plannerFor<K extends PlannedKind>(kind: K): KindPlanner<K> {
  return planners[kind];
}

export function compareResource(
  resource: Resource,
  observed: Observation,
  about: { touched: Touched | undefined; context: PlanContext },
): Difference | undefined {
  return withKind(resource.kind, observed, (planner, narrowed) =>
    planner.compare({ resource: resource as ResourceOf<PlannedKind>, observed: narrowed, ...about } as Parameters<
      typeof planner.compare
    >[0]),
  );
}

export function stepsFor(change: Change, resource: Resource, context: PlanContext): Step[] {
  return withKind(resource.kind, change.observed, (planner) =>
    planner.steps(change, resource as ResourceOf<PlannedKind> as never, context),
  );
}

export function removalSteps(touched: Touched, observed: Observation): Step[] {
  const kind = kindOf(touched.id);
  return withKind(kind, observed, (planner, narrowed) => planner.removal(touched, narrowed as never));
}

export function kindOf(id: string): ResourceKind {
  return id.slice(0, id.indexOf(':')) as ResourceKind;
}

function withKind<T>(
  kind: ResourceKind,
  observed: Observation,
  use: (planner: KindPlanner<PlannedKind>, observed: ObservationOf<PlannedKind>) => T,
): T {
  if (kind === 'extension') throw new NodekilnError('NK_UNSUPPORTED', 'system extensions are not supported yet');
  if (observed.kind !== kind)
    throw new NodekilnError('NK_INTERNAL', `observed a ${observed.kind} where a ${kind} is planned`);
  return use(plannerFor(kind) as unknown as KindPlanner<PlannedKind>, observed);
}
