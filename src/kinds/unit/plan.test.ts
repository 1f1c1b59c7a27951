import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exampleFacts } from '../../model/facts.ts';
import type { FileResource, Resource, ResourceId, UnitResource } from '../../model/resources.ts';
import type { Facet, Observation, Plan, Step, Touched, UnitObservation } from '../../model/steps.ts';
import { file, freshUnit, planned, touchedEntry, unit } from '../../../test/support/planning.ts';
import { absentOn, changesContent, compareResource, contentOf, readsOf } from '../planners.ts';
import { unitPlanner } from './plan.ts';

/** A unit that a package brings: only its state is ours. */
function vendor(about: Partial<UnitResource> = {}): UnitResource {
  const { content: _none, ...rest } = unit('a.service', about);
  return rest;
}
function leftAlone(): UnitResource {
  const { enablement: _enablement, state: _state, ...rest } = vendor();
  return rest;
}
const running: UnitObservation = { ...freshUnit, loadState: 'loaded', activeState: 'active', enablement: 'enabled' };
const idle: UnitObservation = { ...running, activeState: 'inactive' };

interface Around {
  readonly others?: readonly Resource[];
  readonly touched?: Touched;
  readonly seen?: Readonly<Record<string, Observation>>;
  readonly goal?: ResourceId;
}

function plannedOf(wanted: UnitResource, observed: UnitObservation, around: Around = {}): Plan {
  const { others = [], touched, seen = {}, goal } = around;
  return planned({
    desired: [wanted, ...others],
    observed: { [wanted.id]: observed, ...seen },
    touched: touched ? [touched] : [],
    ...(goal && { goal }),
  });
}

const idsOf = ({ steps }: Plan): string[] => steps.map(({ id }) => id);

function stepOf(plan: Plan, id: string): Step {
  const step = plan.steps.find((one) => one.id === id);
  assert.ok(step, `${id} is not among ${idsOf(plan).join(', ')}`);
  return step;
}

describe('a unit that is looked at alone differs', () => {
  const stopped = vendor({ state: 'stopped', enablement: 'disabled' });
  const off: UnitObservation = { ...idle, enablement: 'disabled' };
  const rows: readonly [string, UnitResource, UnitObservation, readonly Facet[] | undefined][] = [
    ['not when it runs as it should', vendor(), running, undefined],
    ['not when it is stopped as it should be', stopped, off, undefined],
    ['not when nothing of it is asked for', leftAlone(), { ...idle, enablement: 'masked' }, undefined],
    ['not when it runs and nobody asks whether it does', leftAlone(), running, undefined],
    ['by its unit file', unit('a.service'), running, ['definition']],
    ['by a drop-in', vendor({ dropIns: [{ name: '1.conf', content: 'x' }] }), running, ['definition']],
    ['by being stopped', vendor(), idle, ['state']],
    ['by having failed', vendor(), { ...idle, activeState: 'failed' }, ['state']],
    ['by running', stopped, { ...off, activeState: 'active' }, ['state']],
    ['not while it comes up', vendor(), { ...running, activeState: 'activating' }, undefined],
    [
      'when it has ended and waits for its restart',
      vendor(),
      { ...running, activeState: 'activating', restartWaits: true },
      ['state'],
    ],
    ['not when a oneshot has done its work', vendor(), { ...idle, transient: true, succeeded: true }, undefined],
    ['when a oneshot has not', vendor(), { ...idle, transient: true }, ['state']],
    ['when it ended well and should have stayed', vendor(), { ...idle, succeeded: true }, ['state']],
    ['when systemd has yet to read it', vendor(), { ...running, stale: true }, ['stale']],
    ['in all of these', unit('a.service'), freshUnit, ['definition', 'enablement', 'state']],
    ['in nothing that runs where no systemd does', vendor(), { ...idle, stale: true, live: false }, undefined],
    ['in enablement also where no systemd runs', vendor(), { ...freshUnit, live: false }, ['enablement']],
    ['not by running where no systemd does', stopped, { ...off, activeState: 'active', live: false }, undefined],
  ];
  for (const [what, wanted, observed, facets] of rows)
    test(what, () => {
      assert.deepEqual(compareResource(wanted, { observed, touched: undefined })?.facets, facets);
    });
});

describe('enablement', () => {
  const rows: readonly (readonly [NonNullable<UnitResource['enablement']>, string, string | undefined])[] = [
    ...['enabled', 'enabled-runtime', 'static', 'alias', 'generated', 'indirect'].map(
      (found) => ['enabled', found, undefined] as const,
    ),
    ...['', 'disabled', 'linked'].map((found) => ['enabled', found, 'enable'] as const),
    ...['enabled', 'enabled-runtime', 'linked'].map((found) => ['disabled', found, 'disable'] as const),
    ...['', 'disabled', 'static'].map((found) => ['disabled', found, undefined] as const),
    ...['masked', 'masked-runtime'].map((found) => ['disabled', found, 'unmask'] as const),
    ...['masked', 'masked-runtime'].map((found) => ['masked', found, undefined] as const),
    ...['', 'enabled', 'disabled', 'unmasked'].map((found) => ['masked', found, 'mask'] as const),
  ];
  for (const [wanted, found, change] of rows)
    test(`${wanted} of a unit that is ${found || 'not known'}: ${change ?? 'nothing'}`, () => {
      const plan = plannedOf(vendor({ enablement: wanted, state: 'stopped' }), { ...idle, enablement: found });
      assert.deepEqual(
        plan.steps.flatMap(({ action }) => (action.do === 'enablement' ? [action] : [])),
        change === undefined ? [] : [{ do: 'enablement', unit: 'a.service', change }],
      );
    });

  test('of a masked unit comes after it is unmasked, and so does its start', () => {
    const plan = plannedOf(vendor(), { ...idle, enablement: 'masked' });
    assert.deepEqual(idsOf(plan).slice(0, 4), [
      'unmask unit:a.service',
      'start unit:a.service',
      'ready unit:a.service',
      'enable unit:a.service',
    ]);
    assert.deepEqual(stepOf(plan, 'unmask unit:a.service').writes, ['enablement:a.service#mask']);
    assert.deepEqual(stepOf(plan, 'start unit:a.service').needs, ['unmask unit:a.service']);
    assert.deepEqual(stepOf(plan, 'enable unit:a.service').needs, ['ready unit:a.service', 'unmask unit:a.service']);
    assert.deepEqual(stepOf(plan, 'enable unit:a.service').writes, ['enablement:a.service']);
  });

  test('of a unit that is masked and differs otherwise: it is unmasked, unless it is to be masked', () => {
    const masked = { ...running, enablement: 'masked' };
    const dropIns = [{ name: '1.conf', content: 'x' }];
    assert.ok(idsOf(plannedOf({ ...leftAlone(), dropIns }, masked)).includes('unmask unit:a.service'));
    assert.ok(!idsOf(plannedOf({ ...leftAlone(), dropIns }, running)).includes('unmask unit:a.service'));
    const plan = plannedOf(vendor({ enablement: 'masked', dropIns }), masked);
    assert.ok(!idsOf(plan).includes('unmask unit:a.service'));
  });

  test('is a matter for later only where the unit was to be started', () => {
    const [started, stopped] = [vendor(), vendor({ state: 'stopped' })];
    const disabled = { ...idle, enablement: 'disabled' };
    const enabling = (wanted: UnitResource, found: UnitObservation): Step =>
      stepOf(plannedOf(wanted, found), 'enable unit:a.service');
    assert.deepEqual(
      [enabling(started, disabled), enabling(stopped, disabled), enabling(started, { ...disabled, live: false })].map(
        ({ needs, deferrable }) => [needs, deferrable],
      ),
      [
        [['ready unit:a.service'], true],
        [[], false],
        [[], false],
      ],
    );
    assert.equal(enabling({ ...stopped, deferrable: true }, disabled).deferrable, true);
    const disabling = stepOf(
      plannedOf(vendor({ enablement: 'disabled' }), { ...idle, enablement: 'enabled' }),
      'disable unit:a.service',
    );
    assert.deepEqual([disabling.needs, disabling.deferrable], [[], false]);
  });
});

describe('a unit that should not run', () => {
  test('is stopped, and disabled after that', () => {
    const plan = plannedOf(vendor({ state: 'stopped', enablement: 'disabled' }), running);
    const stop = stepOf(plan, 'stop unit:a.service');
    assert.deepEqual(stop.action, { do: 'stop', unit: 'a.service', startedWith: '' });
    assert.deepEqual([stop.writes, stop.needs, stop.reads], [['unit:a.service'], [], []]);
    assert.deepEqual(stepOf(plan, 'disable unit:a.service').needs, ['stop unit:a.service']);
    assert.deepEqual(
      plan.impact.map(({ unit: name, effect }) => [name, effect]),
      [['a.service', 'stop']],
    );
  });

  test('is not stopped when only something else about it differs', () => {
    const stopped = vendor({ state: 'stopped', enablement: 'disabled' });
    assert.ok(!idsOf(plannedOf(stopped, { ...idle, enablement: 'enabled' })).includes('stop unit:a.service'));
    const unread = { ...running, stale: true, activeState: 'active' };
    assert.ok(!idsOf(plannedOf(vendor(), unread)).includes('stop unit:a.service'));
  });
});

describe('a unit that should run', () => {
  test('is written, started and joined, each after the other', () => {
    const plan = plannedOf(unit('a.service', { dropIns: [{ name: '1.conf', content: 'x' }] }), freshUnit);
    const [path, dropIn] = ['/etc/systemd/system/a.service', '/etc/systemd/system/a.service.d/1.conf'];
    const writes = [`write unit:a.service ${path}`, `write unit:a.service ${dropIn}`];
    for (const [index, place] of [path, dropIn].entries()) {
      const step = stepOf(plan, writes[index] ?? '');
      assert.ok(step.action.do === 'write');
      assert.deepEqual([step.action.path, step.action.keepOriginal], [place, false]);
      assert.deepEqual([step.writes, step.reads, step.needs], [[place], [], []]);
    }
    const start = stepOf(plan, 'start unit:a.service');
    assert.deepEqual(start.needs, ['daemon-reload', ...writes]);
    assert.deepEqual([start.writes, start.reads], [['unit:a.service'], [path, `${path}.d`]]);
    const ready = stepOf(plan, 'ready unit:a.service');
    assert.deepEqual([ready.needs, ready.reads, ready.writes], [['start unit:a.service'], ['unit:a.service'], []]);
    assert.ok(ready.action.do === 'ready' && start.action.do === 'start');
    assert.deepEqual(ready.action, {
      do: 'ready',
      unit: 'a.service',
      readiness: { type: 'active' },
      deadlineMs: 1000,
      startedWith: start.action.startedWith,
    });
    assert.deepEqual(
      plan.impact.map(({ unit: name, effect }) => [name, effect]),
      [['a.service', 'start']],
    );
  });

  test('loses what an earlier definition left', () => {
    const before = unit('a.service', { dropIns: [{ name: '1.conf', content: 'x' }] });
    const path = '/etc/systemd/system/a.service.d/1.conf';
    const there = { type: 'file', digest: 'sha256:00', mode: 0o644, uid: 0, gid: 0 } as const;
    const plan = plannedOf(vendor(), { ...running, entries: { [path]: there } }, { touched: touchedEntry(before) });
    const step = stepOf(plan, `remove unit:a.service ${path}`);
    assert.deepEqual(step.action, { do: 'remove', paths: [path], restoreOriginal: false });
    assert.deepEqual([step.writes, step.needs], [[path], []]);
    assert.ok(stepOf(plan, 'restart unit:a.service').needs.includes(step.id));
  });

  const effects: readonly [string, UnitResource, UnitObservation, string | undefined][] = [
    ['is started when it does not run', vendor(), idle, 'start'],
    ['is started anew by its definition', unit('a.service'), running, 'restart'],
    [
      'is started anew by its definition, though a reload were enough',
      unit('a.service', { onChange: 'reload' }),
      running,
      'restart',
    ],
    ['is started, not reloaded, when it does not run', vendor({ onChange: 'reload' }), idle, 'start'],
    [
      'is started anew, not reloaded, while it waits for its restart',
      vendor({ onChange: 'reload' }),
      { ...running, activeState: 'activating', restartWaits: true },
      'restart',
    ],
    ['goes on when it is enabled', vendor(), { ...running, enablement: 'disabled' }, undefined],
    ['goes on when systemd has yet to read it', vendor(), { ...running, stale: true }, undefined],
    ['is not started where no systemd runs', unit('a.service'), { ...freshUnit, live: false }, undefined],
    ['is left alone when nobody asks', { ...leftAlone(), content: 'x' }, freshUnit, undefined],
  ];
  for (const [what, wanted, observed, effect] of effects)
    test(what, () => {
      assert.deepEqual(
        plannedOf(wanted, observed).impact.map((one) => one.effect),
        effect === undefined ? [] : [effect],
      );
    });
});

describe('a unit that runs and reads other resources', () => {
  const config = file('/etc/a.conf');
  const reader = (about: Partial<UnitResource> = {}): UnitResource => vendor({ inputs: [config.id], ...about });
  const startedWith = (wanted: UnitResource, others: readonly Resource[] = [config]): string => {
    const { action } = stepOf(plannedOf(wanted, idle, { others }), `start ${wanted.id}`);
    return action.do === 'start' ? action.startedWith : assert.fail();
  };
  const present: Observation = {
    kind: 'file',
    entry: {
      type: 'file',
      digest: 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
      mode: 0o644,
      uid: 0,
      gid: 0,
    },
  };
  const effectsOf = (wanted: UnitResource, touched: Partial<Touched> | undefined, found = running, seen = present) =>
    plannedOf(wanted, found, {
      others: [config],
      seen: { [config.id]: seen },
      ...(touched && { touched: touchedEntry(wanted, touched) }),
    }).impact.map(({ effect }) => effect);
  const missing: Observation = { kind: 'file', entry: { type: 'absent' } };

  test('goes on while nothing of it changes', () => {
    assert.deepEqual(effectsOf(reader(), { startedWith: startedWith(reader()) }), []);
    assert.deepEqual(effectsOf(reader(), { startedWith: undefined }), []);
    assert.deepEqual(effectsOf(reader(), undefined), []);
  });

  test('is started anew when it changes, or only reloads, or goes on, as the document says', () => {
    for (const [onChange, effects] of [
      ['restart', ['restart']],
      ['reload', ['reload']],
      ['none', []],
    ] as const)
      assert.deepEqual(effectsOf(reader({ onChange }), undefined, running, missing), effects);
  });

  test('is started anew when it runs with an earlier state of it', () => {
    assert.deepEqual(effectsOf(reader(), { startedWith: 'earlier' }), ['restart']);
    assert.deepEqual(effectsOf(reader({ onChange: 'none' }), { startedWith: 'earlier' }), []);
    assert.deepEqual(effectsOf(reader({ state: 'stopped' }), { startedWith: 'earlier' }, idle), []);
    const { state: _any, ...whatever } = reader();
    assert.deepEqual(effectsOf(whatever, { startedWith: 'earlier' }), []);
    assert.deepEqual(effectsOf(reader(), { startedWith: 'earlier' }, { ...running, live: false }), []);
  });

  test('is started anew when an earlier run did not get to it, whatever the document says of changes', () => {
    for (const onChange of ['restart', 'reload', 'none'] as const)
      assert.deepEqual(effectsOf(reader({ onChange }), { startedWith: '' }), ['restart'], onChange);
  });

  test('is changed once, for one reason, when its own definition changes too', () => {
    for (const startedWithBefore of ['', 'earlier']) {
      const wanted = unit('a.service', { inputs: [config.id] });
      const { changes, impact } = plannedOf(wanted, running, {
        others: [config],
        seen: { [config.id]: present },
        touched: touchedEntry(wanted, { startedWith: startedWithBefore }),
      });
      assert.deepEqual(
        changes.map(({ facets }) => facets),
        [['definition']],
      );
      assert.equal(impact.length, 1);
    }
  });

  test('is not changed by reading itself', () => {
    const wanted = unit('a.service', { inputs: ['unit:a.service'] });
    const { changes } = plannedOf(wanted, running);
    assert.deepEqual(
      changes.map(({ facets }) => facets),
      [['definition']],
    );
  });

  test('remembers what it was started with: definition, and the content of what it reads in any order', () => {
    const other = file('/etc/b.conf');
    const both = [config, other];
    const inOrder = startedWith(reader({ inputs: [config.id, other.id] }), both);
    assert.equal(startedWith(reader({ inputs: [other.id, config.id] }), both), inOrder);
    for (const [wanted, others] of [
      [reader({ inputs: [config.id] }), both],
      [reader({ inputs: [config.id, other.id], dropIns: [{ name: '1.conf', content: 'x' }] }), both],
      [unit('a.service', { inputs: [config.id, other.id] }), both],
      [reader({ inputs: [config.id, other.id] }), [config, file('/etc/b.conf', { text: 'y' })]],
      [reader({ inputs: [config.id, other.id] }), [config]],
    ] as const)
      assert.notEqual(startedWith(wanted, others), inOrder);
  });

  test('reads what lies in the folders that it names, and what it named until now', () => {
    const folder: FileResource = file('/etc/a.d', { entry: { type: 'directory', mode: '0755', uid: 0, gid: 0 } });
    const before = vendor({ inputs: ['file:/etc/old'], needs: ['file:/etc/older'] });
    const plan = plannedOf(vendor({ inputs: [folder.id] }), idle, { others: [folder], touched: touchedEntry(before) });
    const path = '/etc/systemd/system/a.service';
    assert.deepEqual(stepOf(plan, 'start unit:a.service').reads, [
      path,
      `${path}.d`,
      '/etc/a.d',
      '/etc/old',
      '/etc/older',
    ]);
  });
});

describe('to others a unit', () => {
  test('is what its files say', () => {
    const one = unit('a.service', { dropIns: [{ name: '1.conf', content: 'x' }] });
    assert.notDeepEqual(contentOf({ ...one, content: 'y' }), contentOf(one));
    assert.notDeepEqual(contentOf({ ...one, dropIns: [] }), contentOf(one));
    assert.deepEqual(contentOf({ ...one, state: 'stopped' }), contentOf(one));
    assert.equal(changesContent(one.id, { facets: ['definition'], details: [] }), true);
    assert.equal(changesContent(one.id, { facets: ['state', 'enablement'], details: [] }), false);
    assert.deepEqual(readsOf({ ...one, inputs: ['file:/etc/a'], needs: ['file:/etc/b'] }), ['file:/etc/a']);
  });

  test('is there when it is ready, though it is enabled later and systemd reads that later still', () => {
    const needing = vendor({ enablement: 'enabled' });
    const plan = planned({
      desired: [needing, unit('b.service', { needs: [needing.id], state: 'stopped' })],
      observed: {
        [needing.id]: { ...idle, enablement: 'disabled' },
        'unit:b.service': { ...running, enablement: 'disabled' },
      },
    });
    const { needs } = stepOf(plan, 'stop unit:b.service');
    assert.ok(needs.includes('start unit:a.service'));
    assert.ok(!needs.includes('enable unit:a.service'));
    assert.deepEqual(stepOf(plan, 'enable unit:b.service').needs.slice(0, 2), [
      'ready unit:a.service',
      'start unit:a.service',
    ]);
    assert.ok(!stepOf(plan, 'write unit:b.service /etc/systemd/system/b.service').needs.length);
  });

  test('that is only enabled is there when it is', () => {
    const plan = planned({
      desired: [vendor({ state: 'stopped' }), unit('b.service', { needs: ['unit:a.service'] })],
      observed: { 'unit:a.service': { ...idle, enablement: 'disabled' } },
    });
    assert.ok(stepOf(plan, 'start unit:b.service').needs.includes('enable unit:a.service'));
  });
});

test('a unit is not there yet where nobody has set anything up, unless a package brings it', () => {
  const nowhere: UnitObservation = { ...freshUnit, loadState: 'not-found' };
  assert.deepEqual(absentOn(unit('a.service'), exampleFacts), nowhere);
  assert.deepEqual(absentOn(vendor(), exampleFacts), { ...nowhere, loadState: 'loaded' });
});

test('what a step does to a running unit is told of jobs alone', () => {
  const { steps } = plannedOf(unit('a.service'), freshUnit);
  const effects = steps.flatMap((step) =>
    step.resource === 'unit:a.service' ? (unitPlanner.impactOf?.(step) ?? []) : [],
  );
  assert.deepEqual(
    effects.map(({ unit: name, effect, why }) => [name, effect, why !== '']),
    [['a.service', 'start', true]],
  );
});

test('only files of a unit that runs somewhere define it', () => {
  const change = planned({ desired: [unit('a.service')] });
  const of = (live: boolean): string[] =>
    change.steps.flatMap((step) =>
      unitPlanner.definesUnits?.({ ...freshUnit, live })?.(step) === true ? step.id : [],
    );
  assert.deepEqual(of(true), ['write unit:a.service /etc/systemd/system/a.service']);
  assert.deepEqual(of(false), []);
});
