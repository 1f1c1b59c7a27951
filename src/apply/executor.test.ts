/** The executor on a machine in memory: its time is the machine's, so that hours take milliseconds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { withDeadline } from '../host/deadline.ts';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import type { ExecOptions, Host } from '../host/port.ts';
import type { StepRecord } from '../model/report.ts';
import type { ActionOf, StepAction } from '../model/steps.ts';
import { play, type PlayOptions, type Work } from '../../test/support/executing.ts';

const ids = (records: readonly StepRecord[]): string[] => records.map(({ id }) => id).sort();

function withStatus(records: readonly StepRecord[], status: StepRecord['status']): string[] {
  return ids(records.filter((record) => record.status === status));
}

function write(path: string): ActionOf<'write'> {
  const content = { encoding: 'utf8', data: path, sensitive: false } as const;
  const entry = { type: 'file', digest: '', mode: 0o644, uid: 0, gid: 0, content } as const;
  return { do: 'write', path, entry, keepOriginal: false };
}

describe('order', () => {
  test('deferred steps start when the goal is reached, never before', async () => {
    const works: Work[] = [
      { id: 'late', deferrable: true },
      { id: 'later', deferrable: true, needs: ['late'] },
      { id: 'first', takesMs: 300 },
      { id: 'goal', takesMs: 200, after: ['first'] },
    ];
    const { recordOf, report } = await play(works, { goal: 'goal' });
    assert.equal(report.outcome, 'converged');
    assert.equal(report.goalMs, recordOf('goal').endMs);
    for (const id of ['late', 'later']) {
      assert.equal(recordOf(id).phase, 'deferred');
      assert.ok(recordOf(id).startMs >= recordOf('goal').endMs, `${id} started before the goal was reached`);
    }
  });

  test('what the goal needs is done before it, although it might wait', async () => {
    const works: Work[] = [
      { id: 'needed', deferrable: true, takesMs: 10 },
      { id: 'goal', needs: ['needed'] },
    ];
    const { recordOf } = await play(works, { goal: 'goal' });
    assert.ok(recordOf('needed').endMs <= recordOf('goal').startMs);
  });

  test('a goal that fails leaves deferred steps undone', async () => {
    const works: Work[] = [
      { id: 'late', deferrable: true },
      { id: 'goal', fails: true },
    ];
    const { recordOf, report, machine } = await play(works, { goal: 'goal' });
    assert.deepEqual([report.outcome, report.goalMs, recordOf('late').status], ['failed', undefined, 'skipped']);
    assert.deepEqual(machine.effects, ['exec goal']);
  });

  test('the longest remaining path is first', async () => {
    const short: Work[] = Array.from({ length: 40 }, (_, index) => ({ id: `short-${index}`, takesMs: 10 }));
    const chain: Work[] = Array.from({ length: 5 }, (_, index) => ({
      id: `long-${index}`,
      takesMs: 100,
      needs: index === 0 ? [] : [`long-${index - 1}`],
    }));
    const { started, recordOf } = await play([...short, ...chain]);
    assert.equal(started[0], 'long-0');
    // Nothing of the chain ever waits behind the many others.
    assert.equal(recordOf('long-4').endMs - recordOf('long-0').startMs, 500);
  });

  test('at most sixteen steps run at a time', async () => {
    const works: Work[] = Array.from({ length: 40 }, (_, index) => ({ id: `step-${index}`, takesMs: 100 }));
    let [running, most] = [0, 0];
    await play(works, {
      onEvent: ({ type }) => {
        running += type === 'start' ? 1 : -1;
        most = Math.max(most, running);
      },
    });
    assert.equal(most, 16);
  });

  test('a step starts as soon as what it waits for has ended', async () => {
    const works: Work[] = [
      { id: 'a', takesMs: 50 },
      { id: 'b', takesMs: 80 },
      { id: 'c', needs: ['a'], takesMs: 10 },
      { id: 'd', needs: ['a'], after: ['b'] },
    ];
    const { recordOf } = await play(works);
    assert.equal(recordOf('c').startMs, recordOf('a').endMs);
    assert.equal(recordOf('d').startMs, recordOf('b').endMs);
  });

  test('thousands of steps that wait for each other are all carried out', async () => {
    const works: Work[] = Array.from({ length: 3000 }, (_, index) => ({
      id: `step-${index}`,
      needs: index < 16 ? [] : [`step-${index - 16}`],
      action: { do: 'release' },
    }));
    const { report } = await play(works);
    assert.equal(withStatus(report.steps, 'done').length, works.length);
  });
});

describe('failures', () => {
  test('a required step that fails ends the run: what runs is awaited, nothing more starts', async () => {
    const works: Work[] = [
      { id: 'breaks', takesMs: 50, fails: true },
      { id: 'runs', takesMs: 200 },
      { id: 'waits', after: ['breaks'] },
      { id: 'next', needs: ['runs'] },
    ];
    const { report, recordOf, machine } = await play(works);
    assert.equal(report.outcome, 'failed');
    assert.deepEqual([report.error?.code, report.error?.resource], ['NK_ACTION_FAILED', 'action:breaks']);
    assert.deepEqual([recordOf('runs').status, recordOf('runs').endMs - recordOf('runs').startMs], ['done', 200]);
    assert.deepEqual(withStatus(report.steps, 'skipped'), ['next', 'waits']);
    assert.deepEqual(recordOf('waits').details, ['an earlier step failed']);
    assert.deepEqual([...machine.effects].sort(), ['exec breaks', 'exec runs']);
  });

  test('nor does what is ready and only waits for its turn', async () => {
    const works: Work[] = [
      { id: 'breaks', takesMs: 10, weightMs: 1000, fails: true },
      ...Array.from({ length: 40 }, (_, index) => ({ id: `step-${index}`, takesMs: 100 })),
    ];
    const { report, started } = await play(works);
    assert.equal(started.length, 16);
    assert.equal(withStatus(report.steps, 'skipped').length, 25);
  });

  for (const [importance, outcome] of [
    ['bestEffort', 'degraded'],
    ['background', 'converged'],
  ] as const) {
    test(`a ${importance} step that fails passes over what needs it, and nothing else`, async () => {
      const works: Work[] = [
        { id: 'breaks', fails: true, importance },
        { id: 'needs it', needs: ['breaks'], importance },
        { id: 'needs that', needs: ['needs it'], importance },
        { id: 'comes after', after: ['breaks', 'needs that'] },
        { id: 'other' },
      ];
      const { report, recordOf } = await play(works);
      assert.equal(report.outcome, outcome);
      assert.equal(report.error, undefined);
      assert.deepEqual(withStatus(report.steps, 'failed'), ['breaks']);
      assert.deepEqual(withStatus(report.steps, 'skipped'), ['needs it', 'needs that']);
      assert.deepEqual(recordOf('needs that').details, ['a step it needs did not succeed']);
      assert.deepEqual(withStatus(report.steps, 'done'), ['comes after', 'other']);
    });
  }

  for (const importance of ['bestEffort', 'background'] as const) {
    test(`a required step that needs a ${importance} one fails with it, also behind others`, async () => {
      const works: Work[] = [
        { id: 'breaks', fails: true, importance },
        { id: 'between', needs: ['breaks'], importance },
        { id: 'required', needs: ['between'] },
        { id: 'waits', after: ['required'] },
      ];
      const { report } = await play(works);
      assert.equal(report.outcome, 'failed');
      assert.deepEqual([report.error?.code, report.error?.resource], ['NK_ACTION_FAILED', 'action:required']);
      assert.match(report.error?.message ?? '', /^required is required and needs breaks: /);
      assert.deepEqual(withStatus(report.steps, 'skipped'), ['between', 'required', 'waits']);
    });
  }

  test('a chain of thousands is passed over', async () => {
    const works: Work[] = Array.from({ length: 8000 }, (_, index) => ({
      id: `step-${index}`,
      importance: 'bestEffort',
      needs: index === 0 ? [] : [`step-${index - 1}`],
      ...(index === 0 ? { fails: true } : { action: { do: 'release' } as StepAction }),
    }));
    const { report } = await play(works);
    assert.equal(withStatus(report.steps, 'skipped').length, works.length - 1);
  });

  test('an error names the resource it is about', async () => {
    const machine = createMemoryMachine();
    machine.breakEffect('exec odd', new Error('not what was expected'));
    const { report } = await play([{ id: 'odd' }], { machine });
    assert.equal(report.error?.resource, 'action:odd');
    assert.match(report.error?.message ?? '', /^odd: /);
  });
});

describe('writes', () => {
  /** A host that tells how many entries each batch has. */
  function counting(machine: MemoryMachine): { host: Host; batches: number[] } {
    const [inner, batches] = [machine.open(), [] as number[]];
    const write_: Host['files']['write'] = (writes) => {
      batches.push(writes.length);
      return inner.files.write(writes);
    };
    return { host: { ...inner, files: { ...inner.files, write: write_ } }, batches };
  }
  const writing = (id: string, path: string, about: Partial<Work> = {}): Work => ({
    id,
    action: write(path),
    ...about,
  });

  test('all that are ready together are one durable batch', async () => {
    const machine = createMemoryMachine();
    const { host, batches } = counting(machine);
    const works: Work[] = [
      writing('one', '/etc/1'),
      writing('two', '/etc/2'),
      { id: 'program', takesMs: 10 },
      writing('three', '/etc/3', { needs: ['program'] }),
      writing('four', '/etc/4', { needs: ['program'] }),
      writing('five', '/etc/5', { needs: ['program'] }),
    ];
    const { report } = await play(works, { machine, host });
    assert.deepEqual(batches, [2, 3]);
    assert.equal(report.outcome, 'converged');
  });

  test('of a batch that fails, each is tried alone: the others are done, and one has failed', async () => {
    const machine = createMemoryMachine();
    machine.breakEffect('write /etc/2', new NodekilnError('NK_FILE_WRITE', 'no space left'));
    const works: Work[] = [
      writing('one', '/etc/1'),
      writing('two', '/etc/2', { importance: 'bestEffort' }),
      writing('three', '/etc/3'),
    ];
    const { report, recordOf, started } = await play(works, { machine });
    assert.deepEqual(withStatus(report.steps, 'failed'), ['two']);
    assert.equal(recordOf('two').error?.code, 'NK_FILE_WRITE');
    assert.deepEqual(withStatus(report.steps, 'done'), ['one', 'three']);
    assert.deepEqual(started.sort(), ['one', 'three', 'two'], 'each starts once');
  });
});

describe('events and records', () => {
  test('every step that starts ends, what is passed over only ends, and the record is the event', async () => {
    const works: Work[] = [
      { id: 'a', takesMs: 10 },
      { id: 'b', takesMs: 20, needs: ['a'], fails: true, importance: 'bestEffort' },
      { id: 'c', needs: ['b'], importance: 'bestEffort' },
    ];
    const done: StepRecord[] = [];
    const { events, report } = await play(works, { onDone: (record) => done.push(record) });
    assert.deepEqual(
      events.map((event) => (event.type === 'end' ? `end ${event.record.id} ${event.record.status}` : event.type)),
      ['start', 'end a done', 'start', 'end b failed', 'end c skipped'],
    );
    const ends = events.flatMap((event) => (event.type === 'end' ? [event.record] : []));
    assert.deepEqual(ends, report.steps);
    assert.deepEqual(done, report.steps);
    const [a, b, c] = report.steps;
    assert.deepEqual([a?.needs, b?.needs, c?.needs], [[], ['a'], ['b']]);
    assert.equal(b?.startMs, a?.endMs);
    assert.equal(c?.startMs, c?.endMs);
  });

  test('a listener that breaks ends the run once everything has ended, with its own error', async () => {
    const ended: string[] = [];
    const works: Work[] = [{ id: 'a' }, { id: 'b', takesMs: 500 }, { id: 'c', needs: ['b'] }];
    const listen: PlayOptions['onDone'] = ({ id }) => {
      ended.push(id);
      if (id === 'a') throw new Error('the journal is full');
    };
    await assert.rejects(play(works, { onDone: listen }), /the journal is full/);
    assert.deepEqual(ended, ['a', 'b']);
  });
});

describe('priority', () => {
  test('programs of deferred steps run at low priority, those before the goal do not', async () => {
    const machine = createMemoryMachine();
    const asked = new Map<string, ExecOptions['lowPriority']>();
    for (const id of ['goal', 'late'])
      machine.program(`${id}-helper`, ({ options }) => {
        asked.set(id, options.lowPriority);
        return {};
      });
    const module = (id: string): StepAction => ({ do: 'module', name: id });
    machine.program('modprobe', ({ argv, options }) => {
      asked.set(argv[1] ?? '', options.lowPriority);
      return {};
    });
    const works: Work[] = [
      { id: 'goal', action: module('goal') },
      { id: 'late', action: module('late'), deferrable: true },
    ];
    await play(works, { machine, goal: 'goal' });
    assert.deepEqual(Object.fromEntries(asked), { goal: undefined, late: true });
  });
});

describe('interruption', () => {
  /** Every step that waits for something, where it never comes. */
  const waits: readonly (readonly [string, (machine: MemoryMachine) => StepAction | undefined])[] = [
    ['a program', () => undefined],
    [
      'a module',
      (machine) => {
        machine.program('modprobe', () => ({ durationMs: 20_000 }));
        return { do: 'module', name: 'overlay' };
      },
    ],
    [
      'a join',
      (machine) => {
        machine.units.behave('never.service', { start: 'hang' });
        return ready('never.service');
      },
    ],
    ['a stop', () => ({ do: 'stop', unit: 'slow.service', startedWith: '' })],
  ];
  const ready = (unit: string): StepAction => ({
    do: 'ready',
    unit,
    readiness: { type: 'http', url: 'http://127.0.0.1:1/healthz' },
    deadlineMs: 3_600_000,
    startedWith: '',
  });

  async function machineWithUnits(): Promise<MemoryMachine> {
    const machine = createMemoryMachine();
    const text = '[Service]\nExecStart=/bin/x\n';
    for (const name of ['never.service', 'slow.service'])
      await machine.files.write([
        {
          type: 'file',
          path: `/etc/systemd/system/${name}`,
          content: new TextEncoder().encode(text),
          mode: 0o644,
          uid: 0,
          gid: 0,
        },
      ]);
    machine.units.behave('slow.service', { stopMs: 3_600_000 });
    await (
      await machine.units.start('slow.service')
    ).result;
    await machine.units.start('never.service');
    return machine;
  }

  for (const [what, actionOn] of waits) {
    test(`is obeyed at once while ${what} is waited for`, async () => {
      const machine = await machineWithUnits();
      const stop = new AbortController();
      const action = actionOn(machine);
      const works: Work[] = [
        { id: 'waits', takesMs: 3_600_000, ...(action && { action }) },
        { id: 'next', after: ['waits'] },
      ];
      const begun = machine.clock.monotonic();
      machine.clock.after(1000, () => stop.abort(new NodekilnError('NK_INTERRUPTED', 'SIGTERM')));
      await assert.rejects(play(works, { machine, signal: stop.signal }), /SIGTERM/);
      const waited = machine.clock.monotonic() - begun;
      assert.ok(waited >= 1000 && waited < 1100, `${waited} ms`);
      assert.ok(!machine.effects.includes('exec next'));
    });
  }

  test('a budget that is used up ends the run with NK_TIMEOUT', async () => {
    const machine = createMemoryMachine();
    const begun = machine.clock.monotonic();
    const works: Work[] = [{ id: 'hangs', takesMs: 3_600_000 }];
    await assert.rejects(
      withDeadline({ clock: machine.clock, ms: 5000, about: 'the boot' }, (signal) => play(works, { machine, signal })),
      (error) => error instanceof NodekilnError && error.code === 'NK_TIMEOUT',
    );
    assert.ok(machine.clock.monotonic() - begun <= 5100);
  });

  test('what was done until then is noted, and nothing starts that was not started', async () => {
    const machine = createMemoryMachine();
    const stop = new AbortController();
    const done: string[] = [];
    const works: Work[] = [
      { id: 'quick', takesMs: 10 },
      { id: 'long', takesMs: 10_000 },
      { id: 'next', needs: ['quick'], takesMs: 10_000 },
      { id: 'last', needs: ['next'] },
    ];
    machine.clock.after(100, () => stop.abort());
    await assert.rejects(
      play(works, { machine, signal: stop.signal, onDone: ({ id }) => done.push(id) }),
      (error) => error instanceof NodekilnError && error.code === 'NK_INTERRUPTED',
    );
    assert.deepEqual(done, ['quick']);
    assert.deepEqual([...machine.effects].sort(), ['exec long', 'exec next', 'exec quick']);
  });

  test('a signal that fired before starts nothing', async () => {
    const machine = createMemoryMachine();
    await assert.rejects(play([{ id: 'a' }], { machine, signal: AbortSignal.abort() }));
    assert.deepEqual(machine.effects, []);
  });
});
