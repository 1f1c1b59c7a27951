/** Streams of zstd as zstd, pzstd and others write them: several frames, frames to skip, large windows. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { createDecompress } from './decompress.ts';

const decompress = createDecompress({ programs: false });

/** Fed in pieces of this many bytes. */
async function decoded(stream: Buffer, pieceBytes = stream.length): Promise<Buffer> {
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < stream.length; at += pieceBytes) yield stream.subarray(at, at + pieceBytes);
  };
  const parts: Buffer[] = [];
  for await (const part of decompress('zstd', pieces(), 'it')) parts.push(part);
  return Buffer.concat(parts);
}

function skipped(size: number, kind = 0): Buffer {
  const frame = Buffer.alloc(8 + size, 0x28);
  frame.writeUInt32LE(0x184d2a50 + kind, 0);
  frame.writeUInt32LE(size, 4);
  return frame;
}

/** Its size is not known beforehand, so its header has a window. */
async function streamed(content: Buffer, checksum = 0): Promise<Buffer> {
  const stream = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: checksum } });
  stream.write(content);
  stream.end();
  return Buffer.concat(await stream.toArray());
}

/** More than a block, which has 128 KiB. */
const noise = randomBytes(140_000);
const text = Buffer.from('kubelet '.repeat(50_000));
const [a, b] = [zstdCompressSync(noise), zstdCompressSync(text)];

describe('a zstd stream', async () => {
  const good: Readonly<Record<string, readonly [Buffer, Buffer]>> = {
    'of one frame': [a, noise],
    'of two frames': [Buffer.concat([a, b]), Buffer.concat([noise, text])],
    'of an empty frame': [zstdCompressSync(Buffer.alloc(0)), Buffer.alloc(0)],
    'of an empty frame and another': [Buffer.concat([zstdCompressSync(Buffer.alloc(0)), b]), text],
    'with a frame to skip before it': [Buffer.concat([skipped(7), a]), noise],
    'with one to skip after it': [Buffer.concat([a, skipped(70_000, 15)]), noise],
    'with empty ones to skip between': [Buffer.concat([a, skipped(0), skipped(0, 3), b]), Buffer.concat([noise, text])],
    'with a window': [await streamed(noise), noise],
    'with checksums': [
      Buffer.concat([await streamed(noise, 1), await streamed(text, 1)]),
      Buffer.concat([noise, text]),
    ],
    'of one byte repeated': [zstdCompressSync(Buffer.alloc(500_000, 7)), Buffer.alloc(500_000, 7)],
  };
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  for (const [what, [stream, content]] of Object.entries(good))
    it(`${what} is read whole, however it arrives`, async () => {
      for (const pieceBytes of [stream.length || 1, 4099, stream.length > 5000 ? 509 : 3])
        assert.equal(digest(await decoded(stream, pieceBytes)), digest(content), `pieces of ${pieceBytes}`);
    });

  const bad: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
    'with something behind it': [Buffer.concat([a, Buffer.from('more')]), /data after the end/],
    'with one byte behind it': [Buffer.concat([a, Buffer.from([0x28])]), /data after the end/],
    'that is cut short': [a.subarray(0, -1), /damaged or truncated/],
    'that is cut short in its header': [a.subarray(0, 5), /damaged or truncated/],
    'whose second frame is cut short': [Buffer.concat([a, b.subarray(0, -3)]), /damaged or truncated/],
    'whose frame to skip is cut short': [Buffer.concat([a, skipped(100).subarray(0, 50)]), /ends within a frame/],
    'of nothing but a frame to skip': [skipped(10), /no compressed data/],
    'of nothing': [Buffer.alloc(0), /no compressed data/],
  };
  for (const [what, [stream, expected]] of Object.entries(bad))
    it(`${what} is refused`, async () => {
      for (const pieceBytes of [stream.length || 1, 1000])
        await assert.rejects(decoded(stream, pieceBytes), { code: 'NK_ARTIFACT_UNREADABLE', message: expected });
    });

  it('that needs more memory than is given says how much', async () => {
    const long = Buffer.from(await streamed(text));
    long[5] = (28 - 10) << 3;
    await assert.rejects(decoded(long), {
      code: 'NK_ARTIFACT_UNREADABLE',
      message:
        'it needs a window of 256 MiB of memory to be decompressed, more than the 128 MiB that are given: compress it again without --long',
    });
    long[5] = (27 - 10) << 3;
    assert.deepEqual(await decoded(long), text);
  });
});
