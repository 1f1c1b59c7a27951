/**
 * What a killed run had put among systemd's units is read by systemd in the next one, also where a document wrote it as a file
 * of its own and nothing else is left to do: killed before and after every effect.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createEngine } from '../../test/support/engine.ts';
import { file } from '../../test/support/planning.ts';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import type { CrashPoint } from '../host/memory/effects.ts';

const dropIn = file('/etc/systemd/system/vendor.service.d/10-more.conf', { text: '[Service]\nEnvironment=A=1\n' });

async function machineWithVendor(): Promise<MemoryMachine> {
  const machine = createMemoryMachine();
  const engine = await createEngine(machine);
  await engine.put('/usr/lib/systemd/system/vendor.service', '[Service]\nExecStart=/bin/vendor\n');
  engine.journal.close();
  await (
    await machine.units.start('vendor.service')
  ).result;
  await machine.clock.sleep(100);
  return machine;
}

/** The last words of `flush` are lost, as they may be. */
async function runOn(machine: MemoryMachine, crash?: CrashPoint): Promise<number> {
  const before = machine.effects.length;
  const host = machine.open(crash && { crash });
  const work = async (): Promise<void> => {
    const engine = await createEngine(machine, host);
    const result = await engine.apply([dropIn]);
    assert.equal(result.outcome, 'converged');
    engine.journal.close();
  };
  await (crash ? work().catch(() => undefined) : work());
  await machine.clock.sleep(1000);
  return machine.effects.length - before;
}

const needsReload = async (machine: MemoryMachine): Promise<boolean> =>
  (await machine.units.get('vendor.service')).needDaemonReload;

describe('a file among systemd’s units', () => {
  it('is read by systemd, wherever the run that wrote it was killed', async () => {
    const effects = await runOn(await machineWithVendor());
    assert.ok(effects > 3);
    let owed = 0;
    for (let at = 1; at <= effects; at++) {
      for (const when of ['before', 'after'] as const) {
        const machine = await machineWithVendor();
        await runOn(machine, { at, when });
        if (await needsReload(machine)) owed += 1;
        await runOn(machine);
        assert.equal(await needsReload(machine), false, `killed ${when} effect ${at} of ${effects}`);
      }
    }
    assert.ok(owed > 0, 'some of these runs were killed between the file and the reload');
  });

  it('sends systemd to its files no more than once', async () => {
    const machine = await machineWithVendor();
    await runOn(machine);
    const before = machine.effects.length;
    await runOn(machine);
    assert.deepEqual(
      machine.effects.slice(before).filter((effect) => effect.includes('reload')),
      [],
    );
  });
});
