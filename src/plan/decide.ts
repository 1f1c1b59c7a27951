/**
 * What is to be done, once it is known what all sources ask for and what is there: diff, plan and schedule in one go. Pure.
 *
 * NK_PLAN_CONFLICT when two resources write one place.
 */
import type { ClaimSource, ResourceId } from '../model/resources.ts';
import type { Plan, Schedule } from '../model/steps.ts';
import { diff, type DiffInput } from './diff.ts';
import { plan } from './plan.ts';
import { schedule } from './schedule.ts';

export interface DecideInput extends DiffInput {
  /** On whose behalf. */
  readonly source: ClaimSource;
  /** What the source asks for. */
  readonly asked: Iterable<ResourceId>;
  /** The resource whose readiness is the goal. */
  readonly goal: ResourceId | undefined;
}

export interface Decision {
  readonly plan: Plan;
  readonly schedule: Schedule;
  /** Ids that the source asks for, but a later source has taken over. */
  readonly overridden: readonly ResourceId[];
}

export function decide({ source, asked, goal, ...input }: DecideInput): Decision {
  const decided = plan({ ...diff(input), desired: input.desired, goal });
  const overridden = [...asked].filter((id) => input.desired.get(id)?.source !== source);
  return { plan: decided, schedule: schedule(decided), overridden };
}
