/**
 * RPM's header structure: an index of tags over a store of values, big-endian. Source: rpm's docs/manual/format_header.md
 * and tags.md. A damaged one is NK_ARTIFACT_UNREADABLE.
 */
import { textOf } from '../../model/bytes.ts';
import type { RangeReader } from './range-reader.ts';
import { unreadable } from './unreadable.ts';

/** The tags that are read here, by rpm's names. */
export const rpmTag = {
  // signature header
  dsaHeader: 267,
  rsaHeader: 268,
  sha256Header: 273,
  // header
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  arch: 1022,
  fileSizes: 1028,
  fileModes: 1030,
  fileDigests: 1035,
  fileLinkTargets: 1036,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  payloadFormat: 1124,
  payloadCompressor: 1125,
  longFileSizes: 5008,
  fileDigestAlgorithm: 5011,
  payloadDigest: 5092,
  payloadDigestAlgorithm: 5093,
} as const;

/** Of every package, before its two headers. */
export const leadMagic = 0xedabeedb;
export const leadBytes = 96;

const headerMagic = 0x8eade801;
/** Magic, version, reserved, number of index entries, bytes of store. */
const introBytes = 16;
const entryBytes = 16;

/** What of a header is read at most. */
export interface HeaderLimits {
  /** Of its index and store. */
  readonly bytes: number;
  /** Of one tag: a header of some megabytes has room for as many millions of empty names. */
  readonly values: number;
}

/** Values by their tag; empty or undefined when it is not there, or of another type. */
export interface RpmHeader {
  string(tag: number): string | undefined;
  strings(tag: number): string[];
  numbers(tag: number): number[];
  bytes(tag: number): Uint8Array | undefined;
}

/** The header at a position: its values, its bytes and where it ends. */
export async function readRpmHeader(
  reader: RangeReader,
  position: number,
  limits: HeaderLimits,
): Promise<{ readonly values: RpmHeader; readonly bytes: Uint8Array; readonly end: number }> {
  const { what } = reader;
  const intro = viewOf(await reader.take(position, introBytes));
  if (intro.getUint32(0) !== headerMagic) throw unreadable(what, 'has a damaged RPM header');
  const entries = intro.getUint32(8);
  const length = entries * entryBytes + intro.getUint32(12);
  if (length > limits.bytes)
    throw unreadable(what, `has an RPM header of ${length} bytes, more than the ${limits.bytes} allowed`);
  const bytes = await reader.take(position, introBytes + length);
  const values = parseRpmHeader(bytes.subarray(introBytes), { entries, most: limits.values, what });
  return { values, bytes, end: position + introBytes + length };
}

interface IndexEntry {
  readonly type: number;
  readonly offset: number;
  readonly count: number;
}

/** `body`: the index and the store, without the intro. */
function parseRpmHeader(
  body: Uint8Array,
  { entries, most, what }: { readonly entries: number; readonly most: number; readonly what: string },
): RpmHeader {
  const index = readIndex(body, entries, what);
  const store = body.subarray(entries * entryBytes);
  const view = viewOf(store);

  const firstStrings = (tag: number, count: number): string[] => {
    const entry = index.get(tag);
    // 6: string, 8: array of strings, 9: translated string.
    if (!entry || ![6, 8, 9].includes(entry.type)) return [];
    const values: string[] = [];
    let at = entry.offset;
    for (let i = 0; i < Math.min(count, entry.count); i++) {
      const end = store.indexOf(0, at);
      if (end < 0) throw unreadable(what, 'has an RPM header with an open string');
      values.push(textOf(store.subarray(at, end)));
      at = end + 1;
    }
    return values;
  };
  const strings = (tag: number): string[] => firstStrings(tag, requireFew(tag));
  const numbers = (tag: number): number[] => {
    const entry = index.get(tag);
    const width = entry && widths[entry.type];
    if (!entry || !width) return [];
    requireFew(tag);
    requireInside(entry.offset + entry.count * width);
    return Array.from({ length: entry.count }, (_, i) => numberAt(view, entry.offset + i * width, width));
  };
  const bytes = (tag: number): Uint8Array | undefined => {
    const entry = index.get(tag);
    // 7: binary.
    if (entry?.type !== 7) return undefined;
    requireInside(entry.offset + entry.count);
    return store.subarray(entry.offset, entry.offset + entry.count);
  };
  const requireInside = (end: number): void => {
    if (end > store.length) throw unreadable(what, 'has an RPM header whose index leads outside');
  };
  const requireFew = (tag: number): number => {
    const { count = 0 } = index.get(tag) ?? {};
    if (count <= most) return count;
    throw unreadable(what, `has an RPM header with ${count} values of tag ${tag}, more than the ${most} allowed`);
  };
  return { string: (tag) => firstStrings(tag, 1)[0], strings, numbers, bytes };
}

function readIndex(body: Uint8Array, entries: number, what: string): ReadonlyMap<number, IndexEntry> {
  const index = new Map<number, IndexEntry>();
  const view = viewOf(body);
  const storeBytes = body.length - entries * entryBytes;
  for (let at = 0; at < entries * entryBytes; at += entryBytes) {
    const entry = { type: view.getUint32(at + 4), offset: view.getUint32(at + 8), count: view.getUint32(at + 12) };
    if (entry.offset > storeBytes || entry.count > storeBytes)
      throw unreadable(what, 'has an RPM header whose index leads outside');
    index.set(view.getUint32(at), entry);
  }
  return index;
}

/** Bytes of the number types: int8 to int64. */
const widths: Readonly<Record<number, 1 | 2 | 4 | 8>> = { 2: 1, 3: 2, 4: 4, 5: 8 };

function numberAt(view: DataView, at: number, width: 1 | 2 | 4 | 8): number {
  switch (width) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at);
    case 4:
      return view.getUint32(at);
    case 8:
      return Number(view.getBigUint64(at));
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
