/**
 * What an ELF file needs: architecture, interpreter, shared libraries and the symbol versions it wants of them, read
 * from the file's headers alone. Source: elf(5), the gABI, the LSB's symbol versioning chapter. 64-bit little-endian
 * files; others are described by architecture only. A file that is no ELF gives undefined; a damaged one too, because
 * the question asked here is only whether something can be said against running it.
 */
import type { OpenFile } from '../port.ts';
import type { Arch } from '../../model/arch.ts';
import { textOf } from '../../model/bytes.ts';

/** What a program or library says it needs and gives. */
export interface Elf {
  /** The canonical name, or `e_machine` as a number. */
  readonly architecture: Arch | `machine-${number}`;
  /** The dynamic loader, `/lib64/ld-linux-x86-64.so.2`; absent in static programs. */
  readonly interpreter?: string;
  /** DT_SONAME. */
  readonly soname?: string;
  /** DT_NEEDED. */
  readonly needed: readonly string[];
  /** Symbol versions wanted, by library: `libc.so.6` → `GLIBC_2.34`, … */
  readonly versions: Readonly<Record<string, readonly string[]>>;
  /** Symbol versions a library defines. */
  readonly defined: readonly string[];
  /** DT_RUNPATH or DT_RPATH, as written. */
  readonly runpath?: string;
}

const machines: Readonly<Record<number, Arch>> = { 62: 'amd64', 183: 'arm64' };
/** Tables larger than this are not looked at: dynamic sections and string tables are kilobytes to a few megabytes. */
const maxTable = 64 * 1024 * 1024;

/** First bytes by which the architecture is told. */
export const elfHeadBytes = 20;

/** The architecture by the first bytes, or undefined when they are not the start of an ELF file. */
export function elfArchitecture(head: Uint8Array): Elf['architecture'] | undefined {
  if (head.length < elfHeadBytes || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46)
    return undefined;
  const [low, high] = head[5] === 2 ? [head[19], head[18]] : [head[18], head[19]];
  const machine = (low ?? 0) + 256 * (high ?? 0);
  // The same processors have 32-bit and big-endian forms, which these systems do not start.
  const native = head[4] === 2 && head[5] === 1;
  return (native ? machines[machine] : undefined) ?? `machine-${machine}`;
}

/** Whatever can be read in pieces: a file that is there, or one in the making. */
export type Readable = Pick<OpenFile, 'read'>;

/** What the headers say; undefined when it is no ELF file, or a damaged one. */
export async function readElf(file: Readable): Promise<Elf | undefined> {
  try {
    return await describe(file);
  } catch (thrown) {
    // Offsets that lead outside of their table.
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

async function describe(file: Readable): Promise<Elf | undefined> {
  const header = await bytesAt(file, 0, 64);
  const architecture = elfArchitecture(header);
  if (architecture === undefined) return undefined;
  const plain = { architecture, needed: [], versions: {}, defined: [] };
  // 64 bits, little-endian.
  if (header[4] !== 2 || header[5] !== 1 || header.length < 64) return plain;
  const segments = await readSegments(file, viewOf(header));
  const interpreter = segments.find((segment) => segment.type === 3);
  const dynamic = segments.find((segment) => segment.type === 2);
  const interpreted = interpreter && {
    interpreter: text(await bytesAt(file, interpreter.offset, interpreter.size), 0),
  };
  if (!dynamic) return { ...plain, ...interpreted };
  return { ...plain, ...interpreted, ...(await readDynamic(file, dynamic, segments)) };
}

async function readSegments(file: Readable, header: DataView): Promise<Segment[]> {
  const [at, size, count] = [offset(header, 32), header.getUint16(54, true), header.getUint16(56, true)];
  const table = await bytesAt(file, at, size * count);
  return Array.from({ length: count }, (_, i) => {
    const entry = viewOf(table.subarray(i * size, (i + 1) * size));
    return {
      type: entry.getUint32(0, true),
      offset: offset(entry, 8),
      address: offset(entry, 16),
      size: offset(entry, 32),
    };
  });
}

/** A part of the file by its name. */
export interface Section {
  readonly name: string;
  /** SHT_PROGBITS is 1, SHT_SYMTAB 2. */
  readonly type: number;
  /** Once loaded; 0 when it is not. */
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  /** The index of the section that it refers to. */
  readonly link: number;
}

/** The sections of a 64-bit little-endian file; undefined for others. RangeError when it is damaged. */
export async function sectionsOf(file: Readable): Promise<readonly Section[] | undefined> {
  const header = await bytesAt(file, 0, 64);
  if (elfArchitecture(header) === undefined || header[4] !== 2 || header[5] !== 1 || header.length < 64)
    return undefined;
  const fields = viewOf(header);
  const [size, count, names] = [fields.getUint16(58, true), fields.getUint16(60, true), fields.getUint16(62, true)];
  const table = await bytesAt(file, offset(fields, 40), size * count);
  const entries = Array.from({ length: count }, (_, index) => {
    const entry = viewOf(table.subarray(index * size, (index + 1) * size));
    return {
      nameAt: entry.getUint32(0, true),
      type: entry.getUint32(4, true),
      address: offset(entry, 16),
      offset: offset(entry, 24),
      size: offset(entry, 32),
      link: entry.getUint32(40, true),
    };
  });
  const own = entries[names];
  const strings = own ? await bytesAt(file, own.offset, own.size) : new Uint8Array();
  return entries.map(({ nameAt, ...entry }) => ({ ...entry, name: text(strings, nameAt) }));
}

const tag = {
  needed: 1n,
  strings: 5n,
  stringsSize: 10n,
  soname: 14n,
  rpath: 15n,
  runpath: 29n,
  verdef: 0x6ffffffcn,
  verdefCount: 0x6ffffffdn,
  verneed: 0x6ffffffen,
  verneedCount: 0x6fffffffn,
};

async function readDynamic(
  file: Readable,
  dynamic: Segment,
  segments: readonly Segment[],
): Promise<Omit<Elf, 'architecture' | 'interpreter'>> {
  const table = viewOf(await bytesAt(file, dynamic.offset, dynamic.size));
  const values = new Map<bigint, number[]>();
  for (let at = 0; at + 16 <= table.byteLength; at += 16) {
    const key = table.getBigUint64(at, true);
    if (key === 0n) break;
    values.set(key, [...(values.get(key) ?? []), Number(table.getBigUint64(at + 8, true))]);
  }
  const first = (key: bigint): number | undefined => values.get(key)?.[0];
  const fileOffset = (address: number): number => {
    const load = segments.find(
      (segment) => segment.type === 1 && address >= segment.address && address < segment.address + segment.size,
    );
    return load ? address - load.address + load.offset : address;
  };
  const strings = await bytesAt(file, fileOffset(first(tag.strings) ?? 0), first(tag.stringsSize) ?? 0);
  // The version tables follow each other closely; their size is not recorded, so a bounded piece is read.
  const versionTable = async (key: bigint): Promise<DataView> => {
    const address = first(key);
    return viewOf(address === undefined ? new Uint8Array() : await bytesAt(file, fileOffset(address), 1024 * 1024));
  };
  const soname = first(tag.soname);
  const runpath = first(tag.runpath) ?? first(tag.rpath);
  return {
    needed: (values.get(tag.needed) ?? []).map((at) => text(strings, at)),
    versions: wantedVersions(await versionTable(tag.verneed), first(tag.verneedCount) ?? 0, strings),
    defined: definedVersions(await versionTable(tag.verdef), first(tag.verdefCount) ?? 0, strings),
    ...(soname !== undefined && { soname: text(strings, soname) }),
    ...(runpath !== undefined && { runpath: text(strings, runpath) }),
  };
}

/** Elf64_Verneed: version, count, file, aux, next; Elf64_Vernaux: hash, flags, other, name, next. */
function wantedVersions(table: DataView, count: number, strings: Uint8Array): Record<string, string[]> {
  const versions: Record<string, string[]> = {};
  for (let i = 0, at = 0; i < count; i++) {
    const names: string[] = [];
    let aux = at + table.getUint32(at + 8, true);
    for (let j = 0; j < table.getUint16(at + 2, true); j++) {
      names.push(text(strings, table.getUint32(aux + 8, true)));
      aux += table.getUint32(aux + 12, true);
    }
    versions[text(strings, table.getUint32(at + 4, true))] = names;
    at += table.getUint32(at + 12, true);
  }
  return versions;
}

/** Elf64_Verdef: version, flags, index, count, hash, aux, next; Elf64_Verdaux: name, next. The first aux is the name. */
function definedVersions(table: DataView, count: number, strings: Uint8Array): string[] {
  const names: string[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    names.push(text(strings, table.getUint32(at + table.getUint32(at + 12, true), true)));
    at += table.getUint32(at + 16, true);
  }
  return names;
}

async function bytesAt(file: Readable, at: number, size: number): Promise<Uint8Array> {
  if (size > maxTable) throw new RangeError('table too large');
  return file.read(at, size);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function offset(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw new RangeError('offset too large');
  return value;
}

function text(bytes: Uint8Array, at: number): string {
  if (at > bytes.length) throw new RangeError('string outside of its table');
  const end = bytes.indexOf(0, at);
  return textOf(bytes.subarray(at, end < 0 ? bytes.length : end));
}
