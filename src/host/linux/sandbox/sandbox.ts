/**
 * The one place that starts programs of a root: of an image, or of a machine when they are not to be trusted. As a `reader`
 * a program can say something and nothing else: a user id of its own, no capabilities, all namespaces, everything read-only,
 * no network, no devices, no other processes, bounded memory, processes and output. As an `installer` it may change the
 * root, which package managers and their scripts do, and nothing beside it. An `importer`, the root's containerd, has a
 * namespace of users instead, in which it may mount what it unpacks, and no network.
 *
 * docs/programs-of-a-root.md lists who is started how. NK_TOOL_MISSING without perl or unshare(1).
 */
import { existsSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { NodekilnError } from '../../../errors.ts';
import type { ExecResult } from '../../port.ts';
import { missingProgram } from '../../program-packages.ts';
import { launcher } from './launcher.ts';
import { launcherCalls, systemCallFilter } from './system-calls.ts';

/** What a program of a root may do. */
export type Confinement = 'reader' | 'installer' | 'importer';

/** What a reader may print, in bytes, before it is ended. */
export const readerOutputBytes = 1024 * 1024;

/** Apart from every user's, so that limits count for this run alone. */
const firstUser = 1_800_000_000;
const users = 100_000_000;

/**
 * Capabilities of scripts of packages: owners, modes, users, services' ports, chroot below their own root. Not those for
 * devices, mounts, modules, the clock, the network's set-up, other processes.
 */
const installerCapabilities = [
  0 /* chown */, 1 /* dac_override */, 3 /* fowner */, 4 /* fsetid */, 5 /* kill */, 6 /* setgid */, 7 /* setuid */,
  8 /* setpcap */, 10 /* net_bind_service */, 18 /* sys_chroot */, 31 /* setfcap */,
];

/** The command that runs a program confined. For others than a reader the namespaces and the root's mounts are there already. */
export function confined(root: string, who: Confinement, argv: readonly string[]): string[] {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';
  const kept = who === 'installer' ? installerCapabilities.reduce((mask, bit) => mask | (2 ** bit), 0) >>> 0 : 0;
  const steps = [
    'perl',
    '-e',
    launcher,
    who,
    root,
    String(firstUser + randomInt(users)),
    launcherCalls(architecture),
    String(kept),
    systemCallFilter(architecture, who).toString('hex'),
    ...argv,
  ];
  if (who !== 'reader') return steps;
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'];
  return ['unshare', ...namespaces, '--fork', '--kill-child=SIGKILL', ...steps];
}

/** Throws NK_TOOL_MISSING where programs of a root cannot be run like that. */
export function requireSandbox([program = '']: readonly string[], who: Confinement): void {
  for (const name of ['perl', 'unshare', ...(who === 'reader' ? [] : ['mount'])])
    if (![`/usr/bin/${name}`, `/bin/${name}`].some(existsSync))
      throw missingProgram(name, {
        message: `cannot run ${program}: ${name} is not installed, and without it no program of a root is started`,
      });
}

/** The environment of readers: nothing of ours. */
export const readerEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/' };

/** The result of the program; NK_TOOL_MISSING when there is none, or no sandbox for it. */
export function resultOfConfined(argv: readonly string[], result: ExecResult): ExecResult {
  const said = /^sandbox: (.*)$/m.exec(result.stderr)?.[1];
  if (said === undefined || (result.status !== 125 && result.status !== 127)) return result;
  const [program = ''] = argv;
  if (result.status === 127) throw missingProgram(program);
  throw new NodekilnError('NK_TOOL_MISSING', `no sandbox for ${program}: ${said}`);
}
