/**
 * Decompression by the host program, as a stream in bounded memory. Damaged, truncated or trailing data is
 * NK_ARTIFACT_UNREADABLE.
 */
import { errnoOf, NodekilnError } from '../../errors.ts';
import type { Decompress } from '../archives/archives.ts';
import { zstdFrames } from '../linux/archives/zstd.ts';
import { unreadable } from '../port/archives.ts';
import { bufferOf, later, now } from './crossing.ts';

/** In the place of Node's in the host program: everything is in our own process. */
export function createDecompress(): Decompress {
  return (compression, input, what) => {
    if (compression === 'none') return input;
    return compression === 'zstd' ? throughZstd(input, what) : through(compression, input, what);
  };
}

/** As much memory as `zstd` takes unasked, 128 MiB. */
const longestWindow = 128 * 1024 * 1024;
const mebibyte = 1024 * 1024;

async function* throughZstd(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  for await (const { window, content } of zstdFrames(input, what)) {
    if (window > longestWindow)
      throw unreadable(
        what,
        `needs a window of ${Math.ceil(window / mebibyte)} MiB of memory to be decompressed, more than the ` +
          `${longestWindow / mebibyte} MiB that are given: compress it again without --long`,
      );
    yield* through('zstd', content, what);
  }
}

async function* through(form: string, input: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  const stream = now<number>('unpack', form);
  let failure: { readonly thrown: unknown } | undefined;
  const feed = async (): Promise<void> => {
    try {
      for await (const chunk of input) if (chunk.length > 0) await later('unpackWrite', stream, chunk);
      await later('unpackWrite', stream, new Uint8Array());
    } catch (thrown) {
      if (!isClosed(thrown)) {
        failure = { thrown };
        now('unpackClose', stream);
      }
    }
  };
  const feeding = feed();
  try {
    for (;;) {
      const chunk = await later<Uint8Array | undefined>('unpackRead', stream);
      if (chunk === undefined) break;
      yield bufferOf(chunk);
    }
  } catch (thrown) {
    if (failure) throw failure.thrown;
    if (thrown instanceof NodekilnError) throw thrown;
    if (errnoOf(thrown) === 'TRAILING') throw unreadable(what, 'has data after the end of its compressed part');
    throw unreadable(what, 'cannot be decompressed: its data is damaged or truncated', thrown);
  } finally {
    if (!failure) now('unpackClose', stream);
    await feeding;
  }
}

function isClosed(thrown: unknown): boolean {
  return errnoOf(thrown) === 'ERR_CLOSED' || (thrown instanceof Error && /closed/.test(thrown.message));
}
