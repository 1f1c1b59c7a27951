/**
 * Sparse files in tar: only their data are stored, with a map of where they belong; the rest is zeros. GNU's old form (in
 * the header and blocks behind it) and its three forms in pax headers (0.0, 0.1, 1.0), as GNU tar, bsdtar and Go read them.
 * Source: the manual of GNU tar, "Storing Sparse Files".
 */
import { unreadable } from '../port/archives.ts';
import type { Account } from './account.ts';
import type { ByteReader } from './reader.ts';

/** Where the stored data belong, and how long the file is. */
export interface Sparse {
  readonly size: number;
  readonly map: readonly Extent[];
  /** Bytes that are stored. */
  readonly stored: number;
}

interface Extent {
  readonly at: number;
  readonly length: number;
}

const block = 512;
const extentBytes = 24;

/** Of an old header, whose blocks of further extents come next. `number` reads a field of a header. */
export async function oldSparse(
  reader: ByteReader,
  { header, stored, number }: { header: Buffer; stored: number; number: (of: Buffer, at: number) => number },
  account: Account,
): Promise<Sparse> {
  const fields: number[] = [];
  const extents = (of: Buffer, at: number, count: number): void => {
    for (let i = 0; i < count && of[at + i * extentBytes] !== 0; i++)
      fields.push(number(of, at + i * extentBytes), number(of, at + i * extentBytes + 12));
  };
  extents(header, 386, 4);
  let more = header[482] !== 0;
  for (let bytes = block; more; bytes += block) {
    account.checkHeader(bytes, 'the map of a sparse file');
    const next = await reader.take(block);
    extents(next, 0, 21);
    more = next[504] !== 0;
  }
  return checked({ size: number(header, 483), fields, stored }, reader.what);
}

/** Of pax headers, undefined of a file that is none; form 1.0 has its map before the data, which is read. */
export async function paxSparse(
  reader: ByteReader,
  { extended, stored }: { extended: ReadonlyMap<string, string>; stored: number },
  account: Account,
): Promise<Sparse | undefined> {
  const size = extended.get('GNU.sparse.realsize') ?? extended.get('GNU.sparse.size');
  const map = extended.get('GNU.sparse.map');
  if (extended.get('GNU.sparse.major') === '1') {
    const { fields, bytes } = await mapBeforeData(reader, stored, account);
    return checked({ size: decimal(size), fields, stored: stored - bytes }, reader.what);
  }
  if (size === undefined && map === undefined) return undefined;
  const fields = map === undefined || map === '' ? [] : map.split(',').map(decimal);
  return checked({ size: decimal(size), fields, stored }, reader.what);
}

/** Lines of decimal numbers, their count of pairs first, in whole blocks. */
async function mapBeforeData(
  reader: ByteReader,
  stored: number,
  account: Account,
): Promise<{ readonly fields: readonly number[]; readonly bytes: number }> {
  const lines: number[] = [];
  let rest = '';
  for (let bytes = block; bytes <= stored; bytes += block) {
    account.checkHeader(bytes, 'the map of a sparse file');
    const parts = `${rest}${(await reader.take(block)).toString('latin1')}`.split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) lines.push(decimal(part));
    const [count = 0] = lines;
    if (Number.isNaN(count)) break;
    if (lines.length > 2 * count) return { fields: lines.slice(1, 1 + 2 * count), bytes };
  }
  throw impossible(reader.what);
}

function decimal(text = ''): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function checked(
  { size, fields, stored }: { size: number; fields: readonly number[]; stored: number },
  what: string,
): Sparse {
  const map: Extent[] = [];
  let end = 0;
  let sum = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const [at = Number.NaN, length = Number.NaN] = fields.slice(i, i + 2);
    if (!(at >= end && length >= 0)) throw impossible(what);
    map.push({ at, length });
    end = at + length;
    sum += length;
  }
  if (!Number.isSafeInteger(size) || !(end <= size) || sum !== stored) throw impossible(what);
  return { size, map, stored };
}

function impossible(what: string): Error {
  return unreadable(what, 'contains a sparse file with an impossible map');
}

const zeros = Buffer.alloc(64 * 1024);

/** All of the file, its holes as zeros. */
export async function* expanded(reader: ByteReader, { size, map }: Sparse): AsyncGenerator<Buffer> {
  let at = 0;
  for (const extent of [...map, { at: size, length: 0 }]) {
    for (; at < extent.at; at += Math.min(zeros.length, extent.at - at))
      yield zeros.subarray(0, Math.min(zeros.length, extent.at - at));
    yield* reader.stream(extent.length);
    at += extent.length;
  }
}
