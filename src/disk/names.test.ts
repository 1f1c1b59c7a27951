/** Names of any bytes: listed, opened, removed, and shown. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createLinuxFiles } from '../host/linux/files.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { visibleLine } from '../model/printable.ts';
import { bytesOfPath, nameOf } from './names.ts';

const names: Readonly<Record<string, { bytes: readonly number[] | string; shown?: string }>> = {
  plain: { bytes: 'plain' },
  'of other scripts': { bytes: 'Größe-名前-😀' },
  'with the character for what could not be read': { bytes: 'a\ufffdb' },
  'of one byte': { bytes: [0xff], shown: String.raw`\udcff` },
  'in Latin-1': { bytes: [...Buffer.from('gr\xfc\xdfe', 'latin1')], shown: String.raw`gr\udcfc\udcdfe` },
  'half of a character': { bytes: [0x61, 0xe5, 0x90], shown: String.raw`a\udce5\udc90` },
  'of a surrogate': { bytes: [0xed, 0xa0, 0x80], shown: String.raw`\udced\udca0\udc80` },
  'that is too long for its character': { bytes: [0xc0, 0xaf], shown: String.raw`\udcc0\udcaf` },
  'with both': { bytes: [...Buffer.from('é'), 0x80], shown: String.raw`\udcc3\udca9\udc80` },
  'of two lines': { bytes: 'a\nb', shown: String.raw`a\nb` },
};

describe('a name', () => {
  for (const [what, { bytes, shown }] of Object.entries(names)) {
    const raw = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes);
    it(`${what} is known again, and can be read`, async () => {
      const name = nameOf(raw);
      assert.deepEqual(
        Buffer.from(bytesOfPath(`/ä/${name}/ö`)),
        Buffer.concat([Buffer.from('/ä/'), raw, Buffer.from('/ö')]),
      );
      assert.equal(visibleLine(name), shown ?? name);

      const folder = mkdtempSync(join(tmpdir(), 'nodekiln-names-'));
      const below = Buffer.concat([Buffer.from(`${folder}/`), raw]);
      mkdirSync(below);
      const inside = (last: Buffer | string): Buffer => Buffer.concat([below, Buffer.from('/'), Buffer.from(last)]);
      writeFileSync(inside(raw), 'x');
      symlinkSync(below, inside('link'));
      const files = createLinuxFiles(folder);
      assert.deepEqual(await files.list('/'), [name]);
      assert.deepEqual((await files.list(`/${name}`)).toSorted(), [name, 'link'].toSorted());
      assert.equal((await files.stat(`/${name}/${name}`))?.type, 'file');
      assert.equal(textOf(await files.read(`/${name}/${name}`)), 'x');
      const attributes = { mode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      await files.write([{ type: 'file', path: `/${name}/${name}`, content: bytesOf('y'), ...attributes }]);
      assert.equal(textOf(await files.read(`/${name}/${name}`)), 'y');
      assert.deepEqual(readdirSync(below).length, 2);
      await files.move(`/${name}/${name}`, '/moved');
      assert.deepEqual(await files.remove([`/${name}`, `/${name}/link`, '/moved']), [
        `/${name}`,
        `/${name}/link`,
        '/moved',
      ]);
      mkdirSync(below);
      writeFileSync(inside(raw), 'x');
      assert.equal(await files.removeTree(`/${name}`), true);
      assert.deepEqual(readdirSync(folder), []);
      rmSync(folder, { recursive: true });
    });
  }
});
