import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exampleFacts } from '../../model/facts.ts';
import type { KernelResource, Resource } from '../../model/resources.ts';
import { planned, sysctl, touchedEntry, unit } from '../../../test/support/planning.ts';
import { absentOn } from '../planners.ts';

const forward = sysctl('net.ipv4.ip_forward');
const overlay: KernelResource = {
  ...forward,
  id: 'kernel:module/overlay',
  setting: { type: 'module', name: 'overlay' },
};

function plannedSteps(desired: readonly Resource[], value: string | undefined) {
  const observed = Object.fromEntries(desired.map(({ id }) => [id, { kind: 'kernel', value } as const]));
  return planned({ desired, observed }).steps;
}

describe('kernel settings', () => {
  test('are set when the kernel has another value, or none', () => {
    for (const value of ['0', '11', '', undefined]) {
      const [step, ...others] = plannedSteps([forward], value);
      assert.deepEqual(others, []);
      assert.equal(step?.id, 'set kernel:sysctl/net.ipv4.ip_forward');
      assert.deepEqual(step.action, { do: 'sysctl', key: 'net.ipv4.ip_forward', value: '1' });
      assert.deepEqual([step.writes, step.reads, step.needs], [['sysctl:net.ipv4.ip_forward'], [], []]);
    }
    assert.deepEqual(plannedSteps([forward], '1'), []);
  });

  test('of several numbers are the same however they are separated', () => {
    const ports: KernelResource = { ...forward, setting: { type: 'sysctl', key: 'ports', value: '32768 60999' } };
    for (const same of ['32768\t60999', ' 32768  60999\n']) assert.deepEqual(plannedSteps([ports], same), []);
    for (const other of ['3276860999', '32768 60998']) assert.equal(plannedSteps([ports], other).length, 1, other);
  });

  for (const [present, said] of [
    ['0\n', 'net.ipv4.ip_forward is 0, wanted 1'],
    ['0\t0\n', 'net.ipv4.ip_forward is 0 0, wanted 1'],
    [' 0 ', 'net.ipv4.ip_forward is 0, wanted 1'],
    ['0\n2\n', 'net.ipv4.ip_forward is 0 2, wanted 1'],
    ['\n', 'net.ipv4.ip_forward is empty, wanted 1'],
    [undefined, 'net.ipv4.ip_forward is unknown, wanted 1'],
  ] as const)
    test(`are told on one line: ${JSON.stringify(present)}`, () => {
      assert.equal(plannedSteps([forward], present)[0]?.why, said);
    });

  test('differ in what they are, modules in whether they are there', () => {
    const { changes } = planned({ desired: [forward, overlay] });
    assert.deepEqual(
      changes.map(({ id, type, facets, details }) => [id, type, facets, details.length]),
      [
        ['kernel:module/overlay', 'create', ['presence'], 1],
        ['kernel:sysctl/net.ipv4.ip_forward', 'update', ['content'], 1],
      ],
    );
  });

  test('come after modules, as many are there only with theirs', () => {
    const steps = plannedSteps([forward, overlay], undefined);
    const after = Object.fromEntries(steps.map((step) => [step.id, step.after]));
    assert.deepEqual(after, {
      'load kernel:module/overlay': [],
      'set kernel:sysctl/net.ipv4.ip_forward': ['load kernel:module/overlay'],
    });
  });
});

describe('modules', () => {
  test('are loaded when they are not', () => {
    const [step, ...others] = plannedSteps([overlay], undefined);
    assert.deepEqual(others, []);
    assert.equal(step?.id, 'load kernel:module/overlay');
    assert.deepEqual(step.action, { do: 'module', name: 'overlay' });
    assert.deepEqual([step.writes, step.reads, step.needs], [['module:overlay'], [], []]);
    assert.deepEqual(plannedSteps([overlay], 'builtin'), []);
  });

  test('are there on a machine whose facts name them; settings never are', () => {
    const facts = { ...exampleFacts, kernelModules: ['overlay', 'net.ipv4.ip_forward'] };
    const { kernelModules: _unknown, ...unknown } = exampleFacts;
    assert.deepEqual(absentOn(overlay, facts), { kind: 'kernel', value: 'loaded' });
    assert.deepEqual(absentOn(forward, facts), { kind: 'kernel', value: undefined });
    for (const other of [exampleFacts, unknown])
      assert.deepEqual(absentOn(overlay, other), { kind: 'kernel', value: undefined });
    const called: KernelResource = { ...forward, setting: { type: 'sysctl', key: 'overlay', value: '1' } };
    assert.deepEqual(absentOn(called, facts), { kind: 'kernel', value: undefined });
  });
});

describe('kernel settings and modules', () => {
  test('are noticed by no process: what reads them is not started anew', () => {
    const { content: _none, ...reader } = unit('a.service', { inputs: [forward.id] });
    const running = { ...unitThatRuns, enablement: 'enabled' };
    const { steps } = planned({ desired: [forward, reader], observed: { [reader.id]: running } });
    assert.deepEqual(
      steps.map(({ id }) => id),
      ['set kernel:sysctl/net.ipv4.ip_forward'],
    );
  });

  test('stay until the machine starts anew when nobody asks for them any more', () => {
    const { steps } = planned({ desired: [], touched: [forward, overlay].map((each) => touchedEntry(each)) });
    assert.deepEqual(
      steps.map(({ action }) => action),
      [{ do: 'release' }, { do: 'release' }],
    );
  });
});

const unitThatRuns = {
  kind: 'unit',
  entries: {},
  enablement: '',
  loadState: 'loaded',
  activeState: 'active',
  invocationId: '',
  live: true,
  transient: false,
  succeeded: false,
  stale: false,
} as const;
