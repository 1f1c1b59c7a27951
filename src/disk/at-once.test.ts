/** Paths that several want at once, on a real disk in memory: whoever comes through leaves something whole, and nothing beside it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cacheIndexPath, readIndex, writeEntry, type CacheEntry } from '../artifacts/cache/cache.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';

const rounds = 1000;
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const texts = ['a'.repeat(10), 'b'.repeat(5000), 'c'.repeat(70_000)];

interface Scene {
  readonly host: Host;
  /** Of this round alone, as the host sees it; and where it is. */
  readonly folder: string;
  readonly at: string;
}

const put = ({ host }: Scene, path: string, text: string) =>
  host.files.write([{ type: 'file', path, content: bytesOf(text), mode: 0o644, ...owner }]);

function entry(tool: string): CacheEntry {
  return {
    tool,
    version: '1.0.0',
    key: '1.0.0',
    digest: `sha256:${'0'.repeat(64)}`,
    size: 1,
    source: { type: 'file', location: '/x' },
    seal: { size: 1, mtimeNs: '0' },
  };
}

/** What is done at once, and looked at afterwards. */
const works: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'a file that several write': async (scene) => {
    await Promise.all(texts.map((text) => put(scene, `${scene.folder}/f`, text)));
    assert.ok(texts.includes(readFileSync(join(scene.at, 'f'), 'utf8')));
    assert.deepEqual(readdirSync(scene.at), ['f']);
  },
  'a file that is read while it is replaced': async (scene) => {
    await put(scene, `${scene.folder}/f`, 'before');
    const reads = Array.from({ length: 3 }, () => scene.host.files.read(`${scene.folder}/f`));
    const [, ...found] = await Promise.all([put(scene, `${scene.folder}/f`, texts[1] ?? ''), ...reads]);
    for (const read of found) assert.ok(['before', texts[1]].includes(textOf(read)));
  },
  'a file that is removed while it is written': async (scene) => {
    await put(scene, `${scene.folder}/f`, 'before');
    const [, gone] = await Promise.all([
      put(scene, `${scene.folder}/f`, 'after'),
      scene.host.files.remove([`${scene.folder}/f`]),
    ]);
    assert.ok(gone.length <= 1);
    const left = existsSync(scene.at) ? readdirSync(scene.at) : [];
    assert.ok(left.length === 0 || (left[0] === 'f' && readFileSync(join(scene.at, 'f'), 'utf8') === 'after'));
  },
  'a name that several staged files are for': async ({ host, folder, at }) => {
    await Promise.all(
      texts.map(async (text) => {
        const staged = await host.files.stage(folder);
        await staged.append(bytesOf(text));
        await staged.publish('f', { mode: 0o600, ...owner });
      }),
    );
    assert.ok(texts.includes(readFileSync(join(at, 'f'), 'utf8')));
    assert.deepEqual(readdirSync(at), ['f']);
  },
  'a target that several place something at': async (scene) => {
    const names = texts.map((_, index) => `source-${index}`);
    for (const [index, name] of names.entries()) await put(scene, `${scene.folder}/${name}`, texts[index] ?? '');
    await Promise.all(
      names.map((name) =>
        scene.host.files.place(`${scene.folder}/${name}`, `${scene.folder}/target`, { mode: 0o755, ...owner }),
      ),
    );
    assert.ok(texts.includes(readFileSync(join(scene.at, 'target'), 'utf8')));
    for (const [index, name] of names.entries()) assert.equal(readFileSync(join(scene.at, name), 'utf8'), texts[index]);
    assert.deepEqual(readdirSync(scene.at).sort(), [...names, 'target']);
  },
  'a folder that several claim': async ({ host, folder, at }) => {
    const claimed = await Promise.all([1, 2, 3].map(() => host.files.claimFolder(folder, 'part')));
    assert.equal(new Set(claimed).size, 3, 'each has its own');
    await Promise.all(claimed.map((path) => host.files.removeTree(path)));
    assert.deepEqual(readdirSync(at), []);
  },
  'temporary folders': async ({ host, folder, at }) => {
    const made = await Promise.all([1, 2, 3, 4].map(() => host.files.temporaryFolder(folder)));
    assert.equal(new Set(made).size, 4);
    await Promise.all(made.map((path) => host.files.removeTree(path)));
    assert.deepEqual(readdirSync(at), []);
  },
  'a tree that is removed by several': async (scene) => {
    for (const name of ['a/b/c', 'a/d']) await put(scene, `${scene.folder}/${name}`, 'x');
    await Promise.all([1, 2, 3].map(() => scene.host.files.removeTree(`${scene.folder}/a`)));
    assert.deepEqual(readdirSync(scene.at), []);
  },
  'a folder that is swept while others write into it': async (scene) => {
    await put(scene, `${scene.folder}/kept`, 'kept');
    writeFileSync(join(scene.at, '.nodekiln-tmp-1-1-1'), 'of a process that ended');
    await Promise.all([
      scene.host.files.sweep([scene.folder]),
      ...texts.map((text, index) => put(scene, `${scene.folder}/${index}`, text)),
      scene.host.files.sweep([scene.folder]),
    ]);
    for (const [index, text] of texts.entries())
      assert.equal(readFileSync(join(scene.at, String(index)), 'utf8'), text);
    assert.deepEqual(
      readdirSync(scene.at)
        .filter((name) => !name.startsWith('.'))
        .sort(),
      ['0', '1', '2', 'kept'],
    );
  },
  'the lock of the host': async ({ host, folder }) => {
    const taken = await Promise.allSettled([1, 2, 3].map(() => host.locks.take(folder, { waitMs: 0 })));
    const locks = taken.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    assert.equal(locks.length, 1, 'one has it');
    for (const lock of locks) lock.release();
  },
};

describe('at once', () => {
  let root = '';
  let host: Host;
  before(() => {
    // Nothing here is about what survives a loss of power.
    root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nodekiln-at-once-'));
    host = createLinuxHost({ root });
  });
  after(async () => {
    await host.close();
    rmSync(root, { recursive: true });
  });

  for (const [index, [what, work]] of Object.entries(works).entries())
    it(`${what}, ${rounds} times`, async () => {
      for (let round = 0; round < rounds; round++) {
        const folder = `/${index}-${round}`;
        await host.files.write([{ type: 'directory', path: folder, mode: 0o755, ...owner }]);
        await work({ host, folder, at: join(root, folder) });
        const left = existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [];
        assert.ok(!left.some((name) => name.includes('nodekiln-tmp')), `round ${round}: ${left.join()}`);
        rmSync(join(root, folder), { recursive: true, force: true });
      }
    });

  it(`entries of the cache’s index, ${rounds} of them`, async () => {
    for (let round = 0; round < rounds; round += 20)
      await Promise.all(Array.from({ length: 20 }, (_, index) => writeEntry(host.files, entry(`t${round + index}`))));
    const { entries, damage } = await readIndex(host.files);
    assert.deepEqual([entries.length, damage], [rounds, undefined]);
    assert.deepEqual(readdirSync(join(root, cacheIndexPath, '..')), ['index.json']);
  });
});
