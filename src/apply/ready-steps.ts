/**
 * Which steps of a schedule may start: every need succeeded, everything they come after ended, and deferred ones only when
 * the goal is reached. The best is first: longest remaining path, which is the schedule's order. Linear in steps and what
 * they wait for, however often it is asked. Pure.
 */
import type { StepStatus } from '../model/report.ts';
import type { Schedule, ScheduledStep } from '../model/steps.ts';
import { createGraph } from '../plan/graph.ts';

export interface ReadySteps {
  /** Takes all that may start of those that are done together; best first. */
  takeTogether(): ScheduledStep[];
  /** Takes the best of the others that may start. */
  take(): ScheduledStep | undefined;
  /** Notes what became of a step. Returns those that can never start now, each of which is to be noted as skipped. */
  ended(scheduled: ScheduledStep, status: StepStatus): ScheduledStep[];
  /** Those that neither started nor were passed over, best first. */
  rest(): ScheduledStep[];
}

type State = 'waiting' | 'taken' | 'ended';

/** NK_INTERNAL when a step waits for one that is not in the schedule. */
export function createReadySteps(
  { steps, goal }: Schedule,
  isTogether: (scheduled: ScheduledStep) => boolean,
): ReadySteps {
  const graph = createGraph(steps.map(({ step }) => step));
  const states: State[] = steps.map(() => 'waiting');
  // Every deferred step waits for one thing more.
  const missing = Int32Array.from({ length: graph.size }, (_, number) => {
    const before = (graph.before.start[number + 1] ?? 0) - (graph.before.start[number] ?? 0);
    return before + (goal !== undefined && steps[number]?.phase === 'deferred' ? 1 : 0);
  });
  const dependents = dependentsOf(steps, (id) => graph.numberOf(id));
  const single = createHeap();
  let together: number[] = [];

  const mayStart = (number: number): void => {
    const scheduled = steps[number];
    if (scheduled && isTogether(scheduled)) together.push(number);
    else single.push(number);
  };
  /** One thing less to wait for. A list that waits for nothing more has ended. */
  const release = (number: number): void => {
    const open = [number];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const left = (missing[next] ?? 0) - 1;
      missing[next] = left;
      if (left > 0) continue;
      if (next < steps.length) mayStart(next);
      else open.push(...afterOf(next));
    }
  };
  const afterOf = (number: number): Int32Array =>
    graph.after.numbers.subarray(graph.after.start[number], graph.after.start[number + 1]);
  const taken = (number: number): ScheduledStep[] => {
    const scheduled = steps[number];
    if (!scheduled || states[number] !== 'waiting') return [];
    states[number] = 'taken';
    return [scheduled];
  };

  for (let number = 0; number < steps.length; number++) if (missing[number] === 0) mayStart(number);

  return {
    takeTogether() {
      const numbers = together.sort((a, b) => a - b);
      together = [];
      return numbers.flatMap(taken);
    },
    take() {
      const number = single.pop();
      return number === undefined ? undefined : taken(number)[0];
    },
    ended({ step }, status) {
      const number = graph.numberOf(step.id) ?? -1;
      states[number] = 'ended';
      for (const later of afterOf(number)) release(later);
      if (status !== 'done') return (dependents.get(number) ?? []).flatMap(taken);
      if (step.id === goal)
        for (const [deferred, { phase }] of steps.entries()) if (phase === 'deferred') release(deferred);
      return [];
    },
    rest: () => steps.filter((_, number) => states[number] === 'waiting'),
  };
}

/** By step, those that need it to succeed. */
function dependentsOf(
  steps: readonly ScheduledStep[],
  numberOf: (id: string) => number | undefined,
): ReadonlyMap<number, readonly number[]> {
  const dependents = new Map<number, number[]>();
  for (const [number, { step }] of steps.entries()) {
    for (const need of step.needs) {
      const needed = numberOf(need) ?? -1;
      const others = dependents.get(needed);
      if (others) others.push(number);
      else dependents.set(needed, [number]);
    }
  }
  return dependents;
}

interface Heap {
  push(number: number): void;
  /** The least. */
  pop(): number | undefined;
}

function createHeap(): Heap {
  const numbers: number[] = [];
  const at = (index: number): number => numbers[index] ?? Infinity;
  const swap = (a: number, b: number): void => {
    [numbers[a], numbers[b]] = [at(b), at(a)];
  };
  return {
    push(number) {
      numbers.push(number);
      for (let index = numbers.length - 1; index > 0;) {
        const parent = (index - 1) >> 1;
        if (at(parent) <= at(index)) break;
        swap(index, parent);
        index = parent;
      }
    },
    pop() {
      const least = numbers[0];
      const last = numbers.pop();
      if (numbers.length > 0 && last !== undefined) {
        numbers[0] = last;
        for (let index = 0; ;) {
          const left = 2 * index + 1;
          const child = at(left + 1) < at(left) ? left + 1 : left;
          if (at(child) >= at(index)) break;
          swap(index, child);
          index = child;
        }
      }
      return least;
    },
  };
}
