/**
 * Whether a file is a program that Linux can start, by its form alone: a whole ELF executable, or a script that names its
 * interpreter. Nothing is executed. Source: elf(5), execve(2). What it is instead is said in words, because what a server
 * answers in a program's place is nearly always a page, an archive or a part.
 */
import type { Files } from '../../host/port.ts';
import type { Arch } from '../../model/arch.ts';
import { fromHex, latin1Of } from '../../model/bytes.ts';
import { elfArchitecture, type Readable } from '../../host/elf/elf.ts';

/** What a file is: a program for an architecture (scripts: for any), or why it is none. */
export type ProgramForm =
  | { readonly type: 'elf'; readonly architecture: Arch | `machine-${number}` }
  | { readonly type: 'script' }
  | { readonly type: 'none'; readonly why: string };

const headBytes = 512;
/** execve(2) looks at no more of the first line. */
const interpreterBytes = 256;

/** `size`: of the file, in bytes. */
export async function programForm(file: Readable, size: number): Promise<ProgramForm> {
  const head = await file.read(0, headBytes);
  if (latin1Of(head.subarray(0, 4)) === '\x7fELF') return elfForm(file, head, size);
  if (latin1Of(head.subarray(0, 2)) === '#!') return scriptForm(head);
  return { type: 'none', why: `is ${formName(head)}` };
}

/** Why it is no program for machines of an architecture; undefined when it is one. `path`: in the host. */
export async function programProblem(files: Files, path: string, architecture: string): Promise<string | undefined> {
  const file = await files.open(path);
  if (!file) return 'is missing';
  try {
    const form = await programForm(file, file.stat.size);
    if (form.type === 'none') return `is no program: it ${form.why}`;
    return form.type === 'script' || form.architecture === architecture
      ? undefined
      : `is a program for ${form.architecture}, not ${architecture}`;
  } finally {
    await file.close();
  }
}

function scriptForm(head: Uint8Array): ProgramForm {
  const [line = ''] = latin1Of(head.subarray(0, interpreterBytes)).split('\n');
  return /^#![ \t]*\/[^\s\0]+[^\0]*$/.test(line)
    ? { type: 'script' }
    : { type: 'none', why: 'is a script whose first line names no interpreter' };
}

// ── ELF ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where a header of each class has its fields, and how its addresses are read. */
const layouts = {
  1: { bytes: 52, word: 4, tables: [28, 32], counts: 42, segment: { offset: 4, size: 16 }, sectionSize: 20 },
  2: { bytes: 64, word: 8, tables: [32, 40], counts: 54, segment: { offset: 8, size: 32 }, sectionSize: 32 },
} as const;
const executable = 2;
const shared = 3;
const load = 1;
const interpreter = 3;

async function elfForm(file: Readable, head: Uint8Array, size: number): Promise<ProgramForm> {
  const none = (why: string): ProgramForm => ({ type: 'none', why });
  const architecture = elfArchitecture(head);
  const layout = head[4] === 1 || head[4] === 2 ? layouts[head[4]] : undefined;
  if (architecture === undefined || !layout || head.length < layout.bytes) return none('is a part of an ELF header');
  const little = head[5] === 1;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const word = (of: DataView, at: number): number =>
    layout.word === 8 ? Number(of.getBigUint64(at, little)) : of.getUint32(at, little);
  const type = view.getUint16(16, little);
  if (type !== executable && type !== shared) return none('is an ELF file that is no executable');
  const [segmentsAt, sectionsAt] = layout.tables.map((at) => word(view, at)) as [number, number];
  const [segmentBytes, segmentCount, sectionBytes, sectionCount] = [0, 2, 4, 6].map((at) =>
    view.getUint16(layout.counts + at, little),
  ) as [number, number, number, number];
  const cut = (end: number): ProgramForm =>
    none(`is a part of an ELF executable: it has ${size} bytes of at least ${end}`);

  const segmentsEnd = segmentsAt + segmentBytes * segmentCount;
  if (segmentsEnd > size) return cut(segmentsEnd);
  const table = await file.read(segmentsAt, segmentsEnd - segmentsAt);
  const kinds = new Set<number>();
  for (let at = 0; at + layout.segment.size + layout.word <= table.length; at += Math.max(segmentBytes, 1)) {
    const segment = new DataView(table.buffer, table.byteOffset + at, table.byteLength - at);
    const kind = segment.getUint32(0, little);
    kinds.add(kind);
    const end = word(segment, layout.segment.offset) + word(segment, layout.segment.size);
    if (kind === load && end > size) return cut(end);
  }
  if (!kinds.has(load)) return none('is an ELF file with nothing to load');
  if (type === shared && !kinds.has(interpreter) && word(view, 24) === 0) return none('is a shared library');
  if (sectionsAt === 0) return { type: 'elf', architecture };
  const first = sectionsAt + sectionBytes;
  if (first > size) return cut(first);
  // With many sections their number stands in the first one.
  const entry = await file.read(sectionsAt, layout.sectionSize + layout.word);
  const many = word(new DataView(entry.buffer, entry.byteOffset, entry.byteLength), layout.sectionSize);
  const sectionsEnd = sectionsAt + sectionBytes * (sectionCount === 0 ? many : sectionCount);
  return sectionsEnd > size ? cut(sectionsEnd) : { type: 'elf', architecture };
}

// ── what else it may be ──────────────────────────────────────────────────────────────────────────────────────────

/** First bytes in hexadecimal, and first words. */
const magics: readonly (readonly [string, string])[] = [
  ['1f8b', 'compressed with gzip'],
  ['28b52ffd', 'compressed with zstd'],
  ['fd377a585a00', 'compressed with xz'],
  ['425a68', 'compressed with bzip2'],
  ['5d0000', 'compressed with lzma'],
  ['04224d18', 'compressed with lz4'],
  ['4c5a4950', 'compressed with lzip'],
  ['894c5a4f', 'compressed with lzop'],
  ['1f9d', 'compressed with compress'],
  ['504b0304', 'a zip archive'],
  ['377abcaf', 'a 7z archive'],
  ['526172211a07', 'a rar archive'],
  ['213c617263683e0a', 'a Debian package or an ar archive'],
  ['edabeedb', 'an RPM package'],
  ['30373037', 'a cpio archive'],
  ['68737173', 'a squashfs image'],
  ['4d5a', 'a program for Windows'],
  ['cffaedfe', 'a program for macOS'],
  ['cafebabe', 'a program for macOS or Java'],
];
const words: readonly (readonly [RegExp, string])[] = [
  [/^[^]{257}ustar/, 'a tar archive'],
  [/^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b/i, 'an HTML page'],
  [/^(?:\xef\xbb\xbf)?\s*<[?!a-z]/i, 'an XML document'],
  [/^(?:\xef\xbb\xbf)?\s*[[{]\s*["\]}[{]/, 'a JSON document'],
  [/^version https:\/\/git-lfs/, 'a pointer of Git LFS'],
];

/** What a file is by its first bytes, `an HTML page`; bytes that nobody knows are “data”. */
export function formName(head: Uint8Array): string {
  if (head.length === 0) return 'empty';
  const text = latin1Of(head);
  const known =
    magics.find(([magic]) => fromHex(magic).every((byte, at) => head[at] === byte)) ??
    words.find(([word]) => word.test(text));
  if (known) return known[1];
  const isText = head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
  return isText ? 'text without an interpreter (#!)' : 'data of an unknown form';
}
