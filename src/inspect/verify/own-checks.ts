/** What the manifest wants of the image beyond what it brings: `verify` of an ImageManifest, as the image's lock keeps it. */
import { asNodekilnError } from '../../errors.ts';
import type { Files, FileStat, Host } from '../../host/port.ts';
import type { ImageLock, OwnChecks } from '../../image/image-lock.ts';
import { textOf } from '../../model/bytes.ts';
import { formatSize } from '../../config/size.ts';
import { subjectOf, type Check } from './check.ts';

export async function checkOwn(host: Host, { checks: wanted }: ImageLock): Promise<Check[]> {
  const checks: Check[] = [];
  if (!wanted) return checks;
  for (const path of wanted.absent) {
    const stat = await host.files.stat(path);
    subjectOf(checks, 'manifest', path).judge('absent', stat ? `${path} is there: a ${stat.type}` : undefined);
  }
  for (const entry of wanted.present) {
    const problem = presentProblem(entry, await host.files.stat(entry.path));
    subjectOf(checks, 'manifest', entry.path).judge('present', problem && `${entry.path} ${problem}`);
  }
  for (const { name, state } of wanted.units) {
    const is = (await host.units.enablement(name)) || 'absent';
    subjectOf(checks, 'manifest', name).judge(state, is === state ? undefined : `${name} is ${is}, not ${state}`);
  }
  if (wanted.noLogins) {
    const ways = await waysIn(host.files);
    subjectOf(checks, 'manifest', 'log-ins').judge('none', ways.length === 0 ? undefined : ways.join('; '));
  }
  if (wanted.freeBytes !== undefined) {
    const { availableBytes } = await host.files.space('/');
    const least = formatSize(wanted.freeBytes);
    subjectOf(checks, 'manifest', 'free space').judge(
      `at least ${least}`,
      availableBytes >= wanted.freeBytes ? undefined : `${formatSize(availableBytes)} are free, not ${least}`,
    );
  }
  return checks;
}

function presentProblem(wanted: OwnChecks['present'][number], stat: FileStat | undefined): string | undefined {
  if (!stat) return 'is missing';
  const is = { type: stat.type, mode: stat.mode.toString(8).padStart(4, '0'), uid: stat.uid, gid: stat.gid };
  const words = { type: 'a', mode: 'of mode', uid: 'of user', gid: 'of group' } as const;
  const differences = (['type', 'mode', 'uid', 'gid'] as const)
    .filter((what) => wanted[what] !== undefined && wanted[what] !== is[what])
    .map((what) => `is ${words[what]} ${is[what]}, not ${wanted[what]}`);
  return differences.length === 0 ? undefined : differences.join(' and ');
}

/** Passwords that let somebody in, no password at all, and keys: passwd(5), shadow(5), sshd's AuthorizedKeysFile. */
async function waysIn(files: Files): Promise<string[]> {
  const lines = async (path: string): Promise<string[][]> =>
    (textOf(await files.read(path)) ?? '')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(':'));
  const [users, shadows] = [await lines('/etc/passwd'), await lines('/etc/shadow')];
  const ways: string[] = [];
  for (const [path, entries] of [
    ['/etc/passwd', users.filter(([, password]) => password !== 'x')],
    ['/etc/shadow', shadows],
  ] as const)
    for (const [name = '', password = ''] of entries)
      if (!/^[!*]/.test(password))
        ways.push(`${name} ${password === '' ? 'needs no password' : 'has a password'} (${path})`);
  const homes = new Set(
    users.flatMap(([name = '', , , , , home = '']) => (home.startsWith('/') ? [`${name} ${home}`] : [])),
  );
  for (const entry of homes) {
    const [name, home] = [entry.slice(0, entry.indexOf(' ')), entry.slice(entry.indexOf(' ') + 1)];
    for (const file of ['authorized_keys', 'authorized_keys2']) {
      const path = `${home === '/' ? '' : home}/.ssh/${file}`;
      try {
        const keys = await files.read(path);
        if (/^\s*[^#\s]/m.test(textOf(keys) ?? '')) ways.push(`${name} has keys (${path})`);
      } catch (thrown) {
        // sshd follows links of the account that root does not.
        ways.push(`${name} may have keys: ${path} cannot be read (${asNodekilnError(thrown).message})`);
      }
    }
  }
  return ways;
}
