/**
 * What a person named on a command line, to its end: a file, a pipe (also `/dev/stdin` and `<(…)`), or what is typed at a
 * terminal. A pipe is waited for only while it brings something now and then, and nothing is read without end.
 *
 * Errors: the system's (EINVAL for another device, EFBIG, ETIMEDOUT for a pipe to which nobody writes).
 */
import { read as readLater } from 'node:fs';
import { constants, open, readFile, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { errnoOf } from '../errors.ts';

const read = promisify(readLater);

const largestBytes = 64 * 1024 * 1024;
const chunkBytes = 64 * 1024;

export interface Patience {
  /** For a writer to come, in milliseconds. */
  readonly writerMs: number;
  /** For a writer to write something. */
  readonly silenceMs: number;
}

const patience: Patience = { writerMs: 2000, silenceMs: 60_000 };

export async function readInput(path: string, { writerMs, silenceMs }: Patience = patience): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const found = await file.stat();
    if (found.isDirectory()) throw systemError('EISDIR', 'it is a folder', path);
    if (found.isFIFO()) return await readPipe(file, path, { writerMs, silenceMs });
    if (isatty(file.fd)) return await readFile(path);
    if (!found.isFile()) throw systemError('EINVAL', 'it is no file and no pipe', path);
    if (found.size > largestBytes) throw systemError('EFBIG', `it has more than ${largestBytes} bytes`, path);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function readPipe(file: FileHandle, path: string, { writerMs, silenceMs }: Patience): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let quietSince = performance.now();
  for (;;) {
    const chunk = new Uint8Array(chunkBytes);
    const bytes = await read(file.fd, chunk, 0, chunkBytes, null).then(
      ({ bytesRead }) => bytesRead,
      (thrown: unknown) => {
        if (errnoOf(thrown) === 'EAGAIN') return undefined;
        throw thrown;
      },
    );
    if (bytes === 0 && length > 0) return Buffer.concat(chunks);
    if (bytes) {
      chunks.push(chunk.subarray(0, bytes));
      length += bytes;
      quietSince = performance.now();
      if (length > largestBytes) throw systemError('EFBIG', `it brings more than ${largestBytes} bytes`, path);
      continue;
    }
    // Nobody has it open for writing, or whoever has writes nothing.
    if (performance.now() - quietSince > (bytes === 0 ? writerMs : silenceMs)) {
      // A pipe that was closed without a word is empty.
      if (bytes === 0 && /^\/(dev|proc)\//.test(path)) return new Uint8Array();
      throw systemError('ETIMEDOUT', 'nobody writes to this pipe', path);
    }
    await sleep(10);
  }
}

function systemError(code: string, what: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${what}, ${path}`), { code, path });
}
