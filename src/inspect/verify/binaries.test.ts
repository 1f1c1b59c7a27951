import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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
async function failures(bytes: Uint8Array): Promise<string[]> {
  const path = '/opt/bin/tool-1';
  mkdirSync(join(root, 'opt/bin'), { recursive: true });
  writeFileSync(join(root, path), bytes, { mode: 0o755 });
  chownSync(join(root, path), 0, 0);
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

  it('passes when it is a program or a script', async () => {
    assert.deepEqual(await failures(real), []);
    assert.deepEqual(await failures(Buffer.from('#!/bin/sh\n')), []);
  });
});
