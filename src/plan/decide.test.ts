import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Observation } from '../model/steps.ts';
import { file } from '../../test/support/planning.ts';
import { effectiveClaims } from './claims.ts';
import { decide } from './decide.ts';

test('what is decided is the plan with its schedule, and what of it a later source has taken over', () => {
  const [mine, taken, theirs] = [file('/a'), file('/b'), file('/c')];
  const desired = effectiveClaims({
    boot: [mine, taken],
    agent: [file('/b', { text: 'y', takeover: true }), theirs],
  });
  const missing: Observation = { kind: 'file', entry: { type: 'absent' } };
  const decision = decide({
    source: 'boot',
    asked: [mine.id, taken.id],
    goal: undefined,
    desired,
    observed: new Map([mine, taken].map(({ id }) => [id, missing])),
    touched: new Map(),
  });
  assert.deepEqual(decision.overridden, ['file:/b']);
  const ids = ['write file:/a', 'write file:/b'];
  assert.deepEqual(
    decision.plan.steps.map(({ id }) => id),
    ids,
  );
  assert.deepEqual(
    decision.schedule.steps.map(({ step }) => step.id),
    ids,
  );
});

test('what a source asks for and nobody claims is overridden, too', () => {
  const nothing = { desired: new Map(), observed: new Map(), touched: new Map() };
  const { overridden, plan } = decide({ source: 'boot', asked: ['file:/a'], goal: undefined, ...nothing });
  assert.deepEqual([overridden, plan.steps], [['file:/a'], []]);
});
