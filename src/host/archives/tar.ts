/**
 * A streaming reader of tar: ustar, GNU long names and base-256 sizes, pax names, link targets and sizes, sparse files.
 * Sources: tar(5) of libarchive, POSIX.1-2001 pax. Header checksums are checked; an archive must end with a zero block and
 * hold nothing but zeros after it. One that is compressed may end with its last member, as for Go and GNU tar: that it is
 * whole, its compression says.
 */
import { unreadable } from '../port/archives.ts';
import type { ArchiveEntry, EntryType } from '../port/archives.ts';
import type { Account } from './account.ts';
import { entryName } from './entry-name.ts';
import type { ByteReader } from './reader.ts';
import { expanded, oldSparse, paxSparse } from './sparse.ts';
import type { Sparse } from './sparse.ts';

const block = 512;
const types: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'other',
  S: 'file',
};
/** The name of a volume: no member. */
const label = 'V';

/** Calls `visit` for each entry in order, with its content, which it may leave unread. NK_ARTIFACT_UNREADABLE. */
export async function walkTar(
  reader: ByteReader,
  visit: (entry: ArchiveEntry, content: AsyncIterable<Buffer>) => Promise<void>,
  { account, mayEndOpen }: { readonly account: Account; readonly mayEndOpen: boolean },
): Promise<void> {
  let extended: ReadonlyMap<string, string> = new Map();
  for (;;) {
    if (mayEndOpen && reader.position > 0 && extended.size === 0 && (await reader.atEnd())) return;
    const header = await reader.take(block);
    if (isZero(header)) return expectZeros(reader);
    checkSum(header, reader.what);
    account.countMember();
    const type = String.fromCharCode(header[156] ?? 0);
    const size =
      extended.get('size') === undefined
        ? number(header, 124, 12, reader.what)
        : paxNumber(extended.get('size'), reader.what);
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      account.checkHeader(size, 'a tar header');
      const text = await reader.take(size);
      await reader.skip(padding(size));
      // Global pax headers carry comments and times only, in practice; a path for all entries makes no sense.
      if (type === 'x') extended = new Map([...extended, ...paxRecords(text, reader.what)]);
      if (type === 'L') extended = new Map([...extended, ['path', cString(text)]]);
      if (type === 'K') extended = new Map([...extended, ['linkpath', cString(text)]]);
      continue;
    }
    if (type === label) {
      await reader.skip(size + padding(size));
      continue;
    }
    const begin = reader.position;
    const entry = readEntry({ header, type, size, extended, what: reader.what });
    const sparse =
      entry.type === 'file' ? await sparseOf(reader, { header, type, size, extended }, account) : undefined;
    extended = new Map();
    const stored = sparse?.stored ?? entry.size;
    const end = reader.position + stored;
    if (sparse) await visit({ ...entry, size: sparse.size }, expanded(reader, sparse));
    else await visit(entry, reader.stream(entry.size));
    await reader.skip(end - reader.position);
    await reader.skip(padding(reader.position - begin));
  }
}

/** Undefined for a file that is stored as it is. */
async function sparseOf(
  reader: ByteReader,
  { header, type, size: stored, extended }: Omit<RawEntry, 'what'>,
  account: Account,
): Promise<Sparse | undefined> {
  if (type !== 'S') return paxSparse(reader, { extended, stored }, account);
  const field = (of: Buffer, at: number): number => number(of, at, 12, reader.what);
  return oldSparse(reader, { header, stored, number: field }, account);
}

interface RawEntry {
  readonly header: Buffer;
  readonly type: string;
  readonly size: number;
  readonly extended: ReadonlyMap<string, string>;
  readonly what: string;
}

function readEntry({ header, type, size, extended, what }: RawEntry): ArchiveEntry {
  const ustar = header.toString('latin1', 257, 262) === 'ustar';
  const prefix = ustar && header[262] === 0 ? cString(header.subarray(345, 500)) : '';
  const short = cString(header.subarray(0, 100));
  const raw = extended.get('GNU.sparse.name') ?? extended.get('path') ?? (prefix === '' ? short : `${prefix}/${short}`);
  const name = entryName(raw, what);
  const entryType = type === '0' && raw.endsWith('/') ? 'directory' : (types[type] ?? 'other');
  const mode = number(header, 100, 8, what) & 0o7777;
  const target = extended.get('linkpath') ?? cString(header.subarray(157, 257));
  if (entryType === 'symlink') return { name, type: entryType, size: 0, mode, target };
  // A hard link names another entry of this archive.
  if (entryType === 'hardlink') return { name, type: entryType, size: 0, mode, target: entryName(target, what) };
  return { name, type: entryType, size: entryType === 'file' || entryType === 'other' ? size : 0, mode };
}

function checkSum(header: Buffer, what: string): void {
  let sum = 8 * 0x20;
  // Old programs took bytes for signed numbers.
  let signed = 0;
  for (let i = 0; i < block; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = header[i] ?? 0;
    sum += byte;
    if (byte > 0x7f) signed += 0x100;
  }
  const stated = number(header, 148, 8, what);
  if (stated !== sum && stated !== sum - signed)
    throw unreadable(what, 'is damaged or no tar archive: a header has a wrong checksum');
}

function number(header: Buffer, at: number, length: number, what: string): number {
  const field = header.subarray(at, at + length);
  const first = field[0] ?? 0;
  if (first === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    if (Number.isSafeInteger(value)) return value;
  } else {
    const text = cString(field).trim();
    if (/^[0-7]*$/.test(text)) return text === '' ? 0 : Number.parseInt(text, 8);
  }
  throw unreadable(what, 'has a tar header with an impossible number');
}

function paxNumber(text: string | undefined, what: string): number {
  if (text === undefined || !/^\d{1,15}$/.test(text))
    throw unreadable(what, 'has a pax header with an impossible size');
  return Number(text);
}

/** `<length> <key>=<value>\n`, the length counting itself. */
function paxRecords(bytes: Buffer, what: string): [string, string][] {
  const records: [string, string][] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 || space - at > 10 ? Number.NaN : Number(bytes.toString('latin1', at, space));
    const equals = bytes.indexOf(0x3d, space);
    const end = at + length;
    if (
      !Number.isSafeInteger(length) ||
      length <= 0 ||
      end > bytes.length ||
      equals < 0 ||
      equals >= end ||
      bytes[end - 1] !== 0x0a
    ) {
      throw unreadable(what, 'has a damaged pax header');
    }
    records.push([bytes.toString('utf8', space + 1, equals), bytes.toString('utf8', equals + 1, end - 1)]);
    at = end;
  }
  // The oldest form of sparse files says each number in a record of its own.
  const map = records.flatMap(([key, value]) => (/^GNU\.sparse\.(?:offset|numbytes)$/.test(key) ? [value] : []));
  return map.length === 0 ? records : [...records, ['GNU.sparse.map', map.join(',')]];
}

async function expectZeros(reader: ByteReader): Promise<void> {
  for await (const chunk of reader.rest()) {
    if (!isZero(chunk)) throw unreadable(reader.what, 'has data after the end of its tar archive');
  }
}

const zeros = Buffer.alloc(64 * 1024);

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const end = Math.min(at + zeros.length, bytes.length);
    if (bytes.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function padding(size: number): number {
  return (block - (size % block)) % block;
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
