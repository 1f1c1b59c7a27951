/**
 * Packages installed by the real dnf of Debian 12 and 13 into real roots, from a dnf repository in all its troubles. dnf5, tdnf,
 * microdnf and yum are in no Debian: what they are asked is written down.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dnfPrograms, installActions, type Package } from '../../src/desired/packages.ts';
import type { NodekilnError } from '../../src/errors.ts';
import type { ActionResource } from '../../src/model/resources.ts';
import { buildRpm, type PackageSpec } from '../support/artifacts.ts';
import { dnfRepository, makeKey, signRpm, type SigningKey } from '../servers/packages.ts';
import { cutOff, installingRoot, type InstallingRoot, type Trouble } from './installing.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot } from './root.ts';
import { run, tryRun } from './run.ts';

/** Scripts are in rpm's own Lua: these roots have no shell that a package of rpm would know of. */
const lua = (text: string): Readonly<Record<string, string>> => ({ '%post -p <lua>': text });
const specs: Readonly<Record<string, Partial<PackageSpec>>> = {
  plain: {},
  later: { version: '2' },
  dated: { epoch: 3 },
  fails: { scripts: lua('error("the licence is not accepted")') },
  hangs: { scripts: lua('os.execute("sleep 600")') },
};

const www = await mkdtemp(join(tmpdir(), 'nodekiln-www-'));
after(() => rm(www, { recursive: true, force: true }));
let key: SigningKey;

before(async () => {
  await installPrerequisites(console.error);
  key = await makeKey(join(www, 'key'), 'publisher');
  await mkdir(join(www, 'repository'));
  for (const [name, spec] of Object.entries(specs)) {
    const files = { [`usr/bin/${name}`]: '#!/bin/sh\n' };
    const path = buildRpm(join(www, 'repository'), { name, version: '1', files, scripts: {}, ...spec });
    await signRpm(path, key);
  }
  buildRpm(join(www, 'repository'), { name: 'unsigned', version: '1', files: { 'usr/bin/unsigned': '' }, scripts: {} });
  await dnfRepository(join(www, 'repository'));
  await writeFile(join(www, 'key.asc'), key.armoured);
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

    const action = (wanted: readonly Package[], about: Partial<ActionResource> = {}): ActionResource => {
      const [install] = installActions('tools', 'dnf', wanted);
      assert.ok(install);
      return { ...install, ...about };
    };
    const install = (...names: readonly string[]): Promise<void> =>
      made.install(action(names.map((name) => ({ name }))));
    const forget = async (...names: readonly string[]): Promise<void> => {
      made.trouble = () => undefined;
      made.onPause = () => undefined;
      await tryRun(['chroot', made.root, 'rpm', '--erase', ...names]);
      await rm(join(made.root, 'var/cache/dnf'), { recursive: true, force: true });
    };
    const refused = async (work: Promise<void>): Promise<NodekilnError> => {
      const thrown: unknown = await work.then(
        () => undefined,
        (error: unknown) => error,
      );
      assert.ok(thrown instanceof Error && 'code' in thrown, 'it succeeded');
      return thrown as NodekilnError;
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
