import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choose } from './choice.ts';

const all = {
  rooms: [{ name: 'model' }, { name: 'plan' }],
  faults: [{ name: 'cache-left-unsealed' }, { name: 'plan-unsorted' }, { name: 'sync-left-out' }],
};

for (const [words, rooms, faults, allFaults, unknown] of [
  [[], ['model', 'plan'], ['cache-left-unsealed', 'plan-unsorted', 'sync-left-out'], true, []],
  [['faults'], [], ['cache-left-unsealed', 'plan-unsorted', 'sync-left-out'], true, []],
  [['faults', 'cache'], [], ['cache-left-unsealed'], false, []],
  [['left', 'unsorted'], [], ['cache-left-unsealed', 'plan-unsorted', 'sync-left-out'], false, []],
  [['plan'], ['plan'], [], false, []],
  [['plan', 'faults'], ['plan'], ['cache-left-unsealed', 'plan-unsorted', 'sync-left-out'], true, []],
  [['faults', 'nothing'], [], [], false, ['nothing']],
] as const)
  test(`mutants ${words.join(' ')}`, () => {
    const choice = choose(words, all);
    assert.deepEqual(
      { ...choice, rooms: choice.rooms.map(({ name }) => name), faults: choice.faults.map(({ name }) => name) },
      { rooms, faults, allFaults, unknown },
    );
  });
