/**
 * Debian packages, deb(5): an ar archive of `debian-binary`, `control.tar[.gz|.xz|.zst]` and `data.tar[.*]`, in this
 * order. Only the control file's name, version and architecture are read; maintainer scripts are never looked at.
 */
import { latin1Of, textOf } from '../../model/bytes.ts';
import { compressionBytes, detectCompression } from './compression.ts';
import type { Format, Layout, OpenContext, PackageInfo } from './format.ts';
import type { RangeReader } from './range-reader.ts';
import { unreadable } from './unreadable.ts';

const magic = '!<arch>\n';
const headerBytes = 60;

export const deb: Format = {
  name: 'deb',
  matches: (head) => latin1Of(head.subarray(0, 8)) === magic && latin1Of(head.subarray(8, 21)) === 'debian-binary',
  open,
};

interface Part {
  readonly position: number;
  readonly length: number;
}

async function open(context: OpenContext): Promise<Layout> {
  const { reader } = context;
  const parts = await readParts(context);
  const [version, control, data] = names.map((name) => parts.get(name));
  if (!version || !control || !data) throw unreadable(reader.what, 'ends before its data.tar');
  checkHeaderSize(context, version.length, 'a debian-binary');
  if (!latin1Of(await reader.take(version.position, version.length)).startsWith('2.'))
    throw unreadable(reader.what, 'is no Debian package of format 2');
  return {
    info: { format: 'deb', compression: await compressionOf(reader, data), ...(await readControl(context, control)) },
    part: data,
    form: { type: 'tar' },
  };
}

// ── ar ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const names = ['debian-binary', 'control.tar', 'data.tar'] as const;
type PartName = (typeof names)[number];

/** Where the three parts lie. The file is whole as far as its headers say. */
async function readParts({ reader, limits }: OpenContext): Promise<ReadonlyMap<PartName, Part>> {
  if (latin1Of(await reader.take(0, magic.length)) !== magic) throw unreadable(reader.what, 'is no Debian package');
  const parts = new Map<PartName, Part>();
  let count = 0;
  for (let at = magic.length; at < reader.size;) {
    if (++count > limits.members) throw unreadable(reader.what, `has more than ${limits.members} parts`);
    const { name, length } = readArHeader(await reader.take(at, headerBytes), reader.what);
    const part = partOf(name);
    expectOrder(part, name, { seen: parts.size, what: reader.what });
    const position = at + headerBytes;
    if (part) parts.set(part, { position, length });
    at = position + length + (length % 2);
    reader.requireUpTo(at);
  }
  return parts;
}

function readArHeader(bytes: Uint8Array, what: string): { name: string; length: number } {
  const header = latin1Of(bytes);
  const length = header.slice(48, 58).trim();
  if (!/^\d{1,10}$/.test(length) || header.slice(58) !== '`\n') throw unreadable(what, 'has a damaged ar header');
  return { name: header.slice(0, 16).trim().replace(/\/$/, ''), length: Number(length) };
}

function partOf(name: string): PartName | undefined {
  const plain = name.replace(/(\.tar)\.(?:gz|xz|zst|bz2|lzma)$/, '$1');
  return names.find((part) => part === plain);
}

/** The three parts come once each and in order; others are allowed when their name begins with `_`, or after the data. */
function expectOrder(part: PartName | undefined, name: string, { seen, what }: { seen: number; what: string }): void {
  if (part === undefined && (name.startsWith('_') || seen === names.length)) return;
  if (part !== undefined && names[seen] === part) return;
  throw unreadable(what, `has the part ${JSON.stringify(name)} where ${names[seen] ?? 'nothing more'} belongs`);
}

async function compressionOf(reader: RangeReader, { position, length }: Part): Promise<PackageInfo['compression']> {
  return detectCompression(await reader.take(position, Math.min(compressionBytes, length)));
}

function checkHeaderSize({ reader, limits }: OpenContext, bytes: number, header: string): void {
  if (bytes > limits.headerBytes)
    throw unreadable(reader.what, `has ${header} of ${bytes} bytes, more than the ${limits.headerBytes} allowed`);
}

// ── control ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function readControl(context: OpenContext, part: Part): Promise<Partial<PackageInfo>> {
  const { reader, archives, limits, signal } = context;
  const { entries } = await archives.read({
    file: reader.file,
    what: reader.what,
    part,
    compression: await compressionOf(reader, part),
    form: { type: 'tar' },
    limits,
    tell: { names: ['control'] },
    keep: { names: ['control'], upTo: limits.headerBytes },
    ...(signal && { signal }),
  });
  const [control, another] = entries;
  if (another) throw unreadable(reader.what, 'has two control files');
  checkHeaderSize(context, control?.size ?? 0, 'a control file');
  if (!control?.content) throw unreadable(reader.what, 'has no control file');
  const fields = new Map(
    [...textOf(control.content).matchAll(/^([A-Za-z-]+):[ \t]*(.*?)[ \t]*$/gm)].map((match) => [
      match[1]?.toLowerCase(),
      match[2],
    ]),
  );
  const [name, version, architecture] = [fields.get('package'), fields.get('version'), fields.get('architecture')];
  if (!name || !version || !architecture)
    throw unreadable(reader.what, 'has a control file without Package, Version or Architecture');
  return { name, version, architecture };
}
