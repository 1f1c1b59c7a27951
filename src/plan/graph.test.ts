import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Step } from '../model/steps.ts';
import { createGraph, reached, remainingTimes, shortList, type StepGraph } from './graph.ts';

interface Waiting {
  readonly needs?: readonly string[];
  readonly after?: readonly string[];
  readonly weightMs?: number;
}

function graphOf(steps: Readonly<Record<string, Waiting>>): StepGraph {
  return createGraph(
    Object.entries(steps).map(([id, { needs = [], after = [], weightMs = 1 }]): Step => ({
      id,
      resource: 'action:x',
      action: { do: 'release' },
      reads: [],
      writes: [],
      needs,
      after,
      importance: 'required',
      deferrable: false,
      weightMs,
      why: 'a test wants it',
    })),
  );
}

/** Ids of the steps that are reached. */
function reachedFrom(graph: StepGraph, id: string, way: 'before' | 'after'): string[] {
  const found = reached(graph.numberOf(id) ?? assert.fail(id), graph[way]);
  return graph.steps.flatMap((step, number) => (found[number] === 1 ? step.id : []));
}

const timesOf = (graph: StepGraph): Record<string, number | undefined> => {
  const times = remainingTimes(graph);
  return Object.fromEntries(graph.steps.map(({ id }, number) => [id, times[number]]));
};

describe('who waits for whom', () => {
  const graph = graphOf({
    last: { needs: ['left', 'right'], weightMs: 10 },
    left: { after: ['first'], weightMs: 5 },
    right: { needs: ['first'], weightMs: 2 },
    first: { weightMs: 1 },
    aside: { weightMs: 100 },
  });

  test('is followed through needs and order, both ways', () => {
    assert.deepEqual(reachedFrom(graph, 'last', 'before'), ['last', 'left', 'right', 'first']);
    assert.deepEqual(reachedFrom(graph, 'first', 'after'), ['last', 'left', 'right', 'first']);
    assert.deepEqual(reachedFrom(graph, 'right', 'before'), ['right', 'first']);
    assert.deepEqual(reachedFrom(graph, 'right', 'after'), ['last', 'right']);
    assert.deepEqual(reachedFrom(graph, 'aside', 'before'), ['aside']);
  });

  test('makes the time that remains from each to the end, by the longest way', () => {
    assert.deepEqual(timesOf(graph), { last: 10, left: 15, right: 12, first: 16, aside: 100 });
  });

  test('knows its steps and nothing else', () => {
    assert.equal(graph.numberOf('first'), 3);
    assert.equal(graph.numberOf('nobody'), undefined);
    assert.throws(() => graphOf({ one: { needs: ['nobody'] } }), { code: 'NK_INTERNAL', message: /^one needs nobody/ });
    assert.throws(() => graphOf({ one: { after: ['nobody'] } }), { code: 'NK_INTERNAL' });
  });
});

describe('a list that many wait for', () => {
  const some = (count: number): string[] => Array.from({ length: count }, (_none, index) => `e${index}`);
  const waiting = (list: readonly string[]): Readonly<Record<string, Waiting>> => ({
    ...Object.fromEntries(list.map((id) => [id, {}])),
    a: { after: list },
    b: { needs: list },
    c: { after: ['a', 'b'] },
  });

  test('is one place when it is long and the same', () => {
    const list = some(shortList + 1);
    const graph = graphOf(waiting(list));
    assert.equal(graph.size, graph.steps.length + 1);
    // Its own length once, once for each who waits, and c for both.
    assert.equal(graph.before.numbers.length, list.length + 2 + 2);
    assert.deepEqual(reachedFrom(graph, 'e0', 'after'), ['e0', 'a', 'b', 'c']);
    assert.deepEqual(reachedFrom(graph, 'b', 'before'), [...list, 'b']);
    assert.equal(timesOf(graph)['e0'], 3);
  });

  test('is none when it is short, or only alike', () => {
    const short = graphOf(waiting(some(shortList)));
    assert.equal(short.size, short.steps.length);
    const alike = graphOf({ ...waiting(some(shortList + 1)), d: { after: some(shortList + 1) } });
    assert.equal(alike.size, alike.steps.length + 2);
  });
});

describe('steps that wait for each other', () => {
  const circles: readonly [string, Readonly<Record<string, Waiting>>, string][] = [
    ['for itself', { a: { needs: ['a'] } }, 'a → a'],
    ['one for the other', { a: { needs: ['b'] }, b: { after: ['a'] } }, 'a → b → a'],
    [
      'in a circle that others lead to and hang on',
      { x: { needs: ['b'] }, a: { needs: ['b'] }, b: { needs: ['end', 'c'] }, c: { needs: ['a'] }, end: {} },
      'b → c → a → b',
    ],
    [
      'beside ways that end',
      { a: { needs: ['c', 'b'] }, c: {}, b: { needs: ['c', 'd'] }, d: { needs: ['c', 'a'] }, e: {} },
      'a → b → d → a',
    ],
  ];
  for (const [what, steps, circle] of circles)
    test(`${what}: are named`, () => {
      assert.throws(() => remainingTimes(graphOf(steps)), {
        code: 'NK_PLAN_CYCLE',
        message: `steps wait for each other: ${circle}`,
      });
    });

  test('through a long list are named without it', () => {
    const list = Array.from({ length: shortList + 1 }, (_none, index) => `e${index}`);
    const steps = { ...Object.fromEntries(list.map((id) => [id, {}])), a: { after: list }, e3: { needs: ['a'] } };
    assert.throws(() => remainingTimes(graphOf(steps)), { message: /: (?:e3 → a → e3|a → e3 → a)$/ });
  });
});
