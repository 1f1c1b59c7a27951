/** Planning of extensions: one step merges whatever changes, and what depends on it waits for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BinaryResource, ExtensionResource, Resource, ResourceId, UnitResource } from '../../model/resources.ts';
import { diff, type Claim } from '../../plan/diff.ts';
import { plan } from '../../plan/plan.ts';
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
