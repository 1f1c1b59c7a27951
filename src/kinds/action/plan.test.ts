import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exampleFacts } from '../../model/facts.ts';
import type { FileResource } from '../../model/resources.ts';
import { action, file, planned, touchedEntry } from '../../../test/support/planning.ts';
import { absentOn, contentOf, readsOf } from '../planners.ts';

const join = action('join');
const folder: FileResource = file('/etc/app', {
  entry: { type: 'directory', mode: '0755', uid: 0, gid: 0 },
});

describe('an action', () => {
  test('is run unless its guard says that it is done', () => {
    const {
      changes,
      steps: [step, ...others],
    } = planned({ desired: [join] });
    assert.deepEqual(
      changes.map(({ type, facets, details }) => [type, facets, details.length]),
      [['create', ['presence'], 1]],
    );
    assert.deepEqual(others, []);
    assert.equal(step?.id, 'run action:join');
    assert.deepEqual(step.action, { do: 'run', action: 'action:join' });
    assert.deepEqual([step.writes, step.reads, step.needs], [['action:join'], [], []]);
    const done = { kind: 'action', done: true } as const;
    assert.deepEqual(planned({ desired: [join], observed: { [join.id]: done } }).steps, []);
  });

  test('says what it is where its command does not', () => {
    const { steps } = planned({ desired: [action('join', { title: 'apt-get install of runc' })] });
    assert.equal(steps[0]?.why, 'apt-get install of runc: its guard says that it is not done');
  });

  test('is not done where nobody has set anything up, reads nothing that starts it again and is read by nobody', () => {
    assert.deepEqual(absentOn(join, exampleFacts), { kind: 'action', done: false });
    assert.deepEqual(readsOf({ ...join, needs: ['file:/etc/app'] }), []);
    assert.equal(contentOf(join), undefined);
  });

  test('reads what lies in the folders that it needs, and files that it needed until now', () => {
    const before = action('join', { needs: ['file:/etc/old', 'file:/etc/app', 'unit:a.service'] });
    const now = action('join', { needs: [folder.id, 'file:/etc/new'] });
    const { steps } = planned({ desired: [folder, now], touched: [touchedEntry(before)] });
    assert.deepEqual(steps.find(({ resource }) => resource === now.id)?.reads, ['/etc/app', '/etc/old']);
  });

  test('leaves nothing to take away', () => {
    const [step, ...others] = planned({ desired: [], touched: [touchedEntry(join)] }).steps;
    assert.deepEqual([others, step?.id, step?.action], [[], 'release action:join', { do: 'release' }]);
  });
});
