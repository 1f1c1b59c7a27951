/**
 * Archives of the port over files of the port, whoever keeps them and however they are decompressed: one pass in bounded
 * memory, one chunk of the file read ahead, content hashed while what came before is written.
 */
import { NodekilnError } from '../../errors.ts';
import { createDigest } from '../digest.ts';
import type { RunningDigest } from '../digest.ts';
import { unreadable } from '../port/archives.ts';
import type { ArchiveEntry, ArchiveReading, ArchiveRequest, Archives, Compression } from '../port/archives.ts';
import type { OpenFile } from '../port/files.ts';
import { Account } from './account.ts';
import { walkCpio } from './cpio.ts';
import { ByteReader } from './reader.ts';
import { walkTar } from './tar.ts';

/** What a compressed stream holds. NK_ARTIFACT_UNREADABLE when it is damaged, truncated or followed by anything. */
export type Decompress = (
  compression: Compression,
  input: AsyncIterable<Buffer>,
  what: string,
) => AsyncIterable<Buffer>;

const chunkBytes = 512 * 1024;

/** Archives whose compressed parts are read by `decompress`. */
export function createArchives(decompress: Decompress): Archives {
  return {
    read: (request) => read(decompress, request),
    unpack: ({ file, what, compression, totalBytes, signal }) => {
      const account = new Account({ totalBytes, memberBytes: totalBytes, members: 1, headerBytes: 0 }, what);
      return account.meter(
        decompress(compression, chunksOf(file, { from: 0, to: file.stat.size, what, ...(signal && { signal }) }), what),
      );
    },
  };
}

async function read(decompress: Decompress, request: ArchiveRequest): Promise<ArchiveReading> {
  const { file, what, digests = {} } = request;
  const whole = digests.file ? createDigest() : undefined;
  const part = digests.part === undefined ? undefined : createDigest(digests.part);
  const { position, length } = request.part ?? { position: 0, length: file.stat.size };
  const end = position + length;
  if (end > file.stat.size) throw unreadable(what, `ends too early, at byte ${file.stat.size}`);

  const outside = async (from: number, to: number): Promise<void> => {
    if (whole) for await (const chunk of chunksOf(file, { ...request, from, to })) whole.update(chunk);
  };
  await outside(0, position);
  const chunks = hashed(chunksOf(file, { ...request, from: position, to: end }), [whole, part]);
  const told = await unpackPart(decompress, chunks, request);
  await outside(end, file.stat.size);
  return { ...told, fileDigest: whole ? `sha256:${whole.hex()}` : '', partDigest: part?.hex() ?? '' };
}

async function* hashed(
  chunks: AsyncIterable<Buffer>,
  digests: readonly (RunningDigest | undefined)[],
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    for (const digest of digests) digest?.update(chunk);
    yield chunk;
  }
}

interface Range extends Pick<ArchiveRequest, 'signal' | 'what'> {
  readonly from: number;
  readonly to: number;
}

/** One chunk ahead: the disk works while the last one is decompressed. */
async function* chunksOf(file: OpenFile, { from, to, signal, what }: Range): AsyncGenerator<Buffer> {
  const ask = (at: number): Promise<Uint8Array> => {
    const asked = file.read(at, Math.min(chunkBytes, to - at));
    // Taken up by the next turn; none comes when the consumer stops early.
    asked.catch(() => undefined);
    return asked;
  };
  let at = from;
  for (let next = at < to ? ask(at) : undefined; next;) {
    const { buffer, byteOffset, length } = await next;
    if (signal?.aborted)
      throw new NodekilnError('NK_INTERRUPTED', `reading ${what} was interrupted`, { cause: signal.reason });
    if (length === 0) throw unreadable(what, `ends too early, at byte ${at}`);
    at += length;
    next = at < to ? ask(at) : undefined;
    yield Buffer.from(buffer, byteOffset, length);
  }
}

type Told = Omit<ArchiveReading, 'fileDigest' | 'partDigest'>;

/** Unpacks the part and does what was asked for with what comes out. All of the part was read when this returns. */
async function unpackPart(
  decompress: Decompress,
  chunks: AsyncIterable<Buffer>,
  { what, compression, form, ...request }: ArchiveRequest,
): Promise<Told> {
  const account = new Account(request.limits, what);
  const reader = new ByteReader(account.meter(decompress(compression, chunks, what)), what);
  const visitor = new Visitor(request, account);
  const visit = (entry: ArchiveEntry, content: AsyncIterable<Buffer>): Promise<void> => visitor.visit(entry, content);
  try {
    switch (form.type) {
      case 'tar':
        await walkTar(reader, visit, { account, mayEndOpen: compression !== 'none' });
        break;
      case 'cpio':
        await walkCpio(reader, form.files, { visit, account });
        break;
      case 'plain':
        account.countMember();
        // The size is known only at the end.
        await visit({ name: '', type: 'file', size: -1, mode: 0o755 }, reader.rest());
        break;
    }
    for await (const chunk of reader.rest()) void chunk;
    return visitor.told();
  } finally {
    await reader.close();
  }
}

/** Does with each entry what the request asks for. */
class Visitor {
  readonly #request: Pick<ArchiveRequest, 'take' | 'tell' | 'keep'>;
  readonly #account: Account;
  readonly #entries: ArchiveEntry[] = [];
  #taken: (ArchiveEntry & { readonly digest?: string }) | undefined;
  #memberBytes = 0;

  constructor(request: Pick<ArchiveRequest, 'take' | 'tell' | 'keep'>, account: Account) {
    this.#request = request;
    this.#account = account;
  }

  async visit(stated: ArchiveEntry, content: AsyncIterable<Buffer>): Promise<void> {
    const { take, keep } = this.#request;
    let entry = stated;
    if (take && !this.#taken && entry.type === 'file' && take.names.includes(entry.name))
      entry = this.#taken = await this.#take(entry, content, take);
    else if (keep && entry.type === 'file' && entry.size <= keep.upTo && looksFor(keep, entry.name))
      entry = await this.#keep(entry, content, keep);
    else if (entry.size < 0) entry = { ...entry, size: await lengthOf(content) };
    if (entry.type === 'file') this.#memberBytes += entry.size;
    if (entry.content === undefined && !this.#isTold(entry)) return;
    this.#account.countTold(entry.name.length + (entry.target?.length ?? 0) + (entry.content?.length ?? 0));
    this.#entries.push(entry);
  }

  told(): Told {
    return {
      entries: this.#entries,
      ...(this.#taken && { taken: this.#taken }),
      members: this.#account.members,
      memberBytes: this.#memberBytes,
    };
  }

  #isTold({ name }: ArchiveEntry): boolean {
    const { tell } = this.#request;
    if (tell === undefined) return false;
    if (tell === 'all') return true;
    return 'first' in tell ? this.#entries.length < tell.first : tell.names.includes(name);
  }

  async #take(
    entry: ArchiveEntry,
    content: AsyncIterable<Buffer>,
    { into, digest: algorithm }: NonNullable<ArchiveRequest['take']>,
  ): Promise<ArchiveEntry & { readonly digest?: string }> {
    this.#account.checkMember(entry.size);
    const digest = algorithm === undefined ? undefined : createDigest(algorithm);
    let size = 0;
    for await (const chunk of content) {
      size += chunk.length;
      this.#account.checkMember(size);
      const appended = into.append(chunk);
      digest?.update(chunk);
      await appended;
    }
    return { ...entry, size, ...(digest && { digest: digest.hex() }) };
  }

  async #keep(
    entry: ArchiveEntry,
    content: AsyncIterable<Buffer>,
    keep: NonNullable<ArchiveRequest['keep']>,
  ): Promise<ArchiveEntry> {
    const chunks: Buffer[] = [];
    for await (const chunk of content) {
      if (chunks.length === 0 && 'only' in keep && !/^\s*[[{]/.test(chunk.toString('latin1', 0, 16))) return entry;
      chunks.push(Buffer.from(chunk));
    }
    return { ...entry, content: Buffer.concat(chunks) };
  }
}

function looksFor(keep: NonNullable<ArchiveRequest['keep']>, name: string): boolean {
  return 'only' in keep || keep.names.includes(name);
}

async function lengthOf(content: AsyncIterable<Buffer>): Promise<number> {
  let length = 0;
  for await (const chunk of content) length += chunk.length;
  return length;
}
