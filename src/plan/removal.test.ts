/**
 * What nobody asks for any more goes after the goal, unless something before the goal reads it, is held up by it or would be
 * taken along; and it is as important as that.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type {
  BinaryResource,
  ContainerImageResource,
  ExtensionResource,
  FileResource,
  Resource,
  ResourceId,
  UnitResource,
} from '../model/resources.ts';
import type { ExtensionRecord, Observation, Plan, Step, UnitObservation } from '../model/steps.ts';
import { ancestors } from '../../test/support/plan-reference.ts';
import { action, file, freshUnit, planned, sysctl, touchedEntry, unit } from '../../test/support/planning.ts';
import { schedule } from './schedule.ts';

const policy = { scope: 'node', deferrable: false, importance: 'required', needs: [] } as const;
const kubelet = (about: Partial<UnitResource> = {}): UnitResource => unit('kubelet.service', about);
const folder = (path: string): FileResource =>
  file(path, { entry: { type: 'directory', mode: '0755', uid: 0, gid: 0 } });
const binary: BinaryResource = {
  ...policy,
  kind: 'binary',
  id: 'binary:tool',
  tool: 'tool',
  version: '1.0.0',
  sources: [{ type: 'cache', version: '1.0.0' }],
  place: { type: 'activate', target: '/opt/bin/tool' },
};

function vendor(name: string, about: Partial<UnitResource> = {}): UnitResource {
  const { content: _none, ...rest } = unit(name, { dropIns: [{ name: '50-x.conf', content: 'x' }], ...about });
  return rest;
}

/** As it is on a host where the resource was applied. */
function there(resource: Resource): Observation {
  switch (resource.kind) {
    case 'file': {
      const { type } = resource.entry;
      if (type === 'symlink') return { kind: 'file', entry: { type, target: resource.entry.target } };
      const owner = { uid: 0, gid: 0 };
      return {
        kind: 'file',
        entry: type === 'file' ? { type, digest: 'sha256:0', mode: 0o644, ...owner } : { type, mode: 0o755, ...owner },
      };
    }
    case 'unit':
      return runningUnit(resource);
    case 'binary':
      return { kind: 'binary', cached: undefined, cacheRefusals: [], targetDigest: 'sha256:0' };
    case 'extension':
      return { kind: 'extension', live: true, record: recordOf(resource), deviations: [] };
    case 'image':
      return { kind: 'image', present: true };
    case 'kernel':
      return { kind: 'kernel', value: '1' };
    case 'action':
      return { kind: 'action', done: true };
  }
}

function runningUnit({ name, content, dropIns }: UnitResource): UnitObservation {
  const path = `/etc/systemd/system/${name}`;
  const paths = [...(content === undefined ? [] : [path]), ...dropIns.map((dropIn) => `${path}.d/${dropIn.name}`)];
  const entry = { type: 'file', digest: 'sha256:0', mode: 0o644, uid: 0, gid: 0 } as const;
  return {
    ...freshUnit,
    entries: Object.fromEntries(paths.map((each) => [each, entry])),
    enablement: 'enabled',
    loadState: 'loaded',
    activeState: 'active',
  };
}

function recordOf({ name, tools }: ExtensionResource): ExtensionRecord {
  const [file_, link] = [`/opt/extensions/${name}.raw`, `/etc/extensions/${name}.raw`];
  return { name, file: file_, link, size: 1, mtimeNs: '1', masks: [], tools, settled: true };
}

interface Dropping {
  readonly gone: readonly Resource[];
  readonly desired?: readonly Resource[];
  /** Earlier definitions of what is desired. */
  readonly before?: readonly Resource[];
  readonly observed?: Readonly<Record<string, Observation>>;
  readonly goal?: ResourceId | undefined;
}

/** A plan in which kubelet starts, unless told. */
function dropping({ gone, desired = [kubelet()], before = [], observed = {}, ...rest }: Dropping): Plan {
  const goal = 'goal' in rest ? rest.goal : 'unit:kubelet.service';
  return planned({
    desired,
    touched: [...gone, ...before].map((resource) => touchedEntry(resource)),
    observed: { ...Object.fromEntries(gone.map((resource) => [resource.id, there(resource)])), ...observed },
    ...(goal && { goal }),
  });
}

function stepOf(plan: Plan, id: string): Step {
  const step = plan.steps.find((candidate) => candidate.id === id);
  assert.ok(step, `${id} is not among ${plan.steps.map((each) => each.id).join(', ')}`);
  return step;
}

function isBefore(plan: Plan, earlier: string, later: string): boolean {
  stepOf(plan, earlier);
  return ancestors(new Map(plan.steps.map((step) => [step.id, step])), stepOf(plan, later).id).has(earlier);
}

const phaseOf = (plan: Plan, id: string): string | undefined =>
  schedule(plan).steps.find(({ step }) => step.id === id)?.phase;

/** After the goal, whatever becomes of it. */
function assertLate(plan: Plan, id: string, importance: Step['importance'] = 'bestEffort'): void {
  assert.equal(isBefore(plan, id, 'start unit:kubelet.service'), false, `${id} precedes kubelet's start`);
  assert.deepEqual([phaseOf(plan, id), stepOf(plan, id).importance], ['deferred', importance], id);
}

/** Before kubelet starts, which fails with it. */
function assertEarly(plan: Plan, id: string): void {
  assert.equal(isBefore(plan, id, 'start unit:kubelet.service'), true, `${id} does not precede kubelet's start`);
  assert.deepEqual([phaseOf(plan, id), stepOf(plan, id).importance], ['goal', 'required'], id);
}

describe('removals of files and programs', () => {
  test('wait for the goal and fail no boot; what was in the background is only reported', () => {
    const gone = [file('/etc/motd'), file('/etc/late', { importance: 'background', deferrable: true }), binary];
    const plan = dropping({ gone });
    assertLate(plan, 'remove file:/etc/motd');
    assertLate(plan, 'remove file:/etc/late', 'background');
    assertLate(plan, 'remove binary:tool');
    const entry = schedule(plan).steps.find(({ step }) => step.id === 'remove file:/etc/motd');
    assert.equal(entry?.reason, 'may wait: runs once the goal is reached');
  });

  test('precede the goal where kernel, mounts, identity, trust or the runtime are configured', () => {
    const paths = [
      '/etc/kubernetes/manifests/old.yaml',
      '/etc/sysctl.d/10-old.conf',
      '/etc/modules-load.d/old.conf',
      '/usr/local/share/ca-certificates/old.crt',
      '/etc/containerd/certs.d/docker.io/hosts.toml',
    ];
    const plan = dropping({ gone: paths.map((path) => file(path)) });
    for (const path of paths) assertEarly(plan, `remove file:${path}`);
  });

  test('precede the goal when kubelet read them until now', () => {
    const plan = dropping({ gone: [file('/etc/extra.conf')], before: [kubelet({ inputs: ['file:/etc/extra.conf'] })] });
    assertEarly(plan, 'remove file:/etc/extra.conf');
    assert.equal(
      schedule(plan).steps.find(({ step }) => step.id === 'remove file:/etc/extra.conf')?.reason,
      'may wait, but a step before the goal needs it',
    );
    const other = dropping({ gone: [file('/etc/extra.conf')], before: [kubelet({ needs: ['file:/etc/extra.conf'] })] });
    assertEarly(other, 'remove file:/etc/extra.conf');
  });

  test('precede the goal when they lie in a folder that kubelet reads', () => {
    const desired = [kubelet({ inputs: ['file:/etc/kubelet.d'] }), folder('/etc/kubelet.d')];
    const plan = dropping({ gone: [file('/etc/kubelet.d/10-old.conf'), file('/etc/kubelet.data')], desired });
    assertEarly(plan, 'remove file:/etc/kubelet.d/10-old.conf');
    assertLate(plan, 'remove file:/etc/kubelet.data');
  });

  test('precede the goal, and what makes systemd read units again, when they are drop-ins of kubelet', () => {
    const path = '/etc/systemd/system/kubelet.service.d/10-old.conf';
    const plan = dropping({ gone: [file(path)] });
    assertEarly(plan, `remove file:${path}`);
    assert.ok(isBefore(plan, `remove file:${path}`, 'daemon-reload'));
  });

  test('a unit that may wait itself asks for no more than it is', () => {
    const late = unit('late.service', { deferrable: true, importance: 'bestEffort' });
    const plan = dropping({
      gone: [file('/etc/late.conf')],
      desired: [kubelet(), late],
      before: [{ ...late, inputs: ['file:/etc/late.conf'] }],
    });
    assertLate(plan, 'remove file:/etc/late.conf');
    assert.ok(isBefore(plan, 'remove file:/etc/late.conf', 'start unit:late.service'));
  });

  test('precede a program of the document that read them', () => {
    const needs: ResourceId[] = ['file:/etc/anchors/kept'];
    const plan = dropping({
      gone: [file('/etc/anchors/old')],
      desired: [kubelet(), file('/etc/anchors/kept'), action('bundle', { needs })],
      before: [action('bundle', { needs: [...needs, 'file:/etc/anchors/old'] })],
    });
    assert.ok(stepOf(plan, 'run action:bundle').needs.includes('remove file:/etc/anchors/old'));
    assertEarly(plan, 'remove file:/etc/anchors/old');
  });

  test('go first where they stand in the way of a folder; a folder that is still used is left to be passed over', () => {
    const below = file('/etc/a/b/c');
    const inTheWay = dropping({ gone: [file('/etc/a')], desired: [kubelet(), below] });
    assert.ok(stepOf(inTheWay, 'write file:/etc/a/b/c').after.includes('remove file:/etc/a'));
    assert.equal(phaseOf(inTheWay, 'remove file:/etc/a'), 'goal');
    const link = file('/etc/a', { entry: { type: 'symlink', target: '/elsewhere' } });
    assert.ok(
      isBefore(dropping({ gone: [link], desired: [kubelet(), below] }), 'remove file:/etc/a', 'write file:/etc/a/b/c'),
    );
    assertLate(dropping({ gone: [folder('/etc/a')], desired: [kubelet(), below] }), 'remove file:/etc/a');
  });

  test('a document that writes into a unit’s folder only after the unit is taken at its word', () => {
    const path = '/etc/systemd/system/kubelet.service.d/90-later.conf';
    const plan = dropping({ gone: [], desired: [kubelet(), file(path, { needs: ['unit:kubelet.service'] })] });
    assert.ok(isBefore(plan, 'start unit:kubelet.service', `write file:${path}`));
    const usual = dropping({ gone: [], desired: [kubelet(), file(path, { deferrable: true })] });
    assert.ok(isBefore(usual, `write file:${path}`, 'start unit:kubelet.service'));
  });
});

describe('removals of units', () => {
  test('a unit of ours is stopped, disabled and removed after the goal, and systemd reads again after that', () => {
    const plan = dropping({ gone: [unit('old.service')] });
    for (const id of ['stop unit:old.service', 'disable unit:old.service', 'remove unit:old.service'])
      assertLate(plan, id);
    assert.ok(isBefore(plan, 'remove unit:old.service', 'daemon-reload after enablement'));
    assert.equal(isBefore(plan, 'remove unit:old.service', 'daemon-reload'), false);
    assert.equal(phaseOf(plan, 'daemon-reload after enablement'), 'deferred');
  });

  test('systemd reads again also where nothing was enabled', () => {
    const gone = unit('old.service', { importance: 'background' });
    const plan = dropping({
      gone: [gone],
      desired: [kubelet({ enablement: 'disabled' })],
      observed: { 'unit:old.service': { ...runningUnit(gone), enablement: 'disabled' } },
    });
    assert.deepEqual(stepOf(plan, 'daemon-reload after removal').after, ['remove unit:old.service']);
    assertLate(plan, 'daemon-reload after removal', 'background');
  });

  test('where nothing is worked towards, one reload is enough', () => {
    const plan = dropping({ gone: [unit('old.service')], goal: undefined });
    const reloads = plan.steps.filter(({ action: { do: name } }) => name === 'daemon-reload');
    assert.ok(isBefore(plan, 'remove unit:old.service', 'daemon-reload'));
    assert.deepEqual(
      reloads.map(({ id }) => id),
      ['daemon-reload', 'daemon-reload after enablement'],
    );
  });

  test('mounts and swap go before kubelet starts on what they held', () => {
    for (const name of ['var-lib-kubelet.mount', 'swapfile.swap']) {
      const plan = dropping({ gone: [unit(name)] });
      for (const id of [`stop unit:${name}`, `remove unit:${name}`]) assertEarly(plan, id);
      assert.ok(isBefore(plan, `remove unit:${name}`, 'daemon-reload'));
    }
  });

  test('what would take kubelet along is stopped before kubelet starts, and systemd has forgotten it then', () => {
    const required = kubelet({ content: '[Unit]\nRequires=other.service old.service\n[Service]\nExecStart=/bin/x\n' });
    const requiring = unit('old.service', {
      content: '[Service]\nExecStart=/bin/x\n[Install]\nRequiredBy=kubelet.service\n',
    });
    for (const [desired, gone] of [
      [required, unit('old.service')],
      [kubelet(), requiring],
    ] as const) {
      const plan = dropping({ gone: [gone, unit('unrelated.service')], desired: [desired] });
      for (const id of ['stop unit:old.service', 'disable unit:old.service', 'remove unit:old.service'])
        assertEarly(plan, id);
      assert.ok(isBefore(plan, 'remove unit:old.service', 'daemon-reload'));
      assertLate(plan, 'stop unit:unrelated.service');
    }
  });

  test('a vendor’s unit that lives on without our drop-in is brought there as early as it was brought here', () => {
    const plan = dropping({ gone: [vendor('containerd.service')] });
    for (const id of [
      'remove unit:containerd.service',
      'restart unit:containerd.service',
      'ready unit:containerd.service',
    ])
      assertEarly(plan, id);
    assert.ok(isBefore(plan, 'daemon-reload', 'restart unit:containerd.service'));
    const late = dropping({ gone: [vendor('exporter.service', { deferrable: true, importance: 'background' })] });
    assertLate(late, 'restart unit:exporter.service', 'background');
  });

  test('and starts anew without what it read for us', () => {
    const gone = [vendor('exporter.service', { inputs: ['file:/etc/exporter.conf'] }), file('/etc/exporter.conf')];
    const plan = dropping({ gone });
    assert.ok(isBefore(plan, 'remove file:/etc/exporter.conf', 'restart unit:exporter.service'));
    assertEarly(plan, 'remove file:/etc/exporter.conf');
  });

  test('what a unit read goes after the unit was stopped', () => {
    const gone = [
      unit('old.service', { inputs: ['file:/etc/old.conf', 'binary:tool'] }),
      file('/etc/old.conf'),
      binary,
    ];
    const plan = dropping({ gone });
    for (const id of ['remove file:/etc/old.conf', 'remove binary:tool']) {
      assertLate(plan, id);
      assert.ok(isBefore(plan, 'stop unit:old.service', id));
      assert.ok(isBefore(plan, 'remove unit:old.service', id));
    }
  });

  test('a drop-in of kubelet that the document drops is gone when systemd reads kubelet’s unit again', () => {
    const before = kubelet({ dropIns: [{ name: '10-old.conf', content: 'x' }] });
    const path = '/etc/systemd/system/kubelet.service.d/10-old.conf';
    const plan = dropping({ gone: [], before: [before], observed: { [before.id]: there(before) } });
    const remove = `remove unit:kubelet.service ${path}`;
    assert.ok(isBefore(plan, remove, 'daemon-reload'));
    assert.ok(isBefore(plan, remove, 'restart unit:kubelet.service'));
    assert.equal(stepOf(plan, remove).importance, 'required');
  });

  test('a unit file that need not be there holds up neither the reload nor kubelet', () => {
    const plan = dropping({ gone: [], desired: [kubelet(), unit('extra.service', { importance: 'bestEffort' })] });
    const reload = stepOf(plan, 'daemon-reload');
    assert.deepEqual(reload.needs, ['write unit:kubelet.service /etc/systemd/system/kubelet.service']);
    assert.deepEqual(reload.after, ['write unit:extra.service /etc/systemd/system/extra.service']);
  });
});

describe('removals of other kinds', () => {
  const extension: ExtensionResource = {
    ...policy,
    kind: 'extension',
    id: 'extension:tool',
    name: 'tool',
    architecture: 'amd64',
    sources: [{ type: 'local', path: '/opt/extensions' }],
    tools: ['tool'],
  };

  test('an extension is taken out of /usr before kubelet starts, and systemd reads units after that', () => {
    const plan = dropping({ gone: [extension] });
    assertEarly(plan, 'merge extensions');
    assert.ok(isBefore(plan, 'merge extensions', 'daemon-reload'));
    assert.ok(stepOf(plan, 'release extension:tool').needs.includes('merge extensions'));
  });

  test('images, kernel settings and actions leave nothing to remove', () => {
    const image: ContainerImageResource = {
      ...policy,
      kind: 'image',
      id: 'image:pause',
      reference: 'pause',
      archive: '/pause.tar',
    };
    const plan = dropping({ gone: [image, sysctl('vm.x'), action('old')] });
    for (const id of ['image:pause', 'kernel:sysctl/vm.x', 'action:old'])
      assert.equal(stepOf(plan, `release ${id}`).action.do, 'release');
  });
});
