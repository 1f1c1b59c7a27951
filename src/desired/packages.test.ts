import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  assert.match(action.guard.argv[2] ?? '', / && exec rpm --query "\$@"$/);
  assert.deepEqual(action.env, { LC_ALL: 'C.UTF-8' });
  assert.equal(action.title, 'dnf install of runc, containerd-1.7.24');
  assert.deepEqual([action.id, action.kind, action.timeoutMs], ['action:install-runtime', 'action', 900_000]);
});
