/** A folder for a piece of work: it goes, and what the work failed on is what is told. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { nodeDisk } from '../disk/node-disk.ts';
import { bytesOf } from '../model/bytes.ts';
import { createLinuxFiles } from './linux/files.ts';
import { inTemporaryFolder } from './temporary-folder.ts';

const top = mkdtempSync(join(tmpdir(), 'nodekiln-work-'));
after(() => rmSync(top, { recursive: true, force: true }));
const content = bytesOf('x');
let isRefused = false;

describe('a folder for a piece of work', () => {
  it('goes with all that is in it, however the work ends', async () => {
    const files = createLinuxFiles('/');
    const write = (folder: string): Promise<unknown> =>
      files.write([{ type: 'file', path: `${folder}/in/f`, content, mode: 0o600, uid: 0, gid: 0 }]);
    assert.equal(await inTemporaryFolder(files, top, async (folder) => (await write(folder), 1)), 1);
    const failing = inTemporaryFolder(files, top, async (folder) => {
      await write(folder);
      throw new Error('mine');
    });
    await assert.rejects(failing, /mine/);
    assert.deepEqual(readdirSync(top), []);
  });

  for (const call of ['rmdir', 'unlink', 'readdir'] as const)
    it(`that cannot be removed (${call}) says so, unless the work failed on something itself`, async () => {
      const refused = (path: string): Promise<never> => {
        if (!isRefused) return nodeDisk[call](path) as Promise<never>;
        return Promise.reject(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }));
      };
      const files = createLinuxFiles('/', { ...nodeDisk, [call]: refused });
      const work = async (folder: string): Promise<void> => {
        await createLinuxFiles('/').write([
          { type: 'file', path: `${folder}/f`, content, mode: 0o600, uid: 0, gid: 0 },
        ]);
        isRefused = true;
        throw new Error('mine');
      };
      await assert.rejects(inTemporaryFolder(files, top, work), /mine/);
      isRefused = false;
      const kept = inTemporaryFolder(files, top, (folder) => work(folder).catch(() => undefined));
      await assert.rejects(kept, { code: 'NK_FILE_WRITE' });
      isRefused = false;
    });
});
