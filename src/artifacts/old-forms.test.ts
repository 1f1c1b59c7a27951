/** Forms of old packages, and what is said of members that cannot be taken. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  buildDeb,
  buildRpm,
  buildTarball,
  programBytes,
  removeFolder,
  temporaryFolder,
  writeTree,
} from '../../test/support/artifacts.ts';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { extractMember } from './extract.ts';
import { detectCompression } from './formats/compression.ts';
import { detectFormat } from './formats/table.ts';

const folder = temporaryFolder();
after(() => removeFolder(folder));
const host = createLinuxHost();
const program = programBytes(40_000, 1);
const files = { 'usr/bin/kubelet': program, 'usr/share/doc/readme': 'read me' };

async function taken(source: string, member = 'usr/bin/kubelet'): Promise<Buffer> {
  const to = join(folder, 'out');
  await extractMember(host, { source, member, to });
  return readFileSync(to);
}

describe('tar archives without a magic number', () => {
  for (const compression of [[], ['--gzip'], ['--xz'], ['--use-compress-program', 'xz --format=lzma'], ['--zstd']])
    it(`are read${compression.join(' ')}`, async () => {
      const [root, path] = [
        join(folder, 'v7'),
        join(folder, `v7${compression.length === 0 ? '' : compression.join('').replaceAll(/\W/g, '')}.tar`),
      ];
      writeTree(root, files);
      execFileSync('tar', ['-C', root, '--format=v7', ...compression, '-cf', path, 'usr']);
      if (compression.length === 0) assert.notEqual(readFileSync(path).toString('latin1', 257, 262), 'ustar');
      assert.ok((await taken(path)).equals(program));
    });

  it('are told from other files: a wrong sum, a wrong mode, text', () => {
    const head = readFileSync(join(folder, 'v7.tar')).subarray(0, 512);
    assert.equal(detectFormat(head).name, 'tarball');
    const sum = Buffer.from(head);
    sum.writeUInt8((sum[0] ?? 0) ^ 1, 0);
    for (const other of [sum, Buffer.alloc(512), Buffer.alloc(512, 'a'), head.subarray(0, 511), programBytes(512, 1)])
      assert.equal(detectFormat(other).name, 'file');
  });
});

describe('lzma', () => {
  it('is told by its header, whatever the preset, and not from other beginnings', () => {
    for (const preset of ['-0', '-1', '-6', '-9e'])
      assert.equal(
        detectCompression(execFileSync('xz', ['--format=lzma', preset], { input: program })),
        'lzma',
        preset,
      );
    const known = execFileSync('xz', ['--format=lzma'], { input: program });
    known.writeBigUInt64LE(BigInt(program.length), 5);
    assert.equal(detectCompression(known), 'lzma', 'with its size');
    for (const bytes of [
      [0x5d],
      [0x5d, 0, 0, 0, 0, ...Array<number>(8).fill(255)],
      [0x5d, 1, 2, 3, 4, ...Array<number>(8).fill(255)],
    ])
      assert.equal(detectCompression(Uint8Array.from(bytes)), 'none');
    assert.equal(detectCompression(Buffer.from(']                        ')), 'none');
  });

  it('is read in a Debian package, too', async () => {
    const deb = buildDeb(folder, { name: 'kubelet', version: '1', files }, 'none');
    const parts = join(folder, 'parts');
    mkdirSync(parts);
    execFileSync('ar', ['x', deb], { cwd: parts });
    execFileSync('xz', ['--format=lzma', 'data.tar'], { cwd: parts });
    const old = join(folder, 'old.deb');
    execFileSync('ar', ['rc', old, 'debian-binary', 'control.tar', 'data.tar.lzma'], { cwd: parts });
    assert.ok((await taken(old)).equals(program));
  });

  for (const [what, change, says] of [
    ['truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1), /cannot be decompressed|truncated/],
    [
      'damaged',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 200), Buffer.alloc(200, 7), bytes.subarray(400)]),
      /cannot be decompressed|damaged|impossible/,
    ],
    [
      'asking for more memory than is given',
      (bytes: Buffer) => {
        const copy = Buffer.from(bytes);
        copy.writeUInt32LE(2 ** 31, 1);
        return copy;
      },
      /memory.*256 MiB|256 MiB/i,
    ],
  ] as const)
    it(`is refused when it is ${what}`, async () => {
      const path = buildTarball(folder, 'x.tar.lzma', { files, compression: 'lzma' });
      writeFileSync(path, change(readFileSync(path)));
      await assert.rejects(taken(path), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        assert.equal(thrown.code, 'NK_ARTIFACT_UNREADABLE');
        assert.match(thrown.message, says);
        return true;
      });
    });
});

describe('a member that cannot be taken', () => {
  const more = { ...files, 'opt/kubelet': program, 'usr/bin/kubectl': program, 'usr/bin/empty': '' };
  const cases: readonly (readonly [what: string, source: () => string, member: string, ...lines: string[]])[] = [
    [
      'in a tarball, elsewhere',
      () => buildTarball(folder, 'a.tar', { files: more }),
      'bin/kubelet',
      'could be taken: opt/kubelet',
      'could be taken: usr/bin/kubelet',
    ],
    [
      'in a package of Debian, of another name',
      () => buildDeb(folder, { name: 'tool', version: '1', files: more }),
      'usr/bin/runc',
      'could be taken: usr/bin/kubectl',
    ],
    [
      'in an RPM package, a folder',
      () => buildRpm(folder, { name: 'tool', version: '1', files: more }),
      'usr/bin',
      'could be taken: usr/bin/kubelet',
    ],
    ['empty', () => buildTarball(folder, 'b.tar', { files: more }), 'usr/bin/empty', 'could be taken: usr/bin/kubectl'],
    [
      'a link',
      () => {
        const root = join(folder, 'linked');
        writeTree(root, more);
        symlinkSync('../../opt/kubelet', join(root, 'usr/bin/link'));
        execFileSync('tar', ['-C', root, '-cf', join(folder, 'c.tar'), '.']);
        return join(folder, 'c.tar');
      },
      'usr/bin/link',
      'usr/bin/link leads to ../../opt/kubelet',
      'could be taken: opt/kubelet',
    ],
    [
      'in an archive without programs',
      () => {
        const root = join(folder, 'words');
        mkdirSync(root);
        writeFileSync(join(root, 'words'), 'words', { mode: 0o644 });
        execFileSync('tar', ['-C', root, '-cf', join(folder, 'd.tar'), 'words']);
        return join(folder, 'd.tar');
      },
      'kubelet',
      'no member of it is a program',
    ],
    [
      'among many',
      () => {
        const many = Array.from({ length: 30 }, (_, index) => [`bin/tool-${index}`, '#!/bin/sh\n'] as const);
        return buildTarball(folder, 'e.tar', { files: Object.fromEntries(many) });
      },
      'bin/kubelet',
      'and 20 more',
    ],
  ];
  for (const [what, source, member, ...lines] of cases)
    it(`${what}: what could be taken instead is said`, async () => {
      await assert.rejects(taken(source(), member), (thrown) => {
        assert.ok(thrown instanceof NodekilnError);
        assert.equal(thrown.code, 'NK_ARTIFACT_MEMBER');
        for (const line of lines) assert.ok(thrown.lines.includes(line), `${line}: ${thrown.lines.join('\n')}`);
        return true;
      });
    });
});
