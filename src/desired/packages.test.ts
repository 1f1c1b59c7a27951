import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { installActions } from './packages.ts';

const wanted = [{ name: 'runc' }, { name: 'containerd', version: '1.7.24' }];

test('apt: one action brings the lists up to date and installs, asked for by name and version', () => {
  const [action, ...others] = installActions('runtime', 'apt', wanted);
  assert.deepEqual(others, []);
  assert.ok(action?.guard.type === 'command');
  assert.deepEqual(
    { id: action.id, scope: action.scope, importance: action.importance, timeoutMs: action.timeoutMs, env: action.env },
    {
      id: 'action:install-runtime',
      scope: 'shared',
      importance: 'required',
      timeoutMs: 900_000,
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    },
  );
  const [shell, flag, program = '', name, ...names] = action.argv;
  assert.deepEqual([shell, flag, name, names], ['sh', '-c', 'sh', ['runc', 'containerd=1.7.24']]);
  assert.match(
    program,
    /^said=\$\(apt-get update .*\n.*\n.*exit "\$status"\n.*'W: Failed to fetch'.*exit 100 ;; esac\n[^]*dpkg --force-confold --configure --pending\n[^]*\nexec apt-get install /,
  );
  for (const option of [
    '--yes',
    '--no-install-recommends',
    '--option=Dpkg::Options::=--force-confold',
    '--option=DPkg::Lock::Timeout=120',
    '--option=Acquire::Retries=3',
    '--option=Acquire::https::Timeout=30',
  ])
    assert.ok(program.includes(` ${option} `), option);
  assert.equal(action.title, 'apt-get install of runc, containerd=1.7.24');
  assert.deepEqual(action.guard.argv.slice(3), ['sh', 'runc', 'containerd=1.7.24']);
});

test('dnf: name and version are one word, and rpm says whether they are there', () => {
  const [action, ...others] = installActions('runtime', 'dnf', wanted);
  assert.deepEqual(others, []);
  assert.ok(action);
  assert.deepEqual(action.argv.slice(3), ['sh', 'runc', 'containerd-1.7.24']);
  assert.match(action.argv[2] ?? '', /^for program in dnf dnf5 tdnf microdnf yum; do\n/);
  const options =
    '--assumeyes --refresh --setopt=install_weak_deps=False --setopt=*.skip_if_unavailable=False --setopt=retries=3 --setopt=timeout=30';
  assert.ok(action.argv[2]?.includes(`dnf | dnf5) options='${options}' ;;`));
  assert.ok(action.guard.type === 'command');
  assert.deepEqual(action.guard.argv.slice(3), ['sh', 'runc', 'containerd-1.7.24']);
  assert.match(action.guard.argv[2] ?? '', /; exec rpm --query "\$@"$/);
  assert.deepEqual(action.env, { LC_ALL: 'C.UTF-8' });
  assert.equal(action.title, 'dnf install of runc, containerd-1.7.24');
  assert.deepEqual([action.id, action.kind, action.timeoutMs], ['action:install-runtime', 'action', 900_000]);
});

describe('apt: installed is', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodekiln-dpkg-'));
  after(() => rmSync(folder, { recursive: true }));

  const entry = (name: string, status: string, more = 'Version: 1.2-1\nArchitecture: amd64\n'): string =>
    `Package: ${name}\nStatus: ${status}\n${more}Maintainer: a <a@example>\nDescription: b\n\n`;
  const whole = 'install ok installed';
  const i386 = 'Version: 1.2-1\nArchitecture: i386\nMulti-Arch: same\n';
  const amd64 = 'Version: 1.2-1\nArchitecture: amd64\nMulti-Arch: same\n';

  for (const [what, database, wanted, done] of [
    ['a package that is', entry('a', whole), ['a'], true],
    ['its version', entry('a', whole), ['a=1.2-1'], true],
    ['no other version', entry('a', whole), ['a=1.2-2'], false],
    ['a package that is held', entry('a', 'hold ok installed'), ['a'], true],
    ['no package that is unknown', '', ['a'], false],
    ['not all where one is missing', entry('a', whole), ['a', 'b'], false],
    ['no package of which settings are left', entry('a', 'deinstall ok config-files'), ['a'], false],
    ['no package that is half configured', entry('a', 'install ok half-configured'), ['a'], false],
    [
      'nothing beside one that is half configured',
      entry('a', whole) + entry('b', 'install ok half-configured'),
      ['a'],
      false,
    ],
    [
      'nothing beside one that is half installed',
      entry('a', whole) + entry('b', 'install reinstreq half-installed'),
      ['a'],
      false,
    ],
    ['nothing beside one that is unpacked alone', entry('a', whole) + entry('b', 'install ok unpacked'), ['a'], false],
    ['a package beside one that was removed', entry('a', whole) + entry('b', 'deinstall ok config-files'), ['a'], true],
    ['a package of two architectures', entry('a', whole, amd64) + entry('a', whole, i386), ['a=1.2-1'], true],
  ] as const)
    test(what, () => {
      const admin = mkdtempSync(join(folder, 'admin-'));
      for (const name of ['info', 'updates']) mkdirSync(join(admin, name));
      writeFileSync(join(admin, 'status'), database);
      writeFileSync(join(admin, 'arch'), 'amd64\ni386\n');
      execFileSync('dpkg-query', ['--show'], { env: { ...process.env, DPKG_ADMINDIR: admin }, stdio: 'ignore' });
      const [action] = installActions(
        'tools',
        'apt',
        wanted.map((each) => {
          const [name = '', version] = each.split('=');
          return { name, version };
        }),
      );
      assert.ok(action?.guard.type === 'command');
      const [shell = '', ...args] = action.guard.argv;
      const { status } = spawnSync(shell, args, { env: { ...process.env, DPKG_ADMINDIR: admin } });
      assert.equal(status === 0, done);
    });
});
