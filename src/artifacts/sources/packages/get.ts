/** Small files of repositories, and compressed indexes as lines of text. */
import { NodekilnError } from '../../../errors.ts';
import type { OpenFile } from '../../../host/port.ts';
import { compressionBytes, detectCompression } from '../../formats/compression.ts';
import { downloadInto } from '../download.ts';
import { shownUrl } from '../http-client.ts';
import type { FetchContext } from '../source.ts';
import { vouchedFor } from './publishing.ts';

/** What an index promises of a file. */
export interface Expected {
  /** `sha256:…` */
  readonly digest?: string;
  readonly size?: number;
}

const maxSmallBytes = 16 * 1024 * 1024;
const maxIndexBytes = 256 * 1024 * 1024;
/** What an index may decompress to: Debian's largest has 60 MB. */
const maxIndexText = 1024 * 1024 * 1024;

/** The whole file, or undefined when the server has none. */
export async function getSmall(url: string, context: FetchContext): Promise<Uint8Array | undefined> {
  // What is fetched to be looked at once gets no name.
  const file = await context.local.stage(context.folder);
  try {
    await downloadInto(file, { ...quietly(context), url, maxBytes: maxSmallBytes });
    return await file.read(0, file.size);
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.code === 'NK_ARTIFACT_MISSING') return undefined;
    throw thrown;
  } finally {
    await file.discard();
  }
}

/** The text of an index, decompressed by what it is, checked before its first byte is given. */
export async function* getIndex(url: string, expected: Expected, context: FetchContext): AsyncGenerator<string> {
  const { local, archives, folder, signal } = context;
  const file = await local.stage(folder);
  let opened: OpenFile | undefined;
  try {
    await vouchedFor(() => downloadInto(file, { ...quietly(context), ...expected, url, maxBytes: maxIndexBytes }));
    opened = await local.open(file.path);
    if (!opened) throw new NodekilnError('NK_INTERNAL', `${file.path} was staged and is not there`);
    const decoder = new TextDecoder();
    const chunks = archives.unpack({
      file: opened,
      what: shownUrl(url),
      compression: detectCompression(await opened.read(0, compressionBytes)),
      totalBytes: maxIndexText,
      ...(signal && { signal }),
    });
    for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } finally {
    await opened?.close();
    await file.discard();
  }
}

/** Only packages are worth telling about. */
function quietly(context: FetchContext): FetchContext {
  const { onProgress: _, ...quiet } = context;
  return quiet;
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

/** An address without slashes at its end. */
export function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
