/**
 * Packages installed by the real dnf of Debian 12 and 13 into real roots, from a dnf repository in all its troubles. dnf5, tdnf,
 * microdnf and yum are in no Debian: what they are asked is written down.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dnfPrograms, type Package } from '../../src/desired/packages.ts';
import type { ActionResource } from '../../src/model/resources.ts';
import { buildRpm, type PackageSpec } from '../support/artifacts.ts';
import { dnfRepository, signRpm } from '../servers/packages.ts';
import {
  cutOff,
  installAction,
  installingRoot,
  publishedFolder,
  refused,
  type InstallingRoot,
  type Trouble,
} from './installing.ts';
import { derivedRoot } from './root.ts';
import { run, tryRun } from './run.ts';

/** In rpm's own Lua, until it may succeed; then it leaves a trace. */
const lua = (section: string, trigger = ''): Readonly<Record<string, string>> => ({
  [`${section} -p <lua>${trigger}`]:
    'if not posix.stat("/let-go") then error("the licence is not accepted") end\nposix.mkdir("/ran")',
});
const shell = (text: string): Readonly<Record<string, string>> => ({ '%post -p /bin/sh': `${text}; mkdir /ran` });
const specs: Readonly<Record<string, Partial<PackageSpec>>> = {
  plain: {},
  newer: {},
  later: { version: '2' },
  dated: { epoch: 3 },
  hangs: {
    scripts: { '%post -p <lua>': 'if not posix.stat("/let-go") then os.execute("sleep 600") end\nposix.mkdir("/ran")' },
  },
  needs: { fields: { Requires: 'fails' } },
  /** These roots have no package of rpm with a shell. */
  shell: { fields: { Provides: '/bin/sh, /bin/nothing' } },
  fails: { scripts: lua('%post') },
  'fails-in-shell': { scripts: shell('[ -e /let-go ] || exit 3') },
  'fails-by-signal': { scripts: shell('[ -e /let-go ] || kill -9 $$') },
  'fails-without-interpreter': { scripts: { '%post -p /bin/nothing': 'mkdir /ran' } },
  'fails-at-the-end': { scripts: lua('%posttrans') },
  'fails-for-another': { scripts: lua('%triggerin', ' -- plain'), fields: { Requires: 'plain' } },
  'fails-for-files': { scripts: lua('%filetriggerin', ' -- /usr/bin') },
  'fails-for-files-at-the-end': { scripts: lua('%transfiletriggerin', ' -- /usr/bin') },
  'fails-before': { scripts: lua('%pre') },
  'fails-before-all': { scripts: lua('%pretrans') },
};
/** Of these there is a second version. */
const second: Readonly<Record<string, Partial<PackageSpec>>> = { newer: { scripts: lua('%post') } };

/** Scripts that fail, and what is said of it. */
const failing: readonly [name: string, says: RegExp][] = [
  ['fails', /lua script failed: .*the licence is not accepted/],
  ['needs', /the licence is not accepted/],
  ['fails-in-shell', /%post\(fails-in-shell-1-1\.x86_64\) scriptlet failed, exit status 3/],
  ['fails-by-signal', /scriptlet failed, signal 9/],
  ['fails-without-interpreter', /scriptlet failed, exit status 127/],
  ['fails-at-the-end', /%posttrans.*the licence is not accepted/],
  ['fails-for-another', /%triggerin.*the licence is not accepted/],
  ['fails-for-files', /%filetriggerin.*the licence is not accepted/],
  ['fails-for-files-at-the-end', /%transfiletriggerin.*the licence is not accepted/],
  ['fails-before', /%pre.*the licence is not accepted/],
  ['fails-before-all', /%pretrans.*the licence is not accepted/],
];

const www = await publishedFolder(async (at, key) => {
  await mkdir(join(at, 'repository'));
  const all = [
    ...Object.entries(specs),
    ...Object.entries(second).map(([name, spec]) => [name, { version: '2', ...spec }] as const),
  ];
  for (const [name, spec] of all) {
    const files = { [`usr/bin/${name}`]: '#!/bin/sh\n' };
    const path = buildRpm(join(at, 'repository'), { name, version: '1', files, scripts: {}, ...spec });
    await signRpm(path, key);
  }
  buildRpm(join(at, 'repository'), { name: 'unsigned', version: '1', files: { 'usr/bin/unsigned': '' }, scripts: {} });
  await dnfRepository(join(at, 'repository'));
  await writeFile(join(at, 'key.asc'), key.armoured);
});

const spoiled: Trouble = () => (bytes) =>
  Buffer.from(bytes.map((byte, at) => (at === bytes.length - 9 ? byte ^ 1 : byte)));
const of =
  (pattern: RegExp, trouble: Trouble | number): Trouble =>
  (path) =>
    pattern.test(path) ? (typeof trouble === 'number' ? trouble : trouble(path)) : undefined;

const passing: readonly [what: string, trouble: Trouble][] = [
  ['a repository that is not there', of(/repomd/, 404)],
  ['a busy server', () => 503],
  ['an index that is not there', of(/primary/, 404)],
  ['an index of other content', of(/primary/, spoiled)],
  ['an index of which half comes', of(/primary/, cutOff)],
  ['a package that is not there', of(/\.rpm$/, 404)],
  ['a package of other content', of(/\.rpm$/, spoiled)],
  ['a package of which half comes', of(/\.rpm$/, cutOff)],
];

for (const [program, suite, packages] of [
  ['dnf', 'bookworm', ['dnf', 'rpm']],
  ['dnf', 'trixie', ['dnf', 'rpm']],
] as const)
  describe(`${program} of ${suite}`, { concurrency: 1, timeout: 900_000 }, () => {
    let made: InstallingRoot;
    before(async () => {
      made = await installingRoot(await derivedRoot(suite, { packages }, console.error), www);
      const repository = `[lab]\nname=lab\nbaseurl=${made.url}/repository\ngpgcheck=1\ngpgkey=${made.url}/key.asc\n`;
      await mkdir(join(made.root, 'etc/yum.repos.d'), { recursive: true });
      await writeFile(join(made.root, 'etc/yum.repos.d/lab.repo'), repository);
    });
    after(() => made?.close());

    const action = (wanted: readonly Package[], about: Partial<ActionResource> = {}): ActionResource =>
      installAction('dnf', wanted, about);
    const install = (...names: readonly string[]): Promise<void> =>
      made.install(action(names.map((name) => ({ name }))));
    const forget = async (...names: readonly string[]): Promise<void> => {
      made.trouble = () => undefined;
      made.onPause = () => undefined;
      for (const name of names) await tryRun(['chroot', made.root, 'rpm', '--erase', '--noscripts', '--nodeps', name]);
      for (const path of ['let-go', 'ran', 'bin/nothing', 'var/lib/nodekiln/rpms'])
        await rm(join(made.root, path), { recursive: true, force: true });
      await rm(join(made.root, 'var/cache/dnf'), { recursive: true, force: true });
    };

    test('installs by name and by version, with an epoch or without', async () => {
      const wanted = [{ name: 'plain' }, { name: 'later', version: '2-1' }, { name: 'dated', version: '3:1-1' }];
      await made.install(action(wanted));
      const { stdout } = await run(['chroot', made.root, 'rpm', '--query', '--all']);
      assert.deepEqual(
        stdout
          .trim()
          .split('\n')
          .filter((line) => !line.startsWith('gpg'))
          .sort(),
        ['dated-1-1.x86_64', 'later-2-1.x86_64', 'plain-1-1.x86_64'],
      );
      await forget('plain', 'later', 'dated');
    });

    for (const [what, trouble] of passing) {
      test(`tries again after ${what}`, async () => {
        made.trouble = trouble;
        made.onPause = () => void (made.trouble = () => undefined);
        await install('plain');
        assert.match(made.progress.join('\n'), /^dnf install of plain is tried again in 2 s: /);
        await forget('plain');
      });
    }

    test('says what there was in the end', async () => {
      made.trouble = of(/\.rpm$/, 404);
      const error = await refused(install('plain'));
      assert.match(error.message, /^dnf install of plain ended with exit status 1, the last of 5 times$/);
      assert.match(error.lines.join('\n'), /404/);
      await forget('plain');
    });

    for (const [name, says] of [
      ['nobody-has-it', /nobody-has-it/],
      ['unsigned', /unsigned.*not signed|not signed.*unsigned|GPG|signature/i],
    ] as const)
      test(`says at once why there cannot be ${name}`, async () => {
        made.onPause = () => assert.fail('there is nothing to wait for');
        const error = await refused(install(name));
        assert.match(error.message, new RegExp(`^dnf install of ${name} ended with exit status 1$`));
        assert.match(error.lines.join('\n'), says);
        await forget(name);
      });

    for (const [name, says] of failing)
      test(`fails with a script of a package that ${name}, until that does not`, async () => {
        made.onPause = () => assert.fail('there is nothing to wait for');
        const wanted = action([{ name, version: '1' }]);
        for (let times = 0; times < 2; times++) {
          const error = await refused(made.install(wanted));
          assert.equal(error.message, `dnf install of ${name}-1 ended with exit status 1`);
          assert.match(error.lines.join('\n'), says);
          assert.equal(await made.isDone(wanted), false);
        }
        await writeFile(join(made.root, 'let-go'), '');
        await symlink('sh', join(made.root, 'bin/nothing'));
        await made.install(wanted);
        assert.ok(existsSync(join(made.root, 'ran')), 'the script has not run');
        assert.equal(existsSync(join(made.root, 'var/lib/nodekiln/rpms')), false);
        await forget(name, 'fails', 'plain', 'shell');
      });

    test('fails with a script of a newer version, and installs that again', async () => {
      await made.install(action([{ name: 'newer', version: '1-1' }]));
      const wanted = action([{ name: 'newer', version: '2-1' }]);
      await refused(made.install(wanted));
      await run(['chroot', made.root, 'rpm', '--query', 'newer-2-1']);
      assert.equal(await made.isDone(wanted), false);
      await writeFile(join(made.root, 'let-go'), '');
      await made.install(wanted);
      assert.ok(existsSync(join(made.root, 'ran')), 'the script has not run');
      await forget('newer');
    });

    test('installs several at once, one after the other', async () => {
      await Promise.all(['plain', 'later', 'dated'].map((name) => install(name)));
      await run(['chroot', made.root, 'rpm', '--query', 'plain', 'later', 'dated']);
      assert.equal(existsSync(join(made.root, 'var/lib/nodekiln/rpms')), false);
      await forget('plain', 'later', 'dated');
    });

    test('takes up what was killed while a script ran', async () => {
      const wanted = action([{ name: 'hangs' }], { timeoutMs: 15_000 });
      assert.equal((await refused(made.install(wanted))).code, 'NK_TIMEOUT');
      await run(['chroot', made.root, 'rpm', '--query', 'hangs']);
      assert.equal(await made.isDone(wanted), false);
      await writeFile(join(made.root, 'let-go'), '');
      await install('hangs', 'later');
      assert.ok(existsSync(join(made.root, 'ran')), 'the script has not run');
      await forget('hangs', 'later');
    });

    test('has its time, and says how far it came', async () => {
      const error = await refused(made.install(action([{ name: 'hangs' }], { timeoutMs: 15_000 })));
      assert.deepEqual([error.code, error.message], ['NK_TIMEOUT', 'dnf install of hangs did not end within 15 s']);
      assert.match(error.lines.join('\n'), /hangs/);
      await forget('hangs');
    });

    test('is named where a root has none, and any other is taken', async () => {
      const away: string[] = [];
      for (const name of dnfPrograms) {
        const path = join(made.root, 'usr/bin', name);
        await rename(path, `${path}.away`).then(
          () => away.push(path),
          () => undefined,
        );
      }
      try {
        const error = await refused(install('plain'));
        assert.deepEqual(
          [error.code, error.message],
          ['NK_TOOL_MISSING', 'dnf install of plain: the system has no dnf or its like'],
        );
        const whole = '--setopt=install_weak_deps=False --setopt=*.skip_if_unavailable=False';
        for (const [name, asked] of [
          ['dnf5', [`install --assumeyes --refresh ${whole} --setopt=retries=3 --setopt=timeout=30 plain-1-1 later`]],
          ['tdnf', ['install --assumeyes --refresh plain-1-1 later']],
          ['microdnf', ['clean all', 'install --assumeyes --setopt=install_weak_deps=0 plain-1-1 later']],
          [
            'yum',
            [
              '--quiet clean expire-cache',
              'install --assumeyes --setopt=retries=3 --setopt=timeout=30 plain-1-1 later',
            ],
          ],
        ] as const) {
          const path = join(made.root, 'usr/bin', name);
          await writeFile(path, '#!/bin/sh\necho "$*" >> /asked\n', { mode: 0o755 });
          const guard = { type: 'path', path: '/' } as const;
          await made.install(action([{ name: 'plain', version: '1-1' }, { name: 'later' }], { guard }));
          assert.deepEqual((await readFile(join(made.root, 'asked'), 'utf8')).trim().split('\n'), asked);
          await rm(path);
          await rm(join(made.root, 'asked'));
        }
      } finally {
        for (const path of away) await rename(`${path}.away`, path);
      }
    });
  });
