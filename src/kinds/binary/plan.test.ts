import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exampleFacts } from '../../model/facts.ts';
import type { BinaryResource, BinarySource } from '../../model/resources.ts';
import type { BinaryObservation, Step, Touched } from '../../model/steps.ts';
import { file, planned, touchedEntry } from '../../../test/support/planning.ts';
import { absentOn, cachedUseOf, changesContent, compareResource, contentOf, readsOf } from '../planners.ts';
import { binaryPlanner } from './plan.ts';

const activated: BinaryResource = {
  kind: 'binary',
  id: 'binary:tool',
  scope: 'node',
  deferrable: false,
  importance: 'required',
  needs: [],
  tool: 'tool',
  version: 'v1.2.3',
  sources: [{ type: 'cache', version: 'v1.2.3' }],
  place: { type: 'activate', target: '/opt/bin/tool' },
};
const kept: BinaryResource = { ...activated, place: { type: 'cache' } };
const nothing: BinaryObservation = { kind: 'binary', cached: undefined, cacheRefusals: [], targetDigest: undefined };
const cached = { key: '1.2.3', file: '/opt/bin/tool-1.2.3', digest: 'sha256:aa' };
const fromUrl: BinarySource = { type: 'file', role: 'custom', from: { type: 'url', url: 'https://x/tool' } };

describe('a program at its place differs', () => {
  const another = { ...activated, version: '1.2.4' };
  const elsewhere = { ...activated, sources: [fromUrl] };
  const rows: readonly [string, BinaryObservation, Touched | undefined, string | undefined][] = [
    ['when nothing is there', nothing, undefined, 'presence'],
    ['when nothing is there but in the cache', { ...nothing, cached }, undefined, 'presence'],
    ['not when it is the cached one', { ...nothing, cached, targetDigest: 'sha256:aa' }, undefined, undefined],
    [
      'not when it is the cached one, whatever was placed last',
      { ...nothing, cached, targetDigest: 'sha256:aa', placedDigest: 'sha256:bb' },
      touchedEntry(another),
      undefined,
    ],
    [
      'when it is not the cached one',
      { ...nothing, cached, targetDigest: 'sha256:bb' },
      touchedEntry(activated),
      'content',
    ],
    ['when nobody knows what it is', { ...nothing, targetDigest: 'sha256:bb' }, undefined, 'content'],
    [
      'not when it was placed for this definition',
      { ...nothing, targetDigest: 'sha256:bb' },
      touchedEntry(activated),
      undefined,
    ],
    [
      'not when it is what was placed for this definition',
      { ...nothing, targetDigest: 'sha256:bb', placedDigest: 'sha256:bb' },
      touchedEntry(activated),
      undefined,
    ],
    [
      'when it was changed since it was placed',
      { ...nothing, targetDigest: 'sha256:bb', placedDigest: 'sha256:cc' },
      touchedEntry(activated),
      'content',
    ],
    [
      'when it was placed for another version',
      { ...nothing, targetDigest: 'sha256:bb' },
      touchedEntry(another),
      'content',
    ],
    [
      'when it was placed from another source',
      { ...nothing, targetDigest: 'sha256:bb' },
      touchedEntry(elsewhere),
      'content',
    ],
    [
      'when the definition before this one was placed last',
      { ...nothing, targetDigest: 'sha256:bb' },
      touchedEntry(activated, { definitions: [activated, another] }),
      'content',
    ],
    [
      'when it was only about to be placed',
      { ...nothing, targetDigest: 'sha256:bb' },
      touchedEntry(activated, { done: false }),
      'content',
    ],
    [
      'when nothing is known of what was placed',
      { ...nothing, targetDigest: 'sha256:bb' },
      touchedEntry(activated, { definitions: [] }),
      'content',
    ],
  ];
  for (const [when, observed, touched, facet] of rows)
    test(when, () => {
      const difference = compareResource(activated, { observed, touched });
      assert.deepEqual(difference?.facets, facet === undefined ? undefined : [facet]);
      assert.equal(difference?.details.length ?? 0, facet === undefined ? 0 : 1);
    });
});

test('a program for the cache differs when the cache has none, whatever is at its place', () => {
  const observed = { ...nothing, targetDigest: 'sha256:aa' };
  const difference = compareResource(kept, { observed, touched: touchedEntry(kept) });
  assert.deepEqual([difference?.facets, difference?.details.length], [['presence'], 1]);
  assert.equal(compareResource(kept, { observed: { ...nothing, cached }, touched: undefined }), undefined);
});

test('a machine has what its facts list in the cache, by the key of the version', () => {
  const facts = { ...exampleFacts, cache: { tool: ['1.2.2', '1.2.3'], other: ['1.2.4'] } };
  assert.deepEqual(absentOn(activated, facts), { ...nothing, cached: { ...cached, digest: '' } });
  for (const missing of [{ version: '1.2.4' }, { tool: 'toString' }]) {
    const { cached: found, cacheRefusals } = absentOn({ ...activated, ...missing }, facts) as BinaryObservation;
    assert.equal(found, undefined);
    assert.equal(cacheRefusals.length, 1);
  }
});

describe('a program', () => {
  function onlyStep(steps: readonly Step[]): Step {
    const [step, ...others] = steps;
    assert.deepEqual(others, []);
    assert.ok(step);
    return step;
  }
  const places = ({ writes, reads, needs }: Step): unknown => ({ writes, reads, needs });

  test('is put at its place', () => {
    const step = onlyStep(planned({ desired: [activated] }).steps);
    assert.equal(step.id, 'activate binary:tool');
    assert.deepEqual(step.action, { do: 'activate', binary: 'binary:tool' });
    assert.deepEqual(places(step), { writes: ['/opt/bin/tool'], reads: [], needs: [] });
  });

  test('is kept in the cache', () => {
    const step = onlyStep(planned({ desired: [kept] }).steps);
    assert.equal(step.id, 'cache binary:tool');
    assert.deepEqual(step.action, { do: 'cache', binary: 'binary:tool' });
    assert.deepEqual(places(step), { writes: ['cache:tool-v1.2.3'], reads: [], needs: [] });
    const placing = onlyStep(planned({ desired: [activated] }).steps);
    assert.ok(step.weightMs > placing.weightMs, 'to keep one is thought to take longer than to place what is kept');
  });

  const removals: readonly [string, BinaryResource, Partial<BinaryObservation>, string, Step['action'], string[]][] = [
    [
      'is taken from its place',
      activated,
      { targetDigest: 'sha256:aa' },
      'remove binary:tool',
      { do: 'remove', paths: ['/opt/bin/tool'], restoreOriginal: false },
      ['/opt/bin/tool'],
    ],
    ['that is not at its place is forgotten', activated, { cached }, 'release binary:tool', { do: 'release' }, []],
    [
      'is given up by the cache',
      kept,
      { cached },
      'forget binary:tool',
      { do: 'forget-cached', tool: 'tool', version: 'v1.2.3' },
      ['cache:tool-v1.2.3'],
    ],
    [
      'that is not in the cache is forgotten',
      kept,
      { targetDigest: 'sha256:aa' },
      'release binary:tool',
      { do: 'release' },
      [],
    ],
  ];
  for (const [what, gone, seen, id, action, writes] of removals)
    test(`that nobody asks for any more ${what}`, () => {
      const observed = { [gone.id]: { ...nothing, ...seen } };
      const step = onlyStep(planned({ desired: [], touched: [touchedEntry(gone)], observed }).steps);
      assert.deepEqual([step.id, step.action, step.writes], [id, action, writes]);
    });

  test('of which no definition is known is forgotten', () => {
    const steps = binaryPlanner.removal(touchedEntry(activated, { definitions: [] }), { ...nothing, cached });
    assert.deepEqual(onlyStep(steps).action, { do: 'release' });
  });

  test('that goes on is nothing to look for places that it yields', () => {
    const { steps, changes } = planned({ desired: [activated] });
    const own = changes.flatMap((change) =>
      change.observed.kind === 'binary' ? [{ ...change, desired: activated, observed: change.observed }] : [],
    );
    const about = { steps, changes: own, towardsGoal: false, definesUnits: () => false };
    assert.equal(binaryPlanner.together?.(about), steps);
  });

  test('goes from where its last definition put it', () => {
    const before = { ...activated, place: { type: 'activate', target: '/usr/bin/tool' } } as const;
    const observed = { [activated.id]: { ...nothing, targetDigest: 'sha256:aa' } };
    const touched = [touchedEntry(activated, { definitions: [before, activated] })];
    assert.deepEqual(onlyStep(planned({ desired: [], touched, observed }).steps).writes, ['/opt/bin/tool']);
  });

  test('yields its place to what another resource puts there, and to nothing else', () => {
    const observed = { [activated.id]: { ...nothing, targetDigest: 'sha256:aa' } };
    const touched = [touchedEntry(activated)];
    const of = (path: string): Step['action'] | undefined =>
      planned({ desired: [file(path)], touched, observed }).steps.find(({ resource }) => resource === activated.id)
        ?.action;
    assert.deepEqual(of('/opt/bin/tool'), { do: 'release' });
    assert.equal(of('/opt/bin/tool2')?.do, 'remove');
  });

  test('is another for who uses it by name, version and place', () => {
    for (const other of [{ tool: 'x' }, { version: '2' }, { place: { type: 'cache' } }] as const)
      assert.notDeepEqual(contentOf({ ...activated, ...other }), contentOf(activated));
    assert.deepEqual(contentOf({ ...activated, sources: [fromUrl] }), contentOf(activated));
    assert.equal(changesContent(activated.id, { facets: ['content'], details: [] }), true);
    assert.deepEqual(readsOf(activated), []);
  });

  test('uses the version in the cache where it is at its place and not by a manifest’s digest', () => {
    const use = { tool: 'tool', version: 'v1.2.3' };
    const ofManifest: BinarySource = { ...fromUrl, role: 'manifest' };
    const cache: BinarySource = { type: 'cache', version: 'v1.2.3' };
    assert.deepEqual(cachedUseOf(activated), use);
    assert.deepEqual(cachedUseOf({ ...activated, sources: [fromUrl, cache] }), use, 'it may come to that');
    assert.deepEqual(cachedUseOf({ ...activated, sources: [fromUrl] }), { tool: 'tool' }, 'another build');
    assert.deepEqual(cachedUseOf({ ...activated, sources: [cache, ofManifest] }), use);
    assert.equal(cachedUseOf({ ...activated, sources: [ofManifest] }), undefined);
    assert.equal(cachedUseOf(kept), undefined);
  });
});
