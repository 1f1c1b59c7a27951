/**
 * Decompression as a stream in bounded memory: gzip and zstd by node:zlib, xz, lzma and bzip2 by their programs, because a
 * program decodes on its own core (xz on one: two would hold whole blocks, 90 MB of them). Without an xz program a
 * WebAssembly decoder takes over, for lzma none does; without a program it is NK_TOOL_MISSING then. Damaged, truncated or trailing data is
 * NK_ARTIFACT_UNREADABLE, but for zeros behind gzip: what was padded to blocks of a tape or a disk has them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { Duplex, Writable } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { NodekilnError, errnoOf } from '../../../errors.ts';
import type { Decompress } from '../../archives/archives.ts';
import { unreadable } from '../../port/archives.ts';
import { missingProgram } from '../../program-packages.ts';
import { zstdFrames } from './zstd.ts';

const chunkSize = 256 * 1024;

/** What may be used. */
export interface DecompressOptions {
  /** False: nothing but what is in our own process. */
  readonly programs: boolean;
}

/** Decompression by what is in our own process, and by programs where they may be used. */
export function createDecompress({ programs }: DecompressOptions): Decompress {
  return (compression, input, what) => {
    switch (compression) {
      case 'none':
        return input;
      case 'gzip':
        return throughZlib(createGunzip({ chunkSize }), input, { what, padded: true });
      case 'zstd':
        return throughZstd(input, what);
      case 'xz':
        return programs ? throughXz(input, what) : throughWasm(input, what);
      case 'lzma':
        if (!programs) throw missingDecompressor('xz', what);
        return throughProgram(['xz', '-dc', '-T1', '--format=lzma', memoryLimit], input, what);
      case 'bzip2':
        if (!programs) throw missingDecompressor('bzip2', what);
        return throughProgram(['bzip2', '-dc'], input, what);
    }
  };
}

/** A header alone could ask for gigabytes; the strongest of xz's presets asks for 65 MiB. xz says what it lacks. */
const memoryMebibytes = 256;
const memoryLimit = `--memlimit-decompress=${memoryMebibytes}MiB`;

/** As much memory as `zstd` takes unasked, 128 MiB. */
const longestWindowLog = 27;
const mebibyte = 1024 * 1024;

async function* throughZstd(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  for await (const { window, content } of zstdFrames(input, what)) {
    if (window > 2 ** longestWindowLog)
      throw unreadable(
        what,
        `needs a window of ${Math.ceil(window / mebibyte)} MiB of memory to be decompressed, more than the ` +
          `${2 ** longestWindowLog / mebibyte} MiB that are given: compress it again without --long`,
      );
    const params = { [constants.ZSTD_d_windowLogMax]: longestWindowLog };
    yield* throughZlib(createZstdDecompress({ chunkSize, params }), content, { what, padded: false });
  }
}

async function* throughZlib(
  stream: Duplex & { bytesWritten: number },
  input: AsyncIterable<Buffer>,
  { what, padded }: { readonly what: string; readonly padded: boolean },
): AsyncGenerator<Buffer> {
  const feeding = feed(input, stream, padded);
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (thrown) {
    throw thrown instanceof NodekilnError
      ? thrown
      : unreadable(what, 'cannot be decompressed: its data is damaged or truncated', thrown);
  } finally {
    stream.destroy();
    await feeding;
  }
  const { bytes, complete } = await feeding;
  if (!complete || stream.bytesWritten < bytes) throw unreadable(what, 'has data after the end of its compressed part');
}

/**
 * Writes all of the input with backpressure and ends the stream. Never rejects: an error of the input destroys the stream
 * with it. `padded`: zeros may follow what the stream takes, and are not counted in the bytes.
 */
async function feed(
  input: AsyncIterable<Buffer>,
  stream: Writable,
  padded = false,
): Promise<{ bytes: number; complete: boolean }> {
  let bytes = 0;
  let position = 0;
  try {
    for await (const chunk of input) {
      const end = padded ? chunk.findLastIndex((byte) => byte !== 0) + 1 : chunk.length;
      if (stream.destroyed && end > 0) return { bytes, complete: false };
      if (end > 0) bytes = position + end;
      position += chunk.length;
      if (!stream.destroyed && !stream.write(chunk)) await drained(stream);
    }
    if (stream.destroyed) return { bytes, complete: padded };
    stream.end();
    return { bytes, complete: true };
  } catch (thrown) {
    stream.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
    return { bytes, complete: false };
  }
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.on(event, done);
    if (stream.destroyed) done();
  });
}

async function* throughProgram(
  argv: readonly [string, ...string[]],
  input: AsyncIterable<Buffer>,
  what: string,
): AsyncGenerator<Buffer> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  exited.catch(() => {
    // Taken up below; a program that cannot be started rejects before anything waits for it.
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-1024)));
  let inputError: Error | undefined;
  // EPIPE: the program ended first, and its status says why.
  child.stdin.on('error', (error) => (inputError ??= errnoOf(error) === 'EPIPE' ? undefined : error));
  try {
    await once(child, 'spawn');
  } catch (thrown) {
    throw missingDecompressor(program, what, thrown);
  }
  const feeding = feed(input, child.stdin);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const [status, signal] = await exited;
    const { complete } = await feeding;
    if (inputError) throw inputError;
    if (status !== 0 && /memory usage limit/i.test(stderr))
      throw unreadable(
        what,
        `needs more than the ${memoryMebibytes} MiB of memory that are given to be decompressed: ` +
          'compress it again with a smaller dictionary',
      );
    if (status !== 0 || signal !== null)
      throw unreadable(
        what,
        `cannot be decompressed: ${program} says: ${stderr.trim() || (signal ?? `exit status ${status}`)}`,
      );
    if (!complete) throw unreadable(what, 'has data after the end of its compressed part');
  } finally {
    child.kill('SIGKILL');
    child.stdin.destroy();
    await feeding;
    await exited;
  }
}

function missingDecompressor(program: string, what: string, cause?: unknown): NodekilnError {
  return missingProgram(program, {
    message: `${what} is compressed, and the program that decompresses it, ${program}, is not installed`,
    resource: what,
    cause,
    otherwise: 'repack it with zstd',
  });
}

async function* throughXz(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  const program = throughProgram(['xz', '-dc', '-T1', memoryLimit], input, what);
  let first: IteratorResult<Buffer>;
  try {
    first = await program.next();
  } catch (thrown) {
    if (!(thrown instanceof NodekilnError) || thrown.code !== 'NK_TOOL_MISSING') throw thrown;
    yield* throughWasm(input, what);
    return;
  }
  try {
    if (!first.done) yield first.value;
    yield* program;
  } finally {
    await program.return(undefined);
  }
}

async function* throughWasm(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  const { XzReadableStream } = await import('xz-decompress');
  const compressed = Readable.toWeb(Readable.from(input, { objectMode: true }));
  try {
    for await (const chunk of new XzReadableStream(compressed)) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
  } catch (thrown) {
    throw thrown instanceof NodekilnError
      ? thrown
      : unreadable(what, 'cannot be decompressed: its data is damaged or truncated', thrown);
  }
}
