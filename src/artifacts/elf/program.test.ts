import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { after, describe, it } from 'node:test';
import { createLinuxHost } from '../../host/linux/host.ts';
import {
  buildDeb,
  buildTarball,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../../test/support/artifacts.ts';
import { addToCache } from '../cache/fill.ts';
import { programForm } from './program.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));

const form = (bytes: Uint8Array) =>
  programForm({ read: (at, length) => Promise.resolve(bytes.subarray(at, at + length)) }, bytes.length);
const real = readFileSync('/bin/true');
const hostArch = process.arch === 'x64' ? 'amd64' : 'arm64';

/** The header of a real program with a field of it set. */
function changed(...fields: readonly (readonly [at: number, bytes: 1 | 2 | 8, value: number])[]): Buffer {
  const copy = Buffer.from(real);
  for (const [at, bytes, value] of fields)
    if (bytes === 8) copy.writeBigUInt64LE(BigInt(value), at);
    else copy.writeUIntLE(value, at, bytes);
  return copy;
}

/** A program as Go links it, sections first, of which the end is missing: the table says so, and nothing that is loaded. */
function cutBehindSections(): Buffer {
  const table = real.readBigUInt64LE(40);
  const bytes = 64 * real.readUInt16LE(60);
  const whole = Buffer.concat([real, real.subarray(Number(table), Number(table) + bytes), Buffer.alloc(4096)]);
  whole.writeBigUInt64LE(BigInt(real.length), 40);
  // The last section lies behind the table.
  const last = real.length + bytes - 64;
  whole.writeBigUInt64LE(BigInt(real.length + bytes), last + 24);
  whole.writeBigUInt64LE(4096n, last + 32);
  return whole.subarray(0, -1);
}

const noPrograms: readonly (readonly [what: string, bytes: Uint8Array | string, why: RegExp])[] = [
  ['nothing', '', /^is empty$/],
  ['a page', '<!DOCTYPE html>\n<html><body>404</body></html>', /an HTML page/],
  ['a page without its declaration, after a byte order mark', '\ufeff\n <HTML>', /an HTML page/],
  ['an answer of a store', "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", /an XML document/],
  ['an answer of an API', '{"message":"Not Found"}', /a JSON document/],
  ['words', 'Not Found\n', /text without an interpreter/],
  ['a pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', /Git LFS/],
  ['a compressed program', gzipSync(real), /compressed with gzip/],
  ['a frame of zstd', Buffer.from('28b52ffd0000', 'hex'), /compressed with zstd/],
  [
    'an archive of a program',
    readFileSync(buildTarball(folder, 'a.tar', { files: { kubelet: real } })),
    /a tar archive/,
  ],
  ['a package', readFileSync(buildDeb(folder, { name: 'x', version: '1', files: { x: real } })), /a Debian package/],
  ['a zip', 'PK\x03\x04', /a zip archive/],
  ['a program for Windows', 'MZ\x90\0', /for Windows/],
  ['a program for macOS', Buffer.from('cffaedfe07000001', 'hex'), /for macOS/],
  ['a first line without interpreter', '#!\necho', /names no interpreter/],
  ['a relative interpreter', '#!sh\necho', /names no interpreter/],
  ['a script of Windows', '#!/bin/sh\r\necho\r\n', /a carriage return/],
  ['a script of Windows with an argument', '#!/usr/bin/env bash\r\necho\r\n', /a carriage return/],
  ['a script of an old Mac', '#!/bin/sh\recho\r', /a carriage return/],
  ['a script after a byte order mark', '\ufeff#!/bin/sh\necho', /text without an interpreter/],
  ['a script of UTF-16', Buffer.from('\ufeff#!/bin/sh\n', 'utf16le'), /data of an unknown form/],
  ['an interpreter that is longer than what is read', `#!/${'n'.repeat(300)}\n`, /longer than the 256 bytes/],
  ['a script with zeros', '#!/bin/sh\0\0\necho', /names no interpreter/],
  ['zeros', Buffer.alloc(9_000), /data of an unknown form/],
  ['four bytes', real.subarray(0, 4), /a part of an ELF header/],
  ['a header alone', real.subarray(0, 64), /64 bytes of at least/],
  ['the first 9000 bytes', real.subarray(0, 9000), /9000 bytes of at least/],
  ['all but the last byte', real.subarray(0, -1), /a part of an ELF executable/],
  ['sections beyond the end', changed([40, 8, real.length]), /a part of an ELF executable/],
  ['segments beyond the end', changed([32, 8, real.length]), /a part of an ELF executable/],
  ['an object file', changed([16, 2, 1]), /no executable/],
  ['a core dump', changed([16, 2, 4]), /no executable/],
  ['entries of segments without a size', changed([54, 2, 0]), /nothing to load/],
  ['entries of segments of another class', changed([54, 2, 32]), /nothing to load/],
  ['a section table at the very end, of nothing', changed([40, 8, real.length - 10]), /a part of an ELF executable/],
  ['what is not loaded is cut off', cutBehindSections(), /a part of an ELF executable/],
  ['no segments', changed([56, 2, 0]), /nothing to load/],
  ['an unknown class', changed([4, 1, 7]), /a part of an ELF header/],
];

describe('the form of a program', () => {
  for (const [what, bytes, why] of noPrograms)
    it(`is not that of ${what}`, async () => {
      const judged = await form(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
      assert.equal(judged.type, 'none');
      assert.match(judged.type === 'none' ? judged.why : '', why);
    });

  it('is that of programs of this machine, static ones, libraries that can be started, and scripts', async () => {
    for (const path of ['/bin/true', '/bin/bash', '/usr/bin/perl', process.execPath]) {
      const bytes = readFileSync(path);
      assert.deepEqual(await form(bytes), { type: 'elf', architecture: hostArch }, path);
    }
    assert.deepEqual(await form(programBytes(200, 1, 'arm64')), { type: 'elf', architecture: 'arm64' });
    for (const [what, bytes] of [
      ['with data behind it', Buffer.concat([real, Buffer.from('a configuration')])],
      ['without sections', changed([40, 8, 0])],
      ['with entries of sections that nobody reads', changed([58, 2, 0])],
      ['with a number of sections in the first one', changed([60, 2, 0])],
    ] as const)
      assert.deepEqual(await form(bytes), { type: 'elf', architecture: hostArch }, what);
    for (const script of ['#!/bin/sh\n', `#!/bin/sh ${'n'.repeat(300)}\n`, '#! /usr/bin/env python3\n', '#!/bin/sh'])
      assert.deepEqual(await form(Buffer.from(script)), { type: 'script' });
  });

  it('of other machines is told apart: 32 bits, the other byte order, other processors', async () => {
    for (const [what, bytes] of [
      ['another processor', changed([18, 2, 243])],
      ['x32', changed([4, 1, 1], [18, 2, 62])],
      ['another byte order', changed([5, 1, 2])],
    ] as const) {
      const judged = await form(bytes);
      assert.notEqual(judged.type === 'elf' ? judged.architecture : 'none', hostArch, what);
    }
  });

  it('is not that of a shared library', async () => {
    const library = execFileSync('ldd', ['/bin/bash'], { encoding: 'utf8' }).match(/\/\S*libtinfo\S*/)?.[0] ?? '';
    const bytes = readFileSync(library);
    assert.deepEqual(await form(bytes), { type: 'none', why: 'is a shared library' });
    // Linkers of before gave each of them an entry.
    bytes.writeBigUInt64LE(0x1000n, 24);
    assert.deepEqual(await form(bytes), { type: 'none', why: 'is a shared library' });
  });
});

describe('what is no program', () => {
  it('never gets a name in the cache, whatever it is and whatever it is taken out of', async () => {
    const root = join(folder, 'root');
    execFileSync('mkdir', ['-p', root]);
    const host = createLinuxHost({ root });
    for (const [what, bytes] of noPrograms.filter(([, content]) => content.length > 0)) {
      const plain = join(folder, 'plain');
      writeFileSync(plain, bytes);
      const inside = { files: { 'usr/bin/kubelet': Buffer.from(bytes) } };
      const sources = [
        { format: 'file', path: plain },
        { format: 'deb', path: buildDeb(folder, { name: 'kubelet', version: '1.34.3', ...inside }) },
        { format: 'tarball', path: buildTarball(folder, 'kubelet.tar', inside), member: 'usr/bin/kubelet' },
      ] as const;
      for (const source of sources)
        await assert.rejects(
          addToCache(host, { tool: 'kubelet', version: '1.34.3', source }),
          { code: 'NK_ARTIFACT_NO_PROGRAM' },
          `${what} ${source.format}`,
        );
    }
    const left = execFileSync('find', [root, '-type', 'f'], { encoding: 'utf8' });
    assert.equal(left, '');
  });
});
