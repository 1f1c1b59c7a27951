/**
 * What must hold of the Linux host while systemd, the bus and connections come and go. Run as root inside a host with a
 * systemd of its own.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { createLinuxHost } from '../../../src/host/linux/host.ts';
import type { Host, UnitJob } from '../../../src/host/port.ts';
import { file } from '../../conformance/host.ts';
import type { Proxy } from './proxy.ts';
import { startProxy } from './proxy.ts';
import { textOf } from '../../../src/model/bytes.ts';

export interface Fault {
  readonly name: string;
  readonly check: () => Promise<void>;
}

const counter = '/run/nkf-count';

const unitFiles: Readonly<Record<string, string>> = {
  'nkf-slow': 'Type=oneshot\nExecStart=/bin/sleep 1.5',
  'nkf-slow-fails': `Type=oneshot\nExecStart=/bin/sh -c 'sleep 1.5; exit 1'`,
  'nkf-counts': `ExecStart=/bin/sh -c 'echo x >>${counter}; exec sleep 1000'`,
  'nkf-talks': `Type=oneshot\nExecStart=/bin/sh -c 'echo first; echo last words >&2; exit 1'`,
  'nkf-quick': 'Type=oneshot\nExecStart=/bin/true',
  'nkf-stays': 'ExecStart=/bin/sleep 1000',
};

export async function installFaultUnits(host: Host): Promise<void> {
  const writes = Object.entries(unitFiles).map(([name, lines]) =>
    file(`/etc/systemd/system/${name}.service`, `[Service]\n${lines}\n`),
  );
  await host.files.write(writes);
  await host.units.daemonReload();
}

async function using(
  address: Parameters<typeof createLinuxHost>[0],
  work: (host: Host) => Promise<void>,
): Promise<void> {
  const host = createLinuxHost(address);
  try {
    await work(host);
  } finally {
    await host.close();
  }
}

async function systemctl(host: Host, ...args: string[]): Promise<void> {
  const result = await host.exec.run(['systemctl', ...args], { timeoutMs: 30_000 });
  assert.equal(result.status, 0, result.stderr);
}

async function throughProxy(work: (host: Host, proxy: Proxy) => Promise<void>): Promise<void> {
  const proxy = await startProxy('/run/nkf-proxy.sock', '/run/systemd/private');
  try {
    await using({ systemd: { private: proxy.path } }, (host) => work(host, proxy));
  } finally {
    proxy.close();
  }
}

async function starts(host: Host): Promise<number> {
  return (textOf(await host.files.read(counter)) ?? '').length / 2;
}

/** Starts the two slow units, disturbs, and expects the right end of both. */
async function disturbed(host: Host, disturb: () => Promise<void>): Promise<void> {
  const jobs: UnitJob[] = [];
  for (const name of ['nkf-slow.service', 'nkf-slow-fails.service']) jobs.push(await host.units.start(name));
  await disturb();
  assert.deepEqual(await Promise.all(jobs.map(({ result }) => result)), ['done', 'failed']);
  assert.equal((await host.units.get('nkf-slow-fails.service')).result, 'exit-code');
}

export const faults: readonly Fault[] = [
  {
    name: 'the bus restarts while jobs run, seen over the bus',
    check: () => using({ systemd: 'bus' }, (host) => disturbed(host, () => systemctl(host, 'restart', 'dbus.service'))),
  },
  {
    name: 'the bus restarts while jobs run, seen over the private socket',
    check: () =>
      using({ systemd: 'private' }, (host) => disturbed(host, () => systemctl(host, 'restart', 'dbus.service'))),
  },
  {
    name: 'systemd re-executes itself while jobs run, seen over the private socket',
    check: () => using({ systemd: 'private' }, (host) => disturbed(host, () => systemctl(host, 'daemon-reexec'))),
  },
  {
    name: 'systemd re-executes itself while jobs run, seen over the bus',
    check: () => using({ systemd: 'bus' }, (host) => disturbed(host, () => systemctl(host, 'daemon-reexec'))),
  },
  {
    name: 'systemd reloads while jobs run',
    check: () => using({ systemd: 'private' }, (host) => disturbed(host, () => host.units.daemonReload())),
  },
  {
    name: 'the connection is lost until after the jobs have ended',
    check: () =>
      throughProxy((host, proxy) =>
        disturbed(host, async () => {
          proxy.open = false;
          proxy.cut();
          await host.clock.sleep(2500);
          proxy.open = true;
        }),
      ),
  },
  {
    name: 'the signal that a job has ended never comes',
    check: () =>
      throughProxy((host, proxy) =>
        disturbed(host, async () => {
          proxy.deaf = true;
          await host.clock.sleep(2500);
          proxy.deaf = false;
        }),
      ),
  },
  {
    name: 'a restart is carried out once, whenever the connection is cut',
    check: () =>
      throughProxy(async (host, proxy) => {
        await host.files.remove([counter]);
        assert.equal(await (await host.units.restart('nkf-counts.service')).result, 'done');
        for (const when of ['before', 'after', 'before', 'after'] as const) {
          // The job of a simple service is done before its program runs.
          await host.clock.sleep(300);
          const before = await starts(host);
          const { invocationId } = await host.units.get('nkf-counts.service');
          proxy.cutAt('RestartUnit', when);
          assert.equal(await (await host.units.restart('nkf-counts.service')).result, 'done', when);
          await host.clock.sleep(300);
          assert.equal((await starts(host)) - before, 1, when);
          assert.notEqual((await host.units.get('nkf-counts.service')).invocationId, invocationId);
        }
        await (
          await host.units.stop('nkf-counts.service')
        ).result;
      }),
  },
  {
    name: 'a start and a stop get through, whenever the connection is cut',
    check: () =>
      throughProxy(async (host, proxy) => {
        for (const when of ['before', 'after'] as const) {
          proxy.cutAt('StartUnit', when);
          assert.equal(await (await host.units.start('nkf-stays.service')).result, 'done', when);
          assert.equal((await host.units.get('nkf-stays.service')).activeState, 'active');
          proxy.cutAt('StopUnit', when);
          assert.equal(await (await host.units.stop('nkf-stays.service')).result, 'done', when);
          assert.equal((await host.units.get('nkf-stays.service')).activeState, 'inactive');
        }
      }),
  },
  {
    name: 'a hundred quick jobs are all seen to end',
    check: () =>
      using({}, async (host) => {
        for (let round = 0; round < 100; round += 1) {
          assert.equal(await (await host.units.start('nkf-quick.service')).result, 'done');
          await host.units.resetFailed('nkf-quick.service');
        }
      }),
  },
  {
    name: 'a hundred new connections are all answered',
    check: async () => {
      for (let round = 0; round < 100; round += 1)
        await using({}, async (host) => void (await host.units.milestones()));
    },
  },
  {
    name: 'units can be worked with before the bus is up',
    check: () =>
      using({ systemd: 'private' }, async (host) => {
        await systemctl(host, 'stop', 'dbus.socket', 'dbus.service');
        try {
          await using({}, async (early) => {
            assert.equal(await (await early.units.start('nkf-stays.service')).result, 'done');
            assert.equal(await (await early.units.stop('nkf-stays.service')).result, 'done');
          });
          await using({ systemd: 'bus' }, (late) =>
            assert.rejects(late.units.get('nkf-stays.service'), { code: 'NK_NO_SYSTEMD' }),
          );
        } finally {
          await systemctl(host, 'start', 'dbus.socket', 'dbus.service');
        }
      }),
  },
  {
    name: 'a bus that accepts connections and says nothing is given up',
    check: async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen('/run/nkf-silent.sock', resolve));
      try {
        await using({ systemd: { bus: '/run/nkf-silent.sock' } }, async (host) => {
          const before = host.clock.monotonic();
          await assert.rejects(host.units.get('nkf-stays.service'), { code: 'NK_NO_SYSTEMD' });
          assert.ok(host.clock.monotonic() - before < 4000);
        });
      } finally {
        server.close();
      }
    },
  },
  {
    name: 'the log of a failed unit holds its last words, of this start only',
    check: () =>
      using({}, async (host) => {
        for (let round = 0; round < 2; round += 1) {
          assert.equal(await (await host.units.start('nkf-talks.service')).result, 'failed');
          // What came without its invocation just before a start may be of that start: host/linux/journal.ts.
          if (round === 0) await host.clock.sleep(500);
        }
        const log = await host.units.log('nkf-talks.service', 20);
        assert.ok(log.includes('last words'), log.join('\n'));
        assert.equal(log.filter((line) => line === 'first').length, 1, log.join('\n'));
        assert.equal((await host.units.log('nkf-talks.service', 1)).length, 1);
      }),
  },
  {
    name: 'a host that is closed says so',
    check: async () => {
      const host = createLinuxHost();
      await host.units.milestones();
      await host.close();
      await host.close();
      await assert.rejects(host.units.get('nkf-stays.service'), { code: 'NK_INTERNAL' });
    },
  },
];
