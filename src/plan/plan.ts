/**
 * plan(changes) → steps. Pure: turns differences into effects as data and decides what waits for what.
 *
 * Dependencies come from three places: inside a resource and between those of one kind from the kind; between resources
 * from `needs`, from what they read and from paths; and from the goal, which every step that is not deferrable precedes.
 */
import type { Resource, ResourceId } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import { impactOf, joinKinds, readsOf, stepsFor, yieldPlaces } from '../kinds/planners.ts';
import type { Claim, Diff } from './diff.ts';
import { joinDependencies, precedeGoal } from './order.ts';
import { roleOf, type Plan, type Step } from '../model/steps.ts';

export interface PlanInput extends Diff {
  readonly desired: ReadonlyMap<ResourceId, Claim>;
  /** The resource whose readiness is the goal, kubelet's unit. */
  readonly goal: ResourceId | undefined;
}

/** NK_PLAN_CONFLICT when two resources write one place. */
export function plan({ changes, context, desired, goal }: PlanInput): Plan {
  const wanted = [...desired.values()].map(({ resource }) => resource);
  const own = yieldPlaces(
    changes.flatMap((change) => stepsFor(change, context)),
    wanted,
  );
  const steps = precedeGoal(joinDependencies(joinKinds(own, changes, goal), desired), goal);
  checkWriters(steps);
  return {
    changes,
    steps,
    goal: steps.find((step) => step.resource === goal && roleOf(step) === 'join')?.id,
    impact: steps.flatMap(impactOf),
  };
}

function checkWriters(steps: readonly Step[]): void {
  const writers = new Map<string, Step>();
  for (const step of steps) {
    for (const place of step.writes) {
      const other = writers.get(place);
      if (other && other.resource !== step.resource) {
        throw new NodekilnError('NK_PLAN_CONFLICT', `${other.resource} and ${step.resource} both write ${place}`, {
          hint: 'Keep one of the two in the document.',
        });
      }
      writers.set(place, step);
    }
  }
}

/** Names in `needs` and among what is read that no document brings. Checked before planning, where the origin is still known. */
export function unknownNeeds(resources: Iterable<Resource>): { resource: Resource; missing: ResourceId }[] {
  const all = [...resources];
  const known = new Set(all.map((resource) => resource.id));
  return all.flatMap((resource) =>
    [...resource.needs, ...readsOf(resource)].filter((id) => !known.has(id)).map((missing) => ({ resource, missing })),
  );
}
