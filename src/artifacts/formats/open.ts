/** Opens an artifact for one pass and walks it in its form; shared by extraction and inspection. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { NodekilnError, errnoOf } from '../../errors.ts';
import type { FormatName, Visitor } from './format.ts';
import { Account } from './limits.ts';
import type { Limits } from './limits.ts';
import { ByteReader } from './reader.ts';
import { detectFormat, formats } from './table.ts';
import { unreadable } from './unreadable.ts';

/** A path in our own file system, or bytes as they arrive. */
export type Bytes = string | AsyncIterable<Uint8Array>;

export interface WalkOptions {
  readonly source: Bytes;
  /** For messages; the path itself unless told. */
  readonly what: string;
  /** Found by the first bytes unless told. */
  readonly format: FormatName | undefined;
  readonly limits: Limits;
  /** False leaves `digest` of the result empty. */
  readonly digest: boolean;
  readonly signal: AbortSignal | undefined;
}

const chunkSize = 512 * 1024;

/** Walks the whole artifact. Returns the form, the digest and size of the artifact itself. */
export async function walkArtifact(
  options: WalkOptions,
  visitor: Visitor,
): Promise<{ format: FormatName; digest: string; size: number }> {
  const { source, what } = options;
  const hash = options.digest ? createHash('sha256') : undefined;
  let size = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of typeof source === 'string' ? readFile(source, what) : source) {
      options.signal?.throwIfAborted();
      hash?.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  const reader = new ByteReader(counted(), what);
  try {
    const head = await reader.peek(512);
    if (head.length === 0) throw unreadable(what, 'is empty');
    const format = options.format === undefined ? detectFormat(head) : formats[options.format];
    if (!format.matches(head)) throw unreadable(what, `is no ${format.name}: its first bytes are of another form`);
    await format.walk(reader, visitor, new Account(options.limits, what));
    // Whatever stands after the form's end belongs to the artifact and to its digest.
    for await (const chunk of reader.rest()) void chunk;
    return { format: format.name, digest: hash ? `sha256:${hash.digest('hex')}` : '', size };
  } finally {
    await reader.close();
  }
}

async function* readFile(path: string, what: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r').catch((thrown: unknown) => {
    const code = errnoOf(thrown);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw thrown;
    throw new NodekilnError('NK_ARTIFACT_MISSING', `${what} does not exist`, { cause: thrown, resource: what });
  });
  try {
    if (!(await handle.stat()).isFile()) throw unreadable(what, 'is no regular file');
    // One chunk ahead: the disk works while the last one is decompressed.
    let next = handle.read(Buffer.allocUnsafeSlow(chunkSize));
    for (;;) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0) return;
      next = handle.read(Buffer.allocUnsafeSlow(chunkSize));
      next.catch(() => {
        // Taken up by the next turn; none comes when the consumer stops early.
      });
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
