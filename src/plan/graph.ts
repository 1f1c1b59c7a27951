/**
 * Who waits for whom, as a graph of numbers: every question about order is answered by one walk over it, without recursion,
 * in time linear in steps and their needs. Pure.
 *
 * Many steps may wait for the same many: a thousand units for a hundred kernel settings. Where they share one list (the
 * same array), the list is a node of its own between the two, and costs its length once.
 */
import { NodekilnError } from '../errors.ts';
import type { Step } from '../model/steps.ts';

export interface StepGraph {
  readonly steps: readonly Step[];
  /** The number of a step; steps come first, in their order. Undefined when there is no such step. */
  numberOf(id: string): number | undefined;
  /** By number: what comes directly before, and directly after. Numbers beyond the steps are lists. */
  readonly before: readonly (readonly number[])[];
  readonly after: readonly (readonly number[])[];
}

/** Shorter lists cost less than a node. */
const shortList = 8;

/** NK_INTERNAL when a step waits for one that is not among them. */
export function createGraph(steps: readonly Step[]): StepGraph {
  const numbers = new Map(steps.map(({ id }, index) => [id, index]));
  const before: number[][] = steps.map(() => []);
  const after: number[][] = steps.map(() => []);
  const lists = new Map<readonly string[], number>();

  const join = (earlier: number, later: number): void => {
    after[earlier]?.push(later);
    before[later]?.push(earlier);
  };
  const joinAll = (list: readonly string[], later: number, step: Step): void => {
    for (const id of list) {
      const earlier = numbers.get(id);
      if (earlier === undefined)
        throw new NodekilnError('NK_INTERNAL', `${step.id} needs ${id}, which is not in the plan`);
      join(earlier, later);
    }
  };
  for (const [number, step] of steps.entries()) {
    for (const list of [step.needs, step.after]) {
      if (list.length <= shortList) {
        joinAll(list, number, step);
        continue;
      }
      let node = lists.get(list);
      if (node === undefined) {
        node = before.length;
        lists.set(list, node);
        before.push([]);
        after.push([]);
        joinAll(list, node, step);
      }
      join(node, number);
    }
  }
  return { steps, numberOf: (id) => numbers.get(id), before, after };
}

/** Which numbers are reached from these, themselves included. */
export function reached(from: readonly number[], next: StepGraph['before']): readonly boolean[] {
  const found: boolean[] = Array.from({ length: next.length }, () => false);
  const open = [...from];
  for (const number of from) found[number] = true;
  for (let number = open.pop(); number !== undefined; number = open.pop()) {
    for (const other of next[number] ?? []) {
      if (found[other] === true) continue;
      found[other] = true;
      open.push(other);
    }
  }
  return found;
}

/** Every number after all that come before it. NK_PLAN_CYCLE, which names a circle, when there is no such order. */
export function inOrder({ steps, before, after }: StepGraph): readonly number[] {
  const missing = before.map(({ length }) => length);
  const order = missing.flatMap((count, number) => (count === 0 ? [number] : []));
  for (const number of order) {
    for (const later of after[number] ?? []) {
      const left = (missing[later] ?? 0) - 1;
      missing[later] = left;
      if (left === 0) order.push(later);
    }
  }
  if (order.length === before.length) return order;
  const circle = circleIn(before).flatMap((number) => steps[number]?.id ?? []);
  throw new NodekilnError('NK_PLAN_CYCLE', `steps wait for each other: ${[...circle, circle[0]].join(' → ')}`);
}

/** The first circle met when everything is followed to what comes before it. */
function circleIn(before: StepGraph['before']): number[] {
  const state = before.map((): 'new' | 'open' | 'done' => 'new');
  for (const start of before.keys()) {
    const path: { number: number; next: number }[] = [];
    if (state[start] === 'new') path.push({ number: start, next: 0 });
    for (let top = path.at(-1); top; top = path.at(-1)) {
      state[top.number] = 'open';
      const earlier = before[top.number]?.[top.next++];
      if (earlier === undefined) {
        state[top.number] = 'done';
        path.pop();
      } else if (state[earlier] === 'open') {
        const numbers = path.map(({ number }) => number);
        return numbers.slice(numbers.indexOf(earlier));
      } else if (state[earlier] === 'new') {
        path.push({ number: earlier, next: 0 });
      }
    }
  }
  return [];
}

/** Longest weighted path from each step's start to the end of everything that waits for it; lists weigh nothing. */
export function remainingTimes(graph: StepGraph): readonly number[] {
  const times: number[] = Array.from({ length: graph.before.length }, () => 0);
  for (const number of inOrder(graph).toReversed()) {
    let later = 0;
    for (const other of graph.after[number] ?? []) later = Math.max(later, times[other] ?? 0);
    times[number] = (graph.steps[number]?.weightMs ?? 0) + later;
  }
  return times;
}
