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
  /** Steps come first, in their order; numbers beyond them are lists. */
  readonly size: number;
  /** The number of a step; undefined when there is no such step. */
  numberOf(id: string): number | undefined;
  /** What comes directly before each number, and directly after. */
  readonly before: Neighbours;
  readonly after: Neighbours;
}

/** The neighbours of a number are those in `numbers` from its `start` to the next one's. */
interface Neighbours {
  readonly start: Int32Array;
  readonly numbers: Int32Array;
}

/** Lists up to this length cost less than a node of their own. */
export const shortList = 8;

/** NK_INTERNAL when a step waits for one that is not among them, unless it is `partial`: then that is left out. */
export function createGraph(steps: readonly Step[], { partial = false } = {}): StepGraph {
  const known = new Map<string, number>();
  for (const [number, { id }] of steps.entries()) known.set(id, number);
  const lists = new Map<readonly string[], number>();
  // The ends of each edge, in turns.
  const edges: number[] = [];
  let size = steps.length;

  const joinAll = (list: readonly string[], later: number, step: Step): void => {
    for (const id of list) {
      const earlier = known.get(id);
      if (earlier !== undefined) edges.push(earlier, later);
      else if (!partial) throw new NodekilnError('NK_INTERNAL', `${step.id} needs ${id}, which is not in the plan`);
    }
  };
  const join = (list: readonly string[], number: number, step: Step): void => {
    if (list.length <= shortList) return joinAll(list, number, step);
    let node = lists.get(list);
    if (node === undefined) {
      node = size++;
      lists.set(list, node);
      joinAll(list, node, step);
    }
    edges.push(node, number);
  };
  for (const [number, step] of steps.entries()) {
    join(step.needs, number, step);
    join(step.after, number, step);
  }
  return {
    steps,
    size,
    numberOf: (id) => known.get(id),
    before: neighbours({ size, edges, at: 1, other: 0 }),
    after: neighbours({ size, edges, at: 0, other: 1 }),
  };
}

interface Edges {
  readonly size: number;
  readonly edges: readonly number[];
  /** Which end of an edge has the other one for a neighbour. */
  readonly at: 0 | 1;
  readonly other: 0 | 1;
}

/** In the order of the edges. */
function neighbours({ size, edges, at, other }: Edges): Neighbours {
  const start = new Int32Array(size + 1);
  for (let edge = 0; edge < edges.length; edge += 2) add(start, (edges[edge + at] ?? 0) + 1, 1);
  for (let number = 0; number < size; number++) add(start, number + 1, start[number] ?? 0);
  const next = start.slice();
  const numbers = new Int32Array(edges.length / 2);
  for (let edge = 0; edge < edges.length; edge += 2) {
    const end = edges[edge + at] ?? 0;
    numbers[next[end] ?? 0] = edges[edge + other] ?? 0;
    add(next, end, 1);
  }
  return { start, numbers };
}

function add(counts: Int32Array, index: number, amount: number): void {
  counts[index] = (counts[index] ?? 0) + amount;
}

function each({ start, numbers }: Neighbours, number: number, visit: (other: number) => void): void {
  const end = start[number + 1] ?? 0;
  for (let index = start[number] ?? 0; index < end; index++) visit(numbers[index] ?? 0);
}

/** Whether each number is reached from this one, itself included. */
export function reached(from: number, next: Neighbours): Uint8Array {
  const found = new Uint8Array(next.start.length - 1);
  const open = [from];
  found[from] = 1;
  for (let number = open.pop(); number !== undefined; number = open.pop()) {
    each(next, number, (other) => {
      if (found[other] === 1) return;
      found[other] = 1;
      open.push(other);
    });
  }
  return found;
}

/** Every number after all that come before it. NK_PLAN_CYCLE, which names a circle, when there is no such order. */
function inOrder(graph: StepGraph): Int32Array {
  const { steps, size, before, after } = graph;
  const missing = new Int32Array(size);
  const order = new Int32Array(size);
  let known = 0;
  for (let number = 0; number < size; number++) {
    missing[number] = (before.start[number + 1] ?? 0) - (before.start[number] ?? 0);
    if (missing[number] === 0) order[known++] = number;
  }
  for (let place = 0; place < known; place++) {
    each(after, order[place] ?? 0, (later) => {
      add(missing, later, -1);
      if (missing[later] === 0) order[known++] = later;
    });
  }
  if (known === size) return order;
  const circle = circleIn(graph).flatMap((number) => steps[number]?.id ?? []);
  throw new NodekilnError('NK_PLAN_CYCLE', `steps wait for each other: ${[...circle, circle[0]].join(' → ')}`);
}

/** The first circle met when everything is followed to what comes before it. */
function circleIn({ size, before }: StepGraph): number[] {
  const state = Array.from({ length: size }, (): 'new' | 'open' | 'done' => 'new');
  const next = before.start.slice();
  for (let start = 0; start < size; start++) {
    const path = state[start] === 'new' ? [start] : [];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      state[top] = 'open';
      const edge = next[top] ?? 0;
      if (edge === before.start[top + 1]) {
        state[top] = 'done';
        path.pop();
        continue;
      }
      add(next, top, 1);
      const earlier = before.numbers[edge] ?? 0;
      if (state[earlier] === 'open') return path.slice(path.indexOf(earlier));
      if (state[earlier] === 'new') path.push(earlier);
    }
  }
  return [];
}

/** Longest weighted path from each step's start to the end of everything that waits for it; lists weigh nothing. NK_PLAN_CYCLE. */
export function remainingTimes(graph: StepGraph): Float64Array {
  const times = new Float64Array(graph.size);
  const order = inOrder(graph);
  for (let place = graph.size - 1; place >= 0; place--) {
    const number = order[place] ?? 0;
    let later = 0;
    each(graph.after, number, (other) => (later = Math.max(later, times[other] ?? 0)));
    times[number] = (graph.steps[number]?.weightMs ?? 0) + later;
  }
  return times;
}
