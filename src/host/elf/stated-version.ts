/**
 * The version that a program's own file states, read without running it: what Go's linker was told to write into it
 * (`-X …gitVersion=v1.34.3`) as Go's build information or the symbol table has it, the note of a distribution's package
 * (systemd's package metadata for ELF files), and the main module of a Go program. Sources: debug/buildinfo,
 * cmd/link (-X), https://systemd.io/PACKAGE_METADATA_FOR_EXECUTABLE_FILES. Undefined when it states none, or several.
 */
import { latin1Of, textOf } from '../../model/bytes.ts';
import { sectionsOf, type Readable, type Section } from './elf.ts';

/** A version as it is written in the file, and where: `Go build information`. */
export interface StatedVersion {
  readonly version: string;
  readonly from: string;
}

/** What variables that hold a version are called, by how sure that is. */
const variables = [/\.gitVersion$/, /\.(?:build|release|app)?version$/i];
const versionText = /^v?\d+\.\d+(?:\.\d+)?(?:[-+~.][0-9A-Za-z.+~-]+)?$/;
/** A module's version that names a commit instead of a release: `v0.0.0-20251201120000-0123456789ab`. */
const commit = /(?:^|[-.])\d{14}-[0-9a-f]{12}(?:\+|$)/;
/** Sections beyond this are not read: notes and build information have kilobytes, symbols of large programs megabytes. */
const maxSection = 64 * 1024 * 1024;

/** What the file states; undefined for what is no ELF file, or a damaged one. */
export async function statedVersion(file: Readable): Promise<StatedVersion | undefined> {
  try {
    const sections = await sectionsOf(file);
    if (!sections) return undefined;
    const build = await goBuild(file, sections);
    return (
      oneOf(linkedVariables(build?.flags ?? ''), build?.main, 'Go build information') ??
      oneOf(await symbols(file, sections), build?.main, 'symbol') ??
      (await packageNote(file, sections)) ??
      mainModule(build)
    );
  } catch (thrown) {
    // Offsets that lead outside of their section.
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

// ── Go's build information ───────────────────────────────────────────────────────────────────────────────────────

interface GoBuild {
  /** Path of the main package. */
  readonly main: string;
  readonly moduleVersion: string | undefined;
  /** `-ldflags`, when it was kept. */
  readonly flags: string;
}

const magic = '\xff Go buildinf:';
/** The magic stands at the first aligned place of its section. */
const headBytes = 1024;
/** The module's text lies between two marks of this many bytes. */
const mark = 16;

async function goBuild(file: Readable, sections: readonly Section[]): Promise<GoBuild | undefined> {
  const section = sections.find(({ name }) => name === '.go.buildinfo');
  if (!section) return undefined;
  const bytes = await content(file, section);
  const start = latin1Of(bytes.subarray(0, headBytes)).indexOf(magic);
  // Since Go 1.18 two strings with their lengths follow the header of 32 bytes.
  if (start < 0 || ((bytes[start + 15] ?? 0) & 2) === 0) return undefined;
  const version = lengthAndEnd(bytes, start + 32);
  const module = lengthAndEnd(bytes, version.end + version.length);
  const text = textOf(bytes.subarray(module.end + mark, module.end + module.length - mark));
  const lines = text.split('\n').map((line) => line.split('\t'));
  const setting = lines.find(([kind, value]) => kind === 'build' && value?.startsWith('-ldflags='))?.[1];
  return {
    main: lines.find(([kind]) => kind === 'path')?.[1] ?? '',
    moduleVersion: lines.find(([kind]) => kind === 'mod')?.[2],
    flags: unquoted(setting?.slice('-ldflags='.length) ?? ''),
  };
}

/** A varint (encoding/binary), and where it ends. */
function lengthAndEnd(bytes: Uint8Array, at: number): { length: number; end: number } {
  let length = 0;
  for (let shift = 0; shift < 28; shift += 7, at++) {
    const byte = bytes[at];
    if (byte === undefined) break;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { length, end: at + 1 };
  }
  throw new RangeError('a length that does not end');
}

/** Go quotes a setting that holds spaces as JSON does, where it is plain text. */
function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return '';
  }
}

/** `-X path.name=value`, `-X 'path.name=value'`, `-X=path.name=value`. */
function linkedVariables(flags: string): Map<string, string> {
  const found = flags.matchAll(/(?:^|\s)-X[=\s]\s*(?:'([^'=]+)=([^']*)'|"([^"=]+)=([^"]*)"|([^\s=]+)=(\S*))/g);
  return new Map(Array.from(found, ([, a, b, c, d, e, f]) => [a ?? c ?? e ?? '', b ?? d ?? f ?? ''] as const));
}

function mainModule(build: GoBuild | undefined): StatedVersion | undefined {
  const { moduleVersion = '' } = build ?? {};
  if (!versionText.test(moduleVersion) || commit.test(moduleVersion) || moduleVersion.includes('+dirty'))
    return undefined;
  return { version: moduleVersion, from: 'Go module' };
}

/** The version among variables: of the surest name, of the program's own packages before others', when they agree. */
function oneOf(values: ReadonlyMap<string, string>, main: string | undefined, from: string): StatedVersion | undefined {
  const project = main?.split('/').slice(0, 3).join('/');
  const own = (name: string): boolean =>
    name.startsWith('main.') || (project !== undefined && name.startsWith(project));
  const versions = [...values].filter(([, value]) => versionText.test(value));
  for (const pattern of variables) {
    const named = versions.filter(([name]) => pattern.test(name));
    for (const candidates of [named.filter(([name]) => own(name)), named]) {
      const distinct = new Set(candidates.map(([, value]) => value.replace(/^v/, '')));
      const [first] = candidates;
      if (first && distinct.size === 1) return { version: first[1], from: `${from} ${first[0]}` };
      if (distinct.size > 1) return undefined;
    }
  }
  return undefined;
}

// ── symbols ──────────────────────────────────────────────────────────────────────────────────────────────────────

const symbolBytes = 24;
const dataObject = 1;

/** Go's strings of a version's name: address and length of the text. */
async function symbols(file: Readable, sections: readonly Section[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const table = sections.find(({ type }) => type === 2);
  const strings = table && sections[table.link];
  if (!table || !strings) return found;
  const [entries, names] = [await content(file, table), await content(file, strings)];
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  for (let at = 0; at + symbolBytes <= entries.length; at += symbolBytes) {
    const [kind, size] = [view.getUint8(at + 4) & 0xf, view.getBigUint64(at + 16, true)];
    if (kind !== dataObject || size !== 16n) continue;
    const start = view.getUint32(at, true);
    const name = latin1Of(names.subarray(start, names.indexOf(0, start)));
    if (!variables.some((pattern) => pattern.test(name))) continue;
    const header = await memory(file, sections, Number(view.getBigUint64(at + 8, true)), 16);
    if (!header) continue;
    const text = new DataView(header.buffer, header.byteOffset, 16);
    const [address, length] = [Number(text.getBigUint64(0, true)), Number(text.getBigUint64(8, true))];
    if (length === 0 || length > 100) continue;
    const value = await memory(file, sections, address, length);
    if (value) found.set(name, textOf(value));
  }
  return found;
}

/** Bytes by their address once loaded. */
async function memory(
  file: Readable,
  sections: readonly Section[],
  address: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const section = sections.find(
    (each) =>
      each.type === 1 && each.address !== 0 && address >= each.address && address + length <= each.address + each.size,
  );
  if (!section) return undefined;
  const bytes = await file.read(section.offset + address - section.address, length);
  return bytes.length === length ? bytes : undefined;
}

// ── notes ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** FDO_PACKAGING_METADATA: JSON, ended by zeros. */
const packagingMetadata = 0xcafe1a7e;

async function packageNote(file: Readable, sections: readonly Section[]): Promise<StatedVersion | undefined> {
  const section = sections.find(({ name }) => name === '.note.package');
  if (!section) return undefined;
  const bytes = await content(file, section);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [nameBytes, size] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (view.getUint32(8, true) !== packagingMetadata) return undefined;
  const start = 12 + Math.ceil(nameBytes / 4) * 4;
  const text = textOf(bytes.subarray(start, start + size)).replace(/\0+$/, '');
  try {
    const { version } = JSON.parse(text) as { version?: unknown };
    return typeof version === 'string' ? { version, from: 'package note' } : undefined;
  } catch {
    return undefined;
  }
}

async function content(file: Readable, { offset, size }: Section): Promise<Uint8Array> {
  if (size > maxSection) throw new RangeError('a section too large');
  return file.read(offset, size);
}
