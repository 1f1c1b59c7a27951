/** Planning stays in proportion to what is planned, and has no depth that is too deep. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ActionResource, Resource, UnitResource } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Schedule, UnitObservation } from '../model/steps.ts';
import type { Situation } from '../../test/support/plan-cases.ts';
import { excess, growth } from '../../test/support/growth.ts';
import { action, freshUnit, planned, sysctl, unit } from '../../test/support/planning.ts';
import { shapes, sizedSituation } from '../../test/support/plan-sizes.ts';
import { diff } from './diff.ts';
import { plan } from './plan.ts';
import { schedule } from './schedule.ts';

function planOf(situation: Situation): Schedule {
  return schedule(plan({ ...diff(situation), desired: situation.desired, goal: situation.goal }));
}

describe('planning', () => {
  for (const shape of shapes) {
    test(`of ${growth} times as much takes about ${growth} times as long (${shape})`, () => {
      const [small, large] = [sizedSituation(shape, 500), sizedSituation(shape, 500 * growth)];
      const ratio = excess(
        () => planOf(small),
        () => planOf(large),
      );
      assert.ok(ratio < 4, `${ratio.toFixed(1)} times as long as in proportion`);
    });
  }

  test('of what all wait for takes no more than what each waits for', () => {
    const situation = (count: number): Resource[] =>
      Array.from({ length: count }, (_, index) => [
        unit(`u${index}.service`),
        action(`a${index}`),
        sysctl(`s.${index}`),
      ]).flat();
    const work = (desired: readonly Resource[]) => () => schedule(planned({ desired, goal: 'unit:u0.service' }));
    const ratio = excess(work(situation(80)), work(situation(80 * growth)));
    assert.ok(ratio < 4, `${ratio.toFixed(1)} times as long as in proportion`);
  });

  const units = (length: number): UnitResource[] =>
    Array.from({ length }, (_, index) =>
      unit(`u${index}.service`, { inputs: index === 0 ? [] : [`unit:u${index - 1}.service`] }),
    );
  const actions = (length: number): ActionResource[] =>
    Array.from({ length }, (_, index) => action(`a${index}`, { needs: index === 0 ? [] : [`action:a${index - 1}`] }));

  test('follows units that read units that read units, however many', () => {
    const running: UnitObservation = {
      ...freshUnit,
      enablement: 'enabled',
      loadState: 'loaded',
      activeState: 'active',
    };
    const desired = units(3000);
    const observed = Object.fromEntries(desired.map(({ id }) => [id, running]));
    const made = schedule(planned({ desired, observed, goal: 'unit:u2999.service' }));
    assert.equal(made.steps.find(({ step }) => step.id === 'restart unit:u0.service')?.phase, 'goal');
  });

  test('follows a chain of any length', () => {
    const length = 15_000;
    const made = schedule(planned({ desired: actions(length) }));
    assert.equal(made.steps[0]?.step.id, 'run action:a0');
    assert.equal(made.steps[0]?.remainingMs, 1000 * length);
  });

  test('finds a circle of any length', () => {
    const [head, ...rest] = actions(15_000);
    assert.ok(head);
    assert.throws(
      () => schedule(planned({ desired: [{ ...head, needs: ['action:a14999'] }, ...rest] })),
      (error) => error instanceof NodekilnError && error.code === 'NK_PLAN_CYCLE',
    );
  });
});
