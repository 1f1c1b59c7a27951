/**
 * Programs of a plan that no source can serve, and what follows for the rest of it: known before anything is tried. Pure.
 */
import type { Importance } from '../model/resources.ts';
import type { Impact, Schedule, ScheduledStep } from '../model/steps.ts';
import type { PlannedSources } from './plan-sources.ts';

/** A program that no source can serve. */
export interface Unserved {
  readonly id: string;
  readonly version: string;
  /** Why each source does not. */
  readonly why: readonly string[];
  /** What becomes of the run: it fails where something required needs the program. */
  readonly outcome: 'failed' | 'degraded' | 'reported';
  /** Steps that are not done: those that bring the program, and all that need them. */
  readonly steps: readonly string[];
  /** What does not happen to units. */
  readonly impact: readonly Impact[];
}

const outcomes = { required: 'failed', bestEffort: 'degraded', background: 'reported' } as const satisfies Record<
  Importance,
  Unserved['outcome']
>;

/** In the order of the plan. */
export function unservedIn(
  { steps, goal }: Schedule,
  { sources, impact }: { sources: readonly PlannedSources[]; impact: readonly Impact[] },
): Unserved[] {
  const refused = sources.filter(({ sources: all }) => all.every(({ part }) => part === 'refused'));
  return refused.map(({ id, version, sources: all }) => {
    const blocked = blockedBy(id, steps, goal);
    const importances = new Set(blocked.map(({ step }) => step.importance));
    const worst = (['required', 'bestEffort'] as const).find((one) => importances.has(one)) ?? 'background';
    return {
      id,
      version,
      why: all.map(({ why }) => why),
      outcome: outcomes[worst],
      steps: blocked.map(({ step }) => step.id),
      impact: impact.filter(({ unit, effect }) =>
        blocked.some(({ step: { action } }) => action.do === effect && 'unit' in action && action.unit === unit),
      ),
    };
  });
}

/** As the executor goes about it: what needs a step that failed is passed over, and what waits for the goal with the goal. */
function blockedBy(id: string, steps: readonly ScheduledStep[], goal: string | undefined): ScheduledStep[] {
  const blocked = new Set(steps.flatMap(({ step }) => (step.resource === id ? [step.id] : [])));
  for (let size = -1; size !== blocked.size;) {
    size = blocked.size;
    const isGoalLost = goal !== undefined && blocked.has(goal);
    for (const { step, phase } of steps)
      if ((isGoalLost && phase === 'deferred') || step.needs.some((need) => blocked.has(need))) blocked.add(step.id);
  }
  return steps.filter(({ step }) => blocked.has(step.id));
}
