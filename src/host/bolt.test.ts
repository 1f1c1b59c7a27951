/** A store as containerd has it, written by bbolt itself: 300 images, changed, a tenth of them removed again. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { readBolt } from './bolt.ts';
import { storeDatabase, storedImages } from './containerd-store.ts';
import { createLinuxHost } from './linux/host.ts';
import type { StoredContainerImage } from './port.ts';

const root = temporaryFolder();
after(() => removeFolder(root));
const database = gunzipSync(readFileSync(join(import.meta.dirname, 'testdata/containerd-meta.db.gz')));

function imagesIn(bytes: Uint8Array): Promise<StoredContainerImage[]> {
  mkdirSync(dirname(join(root, storeDatabase)), { recursive: true });
  writeFileSync(join(root, storeDatabase), bytes);
  return storedImages(createLinuxHost({ root }).files);
}

describe('containerd’s store, read from its files', () => {
  it('has the images of its last transaction, those of Kubernetes alone, with digest and pin', async () => {
    const images = await imagesIn(database);
    const wanted = Array.from({ length: 300 }, (_, index) => index)
      .filter((index) => index % 10 !== 9)
      .map((index) => ({
        reference: `registry.example.org/image-${String(index).padStart(3, '0')}:1`,
        digest: `sha256:${(index + 2).toString(16).padStart(64, '0')}`,
        pinned: index % 2 === 0,
      }));
    assert.deepEqual(images, wanted);
  });

  it('has none where containerd never ran', async () => {
    assert.deepEqual(await storedImages(createLinuxHost({ root: import.meta.dirname }).files), []);
  });

  it('is that of the transaction before when the last head was not written in full', () => {
    const heads = [16, 4096 + 16].map((at) => ({ at, transaction: database.readBigUInt64LE(at + 48) }));
    const last = heads[0]!.transaction > heads[1]!.transaction ? heads[0]! : heads[1]!;
    const torn = Buffer.from(database);
    torn.writeUInt8((torn[last.at + 20] ?? 0) ^ 1, last.at + 20);
    const images = readBolt(torn).buckets.get('v1')?.buckets.get('k8s.io')?.buckets.get('images');
    assert.equal(images?.buckets.size, 300);
  });

  for (const [what, change] of [
    ['empty', () => Buffer.alloc(0)],
    ['a page', () => Buffer.from('<html></html>'.repeat(1_000))],
    ['zeros', () => Buffer.alloc(65_536)],
    ['cut in half', () => database.subarray(0, database.length >> 2)],
    [
      'another version',
      () => {
        const other = Buffer.from(database);
        for (const at of [0, 4096]) other.writeUInt32LE(3, at + 20);
        return other;
      },
    ],
    [
      'a page that leads to itself',
      () => {
        const circle = Buffer.from(database);
        for (let page = 2; (page + 1) * 4096 <= circle.length; page++)
          if (circle.readUInt16LE(page * 4096 + 8) === 1)
            for (let index = 0; index < circle.readUInt16LE(page * 4096 + 10); index++)
              circle.writeBigUInt64LE(BigInt(page), page * 4096 + 16 + index * 16 + 8);
        return circle;
      },
    ],
  ] as const)
    it(`is refused when it is ${what}`, async () => {
      await assert.rejects(imagesIn(change()), { code: 'NK_IMAGE_IMPORT' });
    });

  it('is read or refused in bounded time, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 8192, max: database.length - 1 }), fc.nat(255)), {
          minLength: 1,
          maxLength: 20,
        }),
        (changes) => {
          const bytes = Buffer.from(database);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            readBolt(bytes);
          } catch (thrown) {
            assert.ok(thrown instanceof RangeError, String(thrown));
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
