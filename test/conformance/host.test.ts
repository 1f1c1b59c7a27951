/** The expectations on hosts that need no machine of their own: memory, and a root folder on Linux. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import type { MemoryMachine } from '../../src/host/memory/machine.ts';
import { createMemoryMachine } from '../../src/host/memory/machine.ts';
import type { StartContext, UnitBehaviour } from '../../src/host/memory/systemd.ts';
import { expectations } from './host.ts';
import type { Subject } from './host.ts';
import { serveHttp } from './serve.ts';

/** Does in memory what the few programs do that the expectations name. */
function behaviourOf({ file }: StartContext): UnitBehaviour {
  const command = file.value('Service', 'ExecStart');
  const oneshot = file.value('Service', 'Type') === 'oneshot';
  if (command === '/bin/false') return oneshot ? { start: 'fail' } : { exit: { afterMs: 1, status: 1 } };
  return oneshot && command !== '/bin/true' ? { start: 'hang' } : {};
}

function machineWithPrograms(options: { systemd?: boolean } = {}): MemoryMachine {
  const machine = createMemoryMachine(options);
  machine.units.behave('*', behaviourOf);
  machine.program('sh', ({ argv }) => ({ status: 3, stdout: `${argv[3]}\n`, stderr: 'oops\n' }));
  machine.program('mkfifo', ({ argv }) => {
    machine.makeFifo(argv[1] ?? '');
    return {};
  });
  machine.program('nice', ({ options }) => ({ stdout: options.lowPriority === true ? '10\n' : '0\n' }));
  machine.program('sleep', ({ argv }) => ({ durationMs: Number(argv[1]) * 1000 }));
  return machine;
}

/** A process on the machine, and endpoints in its memory. */
function inMemory(machine: MemoryMachine): Subject {
  const url = 'http://127.0.0.1:8080';
  return {
    host: machine.open(),
    folder: '/var/empty',
    tag: 'm',
    serve: (endpoint) => ({ url, close: machine.serve(url, endpoint) }),
  };
}

describe('a machine in memory', () => {
  for (const { name, needs, check } of expectations) {
    if (needs === 'offline units') continue;
    test(`${needs}: ${name}`, () => check(inMemory(machineWithPrograms())));
  }
});

describe('a root folder in memory', () => {
  for (const { name, needs, check } of expectations) {
    if (needs !== 'offline units' && needs !== 'enablement') continue;
    test(`${needs}: ${name}`, () => check(inMemory(machineWithPrograms({ systemd: false }))));
  }
});

describe('a root folder on Linux', () => {
  const scratch = mkdtempSync('/var/tmp/nodekiln-host-');
  after(() => rmSync(scratch, { recursive: true, force: true }));
  for (const [index, { name, needs, check }] of expectations.entries()) {
    // Programs run in the root by chroot, and there are none in an empty folder.
    if (needs === 'live units' || (needs === 'exec' && !name.includes('does not exist'))) continue;
    test(`${needs}: ${name}`, async () => {
      const root = join(scratch, String(index));
      mkdirSync(root);
      const host = createLinuxHost({ root });
      await check({ host, folder: '/var/empty', tag: 'f', serve: serveHttp });
      await host.close();
    });
  }
});

describe('this machine, without its systemd', () => {
  const scratch = mkdtempSync('/var/tmp/nodekiln-host-');
  after(() => rmSync(scratch, { recursive: true, force: true }));
  for (const [index, { name, needs, check }] of expectations.entries()) {
    if (!['files', 'state', 'exec', 'clock', 'net', 'archives', 'signatures'].includes(needs)) continue;
    test(`${needs}: ${name}`, async () => {
      const folder = join(scratch, String(index));
      mkdirSync(folder);
      const host = createLinuxHost();
      await check({ host, folder, tag: 'l', serve: serveHttp });
      await host.close();
    });
  }
});
