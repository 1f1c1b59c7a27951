/**
 * RPM packages: lead, signature header, header, compressed cpio payload. Source: rpm's docs/manual/format_v4.md. Digests
 * that the package carries (of its header, its payload and its files) are checked; signatures are the repository's
 * business. Scriptlets are never looked at.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { walkCpio } from './cpio.ts';
import type { CpioEntry } from './cpio.ts';
import { decompress, detectCompression } from './decompress.ts';
import { entryName } from './entry-name.ts';
import type { Entry, Format, PackageInfo, Visitor } from './format.ts';
import type { Account } from './limits.ts';
import { ByteReader } from './reader.ts';
import { parseRpmHeader, rpmHeaderIntro, rpmHeaderSize, rpmTag } from './rpm-header.ts';
import type { RpmHeader } from './rpm-header.ts';
import { unreadable } from './unreadable.ts';

const leadMagic = 0xedabeedb;
const leadSize = 96;
/** PGPHASHALGO of RFC 4880, as rpm uses it. */
const algorithms = { 1: 'md5', 2: 'sha1', 8: 'sha256', 9: 'sha384', 10: 'sha512', 11: 'sha224' } as const;

export const rpm: Format = {
  name: 'rpm',
  matches: (head) => head.length >= leadSize && head.readUInt32BE(0) === leadMagic,
  walk,
};

async function walk(reader: ByteReader, visitor: Visitor, account: Account): Promise<void> {
  if ((await reader.take(leadSize)).readUInt32BE(0) !== leadMagic) throw unreadable(reader.what, 'is no RPM package');
  const signature = await readHeader(reader, account);
  await reader.skip((8 - (reader.position % 8)) % 8);
  const header = await readHeader(reader, account);
  const promised = signature.values.string(rpmTag.sha256Header);
  if (promised !== undefined && createHash('sha256').update(header.bytes).digest('hex') !== promised) {
    throw unreadable(reader.what, 'has a header that does not match the digest in its signature header');
  }
  const format = header.values.string(rpmTag.payloadFormat) ?? 'cpio';
  if (format !== 'cpio')
    throw unreadable(reader.what, `has a payload of the form ${JSON.stringify(format)}, which is not supported`);
  await walkPayload(reader, header.values, visitor, account);
}

async function readHeader(reader: ByteReader, account: Account): Promise<{ values: RpmHeader; bytes: Buffer }> {
  const intro = await reader.take(rpmHeaderIntro);
  const { entries, rest } = rpmHeaderSize(intro, reader.what);
  account.checkHeader(rest, 'an RPM header');
  const body = await reader.take(rest);
  return { values: parseRpmHeader(body, entries, reader.what), bytes: Buffer.concat([intro, body]) };
}

async function walkPayload(reader: ByteReader, header: RpmHeader, visitor: Visitor, account: Account): Promise<void> {
  const compression = detectCompression(await reader.peek(6));
  visitor.package(packageInfo(header, compression, reader.what));
  const digest = header.strings(rpmTag.payloadDigest)[0];
  const algorithm = algorithmOf(header.numbers(rpmTag.payloadDigestAlgorithm)[0]);
  const hash = digest !== undefined && algorithm ? createHash(algorithm) : undefined;
  const payload = new ByteReader(
    account.meter(decompress(compression, hashed(reader.rest(), hash), reader.what)),
    reader.what,
  );
  const files = fileTable(header, reader.what);
  await walkCpio(
    payload,
    {
      size: (entry) => (entry.form === 'newc' ? entry.size : (files.list[entry.index]?.size ?? 0)),
      entry: (entry, content) => visitor.entry(resolve(entry, files, reader.what), content),
    },
    account,
  );
  await payload.close();
  if (hash && hash.digest('hex') !== digest)
    throw unreadable(reader.what, 'has a payload that does not match the digest in its header');
}

function packageInfo(header: RpmHeader, compression: PackageInfo['compression'], what: string): PackageInfo {
  const [name, version, release, architecture] = [rpmTag.name, rpmTag.version, rpmTag.release, rpmTag.arch].map((tag) =>
    header.string(tag),
  );
  if (!name || !version || !release || !architecture)
    throw unreadable(what, 'has a header without name, version, release or architecture');
  const epoch = header.numbers(rpmTag.epoch)[0];
  return {
    format: 'rpm',
    compression,
    name,
    version: `${epoch ? `${epoch}:` : ''}${version}-${release}`,
    architecture,
  };
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash | undefined): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash?.update(chunk);
    yield chunk;
  }
}

interface FileTable {
  readonly list: readonly Entry[];
  readonly byName: ReadonlyMap<string, Entry>;
}

/** What the header says about each file; the payload must agree with it. */
function fileTable(header: RpmHeader, what: string): FileTable {
  const [directories, names] = [header.strings(rpmTag.dirNames), header.strings(rpmTag.baseNames)];
  const [indexes, modes, digests] = [
    header.numbers(rpmTag.dirIndexes),
    header.numbers(rpmTag.fileModes),
    header.strings(rpmTag.fileDigests),
  ];
  const short = header.numbers(rpmTag.fileSizes);
  const sizes = short.length > 0 ? short : header.numbers(rpmTag.longFileSizes);
  const targets = header.strings(rpmTag.fileLinkTargets);
  const algorithm = algorithmOf(header.numbers(rpmTag.fileDigestAlgorithm)[0] ?? 1);
  const list = names.map((base, i): Entry => {
    const raw = `${directories[indexes[i] ?? -1] ?? ''}${base}`;
    const mode = modes[i] ?? 0;
    const target = targets[i];
    const hex = digests[i];
    return {
      // The header has absolute names, the payload relative ones.
      name: entryName(raw.replace(/^\//, ''), what),
      type: typeOf(mode),
      size: sizes[i] ?? 0,
      mode: mode & 0o7777,
      ...(target !== undefined && target !== '' && { target }),
      ...(algorithm && hex !== undefined && hex !== '' && { promised: { algorithm, hex } }),
    };
  });
  return { list, byName: new Map(list.map((file) => [file.name, file])) };
}

/** The entry with what the header knows about it. Files that the header does not list, or lists otherwise, are refused. */
function resolve(entry: CpioEntry, files: FileTable, what: string): Entry {
  if (entry.form === 'stripped') {
    const file = files.list[entry.index];
    if (!file) throw unreadable(what, 'has a payload entry that its header does not list');
    return file;
  }
  const name = entryName(entry.name, what);
  const listed = files.byName.get(name);
  if (!listed || listed.type !== entry.type)
    throw unreadable(what, `has a payload entry ${JSON.stringify(name)} that its header does not list so`);
  // Of hard links only the last carries the content.
  if (entry.links > 1 && entry.size === 0 && listed.size > 0)
    return { name, type: 'hardlink', size: 0, mode: entry.mode, target: name };
  if (entry.type === 'file' && entry.size !== listed.size)
    throw unreadable(what, `has another size for ${JSON.stringify(name)} in its payload than in its header`);
  return { ...listed, name, size: entry.size, mode: entry.mode };
}

function typeOf(mode: number): Entry['type'] {
  switch (mode & 0o170000) {
    case 0o100000:
      return 'file';
    case 0o040000:
      return 'directory';
    case 0o120000:
      return 'symlink';
    case 0o020000:
    case 0o060000:
      return 'device';
    default:
      return 'other';
  }
}

function algorithmOf(number: number | undefined): (typeof algorithms)[keyof typeof algorithms] | undefined {
  return Object.entries(algorithms).find(([key]) => Number(key) === number)?.[1];
}
