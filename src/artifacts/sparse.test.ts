/** Sparse files and other things that tar programs write which are no plain members. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync, readFileSync, writeFileSync, writeSync, ftruncateSync, closeSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { inPieces, programBytes, removeFolder, temporaryFolder, writeTree } from '../../test/support/artifacts.ts';
import { tar, tarHeader } from '../../test/support/tar.ts';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { extractMember } from './extract.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));
const host = createLinuxHost();
const program = programBytes(40_000, 1);
const root = join(folder, 'root');

async function taken(source: string, member: string, pieceBytes = 64 * 1024): Promise<Buffer> {
  const to = join(folder, 'out');
  await extractMember(inPieces(host, pieceBytes), { source, member, to });
  return readFileSync(to);
}

/** `count` pieces of data with 200 KB from one to the next, and a hole behind the last. */
function writeHoles(path: string, count: number): void {
  const file = openSync(path, 'w');
  for (let i = 0; i < count; i++) writeSync(file, programBytes(4096, i), 0, 4096, i * 200_000);
  ftruncateSync(file, count * 200_000 + 5_000);
  closeSync(file);
}

before(() => {
  writeTree(root, { 'usr/bin/kubelet': program });
  mkdirSync(join(root, 'holes'));
  for (const count of [0, 1, 4, 5, 90]) writeHoles(join(root, 'holes', String(count)), count);
});

describe('sparse files of GNU tar', () => {
  for (const [form, ...args] of [
    ['old', '--format=gnu'],
    ['pax 0.0', '--format=posix', '--sparse-version=0.0'],
    ['pax 0.1', '--format=posix', '--sparse-version=0.1'],
    ['pax 1.0', '--format=posix', '--sparse-version=1.0'],
  ] as const)
    it(`are read whole, and members behind them, in the form ${form}`, async () => {
      const path = join(folder, `${form}.tar`);
      execFileSync('tar', ['-C', root, '-S', ...args, '-cf', path, 'holes', 'usr']);
      assert.ok(readFileSync(path).length < 1_000_000, 'it is stored sparse');
      for (const member of ['holes/0', 'holes/1', 'holes/4', 'holes/5', 'holes/90', 'usr/bin/kubelet'])
        for (const piece of [64 * 1024, 1000])
          assert.ok((await taken(path, member, piece)).equals(readFileSync(join(root, member))), `${member} ${piece}`);
    });
});

describe('a sparse file that lies', () => {
  const pax = (records: Readonly<Record<string, string>>): string =>
    Object.entries(records)
      .map(([key, value]) => {
        const rest = ` GNU.sparse.${key}=${value}\n`;
        let length = rest.length;
        while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
        return `${length}${rest}`;
      })
      .join('');
  const one = (records: Readonly<Record<string, string>>, content = 'abcd'): Buffer =>
    tar([
      { name: 'x', type: 'x', content: pax(records) },
      { name: 'kubelet', content },
    ]);
  const old = (change: (header: Buffer) => void): Buffer => {
    const header = tarHeader({ name: 'kubelet', type: 'S', content: 'abcd' });
    header.write('ustar  \0', 257);
    change(header);
    header.write('        ', 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return Buffer.concat([header, Buffer.from('abcd'), Buffer.alloc(508 + 1024)]);
  };
  const before1 = (map: string): string => map.padEnd(512, '\0');
  const cases: Readonly<Record<string, Buffer>> = {
    'with more data than are stored': one({ size: '10', map: '0,9' }),
    'with fewer': one({ size: '10', map: '0,3' }),
    'that ends before its data': one({ size: '3', map: '0,4' }),
    'whose pieces overlap': one({ size: '10', map: '0,2,1,2' }),
    'whose map ends amid a pair': one({ size: '10', map: '0,4,8' }),
    'with words in its map': one({ size: '10', map: '0,four' }),
    'with a negative place': one({ size: '10', map: '-1,4' }),
    'without a size': one({ map: '0,4' }),
    'with a size that is no number': one({ size: '0x10', map: '0,4' }),
    'whose map goes on for ever': one({ major: '1', realsize: '10' }, before1('999999\n0\n')),
    'whose map is none': one({ major: '1', realsize: '10' }, before1('kubelet\n')),
    'without the block of its map': one({ major: '1', realsize: '10' }),
    'of the old form with more data than are stored': old((header) => {
      header.write('00000000000\0', 386);
      header.write('00000000011\0', 398);
      header.write('00000000100\0', 483);
    }),
    'of the old form whose blocks are missing': old((header) => header.writeUInt8(1, 482)),
  };
  for (const [what, bytes] of Object.entries(cases))
    it(`${what} is refused`, async () => {
      const path = join(folder, 'lie.tar');
      writeFileSync(path, bytes);
      await assert.rejects(taken(path, 'kubelet'), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        assert.equal(thrown.code, 'NK_ARTIFACT_UNREADABLE', thrown.message);
        assert.match(thrown.message, /sparse|too early|checksum|number/);
        return true;
      });
    });

  it('that would fill the disk is refused before it does', async () => {
    const path = join(folder, 'hole.tar');
    writeFileSync(path, one({ size: String(2 ** 45), map: '0,4' }));
    await assert.rejects(taken(path, 'kubelet'), { code: 'NK_ARTIFACT_UNREADABLE', message: /allowed/ });
  });
});

describe('what is no member', () => {
  const good = { name: 'usr/bin/kubelet', content: program };
  const cases: Readonly<Record<string, Buffer>> = {
    'the root itself, as builders of images write it': tar([{ name: '/', type: '5' }, good]),
    'the name of a volume, which is no path': tar([{ name: '/backup of ../2024', type: 'V' }, good]),
    'a header summed by signed bytes': (() => {
      const bytes = tar([{ name: 'naïve', content: 'x' }, good]);
      const sum = bytes
        .subarray(0, 512)
        .reduce((total, byte, at) => (at >= 148 && at < 156 ? total + 32 : total + ((byte << 24) >> 24)), 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return bytes;
    })(),
    'a missing end, where the compression has one': gzipSync(tar([good]).subarray(0, -1024)),
    'an end of one block': tar([good]).subarray(0, -512),
  };
  for (const [what, bytes] of Object.entries(cases))
    it(`${what} keeps no member from being taken`, async () => {
      const path = join(folder, 'odd.tar');
      writeFileSync(path, bytes);
      assert.ok((await taken(path, 'usr/bin/kubelet')).equals(program));
    });

  it('a volume of GNU tar is known by its label', async () => {
    const path = join(folder, 'label.tar');
    execFileSync('tar', ['-C', root, '--format=gnu', '-V', '/backup', '-cf', path, 'usr']);
    assert.ok((await taken(path, 'usr/bin/kubelet')).equals(program));
  });

  for (const [what, bytes] of Object.entries({
    'not compressed': tar([good]).subarray(0, -1024),
    'within a member': gzipSync(tar([good]).subarray(0, -2048)),
    'after a header for the next': gzipSync(
      Buffer.concat([
        tar([good]).subarray(0, -1024),
        tarHeader({ name: 'x', type: 'L', content: 'long' }),
        Buffer.alloc(512),
      ]),
    ),
    'without a member': gzipSync(Buffer.alloc(0)),
  }))
    it(`an archive that ends ${what} is refused`, async () => {
      const path = join(folder, 'short.tar');
      writeFileSync(path, bytes);
      await assert.rejects(taken(path, 'usr/bin/kubelet'), { code: 'NK_ARTIFACT_UNREADABLE', message: /too early/ });
    });
});

describe('a file that is no package says what it is', () => {
  const cases: readonly (readonly [what: string, bytes: Buffer])[] = [
    ['compressed with lz4', Buffer.from('04224d186440a7', 'hex')],
    ['compressed with lzip', Buffer.from('LZIP\x01\x0c')],
    ['compressed with compress', Buffer.from('1f9d90', 'hex')],
    ['a zip archive', Buffer.from('PK\x03\x04')],
    ['a 7z archive', Buffer.from('377abcaf271c', 'hex')],
    ['an HTML page', Buffer.from('<!DOCTYPE html><html>')],
    ['an ELF file', program],
    ['text without an interpreter (#!)', Buffer.from('not found')],
  ];
  for (const [what, bytes] of cases)
    it(what, async () => {
      const path = join(folder, 'no-package');
      writeFileSync(path, bytes);
      await assert.rejects(taken(path, 'kubelet'), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        assert.equal(thrown.code, 'NK_ARTIFACT_MEMBER');
        assert.ok(thrown.message.includes(`but ${what}, so there is no kubelet in it`), thrown.message);
        assert.match(thrown.hint ?? '', /Name a \.deb, an \.rpm or a tar archive/);
        return true;
      });
    });
});
