/**
 * schedule(plan) → the order of steps, and why each stands where it stands. Pure.
 *
 * Two phases: `goal` is everything the goal waits for; `deferred` is what may run once it is reached. Inside a phase the
 * executor runs what is ready, longest remaining path first. Without a goal in the plan there is one phase.
 */
import { createGraph, reached, remainingTimes } from './graph.ts';
import type { Plan, Schedule, ScheduledStep, Step } from '../model/steps.ts';

/** Throws NK_PLAN_CYCLE when steps wait for each other. */
export function schedule(plan: Plan): Schedule {
  const graph = createGraph(plan.steps);
  const remaining = remainingTimes(graph);
  const goal = plan.goal === undefined ? undefined : graph.numberOf(plan.goal);
  const before = goal === undefined ? undefined : reached(goal, graph.before);
  const behind = goal === undefined ? undefined : reached(goal, graph.after);
  const scheduled = plan.steps.map((step, number): ScheduledStep => {
    const precedes = before?.[number] === 1;
    // Beside the goal's path a step waits for the goal when it may, or when it needs the goal itself.
    const waits = step.deferrable || step.importance === 'background' || behind?.[number] === 1;
    const phase = before === undefined || precedes || !waits ? 'goal' : 'deferred';
    const reason = reasonFor(step, { phase, goal: plan.goal, precedes });
    return { step, phase, precedes, reason, remainingMs: remaining[number] ?? 0 };
  });
  const order = { goal: 0, deferred: 1 } as const;
  scheduled.sort(
    (a, b) => order[a.phase] - order[b.phase] || b.remainingMs - a.remainingMs || (a.step.id < b.step.id ? -1 : 1),
  );
  return { steps: scheduled, goal: plan.goal };
}

function reasonFor(
  step: Step,
  where: { phase: 'goal' | 'deferred'; goal: string | undefined; precedes: boolean },
): string {
  if (where.goal === undefined) return 'nothing in this plan has to be reached first';
  if (where.phase === 'deferred') {
    return step.deferrable ? 'may wait: runs once the goal is reached' : 'needs the goal itself';
  }
  if (step.id === where.goal) return 'is the goal';
  if (step.deferrable) return 'may wait, but a step before the goal needs it';
  return where.precedes ? 'precedes the goal: not declared deferrable' : 'joined beside the goal';
}
