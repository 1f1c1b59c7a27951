/** Which compression a stream has, by its first bytes. */
import type { Compression } from '../../host/port.ts';

const magics: readonly (readonly [Exclude<Compression, 'none'>, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

/** Bytes that are enough. */
export const compressionBytes = 13;

/**
 * The form without a magic number that xz calls lzma: properties, the dictionary's size, the content's size. Those that
 * encoders write are told, as xz itself does.
 */
function isLzma(head: Uint8Array): boolean {
  if (head.length < compressionBytes || head[0] !== 0x5d) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const [dictionary, high] = [view.getUint32(1, true), view.getUint32(9, true)];
  const unknown = view.getUint32(5, true) === 0xffffffff && high === 0xffffffff;
  const isPower = (size: number): boolean => size > 0 && (size & (size - 1)) === 0;
  const usual = dictionary >= 4096 && (isPower(dictionary) || (dictionary % 3 === 0 && isPower(dictionary / 3)));
  return usual && (unknown || high < 64);
}

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
  if (isLzma(head)) return 'lzma';
  return magics.find(([, magic]) => magic.every((byte, i) => head[i] === byte))?.[0] ?? 'none';
}
