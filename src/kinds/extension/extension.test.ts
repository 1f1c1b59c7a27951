/** Planning of extensions: one step merges whatever changes, and what depends on it waits for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BinaryResource, ExtensionResource, Resource, ResourceId, UnitResource } from '../../model/resources.ts';
import { diff, type Claim } from '../../plan/diff.ts';
import { plan } from '../../plan/plan.ts';
import { exampleFacts } from '../../model/facts.ts';
import { file } from '../../../test/support/planning.ts';
import { absentOn, changesContent, compareResource, contentOf, readsOf } from '../planners.ts';
import type { ExtensionObservation, ExtensionRecord, Observation, Plan, Touched } from '../../model/steps.ts';

const common = { scope: 'node', deferrable: false, importance: 'required', needs: [] } as const;

function extension(name: string, version: string): ExtensionResource {
  return {
    ...common,
    kind: 'extension',
    id: `extension:${name}`,
    name,
    version,
    architecture: 'amd64',
    sources: [{ type: 'local', path: '/opt/extensions' }],
    tools: [name],
  };
}

function record(name: string, version: string): ExtensionRecord {
  return {
    name,
    version,
    path: '/opt/extensions',
    file: `/opt/extensions/${name}-v${version}.raw`,
    link: `/etc/extensions/${name}.raw`,
    size: 1,
    mtimeNs: '1',
    masks: [],
    tools: [name],
    settled: true,
  };
}

function observed(inForce: ExtensionRecord | undefined, deviations: readonly string[] = []): ExtensionObservation {
  return { kind: 'extension', live: true, record: inForce, deviations };
}

function touched(resource: Resource): Touched {
  return {
    id: resource.id,
    source: 'boot',
    definitions: [resource],
    done: true,
    startedWith: undefined,
    original: false,
  };
}

const kubelet: UnitResource = {
  ...common,
  kind: 'unit',
  id: 'unit:kubelet.service',
  name: 'kubelet.service',
  dropIns: [],
  state: 'started',
  inputs: ['extension:kubelet'],
  onChange: 'restart',
  readiness: { type: 'active' },
  deadlineMs: 1000,
};

const stopped: Observation = {
  kind: 'unit',
  entries: {},
  enablement: 'disabled',
  loadState: 'loaded',
  activeState: 'inactive',
  invocationId: '',
  live: true,
  transient: false,
  succeeded: false,
  stale: false,
};

function planOf(
  resources: readonly Resource[],
  seen: Record<ResourceId, Observation>,
  before: readonly Resource[] = [],
): Plan {
  const desired = new Map(
    resources.map((resource): [ResourceId, Claim] => [resource.id, { resource, source: 'boot' }]),
  );
  const observations = new Map(Object.entries(seen) as [ResourceId, Observation][]);
  const known = new Map(before.map((resource) => [resource.id, touched(resource)]));
  return plan({ ...diff({ desired, observed: observations, touched: known }), desired, goal: undefined });
}

describe('plans of extensions', () => {
  test('all that change, come and go share one merge, which waits for every fetch', () => {
    const [one, two, gone] = [extension('kubelet', '1.34.4'), extension('tool', '2.0.0'), extension('old', '1.0.0')];
    const { steps } = planOf(
      [one, two],
      {
        'extension:kubelet': observed(record('kubelet', '1.34.3')),
        'extension:tool': observed(undefined),
        'extension:old': observed(record('old', '1.0.0')),
      },
      [one, gone],
    );
    const merges = steps.filter(({ action }) => action.do === 'merge-extensions');
    assert.equal(merges.length, 1);
    assert.deepEqual(merges[0]?.needs, ['fetch extension:kubelet', 'fetch extension:tool']);
    assert.deepEqual(merges[0].action, {
      do: 'merge-extensions',
      extensions: ['extension:kubelet', 'extension:tool'],
      remove: ['old'],
    });
    for (const id of ['merged extension:tool', 'release extension:old'])
      assert.deepEqual(steps.find((step) => step.id === id)?.needs, ['merge extensions'], id);
  });

  test('a unit that uses a tool starts after the merge and after systemd has read its units anew', () => {
    const { steps } = planOf([extension('kubelet', '1.34.4'), kubelet], {
      'extension:kubelet': observed(undefined),
      'unit:kubelet.service': stopped,
    });
    const start = steps.find(({ action }) => action.do === 'start');
    assert.ok(start);
    assert.ok(start.needs.includes('merge extensions'));
    assert.ok(start.needs.includes('daemon-reload'));
    assert.deepEqual(steps.find(({ id }) => id === 'daemon-reload')?.needs, ['merge extensions']);
  });

  test('what is in force as asked for needs no step; what deviates does', () => {
    const one = extension('kubelet', '1.34.4');
    const inForce = record('kubelet', '1.34.4');
    assert.deepEqual(planOf([one], { 'extension:kubelet': observed(inForce) }, [one]).steps, []);
    for (const state of [
      observed(inForce, ['is not merged']),
      observed({ ...inForce, settled: false }),
      observed({ ...inForce, tools: [] }),
      observed({ ...inForce, path: '/elsewhere' }),
      observed({ ...inForce, version: '1.34.3' }),
    ])
      assert.equal(planOf([one], { 'extension:kubelet': state }, [one]).steps.length, 3);
  });

  const binary: BinaryResource = {
    ...common,
    kind: 'binary',
    id: 'binary:kubelet',
    tool: 'kubelet',
    version: '1.34.3',
    sources: [{ type: 'cache', version: '1.34.3' }],
    place: { type: 'activate', target: '/opt/bin/kubelet' },
  };
  const placed: Observation = { kind: 'binary', cached: undefined, cacheRefusals: [], targetDigest: 'sha256:00' };

  test('an extension takes the place of a program, which is not removed after its link is there', () => {
    const { steps } = planOf(
      [extension('kubelet', '1.34.3')],
      { 'extension:kubelet': observed(undefined), 'binary:kubelet': placed },
      [binary],
    );
    assert.equal(steps.find(({ resource }) => resource === 'binary:kubelet')?.action.do, 'release');
  });

  test('a program takes the place of an extension after its link is gone', () => {
    const { steps } = planOf(
      [binary],
      {
        'extension:kubelet': observed(record('kubelet', '1.34.3')),
        'binary:kubelet': { ...placed, targetDigest: undefined },
      },
      [extension('kubelet', '1.34.3')],
    );
    assert.ok(steps.find(({ action }) => action.do === 'activate')?.after.includes('merge extensions'));
  });
});

describe('an extension differs', () => {
  const one = { ...extension('kubelet', '1.34.4'), digest: 'sha256:aa' };
  const inForce = { ...record('kubelet', '1.34.4'), digest: 'sha256:aa' };
  const { version: _version, ...unversioned } = inForce;
  const rows: readonly [string, ExtensionObservation, Touched | undefined, number][] = [
    ['not when it is in force as asked for', observed(inForce), touched(one), 0],
    ['not when nothing is known of it but its own record', observed(inForce), undefined, 0],
    ['in its version', observed({ ...inForce, version: '1.34.3' }), touched(one), 1],
    ['in its version when it has none', observed(unversioned), touched(one), 1],
    ['in its place', observed({ ...inForce, path: '/elsewhere' }), touched(one), 1],
    ['in its digest', observed({ ...inForce, digest: 'sha256:bb' }), touched(one), 1],
    ['in its tools', observed({ ...inForce, tools: ['kubelet', 'kubectl'] }), touched(one), 1],
    ['in more than one thing', observed({ ...inForce, tools: [], version: '1' }), touched(one), 2],
    ['by every deviation', observed(inForce, ['is not merged', 'has no link']), touched(one), 2],
    ['when it was not put in force to the end', observed({ ...inForce, settled: false }), touched(one), 1],
    ['when a run before did not end', observed(inForce, ['a', 'b']), { ...touched(one), done: false }, 1],
  ];
  for (const [what, seen, before, details] of rows)
    test(what, () => {
      const difference = compareResource(one, { observed: seen, touched: before });
      assert.deepEqual(difference?.facets, details === 0 ? undefined : ['content']);
      assert.equal(difference?.details.length ?? 0, details);
    });

  test('not by another source before the place that it is from', () => {
    const sources = [{ type: 'url', url: 'https://x/kubelet.raw' } as const, ...one.sources];
    assert.equal(
      compareResource({ ...one, sources }, { observed: observed(inForce), touched: touched(one) }),
      undefined,
    );
  });

  test('by not being there', () => {
    const nowhere = absentOn(one, exampleFacts);
    assert.deepEqual(nowhere, observed(undefined));
    const difference = compareResource(one, { observed: nowhere, touched: undefined });
    assert.deepEqual([difference?.facets, difference?.details.length], [['presence'], 1]);
  });

  test('for who uses it by name, version, digest and place, not by its tools', () => {
    for (const other of [{ name: 'x' }, { version: '1' }, { digest: 'sha256:bb' }, { sources: [] }])
      assert.notDeepEqual(contentOf({ ...one, ...other }), contentOf(one));
    assert.deepEqual(contentOf({ ...one, tools: [] }), contentOf(one));
    assert.equal(changesContent(one.id, { facets: ['content'], details: [] }), true);
    assert.deepEqual(readsOf(one), []);
  });
});

describe('the steps of extensions', () => {
  const [first, second] = [extension('a', '1.0.0'), extension('b', '1.0.0')];
  const absent = observed(undefined);

  test('fetch each beside what is in force, from the folder where it lies', () => {
    const url = { type: 'url', url: 'https://x/a.raw' } as const;
    const { steps } = planOf([{ ...first, sources: [url, ...first.sources] }], { [first.id]: absent });
    const fetch = steps.find(({ id }) => id === 'fetch extension:a');
    assert.deepEqual(fetch?.action, { do: 'fetch-extension', extension: 'extension:a' });
    assert.deepEqual(fetch.reads, ['/opt/extensions']);
    assert.deepEqual([fetch.writes, fetch.needs], [['/var/lib/nodekiln/extensions/a'], []]);
  });

  test('merge all of them, which precedes the goal and may not fail whatever each is', () => {
    const { steps } = planOf([{ ...first, importance: 'background', deferrable: true }, second], {
      [first.id]: absent,
      [second.id]: absent,
    });
    const merge = steps.find(({ id }) => id === 'merge extensions');
    assert.ok(merge);
    assert.equal(merge.resource, first.id);
    assert.deepEqual([merge.importance, merge.deferrable, merge.after, merge.reads], ['required', false, [], []]);
    assert.deepEqual(merge.writes, ['/etc/extensions/a', '/opt/bin/a', '/etc/extensions/b', '/opt/bin/b']);
    assert.match(merge.why, /^a, b change$/);
    const ends = steps.filter(({ id }) => id.startsWith('merged '));
    assert.deepEqual(
      ends.map(({ id, resource, action, needs, reads, writes }) => ({ id, resource, action, needs, reads, writes })),
      [
        {
          id: 'merged extension:b',
          resource: second.id,
          action: { do: 'release' },
          needs: ['merge extensions'],
          reads: [],
          writes: [],
        },
      ],
    );
  });

  test('say what merges when it is one', () => {
    const { steps } = planOf([first], { [first.id]: absent });
    assert.match(steps.find(({ id }) => id === 'merge extensions')?.why ?? '', /^a changes$/);
    assert.ok(steps.every(({ id }) => !id.startsWith('merged ')));
  });

  test('take away what is in force and nobody asks for; what never was is forgotten', () => {
    const gone = planOf([], { [first.id]: observed(record('a', '1.0.0')) }, [first]).steps;
    assert.deepEqual(
      gone.map(({ id, needs }) => [id, needs]),
      [
        ['release extension:a', ['merge extensions']],
        ['merge extensions', []],
        ['daemon-reload', ['merge extensions']],
      ],
    );
    assert.deepEqual(gone.find(({ id }) => id === 'merge extensions')?.action, {
      do: 'merge-extensions',
      extensions: [],
      remove: ['a'],
    });
    assert.deepEqual(
      planOf([], { [first.id]: absent }, [first]).steps.map(({ id, needs }) => [id, needs]),
      [['release extension:a', []]],
    );
  });

  test('leave what changes for other reasons alone, but for what takes over the place of a tool', () => {
    const missing = { kind: 'file', entry: { type: 'absent' } } as const;
    const { steps } = planOf(
      [first, file('/opt/bin/b'), file('/etc/a')],
      {
        [first.id]: observed(record('a', '0.9.0')),
        [second.id]: observed(record('b', '1.0.0')),
        'file:/opt/bin/b': missing,
        'file:/etc/a': missing,
      },
      [second],
    );
    const after = (id: string): readonly string[] | undefined => steps.find((step) => step.id === id)?.after;
    assert.deepEqual(after('write file:/opt/bin/b'), ['merge extensions']);
    assert.deepEqual(after('write file:/etc/a'), []);
  });

  test('make systemd read units only where one runs', () => {
    const live = (on: boolean): string[] =>
      planOf([first, kubelet], {
        [first.id]: { ...absent, live: on },
        'unit:kubelet.service': stopped,
      }).steps.flatMap(({ id, action }) => (action.do === 'daemon-reload' ? [id] : []));
    assert.deepEqual([live(true), live(false)], [['daemon-reload'], []]);
  });

  test('are none where no extension changes', () => {
    const { steps } = planOf([file('/etc/a')], { 'file:/etc/a': { kind: 'file', entry: { type: 'absent' } } });
    assert.deepEqual(
      steps.map(({ id }) => id),
      ['write file:/etc/a'],
    );
  });
});
