/**
 * RPM packages: lead, signature header, header, compressed cpio payload. Source: rpm's docs/manual/format_v4.md. Digests
 * that the package carries (of its header, its payload and its files) are checked; signatures are the repository's
 * business. Scriptlets are never looked at.
 */
import { entryName } from '../../host/archives/entry-name.ts';
import { createDigest } from '../../host/digest.ts';
import type { DigestAlgorithm } from '../../host/digest.ts';
import type { ArchiveEntry, EntryType } from '../../host/port.ts';
import { compressionBytes, detectCompression } from './compression.ts';

import type { Format, Layout, OpenContext, PackageInfo, Promised } from './format.ts';
import { leadBytes, leadMagic, readRpmHeader, rpmTag } from './rpm-header.ts';
import type { RpmHeader } from './rpm-header.ts';
import { unreadable } from './unreadable.ts';

/** PGPHASHALGO of RFC 4880, as rpm uses it. */
const algorithms: Readonly<Record<number, DigestAlgorithm>> = {
  1: 'md5',
  2: 'sha1',
  8: 'sha256',
  9: 'sha384',
  10: 'sha512',
  11: 'sha224',
};

export const rpm: Format = {
  name: 'rpm',
  matches: (head) => head.length >= leadBytes && isLead(head),
  open,
};

function isLead(bytes: Uint8Array): boolean {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === leadMagic;
}

async function open({ reader, limits }: OpenContext): Promise<Layout> {
  const { what } = reader;
  if (!isLead(await reader.take(0, leadBytes))) throw unreadable(what, 'is no RPM package');
  const most = { bytes: limits.headerBytes, values: limits.members };
  const signature = await readRpmHeader(reader, leadBytes, most);
  const header = await readRpmHeader(reader, Math.ceil(signature.end / 8) * 8, most);
  const promised = signature.values.string(rpmTag.sha256Header);
  if (promised !== undefined && createDigest().update(header.bytes).hex() !== promised)
    throw unreadable(what, 'has a header that does not match the digest in its signature header');
  const format = header.values.string(rpmTag.payloadFormat) ?? 'cpio';
  if (format !== 'cpio')
    throw unreadable(what, `has a payload of the form ${JSON.stringify(format)}, which is not supported`);
  const files = fileTable(header.values, what);
  const compression = detectCompression(await reader.peek(header.end, compressionBytes));
  return {
    info: packageInfo(header.values, compression, what),
    part: { position: header.end, length: reader.size - header.end },
    form: { type: 'cpio', files: files.list },
    ...promisedPayload(header.values),
    promised: (name) => files.byName.get(name)?.promised,
    judge: (entries) => entries.map((entry) => asListed(entry, files, what)),
  };
}

function promisedPayload(header: RpmHeader): Pick<Layout, 'promisedPart'> {
  const hex = header.strings(rpmTag.payloadDigest)[0];
  const algorithm = algorithms[header.numbers(rpmTag.payloadDigestAlgorithm)[0] ?? 0];
  return hex === undefined || algorithm === undefined ? {} : { promisedPart: { algorithm, hex } };
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

interface ListedFile extends ArchiveEntry {
  readonly promised?: Promised;
}

interface FileTable {
  readonly list: readonly ListedFile[];
  readonly byName: ReadonlyMap<string, ListedFile>;
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
  const algorithm = algorithms[header.numbers(rpmTag.fileDigestAlgorithm)[0] ?? 1];
  const list = names.map((base, i): ListedFile => {
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
function asListed(entry: ArchiveEntry, files: FileTable, what: string): ArchiveEntry {
  const { name, links = 1 } = entry;
  const listed = files.byName.get(name);
  if (!listed || listed.type !== entry.type)
    throw unreadable(what, `has a payload entry ${JSON.stringify(name)} that its header does not list so`);
  // Of hard links only the last carries the content.
  if (links > 1 && entry.size === 0 && listed.size > 0)
    return { name, type: 'hardlink', size: 0, mode: entry.mode, target: name };
  if (entry.type === 'file' && entry.size !== listed.size)
    throw unreadable(what, `has another size for ${JSON.stringify(name)} in its payload than in its header`);
  return { ...entry, ...(listed.target !== undefined && { target: listed.target }) };
}

function typeOf(mode: number): EntryType {
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
