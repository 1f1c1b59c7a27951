/** Effects of units on a machine in memory, in its own time. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { MemoryMachine } from '../../host/memory/machine.ts';
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import type { Resource, UnitResource } from '../../model/resources.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { file, unit } from '../../../test/support/planning.ts';

const path = '/etc/systemd/system/a.service';
const text = (about = ''): string =>
  `[Unit]\n${about}\n[Service]\nExecStart=/bin/x\n[Install]\nWantedBy=multi-user.target\n`;

function service(about: Partial<UnitResource> = {}): UnitResource {
  return unit('a.service', { content: text(), deadlineMs: 10_000, ...about });
}

let engine: Engine;
let machine: MemoryMachine;
beforeEach(async () => {
  engine = await createEngine();
  ({ machine } = engine);
});

const invocation = async (name = 'a.service'): Promise<string> => (await machine.units.get(name)).invocationId;
const state = async (name = 'a.service'): Promise<string> => (await machine.units.get(name)).activeState;

async function failing(resources: readonly Resource[]): Promise<NodekilnError> {
  const { error, outcome } = await engine.apply(resources);
  assert.equal(outcome, 'failed');
  assert.ok(error);
  return error;
}

describe('a start', () => {
  test('is joined to active, and only then the unit is enabled', async () => {
    machine.units.behave('a.service', { startMs: 400 });
    const { steps } = await engine.applied([service()]);
    const [ready, enable] = ['ready unit:a.service', 'enable unit:a.service'].map((id) =>
      steps.find((step) => step.id === id),
    );
    assert.ok(ready && enable);
    assert.ok(ready.endMs - ready.startMs >= 400);
    assert.ok(enable.startMs >= ready.endMs);
    assert.deepEqual([await state(), await engine.host.units.enablement('a.service')], ['active', 'enabled']);
  });

  test('is joined to the component’s own readiness', async () => {
    const url = 'http://127.0.0.1:10248/healthz';
    machine.units.behave('a.service', {
      startMs: 50,
      onActive: () => machine.clock.after(2000, () => machine.serve('http://127.0.0.1:10248', () => ({ status: 200 }))),
    });
    const { steps } = await engine.applied([service({ readiness: { type: 'http', url } })]);
    const ready = steps.find(({ id }) => id === 'ready unit:a.service');
    assert.ok(ready && ready.endMs - ready.startMs >= 2000, 'it was ready before its answer');
  });

  test('that is queued may fail at once what a program says', async () => {
    machine.units.behave('a.service', { start: 'fail', startMs: 100, log: ['no such configuration', 'giving up'] });
    const error = await failing([service()]);
    assert.equal(error.code, 'NK_UNIT_FAILED');
    assert.deepEqual(error.lines, ['no such configuration', 'giving up']);
    assert.equal(await engine.host.units.enablement('a.service'), 'disabled', 'what never was ready is not enabled');
  });

  const secret = { sensitive: text('# hunter2') };
  const dropIn = (content: string | { sensitive: string }) => ({ name: '10-x.conf', content });
  for (const [what, about, told] of [
    ['plain', {}, true],
    ['secret', { content: secret }, false],
    ['secret with its drop-ins', { content: secret, dropIns: [dropIn({ sensitive: '[Service]\n' })] }, false],
    ['plain with a secret drop-in of ours', { dropIns: [dropIn({ sensitive: '[Service]\n' })] }, true],
    ['plain with a plain drop-in', { dropIns: [dropIn('[Service]\n')] }, true],
  ] as const)
    for (const start of ['fail', 'hang'] as const)
      test(`says what it said when it is ${what} (${start}): ${told ? 'all' : 'where to read it'}`, async () => {
        machine.units.behave('a.service', { start, startMs: 100, log: ['token=hunter2', 'giving up'] });
        const error = await failing([service(about)]);
        const said = JSON.stringify([error.message, error.lines, engine.journal.touched().size]);
        assert.equal(said.includes('hunter2'), told, said);
        if (!told) assert.match(error.lines.join(), /^what it said is not told.*journalctl -u a\.service$/);
      });

  for (const [what, readiness] of [
    ['an address', { type: 'http', url: 'http://127.0.0.1:10248/healthz' }],
    ['a socket', { type: 'socket', path: '/run/a.sock' }],
  ] as const) {
    test(`has a deadline: ${what} that never answers is a failure then`, async () => {
      const begun = machine.clock.monotonic();
      const error = await failing([service({ readiness })]);
      assert.equal(error.code, 'NK_UNIT_UNHEALTHY');
      assert.match(error.message, /not ready after 10000 ms: nothing answers at/);
      const took = machine.clock.monotonic() - begun;
      assert.ok(took >= 9900 && took < 11_500, `${took} ms`);
    });
  }

  test('is told without the password of its address', async () => {
    const error = await failing([
      service({ readiness: { type: 'http', url: 'http://me:hunter2@127.0.0.1:1/x?k=hunter2' } }),
    ]);
    assert.match(error.message, /nothing answers at http:\/\/127\.0\.0\.1:1\/x\?…$/);
  });

  test('has a deadline also while its job is queued', async () => {
    machine.units.behave('a.service', { start: 'hang' });
    const error = await failing([service({ deadlineMs: 2000 })]);
    assert.equal(error.code, 'NK_UNIT_UNHEALTHY');
    assert.match(error.message, /activating/);
  });

  test('of what answers otherwise than well is not ready', async () => {
    machine.serve('http://127.0.0.1:10248', () => ({ status: 500 }));
    const error = await failing([service({ readiness: { type: 'http', url: 'http://127.0.0.1:10248/healthz' } })]);
    assert.match(error.message, /healthz answers 500/);
  });

  test('of what ends by itself is a failure at once', async () => {
    machine.units.behave('a.service', { exit: { afterMs: 50, status: 0 } });
    const begun = machine.clock.monotonic();
    const error = await failing([service({ readiness: { type: 'socket', path: '/run/a.sock' } })]);
    assert.match(error.message, /ended by itself/);
    assert.ok(machine.clock.monotonic() - begun < 2000);
  });

  test('of what restarts in a loop is a failure long before the deadline', async () => {
    machine.units.behave('a.service', ({ start }) => ({
      exit: { afterMs: 100, status: 7 },
      log: [`unknown flag, said by run ${start}`],
    }));
    const looping = text('StartLimitIntervalSec=0').replace('ExecStart', 'Restart=always\nExecStart');
    const begun = machine.clock.monotonic();
    const error = await failing([
      service({ content: looping, readiness: { type: 'socket', path: '/run/a.sock' }, deadlineMs: 600_000 }),
    ]);
    assert.match(error.message, /restarts in a loop \(\d+ times, exit status 7\)/);
    assert.ok(error.lines.includes('unknown flag, said by run 1'), error.lines.join('\n'));
    assert.ok(machine.clock.monotonic() - begun < 5000);
    await machine.units.stop('a.service');
  });

  for (const [what, type, status, end] of [
    ['a wrong flag', 'simple', 1, 'exit status 1'],
    ['a program that is not there', 'exec', 203, 'exit status 203'],
    ['a user who is not there', 'idle', 217, 'exit status 217'],
    ['a panic', 'simple', 2, 'exit status 2'],
    ['a daemon that ends', 'forking', 255, 'exit status 255'],
    ['a shell whose child was killed', 'exec', 137, 'exit status 137'],
  ] as const)
    test(`of what restarts in a loop is told by the runs that failed, not by the one being started: ${what}`, async () => {
      // The second run is the last that says a word; the next has begun when it is looked at.
      machine.units.behave('a.service', ({ start }) => ({
        exit: { afterMs: 30, status },
        log: start < 3 ? [`cause of run ${start}`] : [],
      }));
      const content = text('StartLimitIntervalSec=0').replace(
        'ExecStart',
        `Type=${type}\nRestart=always\nRestartSec=100ms\nExecStart`,
      );
      const error = await failing([service({ content, readiness: { type: 'socket', path: '/run/a.sock' } })]);
      assert.equal(error.code, 'NK_UNIT_FAILED');
      assert.match(error.message, new RegExp(`restarts in a loop \\(\\d+ times, ${end}\\)$`));
      assert.ok(
        error.lines.includes('cause of run 1') && error.lines.includes('cause of run 2'),
        error.lines.join('\n'),
      );
      await machine.units.stop('a.service');
    });

  test('whose job ends otherwise is a failure at once, though the unit is only inactive', async () => {
    await engine.put('/etc/systemd/system/broken.service', text());
    machine.units.behave('broken.service', { start: 'fail', startMs: 50 });
    const begun = machine.clock.monotonic();
    const content = text('Requires=broken.service\nAfter=broken.service');
    const error = await failing([service({ content, deadlineMs: 600_000 })]);
    assert.match(error.message, /its start job ended with dependency/);
    assert.ok(machine.clock.monotonic() - begun < 5000);
  });

  test('of a oneshot is done when it succeeded', async () => {
    const once = (about = ''): UnitResource =>
      service({ content: text(about).replace('ExecStart', 'Type=oneshot\nExecStart') });
    const oneshot = once();
    await engine.applied([oneshot]);
    assert.equal(await state(), 'inactive');
    engine.effects();
    await engine.applied([oneshot]);
    assert.deepEqual(engine.effects(), [], 'it is not started again for being inactive');
    machine.units.behave('a.service', { start: 'fail' });
    const error = await failing([once('Description=anew')]);
    assert.equal(error.code, 'NK_UNIT_FAILED');
  });

  test('of a unit that is not there is NK_UNIT_MISSING', async () => {
    const { content: _none, ...vendor } = service();
    assert.equal((await failing([vendor])).code, 'NK_UNIT_MISSING');
  });

  test('is a full one also for a unit that used up its start limit before us', async () => {
    await engine.put(path, text());
    machine.units.behave('a.service', { start: 'fail' });
    for (let attempt = 0; attempt < 6; attempt++) await (await machine.units.start('a.service')).result;
    assert.equal((await machine.units.get('a.service')).result, 'start-limit-hit');
    machine.units.behave('a.service', {});
    await engine.applied([service()]);
    assert.equal(await state(), 'active');
    const effects = engine.effects();
    assert.ok(effects.indexOf('reset-failed a.service') >= 0);
    assert.ok(effects.indexOf('reset-failed a.service') < effects.indexOf('start a.service'));
  });
});

describe('a restart', () => {
  test('is not taken for done while the process that it stops still runs', async () => {
    const stops = { stopMs: 3000 };
    machine.units.behave('a.service', stops);
    await engine.applied([service()]);
    const before = await invocation();
    const { steps } = await engine.applied([service({ content: text('Description=anew') })]);
    const ready = steps.find(({ id }) => id === 'ready unit:a.service');
    assert.ok(ready && ready.endMs - ready.startMs >= 3000, 'it was satisfied by the process that was stopping');
    assert.notEqual(await invocation(), before);
  });

  test('is of what changed, once, and of nothing else', async () => {
    const other = unit('b.service', { content: text(), inputs: ['file:/etc/b'], deadlineMs: 10_000 });
    const read = (content: string): Resource[] => [
      file('/etc/a', { text: content }),
      file('/etc/b'),
      service({ inputs: ['file:/etc/a'] }),
      other,
    ];
    await engine.applied(read('one'));
    const before = [await invocation(), await invocation('b.service')];
    engine.effects();
    await engine.applied(read('two'));
    const after = [await invocation(), await invocation('b.service')];
    assert.notEqual(after[0], before[0]);
    assert.equal(after[1], before[1]);
    assert.deepEqual(
      engine.effects().filter((effect) => /\.service|reload/.test(effect)),
      ['reset-failed a.service', 'restart a.service'],
    );
  });

  test('is not called for by a mode, by enablement or by what systemd has yet to read', async () => {
    const mode = (value: string): Resource[] => [
      file('/etc/a', { entry: { type: 'file', content: { text: 'x' }, mode: value, uid: 0, gid: 0 } }),
      service({ inputs: ['file:/etc/a'], enablement: value === '0644' ? 'enabled' : 'disabled' }),
    ];
    await engine.applied(mode('0644'));
    const before = await invocation();
    await engine.put('/etc/systemd/system/a.service.d/99-foreign.conf', '[Service]\nEnvironment=X=1\n');
    engine.effects();
    await engine.applied(mode('0600'));
    assert.equal(await invocation(), before);
    const effects = engine.effects();
    assert.ok(effects.includes('attributes /etc/a') && effects.includes('daemon-reload'), effects.join(', '));
  });

  test('comes after one daemon-reload and after everything the unit reads is in place', async () => {
    await engine.applied([service(), file('/etc/a')]);
    engine.effects();
    await engine.applied([
      service({ inputs: ['file:/etc/a'], dropIns: [{ name: '10-a.conf', content: '[Service]\nEnvironment=A=1\n' }] }),
      file('/etc/a', { text: 'new' }),
    ]);
    const effects = engine.effects();
    const at = (effect: string): number => effects.indexOf(effect);
    assert.ok(at('write /etc/a') >= 0 && at('write /etc/a') < at('restart a.service'));
    assert.ok(at('daemon-reload') >= 0 && at('daemon-reload') < at('restart a.service'));
    assert.equal(effects.filter((effect) => effect === 'restart a.service').length, 1);
  });

  test('a reload is enough where the document says so, and only for what is read', async () => {
    const reloading = (content: string, dropIn: string): Resource[] => [
      service({
        content: text().replace('ExecStart', 'ExecReload=/bin/reload\nExecStart'),
        onChange: 'reload',
        inputs: ['file:/etc/a'],
        dropIns: [{ name: '10-a.conf', content: dropIn }],
      }),
      file('/etc/a', { text: content }),
    ];
    await engine.applied(reloading('one', '[Service]\n'));
    const before = await invocation();
    await engine.applied(reloading('two', '[Service]\n'));
    assert.equal(await invocation(), before);
    assert.ok(engine.effects().includes('reload-or-restart a.service'));
    await engine.applied(reloading('two', '[Service]\nEnvironment=A=1\n'));
    assert.notEqual(await invocation(), before);
  });
});

describe('a daemon-reload', () => {
  const dropIn = (text: string): Resource =>
    file('/etc/systemd/system/a.service.d/90-more.conf', {
      entry: { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 },
    });
  const { content: _vendors, enablement: _left, ...vendors } = service();

  test('follows a file below a folder of units, once, before the jobs, and its removal', async () => {
    await engine.put('/usr/lib/systemd/system/a.service', '[Service]\nExecStart=/bin/true\n');
    await engine.applied([dropIn('[Service]\n'), file('/etc/systemd/system/b.target'), vendors]);
    const effects = engine.effects();
    const at = (effect: string): number => effects.indexOf(effect);
    assert.equal(effects.filter((effect) => effect === 'daemon-reload').length, 1);
    const written = effects.findLastIndex((effect) => effect.startsWith('write /etc/systemd/system/'));
    assert.ok(written >= 0 && written < at('daemon-reload'), effects.join(', '));
    assert.ok(at('daemon-reload') < at('start a.service'), effects.join(', '));
    assert.equal((await machine.units.get('a.service')).needDaemonReload, false);

    await engine.applied([dropIn('[Service]\nNice=1\n'), file('/etc/systemd/system/b.target'), vendors]);
    assert.ok(engine.effects().includes('daemon-reload'));
    await engine.applied([dropIn('[Service]\nNice=1\n'), file('/etc/systemd/system/b.target'), vendors]);
    assert.deepEqual(engine.effects(), []);
    await engine.applied([vendors]);
    assert.ok(engine.effects().at(-1) === 'daemon-reload');
    assert.equal((await machine.units.get('a.service')).needDaemonReload, false);
  });

  test('is none for files elsewhere', async () => {
    await engine.applied([file('/etc/systemd/network/a.network'), file('/etc/a')]);
    assert.ok(!engine.effects().includes('daemon-reload'));
  });

  test('is left out when systemd has read the very files already', async () => {
    const { enablement: _left, ...plain } = service();
    // Nothing had loaded the unit: systemd reads it when it is asked for.
    await engine.applied([plain]);
    assert.ok(!engine.effects().includes('daemon-reload'));
    await engine.applied([{ ...plain, state: 'stopped' }]);
    await engine.applied([{ ...plain, content: text('Description=anew') }]);
    assert.ok(engine.effects().includes('daemon-reload'), 'systemd knew the unit as it was');
  });
});

describe('secrets', () => {
  test('a unit file or drop-in that holds one is root’s alone, from the first moment', async () => {
    const secret = { sensitive: `${text()}\n# hunter2\n` };
    await engine.applied([
      service({ content: secret, dropIns: [{ name: '10-a.conf', content: { sensitive: '[Service]\n' } }] }),
    ]);
    for (const each of [path, `${path}.d/10-a.conf`]) assert.equal((await machine.files.stat(each))?.mode, 0o600, each);
    await engine.applied([service()]);
    assert.equal((await machine.files.stat(path))?.mode, 0o644);
  });
});

describe('a unit that is ordered after the one that runs us', () => {
  const refused = (error: unknown): boolean => error instanceof NodekilnError && error.code === 'NK_PLAN_SELF_WAIT';

  test('is an error of the plan, by the order that systemd knows', async () => {
    await engine.put('/usr/lib/systemd/system/a.service', text('After=nodekiln-boot.service'));
    const { content: _none, ...vendor } = service();
    await assert.rejects(engine.apply([vendor], { selfUnit: 'nodekiln-boot.service' }), refused);
    assert.deepEqual(
      engine.effects().filter((effect) => effect.includes('a.service')),
      [],
    );
    await engine.applied([vendor]);
  });

  test('and by the order that the plan is about to write, in its unit file or a drop-in', async () => {
    const after = '[Unit]\nAfter=network.target nodekiln-boot.service\n';
    for (const about of [
      { content: `${after}[Service]\nExecStart=/bin/x\n` },
      { dropIns: [{ name: '10-a.conf', content: after }] },
    ])
      await assert.rejects(engine.apply([service(about)], { selfUnit: 'nodekiln-boot.service' }), refused);
    await engine.applied([service()], { selfUnit: 'nodekiln-boot.service' });
  });
});

describe('what is dropped', () => {
  test('a unit of ours is stopped, disabled and gone', async () => {
    await engine.applied([service()]);
    engine.effects();
    await engine.applied([]);
    const effects = engine.effects();
    assert.ok(effects.includes('stop a.service'), effects.join(', '));
    assert.ok(effects.indexOf('stop a.service') < effects.indexOf(`remove ${path}`));
    assert.equal(await engine.text(path), undefined);
    assert.deepEqual([await state(), await engine.host.units.enablement('a.service')], ['inactive', '']);
  });

  test('a vendor’s unit runs on with its own definition, started anew', async () => {
    await engine.put('/usr/lib/systemd/system/a.service', text());
    await (
      await machine.units.start('a.service')
    ).result;
    const { content: _none, ...vendor } = service({ dropIns: [{ name: '10-a.conf', content: '[Service]\nNice=1\n' }] });
    await engine.applied([vendor]);
    const before = await invocation();
    await engine.applied([]);
    assert.equal(await state(), 'active');
    assert.notEqual(await invocation(), before);
    assert.equal((await machine.units.get('a.service')).needDaemonReload, false);
    assert.deepEqual(await machine.files.list(`${path}.d`), []);
  });

  test('foreign drop-ins stay', async () => {
    await engine.applied([service({ dropIns: [{ name: '10-a.conf', content: '[Service]\n' }] })]);
    await engine.put(`${path}.d/90-foreign.conf`, '[Service]\n');
    await engine.applied([service()]);
    await engine.applied([]);
    assert.deepEqual(await machine.files.list(`${path}.d`), ['90-foreign.conf']);
  });
});

describe('a oneshot that systemd has unloaded', () => {
  const oneshot = service({ content: text().replace('ExecStart', 'Type=oneshot\nExecStart') });
  /** It comes back without a word of its runs. */
  const unloaded = (host: Host): Host => ({
    ...host,
    units: { ...host.units, get: async (name) => ({ ...(await host.units.get(name)), invocationId: '' }) },
  });

  test('has done its work in this boot, and does it again after the next', async () => {
    await engine.applied([oneshot]);
    const later = await createEngine(machine, unloaded(engine.host));
    later.effects();
    await later.applied([oneshot]);
    assert.deepEqual(later.effects(), []);
    await engine.put('/proc/sys/kernel/random/boot_id', 'another\n');
    await later.applied([oneshot]);
    assert.ok(later.effects().includes('start a.service'));
  });
});

describe('a service of which systemd knows no more than that its process was started', () => {
  const ofType = (type: string, rest = ''): string => text().replace('ExecStart', `Type=${type}\n${rest}ExecStart`);
  const once = (afterMs: number, status: number) => ({ exit: { afterMs, status } });

  const late = ({ start }: { readonly start: number }) => (start === 1 ? { ...once(40, 1), restartMs: 60_000 } : {});
  const waiting = /does not stay active: it is activating \(auto-restart\)/;
  for (const [what, content, behaviour, said] of [
    ['ends at once', ofType('simple'), once(5, 1), /it failed \(exit-code, exit status 1\)/],
    ['ends a little later', ofType('exec'), once(400, 7), /it failed \(exit-code, exit status 7\)/],
    ['ends well, which a service is not to do', ofType('simple'), once(20, 0), /it ended by itself/],
    ['ends when nothing has asked for it yet', ofType('idle'), once(30, 2), /it failed/],
    ['whose daemon ends', ofType('forking'), once(60, 3), /it failed/],
    ['restarts in a loop', ofType('simple', 'Restart=always\nRestartSec=100ms\n'), once(10, 1), /restarts in a loop/],
    ['waits to be started again', ofType('simple', 'Restart=always\n'), late, waiting],
  ] as const)
    test(`is no success when it ${what}`, async () => {
      machine.units.behave('a.service', behaviour);
      const begun = machine.clock.monotonic();
      const error = await failing([service({ content })]);
      assert.equal(error.code, 'NK_UNIT_FAILED');
      assert.match(error.message, said);
      assert.ok(machine.clock.monotonic() - begun < 6000);
      // The next run takes it up again, also one that looks at changes only.
      assert.equal(engine.journal.touched().get('unit:a.service')?.done, false);
    });

  const looping = ofType('simple', 'Restart=always\nRestartSec=100ms\n').replace(
    '[Unit]',
    '[Unit]\nStartLimitIntervalSec=0',
  );
  // What restarts without end would keep the test going.
  afterEach(() =>
    machine.units.stop('a.service').then(
      () => undefined,
      () => undefined,
    ),
  );
  const upAgain = async (): Promise<void> => {
    const before = await invocation();
    while ((await state()) !== 'active' || (await invocation()) === before) await machine.clock.sleep(10);
  };

  for (const ranMs of [60, 200, 300, 450])
    test(`is started by the next run too when that finds it up, between two of its runs of ${ranMs} ms`, async () => {
      machine.units.behave('a.service', once(ranMs, 7));
      await failing([service({ content: looping })]);
      await upAgain();
      engine.effects();
      assert.equal((await failing([service({ content: looping })])).code, 'NK_UNIT_FAILED');
      assert.ok(engine.effects().includes('restart a.service'));
    });

  for (const type of ['simple', 'exec', 'idle', 'forking'])
    test(`of type ${type} that began to fail in a loop later is no service that runs, whenever it is looked at`, async () => {
      const content = looping.replace('Type=simple', `Type=${type}`);
      machine.units.behave('a.service', ({ start }) => once(start === 1 ? 5000 : 300, 7));
      await engine.applied([service({ content })]);
      await machine.clock.sleep(5000);
      await upAgain();
      assert.equal((await failing([service({ content })])).code, 'NK_UNIT_FAILED');
    });

  test('that systemd started again once, and that runs since, is left alone', async () => {
    machine.units.behave('a.service', ({ start }) => (start === 1 ? once(5000, 7) : {}));
    await engine.applied([service({ content: looping })]);
    await upAgain();
    engine.effects();
    await engine.applied([service({ content: looping })]);
    assert.deepEqual(engine.effects(), []);
  });

  test('is one when it goes on, and when its first start raced something', async () => {
    await engine.applied([service({ content: ofType('simple') })]);
    machine.units.behave('b.service', ({ start }) => (start === 1 ? once(50, 1) : {}));
    const racing = ofType('simple', 'Restart=always\nRestartSec=100ms\n');
    await engine.applied([service({ content: ofType('simple') }), unit('b.service', { content: racing })]);
  });

  test('holds up nobody who waits for it', async () => {
    const after = file('/etc/after', { needs: ['unit:a.service'] });
    const { steps } = await engine.applied([service({ content: ofType('simple') }), after]);
    const [ready, written] = ['ready unit:a.service', 'write file:/etc/after'].map((id) =>
      steps.find((each) => each.id === id),
    );
    assert.ok(ready && written);
    assert.ok(written.endMs - ready.startMs < 400);
  });

  test('costs its run only what it is worth', async () => {
    machine.units.behave('a.service', once(5, 1));
    const { outcome } = await engine.apply([service({ content: ofType('simple'), importance: 'bestEffort' })]);
    assert.equal(outcome, 'degraded');
  });
});
