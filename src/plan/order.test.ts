import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FileResource, Resource, ResourceId } from '../model/resources.ts';
import type { Observation, Plan, Step } from '../model/steps.ts';
import { action, file, freshUnit, planned, sysctl, touchedEntry, unit } from '../../test/support/planning.ts';
import type { Claim } from './diff.ts';
import { shortList } from './graph.ts';
import { joinDependencies, precedeGoal, prerequisites } from './order.ts';
import { unknownNeeds } from './plan.ts';
import { schedule } from './schedule.ts';

function stepOf({ steps }: Pick<Plan, 'steps'>, id: string): Step {
  const step = steps.find((one) => one.id === id);
  assert.ok(step, `${id} is not among ${steps.map((one) => one.id).join(', ')}`);
  return step;
}

const folder = (path: string): FileResource =>
  file(path, { entry: { type: 'directory', mode: '0755', uid: 0, gid: 0 } });
const names = (count: number): string[] => Array.from({ length: count }, (_none, index) => `k${index}`);
const there: Observation = {
  kind: 'file',
  entry: { type: 'file', digest: 'sha256:00', mode: 0o644, uid: 0, gid: 0 },
};

describe('what nothing is said of', () => {
  test('stays the very same step', () => {
    const desired = [file('/a'), sysctl('x'), file('/b')];
    const { steps } = planned({ desired });
    const claims = new Map(desired.map((resource): [ResourceId, Claim] => [resource.id, { resource, source: 'boot' }]));
    const joined = joinDependencies(steps, claims);
    for (const [index, step] of joined.entries()) assert.equal(step, steps[index]);
    for (const [index, step] of precedeGoal(joined, 'unit:kubelet.service').entries())
      assert.equal(step, joined[index]);
  });
});

describe('kernel settings before jobs', () => {
  const idsOf = (keys: readonly string[]): string[] => keys.map((key) => `set kernel:sysctl/${key}`);

  test('are one list for all, when they are many', () => {
    const keys = names(shortList + 1);
    const plan = planned({ desired: [...keys.map(sysctl), unit('a.service'), unit('b.service')] });
    const [a, b] = [stepOf(plan, 'start unit:a.service'), stepOf(plan, 'start unit:b.service')];
    assert.deepEqual(a.after, idsOf(keys));
    assert.equal(a.after, b.after);
  });

  test('are a list of each, when they are few', () => {
    const keys = names(shortList);
    const plan = planned({ desired: [...keys.map(sysctl), unit('a.service'), unit('b.service')] });
    const [a, b] = [stepOf(plan, 'start unit:a.service'), stepOf(plan, 'start unit:b.service')];
    assert.deepEqual([a.after, b.after], [idsOf(keys), idsOf(keys)]);
    assert.notEqual(a.after, b.after);
  });

  test('are needed where a unit says so, and then not only waited for', () => {
    const keys = names(shortList + 2);
    const needs: ResourceId[] = ['kernel:sysctl/k3'];
    const plan = planned({ desired: [...keys.map(sysctl), unit('a.service', { needs }), unit('b.service')] });
    const [a, b] = [stepOf(plan, 'start unit:a.service'), stepOf(plan, 'start unit:b.service')];
    assert.deepEqual(a.after, idsOf(keys.filter((key) => key !== 'k3')));
    assert.ok(a.needs.includes('set kernel:sysctl/k3'));
    assert.deepEqual(b.after, idsOf(keys));
  });

  test('do not hold up what they may wait for themselves', () => {
    const late = { ...sysctl('late'), deferrable: true };
    const plan = planned({ desired: [sysctl('x'), late, unit('a.service')] });
    assert.deepEqual(stepOf(plan, 'start unit:a.service').after, ['set kernel:sysctl/x']);
  });
});

describe('a program', () => {
  const everything = [...names(5).map((name) => file(`/${name}`)), ...names(5).map(sysctl)];

  test('that needs nothing comes after all entries and settings, sorted and shared', () => {
    const late = [file('/late', { deferrable: true })];
    const plan = planned({ desired: [...everything, ...late, action('a'), action('b')] });
    const [a, b] = [stepOf(plan, 'run action:a'), stepOf(plan, 'run action:b')];
    assert.deepEqual(a.after, [
      ...names(5).map((key) => `set kernel:sysctl/${key}`),
      ...names(5).map((name) => `write file:/${name}`),
    ]);
    assert.equal(a.after, b.after);
  });

  test('that needs something comes after that alone', () => {
    const plan = planned({ desired: [...everything, action('a', { needs: ['file:/k1'] })] });
    const { needs, after } = stepOf(plan, 'run action:a');
    assert.deepEqual([needs, after], [['write file:/k1'], []]);
  });
});

describe('what is read', () => {
  test('is there before, however it came', () => {
    const reader = action('a', { needs: ['file:/etc/a.d'] });
    const plan = planned({
      desired: [folder('/etc/a.d'), file('/etc/a.d/x'), file('/etc/other'), reader],
    });
    const { needs, after } = stepOf(plan, 'run action:a');
    assert.deepEqual([needs, after], [['write file:/etc/a.d'], ['write file:/etc/a.d/x']]);
  });

  test('comes after the reader where the document says so', () => {
    const late = file('/etc/a.d/x', { needs: ['action:a'] });
    const reader = action('a', { needs: ['file:/etc/a.d'] });
    const plan = planned({ desired: [folder('/etc/a.d'), late, reader] });
    assert.deepEqual(stepOf(plan, 'run action:a').after, []);
    assert.ok(stepOf(plan, late.id.replace(/^/, 'write ')).needs.includes('run action:a'));
  });

  test('is taken away before, and that is as important as its most important reader', () => {
    const gone = file('/etc/gone');
    const before = (name: string): Resource => action(name, { needs: [gone.id] });
    for (const [first, second] of [
      ['required', 'background'],
      ['background', 'required'],
    ] as const) {
      const readers = [action('a', { importance: first }), action('b', { importance: second })];
      const plan = planned({
        desired: readers,
        observed: { [gone.id]: there },
        touched: [touchedEntry(gone), touchedEntry(before('a')), touchedEntry(before('b'))],
      });
      assert.equal(stepOf(plan, 'remove file:/etc/gone').importance, 'required');
      for (const { id } of readers) {
        const { needs, after } = stepOf(plan, `run ${id}`);
        assert.deepEqual([needs, after], [['remove file:/etc/gone'], []]);
      }
    }
  });
});

test('an entry comes after the folders and links above it, and only those', () => {
  const link = file('/a/link', { entry: { type: 'symlink', target: '/x' } });
  const plan = planned({
    desired: [folder('/a'), link, file('/a/link/b/c'), file('/a/d'), file('/ab'), file('/a/d/e')],
  });
  const after = (path: string): readonly string[] => stepOf(plan, `write file:${path}`).after;
  assert.deepEqual(after('/a'), []);
  assert.deepEqual(after('/a/link'), ['write file:/a']);
  assert.deepEqual(after('/a/link/b/c'), ['write file:/a', 'write file:/a/link']);
  assert.deepEqual(after('/a/d/e'), ['write file:/a']);
  assert.deepEqual(after('/ab'), []);
});

describe('before the goal', () => {
  const goal = 'unit:kubelet.service';
  const kubelet = unit('kubelet.service', { needs: ['unit:containerd.service'] });
  const plan = planned({
    desired: [
      kubelet,
      unit('containerd.service'),
      unit('other.service'),
      file('/now'),
      file('/later', { deferrable: true }),
      file('/background', { importance: 'background' }),
      action('behind', { needs: [goal] }),
    ],
    goal,
  });
  const { needs, after } = stepOf(plan, `start ${goal}`);

  test('is what may not wait, in order of ids, and not what is needed anyway', () => {
    assert.deepEqual(after, [
      'ready unit:other.service',
      'start unit:other.service',
      'write file:/now',
      'write unit:other.service /etc/systemd/system/other.service',
    ]);
    assert.deepEqual(needs, [
      'daemon-reload',
      'start unit:containerd.service',
      'write unit:containerd.service /etc/systemd/system/containerd.service',
      `write ${goal} /etc/systemd/system/kubelet.service`,
    ]);
  });

  test('is what has to have ended: what is needed and what comes before', () => {
    assert.deepEqual(prerequisites(stepOf(plan, `start ${goal}`)), [...needs, ...after]);
  });

  test('stands where the schedule has it', () => {
    const phases = new Map(schedule(plan).steps.map(({ step, phase }) => [step.id, phase]));
    for (const [id, phase] of [
      [`ready ${goal}`, 'goal'],
      ['write file:/now', 'goal'],
      // Beside the way to the goal, but it may not wait.
      ['ready unit:containerd.service', 'goal'],
      ['write file:/later', 'deferred'],
      ['write file:/background', 'deferred'],
      ['run action:behind', 'deferred'],
    ] as const)
      assert.equal(phases.get(id), phase, id);
  });

  test('is everything, where the plan has no goal', () => {
    const { goal: _goal, ...rest } = plan;
    const { steps, goal: none } = schedule({ ...rest, goal: undefined });
    assert.equal(none, undefined);
    assert.deepEqual(new Set(steps.map(({ phase }) => phase)), new Set(['goal']));
  });
});

test('a schedule puts what takes longest to its end first, and what takes as long by its id', () => {
  const needs: ResourceId[] = ['action:b'];
  const { steps } = schedule(planned({ desired: [action('b'), action('a'), file('/z'), action('c', { needs })] }));
  assert.deepEqual(
    steps.map(({ step }) => step.id),
    ['write file:/z', 'run action:b', 'run action:a', 'run action:c'],
  );
  const [write, b, a, c] = steps.map(({ remainingMs }) => remainingMs);
  assert.ok(write && b && a && c);
  assert.ok(write > b && b > a && a === c);
});

test('what a plan does to units is told of every job, and its goal is that the unit is ready', () => {
  const stopped = unit('b.service', { state: 'stopped', enablement: 'disabled' });
  const running: Observation = { ...freshUnit, activeState: 'active' };
  const made = planned({
    desired: [unit('a.service'), stopped],
    observed: { [stopped.id]: running },
    goal: 'unit:a.service',
  });
  assert.deepEqual(
    made.impact.map(({ unit: name, effect }) => [name, effect]),
    [
      ['a.service', 'start'],
      ['b.service', 'stop'],
    ],
  );
  assert.equal(made.goal, 'ready unit:a.service');
  assert.equal(planned({ desired: [unit('a.service')], goal: 'unit:b.service' }).goal, undefined);
});

test('what is needed or read and no document brings is named, with who asks for it', () => {
  const [a, b] = [unit('a.service', { inputs: ['file:/a', 'file:/b'], needs: ['action:x'] }), file('/a')];
  assert.deepEqual(unknownNeeds([a, b]), [
    { resource: a, missing: 'action:x' },
    { resource: a, missing: 'file:/b' },
  ]);
  assert.deepEqual(unknownNeeds(new Set([b, file('/b', { needs: ['file:/a'] })])), []);
});
