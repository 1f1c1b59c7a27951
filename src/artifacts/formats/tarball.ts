/** Tar archives, of any age, plain or compressed with gzip, zstd, xz, lzma or bzip2. */
import { latin1Of } from '../../model/bytes.ts';
import { compressionBytes, detectCompression } from './compression.ts';
import type { Format } from './format.ts';

export const tarball: Format = {
  name: 'tarball',
  matches: (head) =>
    detectCompression(head) !== 'none' || latin1Of(head.subarray(257, 262)) === 'ustar' || isOldHeader(head),
  open: async ({ reader }) => ({
    info: { format: 'tarball', compression: detectCompression(await reader.peek(0, compressionBytes)) },
    part: { position: 0, length: reader.size },
    form: { type: 'tar' },
  }),
};

/**
 * A header of tar before ustar (v7) has no magic: its sum is right, and a name, a mode and a kind of those days stand in it.
 * Nor has one of GNU's that names the volume.
 */
function isOldHeader(head: Uint8Array): boolean {
  if (head.length < 512 || head[0] === 0) return false;
  const field = latin1Of(head.subarray(148, 156));
  const sum = head.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  const stated = /^ *([0-7]{1,7})[ \0]+$/.exec(field)?.[1];
  return (
    stated !== undefined &&
    Number.parseInt(stated, 8) === sum &&
    /^[ 0-7\0]{8}$/.test(latin1Of(head.subarray(100, 108))) &&
    /^[0-7V]?$/.test(latin1Of(head.subarray(156, 157)).replace('\0', ''))
  );
}
