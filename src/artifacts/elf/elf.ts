/**
 * What an ELF file needs: architecture, interpreter, shared libraries and the symbol versions it wants of them, read
 * from the file's headers alone. Source: elf(5), the gABI, the LSB's symbol versioning chapter. 64-bit little-endian
 * files; others are described by architecture only. A file that is no ELF gives undefined; a damaged one too, because
 * the question asked here is only whether something can be said against running it.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Arch } from '../../model/arch.ts';

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

/** The architecture by the first 20 bytes, or undefined when they are not the start of an ELF file. */
export function elfArchitecture(head: Uint8Array): Elf['architecture'] | undefined {
  if (head.length < 20 || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46)
    return undefined;
  const [low, high] = head[5] === 2 ? [head[19], head[18]] : [head[18], head[19]];
  const machine = (low ?? 0) + 256 * (high ?? 0);
  return machines[machine] ?? `machine-${machine}`;
}

/** A path in our own file system. */
export async function readElf(path: string): Promise<Elf | undefined> {
  const handle = await open(path, 'r');
  try {
    return await describe(handle);
  } catch (thrown) {
    // Offsets that lead outside of their table.
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  } finally {
    await handle.close();
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

async function describe(handle: FileHandle): Promise<Elf | undefined> {
  const header = await bytesAt(handle, 0, 64);
  const architecture = elfArchitecture(header);
  if (architecture === undefined) return undefined;
  const plain = { architecture, needed: [], versions: {}, defined: [] };
  // 64 bits, little-endian.
  if (header[4] !== 2 || header[5] !== 1 || header.length < 64) return plain;
  const segments = await readSegments(handle, header);
  const interpreter = segments.find((segment) => segment.type === 3);
  const dynamic = segments.find((segment) => segment.type === 2);
  const interpreted = interpreter && {
    interpreter: text(await bytesAt(handle, interpreter.offset, interpreter.size), 0),
  };
  if (!dynamic) return { ...plain, ...interpreted };
  return { ...plain, ...interpreted, ...(await readDynamic(handle, dynamic, segments)) };
}

async function readSegments(handle: FileHandle, header: Buffer): Promise<Segment[]> {
  const [at, size, count] = [offset(header, 32), header.readUInt16LE(54), header.readUInt16LE(56)];
  const table = await bytesAt(handle, at, size * count);
  return Array.from({ length: count }, (_, i) => {
    const entry = table.subarray(i * size, (i + 1) * size);
    return {
      type: entry.readUInt32LE(0),
      offset: offset(entry, 8),
      address: offset(entry, 16),
      size: offset(entry, 32),
    };
  });
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
  handle: FileHandle,
  dynamic: Segment,
  segments: readonly Segment[],
): Promise<Omit<Elf, 'architecture' | 'interpreter'>> {
  const table = await bytesAt(handle, dynamic.offset, dynamic.size);
  const values = new Map<bigint, number[]>();
  for (let at = 0; at + 16 <= table.length; at += 16) {
    const key = table.readBigUInt64LE(at);
    if (key === 0n) break;
    values.set(key, [...(values.get(key) ?? []), Number(table.readBigUInt64LE(at + 8))]);
  }
  const first = (key: bigint): number | undefined => values.get(key)?.[0];
  const fileOffset = (address: number): number => {
    const load = segments.find(
      (segment) => segment.type === 1 && address >= segment.address && address < segment.address + segment.size,
    );
    return load ? address - load.address + load.offset : address;
  };
  const strings = await bytesAt(handle, fileOffset(first(tag.strings) ?? 0), first(tag.stringsSize) ?? 0);
  // The version tables follow each other closely; their size is not recorded, so a bounded piece is read.
  const versionTable = async (key: bigint): Promise<Buffer> => {
    const address = first(key);
    return address === undefined ? Buffer.alloc(0) : bytesAt(handle, fileOffset(address), 1024 * 1024);
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
function wantedVersions(table: Buffer, count: number, strings: Buffer): Record<string, string[]> {
  const versions: Record<string, string[]> = {};
  for (let i = 0, at = 0; i < count; i++) {
    const names: string[] = [];
    let aux = at + table.readUInt32LE(at + 8);
    for (let j = 0; j < table.readUInt16LE(at + 2); j++) {
      names.push(text(strings, table.readUInt32LE(aux + 8)));
      aux += table.readUInt32LE(aux + 12);
    }
    versions[text(strings, table.readUInt32LE(at + 4))] = names;
    at += table.readUInt32LE(at + 12);
  }
  return versions;
}

/** Elf64_Verdef: version, flags, index, count, hash, aux, next; Elf64_Verdaux: name, next. The first aux is the name. */
function definedVersions(table: Buffer, count: number, strings: Buffer): string[] {
  const names: string[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    names.push(text(strings, table.readUInt32LE(at + table.readUInt32LE(at + 12))));
    at += table.readUInt32LE(at + 16);
  }
  return names;
}

async function bytesAt(handle: FileHandle, at: number, size: number): Promise<Buffer> {
  if (size > maxTable) throw new RangeError('table too large');
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(size), 0, size, at);
  return buffer.subarray(0, bytesRead);
}

function offset(bytes: Buffer, at: number): number {
  const value = Number(bytes.readBigUInt64LE(at));
  if (!Number.isSafeInteger(value)) throw new RangeError('offset too large');
  return value;
}

function text(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at);
  if (at > bytes.length) throw new RangeError('string outside of its table');
  return bytes.toString('utf8', at, end < 0 ? bytes.length : end);
}
