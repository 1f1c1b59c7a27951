/**
 * schedule(plan) → the order of steps, and why each stands where it stands. Pure.
 *
 * Two phases: `goal` is everything the goal waits for; `deferred` is what may run once it is reached. Inside a phase the
 * executor runs what is ready, longest remaining path first. Without a goal in the plan there is one phase.
 */
import { NodekilnError } from '../errors.ts';
import { prerequisites } from './plan.ts';
import type { Plan, Schedule, ScheduledStep, Step } from '../model/steps.ts';

export function schedule(plan: Plan): Schedule {
  const steps = new Map(plan.steps.map((step) => [step.id, step]));
  checkCycles(steps);
  const before = plan.goal === undefined ? undefined : ancestors(steps, plan.goal);
  const remaining = remainingTimes(steps);
  const scheduled = plan.steps.map((step): ScheduledStep => {
    const phase =
      before === undefined || before.has(step.id) ? 'goal' : mayWait(step, plan.goal, steps) ? 'deferred' : 'goal';
    return {
      step,
      phase,
      reason: reasonFor(step, { phase, goal: plan.goal, before }),
      remainingMs: remaining.get(step.id) ?? 0,
    };
  });
  const order = { goal: 0, deferred: 1 } as const;
  scheduled.sort(
    (a, b) => order[a.phase] - order[b.phase] || b.remainingMs - a.remainingMs || (a.step.id < b.step.id ? -1 : 1),
  );
  return { steps: scheduled, goal: plan.goal };
}

/** A step beside the goal's path waits for the goal when it may, or when it needs the goal itself. */
function mayWait(step: Step, goal: string | undefined, steps: ReadonlyMap<string, Step>): boolean {
  return (
    step.deferrable || step.importance === 'background' || (goal !== undefined && ancestors(steps, step.id).has(goal))
  );
}

/** The step and everything it directly or indirectly needs. */
export function ancestors(steps: ReadonlyMap<string, Step>, id: string): Set<string> {
  const found = new Set<string>([id]);
  const queue = [id];
  for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
    const step = steps.get(current);
    for (const need of step ? prerequisites(step) : []) {
      if (!found.has(need)) {
        found.add(need);
        queue.push(need);
      }
    }
  }
  return found;
}

function reasonFor(
  step: Step,
  where: { phase: 'goal' | 'deferred'; goal: string | undefined; before: Set<string> | undefined },
): string {
  if (where.goal === undefined) return 'nothing in this plan has to be reached first';
  if (where.phase === 'deferred') {
    return step.deferrable ? 'may wait: runs once the goal is reached' : 'needs the goal itself';
  }
  if (step.id === where.goal) return 'is the goal';
  if (step.deferrable) return 'may wait, but a step before the goal needs it';
  return where.before?.has(step.id) === true ? 'precedes the goal: not declared deferrable' : 'joined beside the goal';
}

/** Longest weighted path from each step's start to the end of everything that needs it. */
function remainingTimes(steps: ReadonlyMap<string, Step>): Map<string, number> {
  const dependents = new Map<string, string[]>();
  for (const step of steps.values()) {
    for (const need of prerequisites(step)) dependents.set(need, [...(dependents.get(need) ?? []), step.id]);
  }
  const times = new Map<string, number>();
  const timeOf = (id: string): number => {
    const known = times.get(id);
    if (known !== undefined) return known;
    const after = Math.max(0, ...(dependents.get(id) ?? []).map(timeOf));
    const time = (steps.get(id)?.weightMs ?? 0) + after;
    times.set(id, time);
    return time;
  };
  for (const id of steps.keys()) timeOf(id);
  return times;
}

function checkCycles(steps: ReadonlyMap<string, Step>): void {
  const state = new Map<string, 'open' | 'done'>();
  const visit = (id: string, path: readonly string[]): void => {
    if (state.get(id) === 'done') return;
    if (state.get(id) === 'open') {
      const cycle = [...path.slice(path.indexOf(id)), id];
      throw new NodekilnError('NK_PLAN_CYCLE', `steps wait for each other: ${cycle.join(' → ')}`);
    }
    state.set(id, 'open');
    const step = steps.get(id);
    for (const need of step ? prerequisites(step) : []) visit(need, [...path, id]);
    state.set(id, 'done');
  };
  for (const id of steps.keys()) visit(id, []);
}
