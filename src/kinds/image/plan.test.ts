import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exampleFacts } from '../../model/facts.ts';
import type { ContainerImageResource } from '../../model/resources.ts';
import { planned, touchedEntry } from '../../../test/support/planning.ts';
import { absentOn, changesContent, contentOf, readsOf } from '../planners.ts';

const pause: ContainerImageResource = {
  kind: 'image',
  id: 'image:pause',
  scope: 'shared',
  deferrable: false,
  importance: 'required',
  needs: [],
  reference: 'registry.k8s.io/pause:3.10',
  archive: '/srv/pause.tar',
};

describe('a container image', () => {
  test('is imported from its archive unless containerd has it', () => {
    const {
      changes,
      steps: [step, ...others],
    } = planned({ desired: [pause] });
    assert.deepEqual(
      changes.map(({ type, facets, details }) => [type, facets, details.length]),
      [['create', ['presence'], 1]],
    );
    assert.deepEqual(others, []);
    assert.equal(step?.id, 'import image:pause');
    assert.deepEqual(step.action, { do: 'import', image: 'image:pause' });
    assert.deepEqual(
      [step.writes, step.reads, step.needs],
      [['image:registry.k8s.io/pause:3.10'], ['/srv/pause.tar'], []],
    );
    const present = { kind: 'image', present: true } as const;
    assert.deepEqual(planned({ desired: [pause], observed: { [pause.id]: present } }).steps, []);
  });

  test('is in no store yet where nobody has set anything up', () => {
    assert.deepEqual(absentOn(pause, exampleFacts), { kind: 'image', present: false });
    assert.deepEqual(readsOf(pause), []);
  });

  test('is another for who uses it by reference or digest, not by where it came from', () => {
    for (const other of [{ reference: 'registry.k8s.io/pause:3.9' }, { digest: 'sha256:00' }])
      assert.notDeepEqual(contentOf({ ...pause, ...other }), contentOf(pause));
    assert.deepEqual(contentOf({ ...pause, archive: '/elsewhere' }), contentOf(pause));
    assert.equal(changesContent(pause.id, { facets: ['presence'], details: [] }), true);
  });

  test('stays when nobody asks for it any more: containerd collects it', () => {
    const [step, ...others] = planned({ desired: [], touched: [touchedEntry(pause)] }).steps;
    assert.deepEqual([others, step?.id, step?.action], [[], 'release image:pause', { do: 'release' }]);
  });
});
