/**
 * RPM's header structure: an index of tags over a store of values, big-endian. Source: rpm's docs/manual/format_header.md
 * and tags.md. Pure: bytes in, values out; a damaged one is NK_ARTIFACT_UNREADABLE.
 */
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

/** 16 bytes: magic, version, reserved, number of index entries, bytes of store. */
export const rpmHeaderIntro = 16;

export function rpmHeaderSize(intro: Buffer, what: string): { entries: number; store: number; rest: number } {
  if (intro.readUInt32BE(0) !== 0x8eade801) throw unreadable(what, 'has a damaged RPM header');
  const [entries, store] = [intro.readUInt32BE(8), intro.readUInt32BE(12)];
  return { entries, store, rest: entries * 16 + store };
}

export interface RpmHeader {
  string(tag: number): string | undefined;
  strings(tag: number): string[];
  numbers(tag: number): number[];
  bytes(tag: number): Buffer | undefined;
}

/** `body`: the index and the store, without the intro. */
export function parseRpmHeader(body: Buffer, entries: number, what: string): RpmHeader {
  const index = new Map<number, { type: number; offset: number; count: number }>();
  const store = body.subarray(entries * 16);
  for (let i = 0; i < entries; i++) {
    const at = i * 16;
    const entry = {
      type: body.readUInt32BE(at + 4),
      offset: body.readUInt32BE(at + 8),
      count: body.readUInt32BE(at + 12),
    };
    if (entry.offset > store.length || entry.count > store.length)
      throw unreadable(what, 'has an RPM header whose index leads outside');
    index.set(body.readUInt32BE(at), entry);
  }

  const strings = (tag: number): string[] => {
    const entry = index.get(tag);
    // 6: string, 8: array of strings, 9: translated string.
    if (!entry || ![6, 8, 9].includes(entry.type)) return [];
    const values: string[] = [];
    let at = entry.offset;
    for (let i = 0; i < entry.count; i++) {
      const end = store.indexOf(0, at);
      if (end < 0) throw unreadable(what, 'has an RPM header with an open string');
      values.push(store.toString('utf8', at, end));
      at = end + 1;
    }
    return values;
  };
  const numbers = (tag: number): number[] => {
    const entry = index.get(tag);
    const width = entry && { 2: 1, 3: 2, 4: 4, 5: 8 }[entry.type];
    if (!entry || !width) return [];
    if (entry.offset + entry.count * width > store.length)
      throw unreadable(what, 'has an RPM header whose index leads outside');
    return Array.from({ length: entry.count }, (_, i) => {
      const at = entry.offset + i * width;
      return width === 8 ? Number(store.readBigUInt64BE(at)) : store.readUIntBE(at, width);
    });
  };
  const bytes = (tag: number): Buffer | undefined => {
    const entry = index.get(tag);
    // 7: binary.
    if (entry?.type !== 7) return undefined;
    if (entry.offset + entry.count > store.length)
      throw unreadable(what, 'has an RPM header whose index leads outside');
    return store.subarray(entry.offset, entry.offset + entry.count);
  };
  return { string: (tag) => strings(tag)[0], strings, numbers, bytes };
}
