import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FileWrite, Host } from '../port.ts';
import { SimulatedCrash } from './effects.ts';
import type { MemoryMachine } from './machine.ts';
import { createMemoryMachine } from './machine.ts';

function file(path: string, content: string): FileWrite {
  return { type: 'file', path, content: Buffer.from(content), mode: 0o644, uid: 0, gid: 0 };
}

const unit = '[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n[Install]\nWantedBy=multi-user.target\n';

async function work(host: Host): Promise<void> {
  await host.files.write([file('/etc/kubernetes/a', 'a'), file('/etc/systemd/system/kubelet.service', unit)]);
  await host.units.daemonReload();
  await host.units.setEnablement('enable', ['kubelet.service']);
  const ran = await host.files.stat('/var/done');
  if (!ran) await host.exec.run(['finish'], { timeoutMs: 1000 });
  await (
    await host.units.start('kubelet.service')
  ).result;
  await host.files.remove(['/etc/kubernetes/a']);
}

function machineWithProgram(): MemoryMachine {
  const machine = createMemoryMachine();
  machine.program('finish', async ({ files }) => {
    await files.write([file('/var/done', 'x')]);
    return {};
  });
  return machine;
}

describe('crashes of a process in memory', () => {
  test('before and after every effect the rest is done by the next process', async () => {
    const undisturbed = machineWithProgram();
    await work(undisturbed.open());
    const { effects } = undisturbed;
    assert.ok(effects.includes('start kubelet.service') && effects.includes('exec finish'));
    assert.ok(effects.includes('write /etc/systemd/system/multi-user.target.wants/kubelet.service'));

    for (const [index, effect] of effects.entries()) {
      for (const when of ['before', 'after'] as const) {
        const machine = machineWithProgram();
        await assert.rejects(work(machine.open({ crash: { at: index + 1, when } })), SimulatedCrash, effect);
        // A program and a job go on when the process that started them is gone.
        await machine.clock.sleep(1);
        assert.equal(machine.effects.includes(effect) || when === 'before', true);
        await work(machine.open());
        assert.deepEqual(machine.snapshot(), undisturbed.snapshot(), `${when} ${effect}`);
        assert.equal((await machine.units.get('kubelet.service')).activeState, 'active');
      }
    }
  });

  test('a crashed process does nothing more, whatever its handlers try', async () => {
    const machine = machineWithProgram();
    const host = machine.open({ crash: { at: 2, when: 'before' } });
    await assert.rejects(work(host), SimulatedCrash);
    const before = machine.effects.length;
    await assert.rejects(host.files.write([file('/x', 'x')]), SimulatedCrash);
    await assert.rejects(host.files.read('/x'), SimulatedCrash);
    await assert.rejects(host.units.start('kubelet.service'), SimulatedCrash);
    await assert.rejects(host.exec.run(['finish'], { timeoutMs: 1 }), SimulatedCrash);
    assert.equal(machine.effects.length, before);
  });

  test('an effect can be made to fail', async () => {
    const machine = createMemoryMachine();
    const host = machine.open();
    machine.breakEffect('write /etc/b', new Error('no space'));
    await assert.rejects(host.files.write([file('/etc/a', 'a'), file('/etc/b', 'b')]), /no space/);
    machine.breakEffect('write /etc/b', undefined);
    assert.deepEqual(await host.files.write([file('/etc/a', 'a'), file('/etc/b', 'b')]), ['unchanged', 'created']);
  });
});

describe('the machine in memory', () => {
  test('a reboot loses /run and starts what is enabled', async () => {
    const machine = machineWithProgram();
    const target = '[Unit]\nDescription=x\n';
    await machine.files.write([file('/usr/lib/systemd/system/multi-user.target', target), file('/run/x', 'x')]);
    await work(machine.open());
    const before = (await machine.units.get('kubelet.service')).invocationId;

    await machine.reboot();

    const after = await machine.units.get('kubelet.service');
    assert.equal(after.activeState, 'active');
    assert.notEqual(after.invocationId, before);
    assert.equal(await machine.files.stat('/run/x'), undefined);
  });

  test('long waits take no time', { timeout: 30_000 }, async () => {
    const machine = createMemoryMachine();
    const host = machine.open();
    await host.files.write([file('/etc/systemd/system/kubelet.service', unit.replace('Restart=always\n', ''))]);
    machine.units.behave('kubelet.service', { start: 'hang' });
    const before = host.clock.monotonic();
    assert.equal(await (await host.units.start('kubelet.service')).result, 'failed');
    assert.equal((await host.units.get('kubelet.service')).result, 'timeout');
    assert.equal(host.clock.monotonic() - before, 90_000);
  });

  test('a start that is asked for while a restart is under way is that restart', async () => {
    const machine = createMemoryMachine();
    const host = machine.open();
    await host.files.write([file('/etc/systemd/system/kubelet.service', unit)]);
    machine.units.behave('kubelet.service', { startMs: 100 });
    const first = await host.units.start('kubelet.service');
    const restart = await host.units.restart('kubelet.service');
    const start = await host.units.start('kubelet.service');
    assert.deepEqual(await Promise.all([first.result, restart.result, start.result]), ['canceled', 'done', 'done']);
  });

  test('a unit may bring an endpoint up and take it down', async () => {
    const machine = createMemoryMachine();
    const host = machine.open();
    await host.files.write([file('/etc/systemd/system/kubelet.service', unit)]);
    let stop = (): void => undefined;
    machine.units.behave('kubelet.service', {
      startMs: 300,
      onActive: () => {
        stop = machine.serve('http://127.0.0.1:10248', () => ({ status: 200, body: 'ok' }));
      },
      onInactive: () => stop(),
    });
    const health = { url: 'http://127.0.0.1:10248/healthz', timeoutMs: 1000 };
    await assert.rejects(host.net.request(health), { code: 'NK_SOURCE_UNAVAILABLE' });
    await (
      await host.units.start('kubelet.service')
    ).result;
    assert.equal((await host.net.request(health)).status, 200);
    await (
      await host.units.stop('kubelet.service')
    ).result;
    await assert.rejects(host.net.request(health), { code: 'NK_SOURCE_UNAVAILABLE' });
  });
});
