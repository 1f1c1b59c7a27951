/**
 * What the lab needs from the machine (Debian or a derivative, root): programs, each with the package that has it.
 * `missingPrerequisites` only looks; `installPrerequisites` says what is missing and installs it with apt-get.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run, tryRun } from './run.ts';

export type Progress = (line: string) => void;

export interface Prerequisite {
  /** A program's name, or a file's absolute path. */
  readonly program: string;
  readonly package: string;
  readonly why: string;
}

export const prerequisites: readonly Prerequisite[] = [
  { program: 'systemd-nspawn', package: 'systemd-container', why: 'boots the hosts' },
  { program: 'mmdebstrap', package: 'mmdebstrap', why: 'makes the Debian roots' },
  { program: 'ip', package: 'iproute2', why: 'makes the hosts’ networks' },
  { program: 'nsenter', package: 'util-linux', why: 'runs commands inside a host' },
  { program: 'mount', package: 'mount', why: 'puts a host’s disk together' },
  { program: 'setpriv', package: 'util-linux', why: 'ends a host with its lab' },
  { program: 'dpkg-deb', package: 'dpkg', why: 'makes .deb packages' },
  { program: 'rpmbuild', package: 'rpm', why: 'makes .rpm packages' },
  { program: 'xz', package: 'xz-utils', why: 'compresses packages' },
  { program: 'zstd', package: 'zstd', why: 'compresses packages' },
  { program: 'tar', package: 'tar', why: 'unpacks roots' },
  { program: 'gpgv', package: 'gpgv', why: 'verifies Debian’s signatures' },
  {
    program: '/usr/share/keyrings/debian-archive-keyring.gpg',
    package: 'debian-archive-keyring',
    why: 'has the keys of Debian’s suites',
  },
];

/** sbin is where Debian has some of them, and not on everyone's PATH. */
const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

export function findProgram(name: string, more: readonly string[] = []): string | undefined {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined;
  return [...folders, ...more].map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export function missingPrerequisites(): readonly Prerequisite[] {
  return prerequisites.filter((item) => findProgram(item.program) === undefined);
}

/** Throws when the machine cannot have a lab at all, whatever is installed. */
export function assertCapable(): void {
  if (process.platform !== 'linux') throw new Error(`the lab needs Linux, this is ${process.platform}`);
  if (process.getuid?.() !== 0) throw new Error('the lab needs root: it mounts, makes namespaces and boots systemd');
}

/** Installs what is missing; refreshes the package lists only when the first try does not find a package. */
export async function installPrerequisites(progress: Progress): Promise<void> {
  assertCapable();
  const missing = missingPrerequisites();
  if (missing.length === 0) return;
  for (const item of missing) progress(`missing: ${item.program} (package ${item.package}): ${item.why}`);
  if (findProgram('apt-get') === undefined) {
    throw new Error(`there is no apt-get here: install ${missing.map((item) => item.package).join(', ')} by hand`);
  }
  const install = ['apt-get', 'install', '--yes', '--no-install-recommends', ...missing.map((item) => item.package)];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  progress(`installing ${missing.map((item) => item.package).join(', ')}`);
  const first = await tryRun(install, { env });
  if (first.status !== 0) {
    progress('refreshing the package lists');
    await run(['apt-get', 'update'], { env });
    await run(install, { env });
  }
  const still = missingPrerequisites();
  if (still.length > 0)
    throw new Error(`still missing after installing: ${still.map((item) => item.program).join(', ')}`);
}
