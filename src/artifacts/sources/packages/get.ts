/** Small files of repositories, and compressed indexes as lines of text. */
import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NodekilnError } from '../../../errors.ts';
import { decompress, detectCompression } from '../../formats/decompress.ts';
import { download } from '../download.ts';
import { shownUrl } from '../http-client.ts';
import type { FetchContext } from '../source.ts';

export interface Expected {
  /** `sha256:…` */
  readonly digest?: string;
  readonly size?: number;
}

const maxSmallBytes = 16 * 1024 * 1024;
const maxIndexBytes = 256 * 1024 * 1024;
/** What an index may decompress to: Debian's largest has 60 MB. */
const maxIndexText = 1024 * 1024 * 1024;

let counter = 0;

/** The whole file, or undefined when the server has none. */
export async function getSmall(url: string, context: FetchContext): Promise<Buffer | undefined> {
  const to = join(context.folder, `small-${counter++}`);
  const { onProgress: _, ...quiet } = context;
  try {
    await download({ ...quiet, url, to, maxBytes: maxSmallBytes });
    return await readFile(to);
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.code === 'NK_ARTIFACT_MISSING') return undefined;
    throw thrown;
  } finally {
    await rm(to, { force: true });
  }
}

/** The text of an index, decompressed by what it is, checked before its first byte is given. */
export async function* getIndex(url: string, expected: Expected, context: FetchContext): AsyncGenerator<string> {
  const to = join(context.folder, `index-${counter++}`);
  const { onProgress: _, ...quiet } = context;
  const what = shownUrl(url);
  try {
    await download({ ...quiet, ...expected, url, to, maxBytes: maxIndexBytes });
    const chunks = createReadStream(to, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
    const decoder = new TextDecoder();
    let size = 0;
    for await (const chunk of decompressed(chunks, what)) {
      size += chunk.length;
      if (size > maxIndexText)
        throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${what} is larger than any index`, { resource: what });
      yield decoder.decode(chunk, { stream: true });
    }
    yield decoder.decode();
  } finally {
    await rm(to, { force: true });
  }
}

async function* decompressed(chunks: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return;
  async function* all(): AsyncGenerator<Buffer> {
    yield first.value as Buffer;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  }
  yield* decompress(detectCompression(first.value), all(), what);
}

/** Pieces of the text that end with `separator`, and what is left; none may be larger than a megabyte. */
export async function* pieces(text: AsyncIterable<string>, separator: string, what: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of text) {
    const parts = (rest + chunk).split(separator);
    rest = parts.pop() ?? '';
    yield* parts;
    if (rest.length > 1024 * 1024)
      throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${what} has an entry without end`, { resource: what });
  }
  if (rest.trim() !== '') yield rest;
}

/** Where an index says a file is, below the repository. NK_ARTIFACT_UNREADABLE for anything that leads elsewhere. */
export function fileBelow(base: string, path: string): string {
  const parts = path.replace(/^\.\//, '').split('/');
  if (path === '' || /^[a-z][a-z0-9+.-]*:|^\/|[\\?#]/i.test(path) || parts.some((part) => part === '..' || part === ''))
    throw new NodekilnError(
      'NK_ARTIFACT_UNREADABLE',
      `the index of ${shownUrl(base)} names a file outside of it: ${path}`,
    );
  return `${withoutSlash(base)}/${parts.map(encodeURIComponent).join('/')}`;
}

export function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

/** A document may pin more than the repository promises. NK_ARTIFACT_DIGEST. */
export function requireDigest(wanted: string | undefined, promised: string, what: string): void {
  if (wanted === undefined || wanted === promised) return;
  throw new NodekilnError('NK_ARTIFACT_DIGEST', `${what} has the digest ${promised}, not ${wanted}`, {
    resource: what,
  });
}
