/**
 * Runs inside a host: `program.cjs expectations private|bus`, `program.cjs faults`, `program.cjs unprivileged` or
 * `program.cjs figures`. One line of JSON for each check: `{name, ok, ms, error?}`, then `end`.
 */
import assert from 'node:assert/strict';
import { createLinuxHost } from '../../../src/host/linux/host.ts';
import type { Host } from '../../../src/host/port.ts';
import { expectations, file } from '../../conformance/host.ts';
import { serveHttp } from '../../conformance/serve.ts';
import { faults, installFaultUnits } from './faults.ts';

async function report(name: string, check: () => Promise<void>): Promise<void> {
  const started = performance.now();
  let error: string | undefined;
  try {
    await check();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  const ms = Math.round((performance.now() - started) * 10) / 10;
  process.stdout.write(`${JSON.stringify({ name, ok: error === undefined, ms, ...(error && { error }) })}\n`);
}

async function runExpectations(systemd: 'private' | 'bus'): Promise<void> {
  const host = createLinuxHost({ systemd });
  for (const [index, { name, needs, check }] of expectations.entries()) {
    if (needs === 'offline units') continue;
    const folder = `/var/lib/nkt/${systemd}/${index}`;
    await host.files.write([{ type: 'directory', path: folder, mode: 0o755, uid: 0, gid: 0 }]);
    await report(`${needs}: ${name}`, () => check({ host, folder, tag: systemd, serve: serveHttp }));
  }
  await host.close();
}

async function runFaults(): Promise<void> {
  const host = createLinuxHost();
  await installFaultUnits(host);
  await host.close();
  for (const { name, check } of faults) await report(name, check);
}

/** As a user without rights: looking is allowed, changing is not. */
async function runUnprivileged(): Promise<void> {
  const host = createLinuxHost();
  await report('a user may look at units', async () => {
    assert.equal((await host.units.get('dbus.service')).activeState, 'active');
  });
  await report('a user may not start units', () =>
    assert.rejects(host.units.start('nkf-stays.service'), { code: 'NK_NOT_ROOT' }),
  );
  await report('a user may not write where root does', () =>
    assert.rejects(host.files.write([file('/etc/x', 'x')]), { code: 'NK_FILE_WRITE' }),
  );
  await host.close();
}

async function median(rounds: number, work: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return Math.round((times.sort((a, b) => a - b)[rounds >> 1] ?? 0) * 100) / 100;
}

async function figuresOf(systemd: 'private' | 'bus'): Promise<Record<string, number>> {
  const unit = 'nkf-stays.service';
  const started = performance.now();
  const host: Host = createLinuxHost({ systemd });
  await host.units.milestones();
  const first = Math.round((performance.now() - started) * 10) / 10;
  const connect = await median(20, async () => {
    const other = createLinuxHost({ systemd });
    await other.units.milestones();
    await other.close();
  });
  const figures = {
    'first connection, package loaded': first,
    'connect and three properties': connect,
    'start and stop, each to JobRemoved': await median(20, async () => {
      await (
        await host.units.start(unit)
      ).result;
      await (
        await host.units.stop(unit)
      ).result;
    }),
    'get an idle service': await median(50, async () => void (await host.units.get(unit))),
    'list all': await median(5, async () => void (await host.units.list())),
    'daemon-reload': await median(5, () => host.units.daemonReload()),
  };
  await host.close();
  return figures;
}

async function runFigures(): Promise<void> {
  const host = createLinuxHost();
  await installFaultUnits(host);
  const contents = (round: number) =>
    Array.from({ length: 40 }, (_, index) => file(`/var/lib/nkt/forty/d${index % 8}/f${index}`, `${round} ${index}`));
  let round = 0;
  const figures = {
    private: await figuresOf('private'),
    bus: await figuresOf('bus'),
    'forty files written': await median(10, async () => void (await host.files.write(contents((round += 1))))),
    'forty files unchanged': await median(10, async () => void (await host.files.write(contents(round)))),
  };
  process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
  await host.close();
}

async function main([mode, address]: readonly (string | undefined)[]): Promise<void> {
  if (mode === 'expectations' && (address === 'private' || address === 'bus')) return runExpectations(address);
  if (mode === 'faults') return runFaults();
  if (mode === 'unprivileged') return runUnprivileged();
  if (mode === 'figures') return runFigures();
  throw new Error(`unknown mode ${mode}`);
}

void main(process.argv.slice(2)).then(() => process.stdout.write('end\n'));
