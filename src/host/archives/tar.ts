/**
 * A streaming reader of tar: ustar, GNU long names and base-256 sizes, pax names, link targets and sizes. Sources:
 * tar(5) of libarchive, POSIX.1-2001 pax. Header checksums are checked; an archive must end with a zero block and hold
 * nothing but zeros after it.
 */
import { unreadable } from '../port/archives.ts';
import type { ArchiveEntry, EntryType } from '../port/archives.ts';
import type { Account } from './account.ts';
import { entryName } from './entry-name.ts';
import type { ByteReader } from './reader.ts';

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
};

/** Calls `visit` for each entry in order, with its content, which it may leave unread. NK_ARTIFACT_UNREADABLE. */
export async function walkTar(
  reader: ByteReader,
  visit: (entry: ArchiveEntry, content: AsyncIterable<Buffer>) => Promise<void>,
  account: Account,
): Promise<void> {
  let extended: ReadonlyMap<string, string> = new Map();
  for (;;) {
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
    const entry = readEntry({ header, type, size, extended, what: reader.what });
    extended = new Map();
    const end = reader.position + entry.size;
    await visit(entry, reader.stream(entry.size));
    await reader.skip(end - reader.position + padding(entry.size));
  }
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
  const raw = extended.get('path') ?? (prefix === '' ? short : `${prefix}/${short}`);
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
  for (let i = 0; i < block; i++) if (i < 148 || i >= 156) sum += header[i] ?? 0;
  if (sum !== number(header, 148, 8, what))
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
  if (records.some(([key]) => key.startsWith('GNU.sparse.')))
    throw unreadable(what, 'contains a sparse file, which is not supported');
  return records;
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
