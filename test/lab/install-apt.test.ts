/**
 * Packages installed by the real apt-get and dpkg into real roots of Debian 12 and 13 that are, or whose packages are, in a bad
 * way: what passes is waited for, what was left half-way is taken up, everything else is said.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Package } from '../../src/desired/packages.ts';
import type { ActionResource } from '../../src/model/resources.ts';
import { buildDeb, type PackageSpec } from '../support/artifacts.ts';
import { aptRepository } from '../servers/packages.ts';
import { installAction, installingRoot, publishedFolder, refused, type InstallingRoot } from './installing.ts';
import { rootFolder } from './root.ts';
import { run, tryRun } from './run.ts';

const script = (text: string): string => `#!/bin/sh\nset -e\n${text}\n`;
const hung = (name: string): string => script(`touch /${name}; [ -e /let-go ] || sleep 600`);

/** All of version 1; each installs /usr/bin/NAME. */
const specs: Readonly<Record<string, Partial<PackageSpec>>> = {
  plain: {},
  'hangs-before': { scripts: { preinst: hung('hangs-before') } },
  'hangs-after': { scripts: { postinst: hung('hangs-after') } },
  needs: { fields: { Depends: 'plain' } },
  fails: { scripts: { postinst: script('echo "the licence is not accepted" >&2; exit 3') } },
  'fails-for-another': {
    scripts: {
      triggers: 'interest-noawait /usr/bin/plain\n',
      postinst: script(
        '[ ! -e /usr/bin/plain ] || [ -e /let-go ] || { echo "the licence is not accepted" >&2; exit 3; }',
      ),
    },
  },
  'asks-input': { scripts: { postinst: script('echo "Continue? [y/n]"; read answer; [ "$answer" = y ]') } },
  'asks-terminal': { scripts: { postinst: script('echo "Password:" > /dev/tty; read answer < /dev/tty') } },
  'asks-debconf': {
    fields: { Depends: 'debconf' },
    scripts: {
      templates: 'Template: asks-debconf/name\nType: string\nDefault: nobody\nDescription: Your name\n',
      config: script('. /usr/share/debconf/confmodule; db_input critical asks-debconf/name || :; db_go || :'),
      postinst: script(
        '. /usr/share/debconf/confmodule; db_get asks-debconf/name; echo "$RET" > /debconf-said; db_stop',
      ),
    },
  },
  configured: { files: { 'etc/configured.conf': 'one\n' }, scripts: { conffiles: '/etc/configured.conf\n' } },
  'wants-what-nobody-has': { fields: { Depends: 'nobody-has-it (>= 3)' } },
};
/** Of these there is a second version. */
const second: Readonly<Record<string, Partial<PackageSpec>>> = {
  configured: { files: { 'etc/configured.conf': 'two\n' }, scripts: { conffiles: '/etc/configured.conf\n' } },
};

const www = await publishedFolder(async (at, key) => {
  const deb = (name: string, version: string, spec: Partial<PackageSpec>): string => {
    const files = { [`usr/bin/${name}`]: '#!/bin/sh\n' };
    return buildDeb(at, { name, version, scripts: {}, ...spec, files: { ...files, ...spec.files } });
  };
  const debs = Object.entries(specs).map(([name, spec]) => deb(name, '1', spec));
  await aptRepository(join(at, 'one'), { debs, key });
  await aptRepository(join(at, 'two'), { debs: Object.entries(second).map((two) => deb(two[0], '2', two[1])), key });
});

/** A lock as dpkg and apt take it (fcntl), held by somebody of this machine until the process ends. */
async function locked(path: string): Promise<ChildProcess> {
  const hold = `use Fcntl; open(F, '+>>', $ARGV[0]) or die; my $lock = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; $| = 1; print "held\\n"; sleep 600`;
  const child = spawn('perl', ['-e', hold, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

for (const suite of ['bookworm', 'trixie'] as const)
  describe(`apt-get of ${suite}`, { concurrency: 1, timeout: 600_000 }, () => {
    let made: InstallingRoot;
    before(async () => {
      made = await installingRoot(await rootFolder(suite, console.error), www);
      await rm(join(made.root, 'etc/apt/sources.list'), { force: true });
      await rm(join(made.root, 'etc/apt/sources.list.d'), { recursive: true, force: true });
      await copyFile(join(www, 'key/public.gpg'), join(made.root, 'etc/apt/publisher.gpg'));
      await from('one');
    });
    after(() => made?.close());

    const from = (...repositories: readonly string[]): Promise<void> =>
      writeFile(
        join(made.root, 'etc/apt/sources.list'),
        repositories.map((name) => `deb [signed-by=/etc/apt/publisher.gpg] ${made.url}/${name} stable main\n`).join(''),
      );
    const action = (wanted: readonly Package[], about: Partial<ActionResource> = {}): ActionResource =>
      installAction('apt', wanted, about);
    const install = (...names: readonly string[]): Promise<void> =>
      made.install(action(names.map((name) => ({ name }))));
    const inside = (...argv: readonly string[]): Promise<string> =>
      run(['chroot', made.root, ...argv]).then(({ stdout }) => stdout);
    const state = async (name: string): Promise<string> =>
      (await tryRun(['chroot', made.root, 'dpkg-query', '-W', '-f', '${Status}', name])).stdout;
    /** Ends an installation by SIGKILL once a script is at work. */
    const killed = async (name: string): Promise<void> => {
      await rm(join(made.root, 'let-go'), { force: true });
      const stop = new AbortController();
      const installation = refused(made.install(action([{ name }]), stop.signal));
      while (!existsSync(join(made.root, name))) await sleep(20);
      stop.abort(new Error('stop'));
      assert.equal((await installation).code, 'NK_INTERRUPTED');
      await writeFile(join(made.root, 'let-go'), '');
    };

    for (const name of ['hangs-before', 'hangs-after'])
      test(`takes up what was killed while it installed ${name}, and installs others`, async () => {
        await killed(name);
        assert.doesNotMatch(await state(name), /ok installed$/);
        await install('plain', name);
        assert.match(await state(name), /ok installed$/);
        await inside('apt-get', 'purge', '--yes', name, 'plain');
      });

    test('takes up a database that says it was interrupted', async () => {
      const status = await readFile(join(made.root, 'var/lib/dpkg/status'), 'utf8');
      await writeFile(join(made.root, 'var/lib/dpkg/updates/0000'), `${status.split('\n\n')[0]}\n\n`);
      await install('plain');
      await inside('apt-get', 'purge', '--yes', 'plain');
    });

    test('takes up a package that was unpacked without what it needs', async () => {
      await copyFile(join(www, 'needs_1_amd64.deb'), join(made.root, 'needs.deb'));
      await inside('dpkg', '--unpack', '/needs.deb');
      await install('configured');
      assert.match(await state('needs'), /ok installed$/);
      await inside('apt-get', 'purge', '--yes', 'needs', 'plain', 'configured');
    });

    for (const lock of ['dpkg/lock-frontend', 'dpkg/lock', 'apt/lists/lock', 'cache'])
      test(`waits for another package manager’s ${lock}`, async () => {
        const path = join(made.root, lock === 'cache' ? 'var/cache/apt/archives/lock' : `var/lib/${lock}`);
        await inside('apt-get', 'update');
        const holder = await locked(path);
        const ended = setTimeout(() => holder.kill('SIGKILL'), 3_000);
        made.onPause = async () => {
          await sleep(1_000);
        };
        try {
          await install('plain');
        } finally {
          clearTimeout(ended);
          holder.kill('SIGKILL');
          made.onPause = () => undefined;
        }
        await inside('apt-get', 'purge', '--yes', 'plain');
      });

    test('says who holds a lock that is not given up', async () => {
      const holder = await locked(join(made.root, 'var/lib/apt/lists/lock'));
      try {
        const error = await refused(install('plain'));
        assert.match(error.message, /^apt-get install of plain ended with exit status 100, the last of 5 times$/);
        assert.match(error.lines.join('\n'), /Could not get lock \/var\/lib\/apt\/lists\/lock/);
      } finally {
        holder.kill('SIGKILL');
      }
    });

    test('keeps what the administrator wrote, and asks nobody', async () => {
      await install('configured');
      await writeFile(join(made.root, 'etc/configured.conf'), 'mine\n');
      await from('one', 'two');
      await made.install(action([{ name: 'configured', version: '2' }]));
      assert.equal(await readFile(join(made.root, 'etc/configured.conf'), 'utf8'), 'mine\n');
      assert.equal(await readFile(join(made.root, 'etc/configured.conf.dpkg-dist'), 'utf8'), 'two\n');
      await inside('apt-get', 'purge', '--yes', 'configured');
      await from('one');
    });

    test('answers questions with their defaults', async () => {
      await install('asks-debconf');
      assert.equal(await readFile(join(made.root, 'debconf-said'), 'utf8'), 'nobody\n');
    });

    for (const [name, says] of [
      ['fails', /the licence is not accepted[^]*error exit status 3/],
      ['asks-input', /Continue\? \[y\/n\]/],
      ['asks-terminal', /\/dev\/tty: No such device or address/],
    ] as const)
      test(`ends at once with what a package says that ${name}`, async () => {
        const error = await refused(install(name));
        assert.deepEqual(
          [error.code, error.message],
          ['NK_ACTION_FAILED', `apt-get install of ${name} ended with exit status 100`],
        );
        assert.match(error.lines.join('\n'), says);
        assert.deepEqual(made.progress, []);
        await tryRun(['chroot', made.root, 'dpkg', '--force-all', '--purge', name]);
      });

    test('fails with the script of another package that it has run, until that does not', async () => {
      await rm(join(made.root, 'let-go'), { force: true });
      await install('fails-for-another');
      const wanted = action([{ name: 'plain' }]);
      for (let times = 0; times < 2; times++) {
        assert.match((await refused(made.install(wanted))).lines.join('\n'), /the licence is not accepted/);
        assert.match(await state('plain'), /ok installed$/);
        assert.match(await state('fails-for-another'), /half-configured$/);
        assert.equal(await made.isDone(wanted), false);
      }
      await writeFile(join(made.root, 'let-go'), '');
      await made.install(wanted);
      assert.equal(await made.isDone(wanted), true);
      await inside('apt-get', 'purge', '--yes', 'plain', 'fails-for-another');
    });

    for (const [name, says] of [
      ['wants-what-nobody-has', /nobody-has-it/],
      ['nobody-has-it', /'nobody-has-it' has no installation candidate/],
    ] as const)
      test(`says at once why there cannot be ${name}`, async () => {
        const error = await refused(install(name));
        assert.equal(error.message, `apt-get install of ${name} ended with exit status 100`);
        assert.match(error.lines.join('\n'), says);
      });

    test('leaves a package at the version at which it is held, and says so', async () => {
      await install('configured');
      await inside('apt-mark', 'hold', 'configured');
      await from('one', 'two');
      const error = await refused(made.install(action([{ name: 'configured', version: '2' }])));
      assert.equal(error.message, 'apt-get install of configured=2 ended with exit status 100');
      assert.match(error.lines.join('\n'), /Held packages were changed/);
      await inside('apt-mark', 'unhold', 'configured');
      await inside('apt-get', 'purge', '--yes', 'configured');
      await from('one');
    });

    test('has its time, and leaves nothing of it at work', async () => {
      await rm(join(made.root, 'let-go'), { force: true });
      const error = await refused(made.install(action([{ name: 'hangs-after' }], { timeoutMs: 6_000 })));
      assert.deepEqual(
        [error.code, error.message],
        ['NK_TIMEOUT', 'apt-get install of hangs-after did not end within 6 s'],
      );
      assert.match(error.lines.join('\n'), /Setting up hangs-after/);
      await writeFile(join(made.root, 'let-go'), '');
      await install('hangs-after');
      await inside('apt-get', 'purge', '--yes', 'hangs-after');
    });

    test('is named where a root has none', async () => {
      const program = join(made.root, 'usr/bin/apt-get');
      await rename(program, `${program}.away`);
      try {
        const error = await refused(install('plain'));
        assert.deepEqual(
          [error.code, error.message],
          ['NK_TOOL_MISSING', 'apt-get install of plain: the system has no apt-get'],
        );
        assert.match(error.hint, /package manager/);
      } finally {
        await rename(`${program}.away`, program);
      }
    });
  });
