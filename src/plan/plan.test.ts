import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { FileResource, ResourceId, UnitResource } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Plan, UnitObservation } from '../model/steps.ts';
import { ancestors } from '../../test/support/plan-reference.ts';
import { action, file, freshUnit, planned, sysctl, touchedEntry, unit } from '../../test/support/planning.ts';
import { effectiveClaims, takingOverEqual } from './claims.ts';
import { schedule } from './schedule.ts';

const ids = (made: Plan): string[] => made.steps.map((step) => step.id).sort();
const needsOf = (made: Plan, id: string): readonly string[] => {
  const step = made.steps.find((candidate) => candidate.id === id);
  assert.ok(step, `${id} is not among ${ids(made).join(', ')}`);
  return step.needs;
};

describe('plan', () => {
  test('a fresh unit is written, read by systemd once, started, joined and only then enabled', () => {
    const made = planned({ desired: [file('/etc/a'), unit('a.service', { inputs: ['file:/etc/a'] })] });
    assert.deepEqual(ids(made), [
      'daemon-reload',
      'daemon-reload after enablement',
      'enable unit:a.service',
      'ready unit:a.service',
      'start unit:a.service',
      'write file:/etc/a',
      'write unit:a.service /etc/systemd/system/a.service',
    ]);
    const steps = new Map(made.steps.map((step) => [step.id, step]));
    const before = ancestors(steps, 'start unit:a.service');
    assert.ok(before.has('write file:/etc/a') && before.has('daemon-reload'));
    assert.ok(ancestors(steps, 'daemon-reload').has('write unit:a.service /etc/systemd/system/a.service'));
    assert.ok(needsOf(made, 'enable unit:a.service').includes('ready unit:a.service'));
  });

  test('what is as desired is left alone', () => {
    const wanted = unit('a.service');
    const made = planned({ desired: [wanted] });
    const write = made.steps.find((step) => step.action.do === 'write');
    assert.ok(write?.action.do === 'write' && write.action.entry.type === 'file');
    const { digest, mode, uid, gid } = write.action.entry;
    const settled: UnitObservation = {
      ...freshUnit,
      entries: { [write.action.path]: { type: 'file', digest, mode, uid, gid } },
      enablement: 'enabled',
      activeState: 'active',
      loadState: 'loaded',
    };
    assert.deepEqual(ids(planned({ desired: [wanted], observed: { [wanted.id]: settled } })), []);
  });

  test('a changed input restarts the unit that reads it, and no other', () => {
    const running: UnitObservation = { ...freshUnit, activeState: 'active', enablement: 'enabled' };
    const vendor = (name: string, input: ResourceId): UnitResource => {
      const { content: _none, ...rest } = unit(name, { inputs: [input] });
      return rest;
    };
    const made = planned({
      desired: [file('/etc/a'), file('/etc/b'), vendor('a.service', 'file:/etc/a'), vendor('b.service', 'file:/etc/b')],
      observed: {
        'unit:a.service': running,
        'unit:b.service': running,
        'file:/etc/b': {
          kind: 'file',
          entry: {
            type: 'file',
            digest: 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
            mode: 0o644,
            uid: 0,
            gid: 0,
          },
        },
      },
    });
    assert.deepEqual(
      made.impact.map(({ unit: name, effect }) => `${effect} ${name}`),
      ['restart a.service'],
    );
  });

  test('a mode alone restarts nothing', () => {
    const { content: _none, ...vendor } = unit('a.service', { inputs: ['file:/etc/a'] });
    const made = planned({
      desired: [file('/etc/a'), vendor],
      observed: {
        'unit:a.service': { ...freshUnit, activeState: 'active', enablement: 'enabled' },
        'file:/etc/a': {
          kind: 'file',
          entry: {
            type: 'file',
            digest: 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
            mode: 0o600,
            uid: 0,
            gid: 0,
          },
        },
      },
    });
    assert.deepEqual(ids(made), ['write file:/etc/a']);
  });

  test('a restart that an interrupted run still owes is made up for', () => {
    const { content: _none, ...vendor } = unit('a.service');
    const running: UnitObservation = { ...freshUnit, activeState: 'active', enablement: 'enabled' };
    const made = planned({
      desired: [vendor],
      observed: { [vendor.id]: running },
      touched: [touchedEntry(vendor, { done: false, startedWith: '' })],
    });
    assert.deepEqual(
      made.impact.map(({ effect }) => effect),
      ['restart'],
    );
  });

  test('a restart that is owed is made up for also where changes restart nothing', () => {
    const { content: _none, ...vendor } = unit('a.service', { onChange: 'none' });
    const made = planned({
      desired: [vendor],
      observed: { [vendor.id]: { ...freshUnit, activeState: 'active', enablement: 'enabled' } },
      touched: [touchedEntry(vendor, { done: false, startedWith: '' })],
    });
    assert.deepEqual(
      made.impact.map(({ effect }) => effect),
      ['restart'],
    );
  });

  test('what earlier definitions left is removed, also those that were never finished', () => {
    const first = unit('a.service', { dropIns: [{ name: '10-a.conf', content: 'a' }] });
    const second = unit('a.service', { dropIns: [{ name: '20-b.conf', content: 'b' }] });
    const present = { type: 'file', digest: 'sha256:0', mode: 0o644, uid: 0, gid: 0 } as const;
    const made = planned({
      desired: [unit('a.service')],
      touched: [touchedEntry(first, { definitions: [first, second], done: false })],
      observed: {
        'unit:a.service': {
          ...freshUnit,
          entries: {
            '/etc/systemd/system/a.service.d/10-a.conf': present,
            '/etc/systemd/system/a.service.d/20-b.conf': present,
          },
        },
      },
    });
    assert.deepEqual(
      made.steps.filter((step) => step.action.do === 'remove').map((step) => step.id),
      [
        'remove unit:a.service /etc/systemd/system/a.service.d/10-a.conf',
        'remove unit:a.service /etc/systemd/system/a.service.d/20-b.conf',
      ],
    );
  });

  test('a unit nobody asks for is stopped, disabled and removed, then systemd reads again', () => {
    const gone = unit('a.service');
    const made = planned({
      desired: [],
      touched: [touchedEntry(gone)],
      observed: {
        'unit:a.service': {
          ...freshUnit,
          activeState: 'active',
          enablement: 'enabled',
          entries: {
            '/etc/systemd/system/a.service': { type: 'file', digest: 'sha256:0', mode: 0o644, uid: 0, gid: 0 },
          },
        },
      },
    });
    const order = made.steps.map((step) => step.id);
    assert.deepEqual(order, [
      'stop unit:a.service',
      'disable unit:a.service',
      'remove unit:a.service',
      'daemon-reload',
    ]);
    assert.deepEqual(needsOf(made, 'remove unit:a.service'), ['disable unit:a.service', 'stop unit:a.service']);
  });

  test('everything that is not deferrable precedes the goal; the rest waits for it', () => {
    const kubelet = unit('kubelet.service', { needs: ['unit:containerd.service'] });
    const made = planned({
      desired: [
        kubelet,
        unit('containerd.service'),
        unit('mount.service'),
        file('/etc/a'),
        sysctl('net.ipv4.ip_forward'),
        action('motd', { deferrable: true, importance: 'bestEffort' }),
        action('identity'),
      ],
      goal: 'unit:kubelet.service',
    });
    const scheduled = schedule(made);
    const phase = new Map(scheduled.steps.map((entry) => [entry.step.id, entry.phase]));
    assert.equal(phase.get('run action:motd'), 'deferred');
    assert.equal(phase.get('enable unit:kubelet.service'), 'deferred');
    const before = ancestors(new Map(made.steps.map((step) => [step.id, step])), 'start unit:kubelet.service');
    for (const id of [
      'run action:identity',
      'write file:/etc/a',
      'set kernel:sysctl/net.ipv4.ip_forward',
      'ready unit:mount.service',
      'start unit:containerd.service',
    ]) {
      assert.ok(before.has(id), `${id} must precede kubelet's start`);
    }
    assert.ok(!before.has('ready unit:containerd.service'), 'systemd itself orders kubelet after containerd');
    assert.equal(made.goal, 'ready unit:kubelet.service');
  });

  test('a deferrable step that the goal needs is done before it, and the plan says so', () => {
    const made = planned({
      desired: [unit('kubelet.service', { inputs: ['file:/etc/late'] }), file('/etc/late', { deferrable: true })],
      goal: 'unit:kubelet.service',
    });
    const entry = schedule(made).steps.find(({ step }) => step.id === 'write file:/etc/late');
    assert.equal(entry?.phase, 'goal');
    assert.match(entry?.reason ?? '', /a step before the goal needs it/);
  });

  test('steps that wait for each other are named', () => {
    const made = planned({ desired: [action('a', { needs: ['action:b'] }), action('b', { needs: ['action:a'] })] });
    assert.throws(
      () => schedule(made),
      (error) => error instanceof NodekilnError && error.code === 'NK_PLAN_CYCLE' && /run action:a/.test(error.message),
    );
  });

  test('two resources may not write one place', () => {
    const unitFile = file('/etc/systemd/system/a.service');
    assert.throws(
      () => planned({ desired: [unitFile, unit('a.service')] }),
      (error) => error instanceof NodekilnError && error.code === 'NK_PLAN_CONFLICT',
    );
  });

  test('a plan never holds sensitive content in its words', () => {
    const secret = file('/etc/token', {
      entry: { type: 'file', content: { text: { sensitive: 'hunter2' } }, mode: '0600', uid: 0, gid: 0 },
    });
    const made = planned({ desired: [secret] });
    const words = JSON.stringify(made.steps.map(({ id, why, reads, writes }) => ({ id, why, reads, writes })));
    assert.ok(!words.includes('hunter2'));
  });
});

describe('schedule', () => {
  test('any set of needs without a cycle is ordered so that needs come first by phase', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.array(fc.nat(9), { maxLength: 3 })), { minLength: 1, maxLength: 10 }),
        (shape) => {
          const resources = shape.map(([deferrable, needs], index) =>
            action(`s${index}`, {
              deferrable,
              needs: [...new Set(needs)].filter((need) => need < index).map((need): ResourceId => `action:s${need}`),
            }),
          );
          const made = planned({ desired: [...resources, unit('kubelet.service')], goal: 'unit:kubelet.service' });
          const phases = new Map(schedule(made).steps.map((entry) => [entry.step.id, entry.phase]));
          for (const step of made.steps) {
            for (const need of step.needs)
              assert.ok(
                !(phases.get(step.id) === 'goal' && phases.get(need) === 'deferred'),
                `${step.id} precedes the goal and needs ${need}`,
              );
            if (!step.deferrable && step.action.do !== 'enablement') assert.equal(phases.get(step.id), 'goal');
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('claims', () => {
  test('two sources on one id are a conflict that names both', () => {
    assert.throws(
      () => effectiveClaims({ boot: [file('/etc/a')], agent: [file('/etc/a')] }),
      (error) =>
        error instanceof NodekilnError && error.code === 'NK_PLAN_CONFLICT' && /boot.*agent/.test(error.message),
    );
  });

  test('a conflict lists every resource of it', () => {
    const claims = (names: readonly string[]) => names.map((name) => file(name));
    const conflict = (names: readonly string[]): NodekilnError => {
      try {
        effectiveClaims({ image: claims(names), agent: claims(['/etc/z', ...names]) });
      } catch (error) {
        if (error instanceof NodekilnError) return error;
      }
      return assert.fail('no conflict');
    };
    for (const names of [['/etc/a'], ['/etc/a', '/etc/b']]) {
      const { message, problems } = conflict(names);
      assert.deepEqual(
        problems.map((problem) => problem.message),
        names.map((name) => `file:${name} belongs to source image and is claimed by agent`),
      );
      assert.equal(message === problems[0]?.message, names.length === 1);
    }
  });

  test('are of the sources that make any', () => {
    const [a, b] = [file('/etc/a'), file('/etc/b')];
    assert.deepEqual(
      [...effectiveClaims({ image: [b], agent: [a] })],
      [
        [b.id, { resource: b, source: 'image' }],
        [a.id, { resource: a, source: 'agent' }],
      ],
    );
  });

  for (const [name, boot, agent, taken] of [
    ['the same', file('/etc/a'), file('/etc/a'), true],
    [
      'the same in another order',
      { ...file('/etc/a'), needs: [] },
      Object.fromEntries(Object.entries(file('/etc/a')).reverse()) as unknown as FileResource,
      true,
    ],
    ['other content', file('/etc/a', { text: 'x' }), file('/etc/a', { text: 'y' }), undefined],
    ['another importance', file('/etc/a'), { ...file('/etc/a'), importance: 'bestEffort' as const }, undefined],
    ['another resource', file('/etc/a'), file('/etc/b'), undefined],
    ['what was taken over before', { ...file('/etc/a'), takeover: true }, file('/etc/a'), true],
    ['what is to be taken over', file('/etc/a', { text: 'x' }), { ...file('/etc/a'), takeover: true }, true],
  ] as const)
    test(`a later source takes over what it asks for alike: ${name}`, () => {
      const asked = (source: 'image' | 'agent'): unknown =>
        takingOverEqual([agent], { source, claims: { boot: [boot] } })[0]?.takeover;
      assert.equal(asked('agent'), taken);
      assert.equal(asked('image'), agent.takeover, 'an earlier source takes nothing over');
    });

  test('a takeover puts the later source in force; without it the earlier comes back', () => {
    const early = file('/etc/a', { text: 'early' });
    const late = file('/etc/a', { text: 'late', takeover: true });
    assert.equal(effectiveClaims({ boot: [early], agent: [late] }).get('file:/etc/a')?.source, 'agent');
    assert.deepEqual(effectiveClaims({ boot: [early], agent: [] }).get('file:/etc/a'), {
      resource: early,
      source: 'boot',
    });
  });
});
