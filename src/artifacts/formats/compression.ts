/** Which compression a stream has, by its first bytes. */
import type { Compression } from '../../host/port.ts';

const magics: readonly (readonly [Exclude<Compression, 'none'>, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

/** Bytes that are enough. */
export const compressionBytes = 6;

/** A frame that decoders skip may come before any other. */
function isSkippable(head: Uint8Array): boolean {
  const [first = 0, ...rest] = head.subarray(0, 4);
  return (
    (first & 0xf0) === 0x50 && rest.length === 3 && rest.every((byte, index) => byte === [0x2a, 0x4d, 0x18][index])
  );
}

/** `none` for anything that is not known. */
export function detectCompression(head: Uint8Array): Compression {
  if (isSkippable(head)) return 'zstd';
  return magics.find(([, magic]) => magic.every((byte, i) => head[i] === byte))?.[0] ?? 'none';
}
