/** Files that a person asks a verb to write, where others may have laid a link. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { writeOutput } from './output-file.ts';

const stranger = 65_534;
const notRoot = process.getuid?.() === 0 ? false : 'only root gives files away';

describe('a file that is asked for', () => {
  let shared = '';
  let kept = '';
  before(() => {
    shared = mkdtempSync('/dev/shm/nodekiln-output-');
    kept = join(mkdtempSync('/var/tmp/nodekiln-output-'), 'kept');
    writeFileSync(kept, 'of somebody else');
  });
  after(() => {
    for (const folder of [shared, join(kept, '..')]) rmSync(folder, { recursive: true });
  });

  it('replaces a link in memory that all share, and is not written through it', async () => {
    symlinkSync(kept, join(shared, 'link'));
    await writeOutput(join(shared, 'link'), 'ours');
    assert.equal(readFileSync(join(shared, 'link'), 'utf8'), 'ours');
    assert.equal(readFileSync(kept, 'utf8'), 'of somebody else');
  });

  for (const [what, mode, owner] of [
    ['that everybody may write to', 0o777, 0],
    ['of a stranger', 0o755, stranger],
    ['where everybody makes files of his own', 0o1777, 0],
  ] as const)
    it(`is not put behind a link in a folder ${what}`, { skip: notRoot }, async () => {
      for (const folder of [shared, join(kept, '..')]) {
        const link = join(folder, 'way');
        chownSync(folder, owner, owner);
        chmodSync(folder, mode);
        symlinkSync(join(kept, '..'), link);
        lchownSync(link, stranger, stranger);
        await assert.rejects(writeOutput(join(link, 'kept'), 'ours'), { code: 'NK_PATH_UNSAFE' });
        assert.equal(readFileSync(kept, 'utf8'), 'of somebody else');
        rmSync(link);
      }
    });

  it('goes to a device by its name', async () => {
    assert.equal(await writeOutput('/dev/null', 'ours'), '/dev/null');
  });
});
