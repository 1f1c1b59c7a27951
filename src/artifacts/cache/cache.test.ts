import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { NodekilnError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { createMemoryHost } from '../../host/memory/machine.ts';
import type { Host } from '../../host/port.ts';
import { imageLockPath } from '../../model/state-paths.ts';
import {
  activate,
  cacheIndexPath,
  findCached,
  mendIndex,
  openCached,
  cachedPath,
  readIndex,
  removeFromCache,
  requireWhole,
  targetDigest,
  verifyCached,
} from './cache.ts';
import { addToCache } from './fill.ts';
import {
  buildDeb,
  buildRpm,
  buildTarball,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../../test/support/artifacts.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));

const program = (seed: number): Buffer => programBytes(54_096, seed);
const usr = (seed: number): Record<string, Buffer> => ({ 'usr/bin/kubelet': program(seed) });
const hostArch = process.arch === 'x64' ? 'amd64' : 'arm64';

const packages = {
  first: buildDeb(folder, { name: 'kubelet', version: '1.34.3', release: 'ubuntu24.04u1', files: usr(1) }, 'zstd'),
  second: buildRpm(folder, { name: 'kubelet', version: '1.34.4', release: '5.azl3', epoch: 1, files: usr(2) }, 'zstd'),
  prerelease: buildDeb(folder, { name: 'kubelet', version: '1.35.0~rc1', release: 'ubuntu24.04u1', files: usr(3) }),
  rebuilt: buildDeb(folder, { name: 'kubelet', version: '1.34.3', release: 'ubuntu24.04u2', files: usr(4) }),
  tarball: buildTarball(folder, 'kubernetes-node.tar.gz', {
    files: { 'kubernetes/node/bin/kubelet': program(5) },
    compression: 'gzip',
  }),
};

let roots = 0;
function freshRoot(): { root: string; host: Host } {
  const root = join(folder, `root-${++roots}`);
  mkdirSync(root);
  return { root, host: createLinuxHost({ root }) };
}

const fails =
  (code: ErrorCode, pattern = /./) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof NodekilnError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, pattern);
    return true;
  };

const kubelet = (version: string, path: string): { tool: string; version: string; source: { path: string } } => ({
  tool: 'kubelet',
  version,
  source: { path },
});

describe('addToCache', () => {
  it('keeps binaries of packages as <tool>-<key> and records where they come from', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const added = await addToCache(host, { ...kubelet('v1.34.4', packages.second), architecture: hostArch });
    await addToCache(host, kubelet('1.35.0-rc.1', packages.prerelease));
    await addToCache(host, kubelet('1.33.5-akslts', packages.tarball));
    assert.deepEqual(readdirSync(join(root, 'opt/bin')), [
      'kubelet-1.33.5-akslts',
      'kubelet-1.34.4',
      'kubelet-1.35.0-rc.1',
    ]);
    const path = join(root, 'opt/bin/kubelet-1.34.4');
    assert.ok(readFileSync(path).equals(program(2)));
    const stat = statSync(path, { bigint: true });
    assert.deepEqual([Number(stat.mode & 0o7777n), stat.uid, stat.gid], [0o755, 0n, 0n]);
    assert.deepEqual(
      (await readIndex(files)).entries.find((entry) => entry.key === '1.34.4'),
      added.entry,
    );
    assert.deepEqual(added.entry, {
      tool: 'kubelet',
      version: '1:1.34.4-5.azl3',
      key: '1.34.4',
      digest: `sha256:${execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64)}`,
      size: program(2).length,
      architecture: hostArch,
      source: {
        type: 'rpm',
        location: packages.second,
        packageDigest: `sha256:${execFileSync('sha256sum', [packages.second], { encoding: 'utf8' }).slice(0, 64)}`,
        packageSize: statSync(packages.second).size,
        revision: '1:1.34.4-5.azl3',
        package: 'kubelet',
        member: 'usr/bin/kubelet',
      },
      seal: { size: program(2).length, mtimeNs: String(stat.mtimeNs) },
    });
  });

  it('refuses another version, another revision than pinned, another architecture', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    await assert.rejects(
      addToCache(host, kubelet('1.34.30', packages.first)),
      fails('NK_ARTIFACT_VERSION', /1\.34\.3.*1\.34\.30/),
    );
    await assert.rejects(
      addToCache(host, kubelet('1.34.3-ubuntu24.04u2', packages.first)),
      fails('NK_ARTIFACT_VERSION'),
    );
    await assert.rejects(addToCache(host, kubelet('1.35.0', packages.prerelease)), fails('NK_ARTIFACT_VERSION'));
    const other = hostArch === 'amd64' ? 'arm64' : 'amd64';
    await assert.rejects(
      addToCache(host, { ...kubelet('1.34.3', packages.first), architecture: other }),
      fails('NK_ARTIFACT_ARCHITECTURE'),
    );
    await assert.rejects(addToCache(host, kubelet('', packages.first)), fails('NK_VERSION_INVALID'));
    assert.deepEqual(readdirSync(join(root, 'opt/bin')), []);
    assert.deepEqual((await readIndex(files)).entries, []);
  });

  it('refuses a second build under one key, also when both come at once, and takes the same one again', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const both = await Promise.allSettled([
      addToCache(host, kubelet('1.34.3', packages.first)),
      addToCache(host, kubelet('1.34.3', packages.rebuilt)),
    ]);
    assert.deepEqual(
      both.map((one) => one.status),
      ['fulfilled', 'rejected'],
    );
    const refused = both[1];
    assert.ok(refused.status === 'rejected' && fails('NK_CACHE_CONFLICT', /ubuntu24\.04u1/)(refused.reason));
    assert.ok(readFileSync(join(root, 'opt/bin/kubelet-1.34.3')).equals(program(1)));
    assert.equal((await addToCache(host, kubelet('1.34.3', packages.first))).outcome, 'unchanged');
    assert.equal(await removeFromCache(files, 'kubelet', 'v1.34.3'), true);
    assert.equal(await removeFromCache(files, 'kubelet', 'v1.34.3'), false);
    assert.equal((await addToCache(host, kubelet('1.34.3', packages.rebuilt))).outcome, 'added');
  });

  it('does not read the package again when its digest and the sealed file say that it is in', async () => {
    const { host } = freshRoot();
    const copy = join(folder, 'copy.deb');
    writeFileSync(copy, readFileSync(packages.first));
    const { entry } = await addToCache(host, kubelet('1.34.3', copy));
    rmSync(copy);
    const packageDigest = entry.source.packageDigest ?? '';
    const again = await addToCache(host, {
      tool: 'kubelet',
      version: '1.34.3',
      source: { path: copy, packageDigest },
    });
    assert.deepEqual(again, { outcome: 'unchanged', entry });
  });

  it('keeps every entry when many are added at once', async () => {
    const { host } = freshRoot();
    const { files } = host;
    const plain = join(folder, 'plain');
    writeFileSync(plain, program(9));
    await Promise.all(Array.from({ length: 12 }, (_, i) => addToCache(host, kubelet(`1.30.${i}`, plain))));
    assert.equal((await readIndex(files)).entries.length, 12);
  });

  it('works on a host without a file system', async () => {
    const host = createMemoryHost();
    const { files } = host;
    await files.write([
      { type: 'file', path: packages.first, content: readFileSync(packages.first), mode: 0o644, uid: 0, gid: 0 },
    ]);
    const { entry } = await addToCache(host, kubelet('1.34.3', packages.first));
    assert.deepEqual(Buffer.from((await files.read('/opt/bin/kubelet-1.34.3')) ?? ''), program(1));
    assert.deepEqual(await openCached(files, { tool: 'kubelet', version: '1.34.3' }), { found: true, entry });
    assert.equal((await activate(files, { entry, target: '/usr/bin/kubelet' })).outcome, 'activated');
  });

  it('follows the links of a root folder as the host would see them', async () => {
    const { root, host } = freshRoot();
    mkdirSync(join(root, 'var'));
    symlinkSync('/var', join(root, 'opt'));
    await addToCache(host, kubelet('1.34.3', packages.first));
    assert.deepEqual(readdirSync(join(root, 'var/bin')), ['kubelet-1.34.3']);
  });
});

describe('findCached', () => {
  it('finds exactly what was asked for and says why not', async () => {
    const { host } = freshRoot();
    const { files } = host;
    await addToCache(host, kubelet('1.34.3', packages.first));
    await addToCache(host, kubelet('1.34.4', packages.second));
    const index = await readIndex(files);
    const lookUp = (version: string, architecture?: string): unknown => {
      const lookup = findCached(index, { tool: 'kubelet', version, ...(architecture && { architecture }) });
      return lookup.found ? lookup.entry.key : lookup.why;
    };
    assert.equal(lookUp('1.34.3'), '1.34.3');
    assert.equal(
      lookUp('v1.34.4-5.azl3', 'x86_64'),
      hostArch === 'amd64' ? '1.34.4' : lookUp('v1.34.4-5.azl3', 'x86_64'),
    );
    assert.deepEqual(lookUp('1.34.4-6.azl3'), [
      '/opt/bin/kubelet-1.34.3 is another version',
      '/opt/bin/kubelet-1.34.4 is the build 1:1.34.4-5.azl3, not 1.34.4-6.azl3',
    ]);
    assert.deepEqual(lookUp('1.34'), [
      '/opt/bin/kubelet-1.34.3 is another version',
      '/opt/bin/kubelet-1.34.4 is another version',
    ]);
    assert.match(String(lookUp('1.34.3', 's390x')), /kubelet-1\.34\.3 is for/);
    assert.deepEqual(findCached(index, { tool: 'kubectl', version: '1.34.3' }), {
      found: false,
      why: ['no version of kubectl is cached'],
    });
    assert.throws(() => lookUp(''), fails('NK_VERSION_INVALID'));
  });

  it('takes a missing index as empty', async () => {
    const index = await readIndex(freshRoot().host.files);
    assert.deepEqual([index.entries, index.damage], [[], undefined]);
  });
});

describe('a damaged index', () => {
  const place = (root: string): string => join(root, cacheIndexPath);
  const edited = (root: string, edit: (entries: Record<string, unknown>[]) => unknown): void => {
    const index = JSON.parse(readFileSync(place(root), 'utf8')) as { entries: Record<string, unknown>[] };
    writeFileSync(place(root), JSON.stringify({ ...index, entries: edit(index.entries) }));
  };
  /** Two versions are cached, one of which the image's lock knows. */
  async function baked() {
    const { root, host } = freshRoot();
    const { entry } = await addToCache(host, kubelet('1.34.3', packages.first));
    await addToCache(host, kubelet('1.34.4', packages.second));
    const binary = {
      path: cachedPath('kubelet', entry.key),
      tool: 'kubelet',
      version: entry.version,
      digest: entry.digest,
    };
    writeFileSync(join(root, imageLockPath), JSON.stringify({ binaries: [{ ...binary, size: entry.size }] }));
    return { root, files: host.files, host };
  }

  const whole: Record<string, (path: string) => void> = {
    empty: (path) => writeFileSync(path, ''),
    'cut in half': (path) => writeFileSync(path, readFileSync(path).subarray(0, 300)),
    'of another kind': (path) => writeFileSync(path, '[]'),
    'a FIFO': (path) => {
      rmSync(path);
      execFileSync('mkfifo', [path]);
    },
    'a folder': (path) => {
      rmSync(path);
      mkdirSync(join(path, 'x'), { recursive: true });
    },
    endless: (path) => truncateSync(path, 2 ** 40),
  };
  for (const [name, damage] of Object.entries(whole)) {
    it(`(${name}) is written anew with what the image’s lock knows, and what it was lies beside`, async () => {
      const { root, files } = await baked();
      damage(place(root));
      assert.match((await mendIndex(files)) ?? '', /index.json is damaged$/);
      const { entries, damage: left } = await readIndex(files);
      assert.deepEqual([entries.length, left], [1, undefined]);
      assert.notEqual(entries[0]?.seal.mtimeNs, '', 'it is sealed');
      assert.ok(await files.stat(`${cacheIndexPath}.damaged`));
      assert.equal(await mendIndex(files), undefined);
    });

    it(`(${name}) costs what the image’s lock does not know, says so, and is set aside by the next change`, async () => {
      const { root, files, host } = await baked();
      damage(place(root));
      const index = await readIndex(files);
      assert.deepEqual(
        index.entries.map(({ version }) => version),
        ['1.34.3-ubuntu24.04u1'],
      );
      assert.match(index.damage ?? '', /index.json is damaged$/);
      assert.throws(() => requireWhole(index), fails('NK_ARTIFACT_UNREADABLE', /index/));
      const lost = await openCached(files, { tool: 'kubelet', version: '1.34.4' });
      assert.match(lost.found ? '' : lost.why.join(), /another version,the cache's index .* is damaged$/);
      const found = await openCached(files, { tool: 'kubelet', version: '1.34.3' });
      assert.equal(found.found, true);
      assert.equal((await addToCache(host, kubelet('1.34.4', packages.second))).outcome, 'added');
      const mended = await readIndex(files);
      assert.deepEqual([mended.entries.length, mended.damage], [2, undefined]);
      assert.ok(await files.stat(`${cacheIndexPath}.damaged`));
    });
  }

  const entries: Record<string, (entry: Record<string, unknown>) => unknown> = {
    'without its digest': ({ digest: _digest, ...entry }) => entry,
    'with a size in words': (entry) => ({ ...entry, size: 'large' }),
    'that is null': () => null,
    'that is a list': (entry) => [entry],
    'of no tool': (entry) => ({ ...entry, tool: 7 }),
    'with a size below nothing': (entry) => ({ ...entry, size: -1 }),
    'with a part of a byte': (entry) => ({ ...entry, size: 1.5 }),
    'with a size that no file has': (entry) => ({ ...entry, size: 1e300 }),
    'with the seal of a size below nothing': (entry) => ({ ...entry, seal: { size: -5, mtimeNs: '1' } }),
    'with the seal of a time that is none': (entry) => ({ ...entry, seal: { size: 5, mtimeNs: 'noon' } }),
    'with a package of a size below nothing': (entry) => ({
      ...entry,
      source: { type: 'deb', location: 'x', packageSize: -1 },
    }),
    'with another digest than SHA-256': (entry) => ({ ...entry, digest: 'md5:d41d8cd98f00b204e9800998ecf8427e' }),
    'of a tool elsewhere': (entry) => ({ ...entry, tool: '../../etc/cron.d/x' }),
    'of a version elsewhere': (entry) => ({ ...entry, key: '1/../../../etc/passwd' }),
    'of no version': (entry) => ({ ...entry, version: '' }),
    'of a version that is none': (entry) => ({ ...entry, version: 'latest' }),
    'of a version in garbage': (entry) => ({ ...entry, version: '1.34.\u0000' }),
    'with the file of another version': (entry) => ({ ...entry, key: '1.34.5' }),
    'of another version than its file': (entry) => ({ ...entry, version: '1.34.5-5.azl3' }),
  };
  for (const [name, damage] of Object.entries(entries)) {
    it(`costs an entry ${name}, and no other`, async () => {
      const { root, files } = await baked();
      edited(root, ([first, second]) => [first, damage(second ?? {})]);
      const index = await readIndex(files);
      assert.deepEqual(
        index.entries.map(({ version }) => version),
        ['1.34.3-ubuntu24.04u1'],
      );
      assert.match(index.damage ?? '', /^1 of 2 entries of the cache's index .* are damaged$/);
      assert.equal(await mendIndex(files), index.damage);
      const mended = await readIndex(files);
      assert.deepEqual([mended.entries, mended.damage], [index.entries, undefined]);
    });
  }

  it('gives no binary that is not what the lock says', async () => {
    const { root, files } = await baked();
    rmSync(place(root));
    writeFileSync(place(root), '');
    const path = join(root, cachedPath('kubelet', '1.34.3'));
    const content = readFileSync(path);
    content[100] = 0xff;
    writeFileSync(path, content);
    const lookup = await openCached(files, { tool: 'kubelet', version: '1.34.3' });
    assert.match(lookup.found ? '' : lookup.why.join(), /has the digest/);
  });
});

describe('an index that cannot be read for a moment', () => {
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'])
    it(`(${code}) is not damaged, and stays where it is`, async () => {
      const { files } = createMemoryHost();
      const content = Buffer.from('{"apiVersion":"nodekiln.dev/v1alpha1","kind":"ArtifactCache","entries":[]}');
      await files.write([{ type: 'file', path: cacheIndexPath, content, mode: 0o644, uid: 0, gid: 0 }]);
      const refused = Object.assign(new Error(`${code}: refused`), { code });
      const busy = { ...files, read: () => Promise.reject(refused) };
      await assert.rejects(readIndex(busy), { code });
      await assert.rejects(mendIndex(busy), { code });
      assert.equal(await files.stat(`${cacheIndexPath}.damaged`), undefined);
      assert.deepEqual(await readIndex(files), JSON.parse(content.toString()));
    });
});

describe('verifyCached', () => {
  it('refuses and names what is missing, empty, a folder, a link or changed', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const { entry } = await addToCache(host, kubelet('1.34.3', packages.first));
    const path = join(root, 'opt/bin/kubelet-1.34.3');
    const spoil: Record<string, () => void> = {
      missing: () => undefined,
      'is empty': () => writeFileSync(path, ''),
      directory: () => mkdirSync(path),
      symlink: () => symlinkSync('/usr/bin/true', path),
      'bytes, not': () => writeFileSync(path, program(1).subarray(1)),
      'has the digest': () => writeFileSync(path, program(7)),
    };
    for (const [why, act] of Object.entries(spoil)) {
      rmSync(path, { recursive: true, force: true });
      act();
      const verified = await verifyCached(files, entry);
      assert.ok(!verified.ok && verified.why.includes(why), why);
      const opened = await openCached(files, { tool: 'kubelet', version: '1.34.3' });
      assert.ok(!opened.found && opened.why[0]?.includes('/opt/bin/kubelet-1.34.3'), why);
    }
    rmSync(path, { recursive: true, force: true });
    assert.equal(
      (await addToCache(host, kubelet('1.34.3', packages.rebuilt))).entry.digest.length,
      71,
      'a damaged one is replaced',
    );
  });

  it('hashes again when the seal is broken and renews it when the content is right', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const { entry } = await addToCache(host, kubelet('1.34.3', packages.first));
    const path = join(root, 'opt/bin/kubelet-1.34.3');
    assert.deepEqual(await verifyCached(files, entry), { ok: true, entry, rehashed: false });
    assert.deepEqual(await verifyCached(files, entry, { rehash: true }), { ok: true, entry, rehashed: true });
    utimesSync(path, 1, 1);
    const opened = await openCached(files, { tool: 'kubelet', version: '1.34.3' });
    assert.ok(opened.found);
    assert.equal(opened.entry.seal.mtimeNs, '1000000000');
    assert.deepEqual((await readIndex(files)).entries, [opened.entry]);
  });

  it('sees a changed content under an unchanged seal only when told to hash', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const { entry } = await addToCache(host, kubelet('1.34.3', packages.first));
    const path = join(root, 'opt/bin/kubelet-1.34.3');
    writeFileSync(path, program(7));
    const { seal } = entry;
    execFileSync('touch', ['-d', `@${seal.mtimeNs.slice(0, -9)}.${seal.mtimeNs.slice(-9)}`, path]);
    assert.equal((await verifyCached(files, entry)).ok, true);
    assert.equal((await verifyCached(files, entry, { rehash: true })).ok, false);
  });
});

describe('activate', () => {
  it('replaces whatever is at the target, again and again, and keeps the cache', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const first = (await addToCache(host, kubelet('1.34.3', packages.first))).entry;
    const second = (await addToCache(host, kubelet('1.34.4', packages.second))).entry;
    const target = '/usr/local/bin/kubelet';
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
    writeFileSync(join(root, 'usr/local/bin/real'), 'mine');
    symlinkSync('real', join(root, target));
    for (const [entry, seed] of [
      [first, 1],
      [second, 2],
      [first, 1],
    ] as const) {
      assert.equal((await activate(files, { entry, target })).outcome, 'activated');
      assert.ok(readFileSync(join(root, target)).equals(program(seed)));
      assert.equal(await targetDigest(files, target, entry), entry.digest);
    }
    assert.deepEqual(await activate(files, { entry: first, target }), { outcome: 'unchanged', method: 'unchanged' });
    assert.equal(readFileSync(join(root, 'usr/local/bin/real'), 'utf8'), 'mine');
    assert.throws(() => readlinkSync(join(root, target)));
    for (const entry of [first, second]) assert.equal((await verifyCached(files, entry, { rehash: true })).ok, true);
    assert.deepEqual(readdirSync(join(root, 'usr/local/bin')), ['kubelet', 'real']);
  });

  it('replaces a program that is running', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const sleep = join(folder, 'sleep');
    writeFileSync(sleep, readFileSync('/bin/sleep'));
    const { entry } = await addToCache(host, { tool: 'sleep', version: '1.0.0', source: { path: sleep } });
    const plain = join(folder, 'other-sleep');
    writeFileSync(plain, program(6));
    const { entry: other } = await addToCache(host, { tool: 'sleep', version: '2.0.0', source: { path: plain } });
    await activate(files, { entry, target: '/bin/sleep' });
    const running = spawn(join(root, 'bin/sleep'), ['30'], { stdio: 'ignore' });
    try {
      assert.equal((await activate(files, { entry: other, target: '/bin/sleep' })).outcome, 'activated');
      assert.equal(running.exitCode, null);
    } finally {
      running.kill();
    }
  });

  it('tells the digest of a target that is a copy, a stranger or missing', async () => {
    const { root, host } = freshRoot();
    const { files } = host;
    const { entry } = await addToCache(host, kubelet('1.34.3', packages.first));
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    writeFileSync(join(root, 'usr/bin/kubelet'), program(1));
    assert.equal(await targetDigest(files, '/usr/bin/kubelet', entry), entry.digest);
    writeFileSync(join(root, 'usr/bin/kubelet'), program(8));
    assert.notEqual(await targetDigest(files, '/usr/bin/kubelet', entry), entry.digest);
    assert.equal(await targetDigest(files, '/usr/bin/nothing', entry), undefined);
    assert.equal(await targetDigest(files, '/usr/bin', entry), undefined);
  });
});
