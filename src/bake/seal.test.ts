/** Sealing small roots: what is removed, what stays, what is refused; on lab hosts see test/e2e/image. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { diffTrees, snapshotTree } from '../../test/lab/tree.ts';
import { openJournal } from '../apply/journal.ts';
import { addToCache } from '../artifacts/cache/fill.ts';
import { readIndex } from '../artifacts/cache/cache.ts';
import { programBytes } from '../../test/support/artifacts.ts';
import { createLinuxFiles } from '../host/linux/files.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { sealImage } from './seal.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-seal-'));
after(() => rmSync(folder, { recursive: true }));

function put(root: string, path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text, { mode });
}

/** A root that somebody used: one of everything, and things that stay. */
async function usedRoot(): Promise<string> {
  const root = mkdtempSync(join(folder, 'root-'));
  put(root, '/etc/os-release', 'ID=debian\n');
  put(root, '/etc/machine-id', `${'b'.repeat(32)}\n`, 0o444);
  put(root, '/etc/hostname', 'builder\n');
  put(root, '/etc/ssh/ssh_host_ed25519_key', 'secret', 0o600);
  put(root, '/etc/ssh/sshd_config', 'Port 22\n');
  put(root, '/var/lib/cloud/instances/i-1/user-data.txt', 'x');
  put(root, '/var/lib/cloud/seed/nocloud/meta-data', 'stays');
  put(root, '/var/lib/systemd/random-seed', 'x', 0o600);
  put(root, '/var/lib/kubelet/pki/kubelet-client-current.pem', 'x');
  put(root, '/var/lib/kubelet/config.yaml', 'stays');
  put(root, '/var/log/journal/0123/system.journal', 'x');
  put(root, '/var/log/dpkg.log', 'text', 0o640);
  put(root, '/root/.docker/config.json', 'secret');
  put(root, '/var/lib/nodekiln/downloads/half', 'x');
  chmodSync(join(root, 'var/lib/nodekiln'), 0o700);
  put(root, '/usr/lib/systemd/system/containerd.service', '[Install]\nWantedBy=multi-user.target\n');
  mkdirSync(join(root, 'etc/systemd/system/multi-user.target.wants'), { recursive: true });
  symlinkSync(
    '/usr/lib/systemd/system/containerd.service',
    join(root, 'etc/systemd/system/multi-user.target.wants/containerd.service'),
  );
  const source = join(root, '..', 'program');
  writeFileSync(source, programBytes(10_000, 1));
  await addToCache(createLinuxHost({ root }), {
    tool: 'kubelet',
    version: '1.34.3',
    source: { format: 'file', path: source },
  });
  return root;
}

const tree = (root: string) => snapshotTree(root, ['/'], { exclude: [/^\/var\/lib\/nodekiln\/lock\./] });

describe('seal', () => {
  it('removes what belongs to one machine, and nothing else; a second time there is nothing to do', async () => {
    const root = await usedRoot();
    const untouched = await tree(root);
    const planned = await sealImage({ root, dryRun: true });
    assert.deepEqual(diffTrees(untouched, await tree(root)), [], 'a dry run changed something');
    const done = await sealImage({ root });
    assert.deepEqual({ ...planned, dryRun: false }, done);
    assert.deepEqual(
      done.removed.map(({ id, paths }) => `${id}: ${paths.join(' ')}`),
      [
        'ssh-host-keys: /etc/ssh/ssh_host_ed25519_key',
        'host-name: /etc/hostname',
        'cloud-init: /var/lib/cloud/instances',
        'random-seed: /var/lib/systemd/random-seed',
        'kubelet: /var/lib/kubelet/pki',
        'fetch-credentials: /root/.docker/config.json',
        'downloads: /var/lib/nodekiln/downloads',
        'logs: /var/log/journal/0123',
      ],
    );
    assert.deepEqual(done.emptied, ['/var/log/dpkg.log', '/etc/machine-id']);
    assert.deepEqual([done.stopped, done.disabled, done.cache.verified], [[], ['containerd.service'], 1]);
    for (const path of [
      '/etc/ssh/sshd_config',
      '/var/lib/cloud/seed/nocloud/meta-data',
      '/var/lib/kubelet/config.yaml',
    ])
      assert.ok(existsSync(join(root, path)), path);
    for (const [path, mode] of [
      ['/etc/machine-id', 0o444],
      ['/var/log/dpkg.log', 0o640],
    ] as const) {
      const { size, mode: actual } = statSync(join(root, path));
      assert.deepEqual([size, actual & 0o7777], [0, mode], path);
    }
    assert.ok(!existsSync(join(root, 'etc/systemd/system/multi-user.target.wants/containerd.service')));
    const sealed = await tree(root);
    assert.equal((await sealImage({ root })).changed, false);
    assert.deepEqual(diffTrees(sealed, await tree(root)), []);
  });

  it('reads every cached binary in full: renews a broken seal over right content, and refuses a damaged cache', async () => {
    const root = await usedRoot();
    const path = join(root, 'opt/bin/kubelet-1.34.3');
    utimesSync(path, 1, 1);
    assert.deepEqual((await sealImage({ root })).cache.renewed, ['/opt/bin/kubelet-1.34.3']);
    const [entry] = (await readIndex(createLinuxFiles(root))).entries;
    assert.equal(entry?.seal.mtimeNs, '1000000000');

    const damaged = await usedRoot();
    const bytes = readFileSync(join(damaged, 'opt/bin/kubelet-1.34.3'));
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    writeFileSync(join(damaged, 'opt/bin/kubelet-1.34.3'), bytes);
    const before = await tree(damaged);
    await assert.rejects(sealImage({ root: damaged }), { code: 'NK_ARTIFACT_DIGEST' });
    assert.deepEqual(diffTrees(before, await tree(damaged)), [], 'something was removed all the same');
  });

  it('refuses what was made a node already', async () => {
    const root = await usedRoot();
    const host = createLinuxHost({ root });
    const journal = await openJournal(host);
    const base = { deferrable: false, importance: 'required', needs: [], kind: 'file', path: '/etc/x' } as const;
    const entry = { type: 'directory', mode: '0755', uid: 0, gid: 0 } as const;
    const claim = (scope: 'shared' | 'node'): Promise<number> =>
      journal.begin({
        source: 'boot',
        claims: { boot: [{ ...base, id: 'file:/etc/x', scope, entry }] },
        changes: [],
        starting: [],
        nowMs: 0,
      });
    await claim('node');
    await assert.rejects(sealImage({ root }), { code: 'NK_UNSUPPORTED' });
    assert.ok(existsSync(join(root, 'etc/hostname')));
    await claim('shared');
    journal.close();
    await host.close();
    assert.equal((await sealImage({ root })).changed, true);
  });

  it('lets an SSH server make its own keys where nobody else does', async () => {
    const root = await usedRoot();
    put(root, '/usr/sbin/sshd', '');
    put(root, '/usr/bin/ssh-keygen', '');
    const unit = '/etc/systemd/system/nodekiln-ssh-host-keys.service';
    assert.deepEqual((await sealImage({ root })).written, [unit]);
    assert.match(readFileSync(join(root, unit), 'utf8'), /ssh-keygen/);
    assert.ok(statSync(join(root, unit)).isFile());
    assert.deepEqual((await sealImage({ root })).written, []);
    const withCloudInit = await usedRoot();
    for (const path of ['/usr/sbin/sshd', '/usr/bin/ssh-keygen', '/usr/bin/cloud-init']) put(withCloudInit, path, '');
    assert.deepEqual((await sealImage({ root: withCloudInit })).written, []);
  });
});
