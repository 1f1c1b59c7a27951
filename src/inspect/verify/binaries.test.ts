import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import type { CacheIndex } from '../../artifacts/cache/cache.ts';
import { sha256 } from '../../host/digest.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { checkBinary } from './binaries.ts';

const root = temporaryFolder();
after(() => removeFolder(root));
const hostArch = process.arch === 'x64' ? 'amd64' : 'arm64';
const other = hostArch === 'amd64' ? 'arm64' : 'amd64';

/** What fails of a program whose lock vouches for these very bytes. */
async function failures(bytes: Uint8Array, change = () => {}): Promise<string[]> {
  const path = '/opt/bin/tool-1';
  mkdirSync(join(root, 'opt/bin'), { recursive: true });
  writeFileSync(join(root, path), bytes, { mode: 0o755 });
  chownSync(join(root, path), 0, 0);
  change();
  const binary = { id: 'binary:tool-1', path, tool: 'tool', version: '1', digest: sha256(bytes), size: bytes.length };
  const index: CacheIndex = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ArtifactCache', entries: [] };
  const checks = await checkBinary(createLinuxHost({ root }), binary, {
    index,
    trustSeals: false,
    architecture: hostArch,
  });
  return checks.filter(({ status }) => status === 'failed').map(({ property }) => property);
}

describe('a binary of an image', () => {
  const real = readFileSync('/bin/true');
  for (const [what, bytes] of [
    ['a page', Buffer.from('<html></html>')],
    ['text', Buffer.from('echo\n')],
    ['a compressed program', gzipSync(real)],
    ['half a program', real.subarray(0, real.length >> 1)],
    ['a program for another processor', programBytes(1_000, 1, other)],
  ] as const)
    it(`fails when it is ${what}, also when that was locked`, async () => {
      assert.deepEqual(await failures(bytes), ['program']);
    });

  const at = (path: string): string => join(root, path);
  const changes: readonly (readonly [what: string, change: () => void, ...fails: string[]])[] = [
    ['a mode that only root may run', () => chmodSync(at('opt/bin/tool-1'), 0o700), 'executable'],
    ['a mode that others may write', () => chmodSync(at('opt/bin/tool-1'), 0o757), 'executable'],
    ['the rights of its owner for all who run it', () => chmodSync(at('opt/bin/tool-1'), 0o4755), 'executable'],
    ['the rights of its group for all who run it', () => chmodSync(at('opt/bin/tool-1'), 0o2755), 'executable'],
    ['another owner', () => chownSync(at('opt/bin/tool-1'), 5, 0), 'executable'],
    ['a folder that others may write to', () => chmodSync(at('opt/bin'), 0o777), 'executable'],
    ['a folder of somebody else', () => chownSync(at('opt/bin'), 5, 0), 'executable'],
    ['a folder above of somebody else', () => chownSync(at('opt'), 5, 0), 'executable'],
    [
      'a link in place of its folder, to one of somebody else',
      () => {
        renameSync(at('opt/bin'), at('srv'));
        chownSync(at('srv'), 5, 0);
        symlinkSync('../srv', at('opt/bin'));
      },
      'executable',
    ],
    [
      'a link in its place',
      () => (renameSync(at('opt/bin/tool-1'), at('t')), symlinkSync('/t', at('opt/bin/tool-1'))),
      'regular',
    ],
    ['a folder in its place', () => (rmSync(at('opt/bin/tool-1')), mkdirSync(at('opt/bin/tool-1'))), 'regular'],
    ['nothing in its place', () => rmSync(at('opt/bin/tool-1')), 'present'],
  ];
  for (const [what, change, ...fails] of changes)
    it(`fails when it got ${what}`, async () => {
      for (const name of ['opt', 'srv', 't']) rmSync(at(name), { recursive: true, force: true });
      assert.deepEqual(await failures(real, change), fails);
      for (const name of ['opt', 'srv', 't']) rmSync(at(name), { recursive: true, force: true });
    });

  it('passes when it is a program or a script', async () => {
    assert.deepEqual(await failures(real), []);
    assert.deepEqual(await failures(Buffer.from('#!/bin/sh\n')), []);
  });
});
