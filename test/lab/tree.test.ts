import assert from 'node:assert/strict';
import { chmod, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { resolveInside } from './lab.ts';
import { diffTrees, snapshotTree } from './tree.ts';

async function withRoot(work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'lab-tree-'));
  try {
    await work(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

test('a tree lists type, mode, size, digest, target and links, sorted, and no times', () =>
  withRoot(async (root) => {
    await mkdir(join(root, 'etc/empty'), { recursive: true });
    await chmod(join(root, 'etc'), 0o755);
    await chmod(join(root, 'etc/empty'), 0o1777);
    await writeFile(join(root, 'etc/b'), 'abc');
    await chmod(join(root, 'etc/b'), 0o640);
    await link(join(root, 'etc/b'), join(root, 'etc/a'));
    await symlink('/etc/b', join(root, 'etc/c'));
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const digest = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    const file = { type: 'file', mode: '0640', uid, gid, size: 3, digest, links: 2 };
    assert.deepEqual(await snapshotTree(root, ['/etc', '/missing']), [
      { path: '/etc', type: 'directory', mode: '0755', uid, gid },
      { path: '/etc/a', ...file },
      { path: '/etc/b', ...file },
      { path: '/etc/c', type: 'symlink', mode: '0777', uid, gid, target: '/etc/b' },
      { path: '/etc/empty', type: 'directory', mode: '1777', uid, gid },
    ]);
    const some = await snapshotTree(root, ['/etc'], { exclude: ['/etc/a', /empty$/] });
    assert.deepEqual(
      some.map((entry) => entry.path),
      ['/etc', '/etc/b', '/etc/c'],
    );
  }));

test('a difference names both sides', () =>
  withRoot(async (root) => {
    await writeFile(join(root, 'a'), 'one');
    const before = await snapshotTree(root, ['/a']);
    assert.deepEqual(diffTrees(before, before), []);
    await writeFile(join(root, 'a'), 'two');
    const lines = diffTrees(before, await snapshotTree(root, ['/a']));
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /^- .*"path":"\/a"/);
    assert.match(lines[1] ?? '', /^\+ .*"path":"\/a"/);
  }));

test('symlinks resolve inside the root', () =>
  withRoot(async (root) => {
    await mkdir(join(root, 'run/lock'), { recursive: true });
    await mkdir(join(root, 'var'));
    await symlink('/run', join(root, 'var/run'));
    await symlink('../../../../etc', join(root, 'run/up'));
    await symlink('loop', join(root, 'loop'));
    assert.equal(await resolveInside(root, '/var/run/lock/new'), join(root, 'run/lock/new'));
    assert.equal(await resolveInside(root, '/var/run/up/passwd'), join(root, 'etc/passwd'));
    assert.equal(await resolveInside(root, '/../../etc'), join(root, 'etc'));
    await assert.rejects(resolveInside(root, '/loop'), /too many symbolic links/);
  }));
