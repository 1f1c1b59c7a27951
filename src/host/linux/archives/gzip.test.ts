/** Zeros behind gzip are padding, as gzip and tar take them; anything else is not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createDecompress } from './decompress.ts';

const content = Buffer.from('0123456789'.repeat(50_000));
const gzip = gzipSync(content);
const zeros = (count: number): Buffer => Buffer.alloc(count);

/** In chunks of a size, since what is behind the end may come with it or later. */
async function read(bytes: Buffer, chunk: number): Promise<Buffer> {
  async function* input(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  }
  const parts: Buffer[] = [];
  for await (const part of createDecompress({ programs: true })('gzip', input(), 'it')) parts.push(part);
  return Buffer.concat(parts);
}

const chunks = [1_000, 65_536, 4 * 1024 * 1024];

describe('gzip', () => {
  for (const [what, bytes, times] of [
    ['alone', gzip, 1],
    ['with a zero behind it', Buffer.concat([gzip, zeros(1)]), 1],
    ['padded to a block', Buffer.concat([gzip, zeros(512 - (gzip.length % 512))]), 1],
    ['padded with a megabyte', Buffer.concat([gzip, zeros(1024 * 1024)]), 1],
    ['of two members', Buffer.concat([gzip, gzip]), 2],
    ['of two members, padded', Buffer.concat([gzip, gzip, zeros(100_000)]), 2],
    ['of nothing, padded', Buffer.concat([gzipSync(''), zeros(10_240)]), 0],
  ] as const)
    it(`is read ${what}`, async () => {
      for (const chunk of chunks) {
        const expected = Buffer.concat(Array.from({ length: times }, () => content));
        assert.ok((await read(bytes, chunk)).equals(expected), `${chunk}`);
      }
    });

  for (const [what, bytes] of [
    ['text behind it', Buffer.concat([gzip, Buffer.from('text')])],
    ['text behind zeros', Buffer.concat([gzip, zeros(100_000), Buffer.from('text')])],
    ['a member behind zeros', Buffer.concat([gzip, zeros(512), gzip])],
    ['a megabyte of something behind it', Buffer.concat([gzip, Buffer.alloc(1024 * 1024, 7)])],
    ['a part of a member behind it', Buffer.concat([gzip, gzip.subarray(0, 100)])],
    ['zeros in place of its end', Buffer.concat([gzip.subarray(0, -8), zeros(8)])],
    ['its last byte missing', gzip.subarray(0, -1)],
    ['zeros in its middle', Buffer.concat([gzip.subarray(0, 20), zeros(100_000)])],
    ['its header alone, padded', Buffer.concat([gzip.subarray(0, 10), zeros(2)])],
  ] as const)
    it(`is refused with ${what}`, async () => {
      for (const chunk of chunks)
        await assert.rejects(read(bytes, chunk), { code: 'NK_ARTIFACT_UNREADABLE' }, `${chunk}`);
    });
});
