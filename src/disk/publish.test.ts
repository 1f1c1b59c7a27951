/** Publishing on a disk that is slow or full: all or nothing gets its name, whole, and nothing temporary stays. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Descriptor, Disk } from './disk.ts';
import { nodeDisk } from './node-disk.ts';
import { publish, type Publication, writeAll } from './publish.ts';
import { stageFile } from './staged.ts';

let folder = '';
beforeEach(() => (folder = mkdtempSync('/var/tmp/nodekiln-publish-')));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function withDescriptors(change: (descriptor: Descriptor) => Partial<Descriptor>): Disk {
  return {
    ...nodeDisk,
    open: async (path, how) => {
      const descriptor = await nodeDisk.open(path, how);
      return { ...descriptor, ...change(descriptor) };
    },
  };
}

function publicationOf(disk: Disk, name: string): Publication {
  const target = join(folder, name);
  const make = async (temporary: string): Promise<Descriptor> => {
    const descriptor = await disk.open(temporary, 'create');
    await writeAll(descriptor, Buffer.from(`new ${name}`), 0);
    return descriptor;
  };
  return { target, path: target, make };
}

test('when one of many cannot be synced, all targets are as they were and no temporary stays', async () => {
  const names = ['a', 'b', 'c'];
  for (const name of names) writeFileSync(join(folder, name), `old ${name}`);
  let syncs = 0;
  const disk = withDescriptors((descriptor) => ({
    sync: async () => {
      syncs += 1;
      if (syncs === 2) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      await descriptor.sync();
    },
  }));
  const publications = names.map((name) => publicationOf(disk, name));
  await assert.rejects(publish(disk, publications), { code: 'NK_FILE_WRITE' });
  assert.deepEqual(readdirSync(folder).sort(), names);
  for (const name of names) assert.equal(readFileSync(join(folder, name), 'utf8'), `old ${name}`);
});

test('a staged file is published with all that was appended, however late its writes are', async () => {
  let writes = 0;
  const disk = withDescriptors((descriptor) => ({
    write: async (bytes, position) => {
      writes += 1;
      // The first ones are the slowest, and one call takes at most two bytes.
      await delay(Math.max(0, 20 - 5 * writes));
      return descriptor.write(bytes.subarray(0, 2), position);
    },
  }));
  const staged = await stageFile(disk, folder, folder);
  for (const piece of ['one', 'two', 'three']) await staged.append(Buffer.from(piece));
  await staged.publish('whole', { mode: 0o640, ...owner });
  assert.equal(readFileSync(join(folder, 'whole'), 'utf8'), 'onetwothree');
  assert.deepEqual(readdirSync(folder), ['whole']);
});

test('a write that failed after it was taken is told at the latest when the file is published', async () => {
  const disk = withDescriptors(() => ({
    write: async () => {
      await delay(5);
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    },
  }));
  const staged = await stageFile(disk, folder, folder);
  await staged.append(Buffer.from('x'));
  await assert.rejects(staged.publish('whole', { mode: 0o644, ...owner }), { code: 'NK_FILE_WRITE' });
  await staged.discard();
  assert.deepEqual(readdirSync(folder), []);
});
