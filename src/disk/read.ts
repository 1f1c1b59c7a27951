/**
 * Reading that never waits and never fills the memory: only regular files, and no more than the reader takes. What a path
 * leads to is decided on the descriptor, so nothing can be exchanged between the look and the reading.
 */
import { concatBytes } from '../model/bytes.ts';
import type { Descriptor, Disk } from './disk.ts';

/** What opens files: a disk, or paths that are held. */
export type Opening = Pick<Disk, 'open'>;

/** Of the kernel's own files, which do not know their size. */
const pieceBytes = 64 * 1024;

/** A regular file, opened for reading; EISDIR or EINVAL for anything else. A symlink is followed. */
export async function openRegular(from: Opening, path: string): Promise<{ file: Descriptor; size: number }> {
  const file = await from.open(path, 'read');
  try {
    const { type, size } = await file.stat();
    if (type === 'file') return { file, size };
    throw type === 'directory'
      ? systemError('EISDIR', 'illegal operation on a directory', path)
      : systemError('EINVAL', 'not a regular file', path);
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

/** All of a regular file; EFBIG when that is more than `maxBytes`. */
export async function readWhole(from: Opening, path: string, maxBytes = Infinity): Promise<Uint8Array> {
  const { file, size } = await openRegular(from, path);
  try {
    if (size > maxBytes) throw tooLarge(path, maxBytes);
    if (size > 0) return await readRange(file, 0, size);
    const pieces: Uint8Array[] = [];
    for (let total = 0; ;) {
      const piece = await readRange(file, total, pieceBytes);
      if (piece.length === 0) return concatBytes(pieces);
      pieces.push(piece);
      total += piece.length;
      if (total > maxBytes) throw tooLarge(path, maxBytes);
    }
  } finally {
    await file.close();
  }
}

/** So many bytes from a position on, fewer only at the end of the file. */
export async function readRange(file: Descriptor, position: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const read = await file.read(buffer.subarray(done), position + done);
    if (read === 0) return buffer.subarray(0, done);
    done += read;
  }
  return buffer;
}

function tooLarge(path: string, maxBytes: number): Error {
  return systemError('EFBIG', `larger than ${maxBytes} bytes`, path);
}

function systemError(code: string, why: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${why}, ${path}`), { code, path });
}
