/** Programs of an image on the PATH of shells that read neither `/etc/profile` nor its folder: the real ones, of Debian 12 and 13. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fishPath, onThePath, parseCshLogin, type PathReaders } from '../../src/desired/own-path.ts';
import { reveal } from '../../src/model/resources.ts';
import { inRoot, withFolder } from './in-root.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot } from './root.ts';

before(() => installPrerequisites(console.error), { timeout: 300_000 });

interface Shell {
  readonly name: string;
  /** The file in which such a root has it read ours, if it does. */
  readonly readers: (root: string) => Promise<PathReaders>;
  readonly without: string;
  readonly sets: (path: string) => string;
  /** Says what is left of our own variables. */
  readonly left: string;
}

const csh = {
  readers: async (root: string) => {
    const folder = parseCshLogin(await readFile(join(root, 'etc/csh.login'), 'utf8'));
    assert.ok(folder, 'its csh.login reads a folder');
    return { csh: folder };
  },
  without: '-f',
  sets: (path: string) => `setenv PATH ${path}`,
  left: 'if ( $?nodekiln_folder ) echo left',
};
const shells: readonly Shell[] = [
  { name: 'tcsh', ...csh },
  { name: 'bsd-csh', ...csh },
  {
    name: 'fish',
    readers: async () => ({ fish: true }),
    without: '--no-config',
    sets: (path) => `set -gx PATH ${path.replaceAll(':', ' ')}`,
    left: 'set -q nodekiln_folder; and echo left',
  },
];

const cases: readonly (readonly [before: string, targets: readonly string[], path: string])[] = [
  ['/usr/bin:/bin', [], '/usr/bin:/bin:/opt/bin'],
  ['/opt/bin:/usr/bin:/bin', [], '/opt/bin:/usr/bin:/bin'],
  ['/usr/bin:/opt/bin2', [], '/usr/bin:/opt/bin2:/opt/bin'],
  ['/bin', ['/opt/k8s/bin/kubectl', '/usr/local/bin/crictl'], '/bin:/opt/bin:/opt/k8s/bin'],
];

/** What is written for such a shell, and where. */
function fileOf(
  readers: PathReaders,
  targets: readonly string[] = [],
): { readonly path: string; readonly text: string } {
  const found = onThePath({ targets, program: true, readers }).find(
    ({ path }) => path === fishPath || path.endsWith('.csh'),
  );
  assert.ok(found?.entry.type === 'file' && 'text' in found.entry.content);
  return { path: found.path, text: reveal(found.entry.content.text) };
}

for (const suite of ['bookworm', 'trixie'] as const)
  describe(`another shell of ${suite}`, { concurrency: 1 }, () => {
    const derivation = { packages: ['tcsh', 'csh', 'fish'], script: 'mkdir -p /etc/csh/login.d /etc/fish/conf.d' };
    let root = '';
    before(
      async () => {
        root = await derivedRoot(suite, derivation, console.error);
      },
      { timeout: 600_000 },
    );

    for (const { name, readers, without, sets, left } of shells) {
      test(`${name} goes on with the PATH that it has`, { timeout: 120_000 }, () =>
        withFolder(async (folder) => {
          for (const [index, [, targets]] of cases.entries())
            await writeFile(join(folder, `${index}`), fileOf(await readers(root), targets).text);
          const said = cases.map(([path], index) =>
            [sets(path), `source /mnt/${index}`, left, '/usr/bin/printenv PATH', ''].join('\n'),
          );
          for (const [index, script] of said.entries()) await writeFile(join(folder, `${index}.said`), script);
          const each = `for said in "$1"/*.said; do chroot "$2" ${name} ${without} < "$said"; done`;
          assert.deepEqual(
            (await inRoot(root, folder, each)).trim().split('\n'),
            cases.map(([, , path]) => path),
          );
        }),
      );

      test(`${name} reads it when somebody logs in`, { timeout: 120_000 }, () =>
        withFolder(async (folder) => {
          const { path, text } = fileOf(await readers(root));
          await writeFile(join(folder, 'ours'), text);
          const login = `echo 'printenv PATH' | chroot "$2" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin ${name} -l`;
          const script = `${login}; mount -t tmpfs none "$(dirname "$2${path}")"; cp "$1/ours" "$2${path}"; ${login}`;
          // tcsh tells on its output that there is no terminal.
          const said = (await inRoot(root, folder, script)).split('\n').filter((line) => line.startsWith('/'));
          const [before = [], after = []] = said.map((line) => line.split(':'));
          assert.ok(before.includes('/usr/bin'), said.join());
          assert.deepEqual(
            after.filter((each) => !before.includes(each)),
            ['/opt/bin'],
          );
          assert.equal(after.length, before.length + 1);
        }),
      );
    }
  });
