/**
 * Whether a file is a program that Linux can start, by its form alone: a whole ELF executable, or a script that names its
 * interpreter. Nothing is executed. Source: elf(5), execve(2). What it is instead is said in words, because what a server
 * answers in a program's place is nearly always a page, an archive or a part.
 */
import type { Files } from '../../host/port.ts';
import type { Arch } from '../../model/arch.ts';
import { fromHex, latin1Of } from '../../model/bytes.ts';
import { elfArchitecture, readElf, type Readable } from '../../host/elf/elf.ts';

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
      : `is a program for ${machineName(form.architecture)}, not ${architecture}`;
  } finally {
    await file.close();
  }
}

const otherMachines: Readonly<Record<string, string>> = {
  'machine-3': '32-bit x86',
  'machine-8': 'mips',
  'machine-21': 'ppc64',
  'machine-22': 's390x',
  'machine-40': '32-bit arm',
  'machine-62': 'another form of amd64',
  'machine-183': 'another form of arm64',
  'machine-243': 'riscv64',
  'machine-258': 'loongarch64',
};

/** As people call it: `riscv64`. */
export function machineName(architecture: Extract<ProgramForm, { type: 'elf' }>['architecture']): string {
  return otherMachines[architecture] ?? architecture;
}

function scriptForm(head: Uint8Array): ProgramForm {
  const none = (why: string): ProgramForm => ({ type: 'none', why: `is a script whose first line ${why}` });
  const text = latin1Of(head.subarray(0, interpreterBytes));
  const [line = ''] = text.split('\n');
  // The system takes the carriage return for a letter of the last word.
  if (line.includes('\r')) return none('has a carriage return in it, as on Windows, which no interpreter is named by');
  if (!/^#![ \t]*\/[^\s\0]+[^\0]*$/.test(line)) return none('names no interpreter');
  const isCut = line.length === interpreterBytes && !/^#![ \t]*\S+[ \t]/.test(line);
  return isCut ? none(`is longer than the ${interpreterBytes} bytes that the system reads`) : { type: 'script' };
}

// ── ELF ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Where a header of each class has its fields, and how its addresses are read. Of an entry of a table: its bytes, where it
 * says where in the file its content is, and how much.
 */
const layouts = {
  1: { bytes: 52, word: 4, tables: [28, 32], counts: 42, segment: [32, 4, 16], section: [40, 16, 20] },
  2: { bytes: 64, word: 8, tables: [32, 40], counts: 54, segment: [56, 8, 32], section: [64, 24, 32] },
} as const;
const executable = 2;
const shared = 3;
const load = 1;
const interpreter = 3;
const noSection = 0;
const noBits = 8;

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

  const entriesAt = async (at: number, bytes: number, count: number): Promise<DataView[]> => {
    const table = await file.read(at, bytes * count);
    const entry = (index: number): DataView => new DataView(table.buffer, table.byteOffset + index * bytes, bytes);
    return Array.from({ length: Math.floor(table.length / bytes) }, (_, index) => entry(index));
  };

  // Linux starts nothing whose entries have another size.
  if (segmentBytes !== layout.segment[0]) return none('is an ELF file with nothing to load');
  const segmentsEnd = segmentsAt + segmentBytes * segmentCount;
  if (segmentsEnd > size) return cut(segmentsEnd);
  const kinds = new Set<number>();
  for (const segment of await entriesAt(segmentsAt, segmentBytes, segmentCount)) {
    const kind = segment.getUint32(0, little);
    kinds.add(kind);
    const end = word(segment, layout.segment[1]) + word(segment, layout.segment[2]);
    if (kind === load && end > size) return cut(end);
  }
  if (!kinds.has(load)) return none('is an ELF file with nothing to load');
  if (type === shared && !kinds.has(interpreter) && (word(view, 24) === 0 || (await isLibrary(file))))
    return none('is a shared library');
  if (sectionsAt === 0) return { type: 'elf', architecture };
  if (sectionsAt + sectionBytes > size) return cut(sectionsAt + sectionBytes);
  // Linux does not look at sections: what is written in another way says nothing against the program.
  if (sectionBytes !== layout.section[0]) return { type: 'elf', architecture };
  // With many sections their number stands in the first one.
  const [first] = await entriesAt(sectionsAt, sectionBytes, 1);
  const count = sectionCount === 0 && first ? word(first, layout.section[2]) : sectionCount;
  const sectionsEnd = sectionsAt + sectionBytes * count;
  if (sectionsEnd > size) return cut(sectionsEnd);
  // What is not loaded, symbols and the like, lies behind everything else.
  for (const section of await entriesAt(sectionsAt, sectionBytes, Math.min(count, 0xffff))) {
    const end = word(section, layout.section[1]) + word(section, layout.section[2]);
    const isInFile = ![noSection, noBits].includes(section.getUint32(4, little));
    if (isInFile && end > size) return cut(end);
  }
  return { type: 'elf', architecture };
}

/** What is made to be linked says its name; what is only made to be started anywhere (static-pie) has none. */
async function isLibrary(file: Readable): Promise<boolean> {
  return (await readElf(file))?.soname !== undefined;
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
