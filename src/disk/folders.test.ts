/** Folders that several make at once: whoever is told that one is there can put something into it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLinuxFiles } from '../host/linux/files.ts';
import { bytesOf } from '../model/bytes.ts';

const rounds = 1000;

describe('folders that are made at once', () => {
  let root = '';
  before(() => (root = mkdtempSync(join(tmpdir(), 'folders-'))));
  after(() => rmSync(root, { recursive: true }));

  it('are there for everybody, whole and with the mode that somebody asks for', async () => {
    const files = createLinuxFiles(root);
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const file = (path: string) => files.write([{ type: 'file', path, content: bytesOf('x'), mode: 0o644, ...owner }]);
    for (let round = 0; round < rounds; round++) {
      const base = `/a${round}/b`;
      await Promise.all([
        file(`${base}/c/1`),
        file(`${base}/c/2`),
        files.stage(base).then((staged) => staged.discard()),
        files.write([{ type: 'directory', path: `${base}/c`, mode: 0o700, ...owner }]),
        files.temporaryFolder(`${base}/d`).then((folder) => files.removeTree(folder)),
      ]);
      assert.deepEqual(readdirSync(join(root, base, 'c')).sort(), ['1', '2']);
      assert.equal(statSync(join(root, base, 'c')).mode & 0o777, 0o700);
      assert.deepEqual(readdirSync(join(root, base)).sort(), ['c', 'd']);
    }
  });
});
