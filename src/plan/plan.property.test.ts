/** Any situation is planned as the rules say, told plainly: see test/support/plan-reference.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { situations, type Situation } from '../../test/support/plan-cases.ts';
import { referencePlan, referenceSchedule } from '../../test/support/plan-reference.ts';
import { diff } from './diff.ts';
import { plan, type PlanInput } from './plan.ts';
import { schedule } from './schedule.ts';

const numRuns = Number(process.env['NODEKILN_PLAN_RUNS'] ?? 600);

/** What was made, or the code of the error. */
function outcome<T>(make: () => T): T | string {
  try {
    return make();
  } catch (thrown) {
    if (thrown instanceof NodekilnError) return thrown.code;
    throw thrown;
  }
}

function planInput(situation: Situation): PlanInput {
  return { ...diff(situation), desired: situation.desired, goal: situation.goal };
}

describe('any situation', () => {
  test('is planned step by step as the plain reference does it', () => {
    const seen = { goals: 0, reloads: 0, merges: 0 };
    fc.assert(
      fc.property(situations, (situation) => {
        const input = planInput(situation);
        const expected = outcome(() => referencePlan(input));
        const made = outcome(() => plan(input));
        if (typeof expected === 'string' || typeof made === 'string') return assert.equal(made, expected);
        const { steps, goal } = made;
        assert.deepEqual({ steps, goal }, expected);
        const [order, wanted] = [outcome(() => schedule(made)), outcome(() => referenceSchedule(expected))];
        assert.deepEqual(order, wanted);
        seen.goals += goal === undefined ? 0 : 1;
        seen.reloads += steps.some(({ action }) => action.do === 'daemon-reload') ? 1 : 0;
        seen.merges += steps.some(({ action }) => action.do === 'merge-extensions') ? 1 : 0;
      }),
      { numRuns },
    );
    for (const [what, count] of Object.entries(seen))
      assert.ok(count > 0, `no case with ${what}: ${JSON.stringify(seen)}`);
  });
});
