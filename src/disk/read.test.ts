/** Reading ends: at a size, at what is no file, and where the kernel knows no size. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { textOf } from '../model/bytes.ts';
import type { Disk } from './disk.ts';
import { nodeDisk } from './node-disk.ts';
import { readWhole } from './read.ts';

describe('reading', () => {
  let folder = '';
  before(() => (folder = mkdtempSync(join(tmpdir(), 'nodekiln-read-'))));
  after(() => rmSync(folder, { recursive: true }));

  test('takes no more than asked for, without reading it first', async () => {
    const path = join(folder, 'sparse');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
    await assert.rejects(readWhole(nodeDisk, path, 1000), { code: 'EFBIG' });
    writeFileSync(path, 'x'.repeat(1000));
    assert.equal((await readWhole(nodeDisk, path, 1000)).length, 1000);
  });

  test('refuses what a symlink leads to as it refuses the thing itself', async () => {
    for (const [target, code] of [
      ['/dev/zero', 'EINVAL'],
      ['/', 'EISDIR'],
      ['nowhere', 'ENOENT'],
    ] as const) {
      const path = join(folder, `link-${code}`);
      symlinkSync(target, path);
      await assert.rejects(readWhole(nodeDisk, path), { code });
    }
  });

  test('takes all of what the kernel gives without a size', async () => {
    const status = textOf(await readWhole(nodeDisk, '/proc/self/status'));
    assert.match(status, /^Pid:\t\d+$/m);
    assert.match(status, /\n$/);
  });

  test('ends where such a file never would', async () => {
    let calls = 0;
    const endless: Disk = {
      ...nodeDisk,
      open: async (path, how) => {
        const file = await nodeDisk.open(path, how);
        return {
          ...file,
          stat: async () => ({ ...(await file.stat()), size: 0 }),
          read: async (buffer) => {
            calls += 1;
            if (calls > 1000) throw new Error('it is read for ever');
            return buffer.length;
          },
        };
      },
    };
    await assert.rejects(readWhole(endless, '/proc/self/status', 200_000), { code: 'EFBIG' });
  });
});
