/**
 * Whether a root provides what a program needs to start: its loader, every shared library, and the symbol versions it
 * wants of them, libraries of libraries included. Answered from the files' headers, before an extraction replaces an
 * install; nothing is executed. Search order: ld.so(8) without its cache.
 */
import { errnoOf } from '../../errors.ts';
import type { Files } from '../../host/port.ts';
import { textOf } from '../../model/bytes.ts';
import { join } from '../../model/path.ts';
import { readElf } from '../../host/elf/elf.ts';
import type { Elf, Readable } from '../../host/elf/elf.ts';

/** Why a program would not start. */
export interface MissingLibrary {
  /** `libc.so.6`, or the loader's path. */
  readonly library: string;
  /** Who wants it: the program itself or one of its libraries. */
  readonly neededBy: string;
  /** Symbol versions that the library found does not have; empty when there is no such library. */
  readonly versions: readonly string[];
}

const triplets = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;

/** A program to be started on a host, and its name in messages. Empty for static programs and for files that are no ELF. */
export async function checkLibraries(files: Files, file: Readable, name: string): Promise<MissingLibrary[]> {
  const program = await readElf(file);
  if (!program) return [];
  const folders = await searchFolders(files, program);
  const missing: MissingLibrary[] = [];
  const found = new Map<string, Elf | undefined>();

  if (program.interpreter !== undefined && !(await isFile(files, program.interpreter))) {
    missing.push({ library: program.interpreter, neededBy: name, versions: [] });
  }
  const pending: { elf: Elf; name: string }[] = [{ elf: program, name }];
  for (let next = pending.shift(); next; next = pending.shift()) {
    for (const library of next.elf.needed) {
      if (!found.has(library)) {
        const elf = await findLibrary(files, library, { folders, architecture: program.architecture });
        found.set(library, elf);
        if (elf) pending.push({ elf, name: library });
      }
      const elf = found.get(library);
      if (!elf) missing.push({ library, neededBy: next.name, versions: [] });
      const absent = elf ? (next.elf.versions[library] ?? []).filter((version) => !elf.defined.includes(version)) : [];
      if (absent.length > 0) missing.push({ library, neededBy: next.name, versions: absent });
    }
  }
  return missing;
}

async function searchFolders(files: Files, program: Elf): Promise<string[]> {
  const triplet =
    program.architecture === 'amd64' || program.architecture === 'arm64' ? [triplets[program.architecture]] : [];
  const own = (program.runpath ?? '').split(':').filter((path) => path.startsWith('/'));
  const standard = [
    '/lib64',
    '/usr/lib64',
    ...triplet.flatMap((name) => [`/lib/${name}`, `/usr/lib/${name}`]),
    '/lib',
    '/usr/lib',
    '/usr/local/lib',
  ];
  return [...own, ...(await configuredFolders(files)), ...standard];
}

/** /etc/ld.so.conf.d/*.conf, where distributions name their multiarch folders. */
async function configuredFolders(files: Files): Promise<string[]> {
  const folder = '/etc/ld.so.conf.d';
  const names = (await files.list(folder)).filter((name) => name.endsWith('.conf'));
  const texts = await Promise.all(names.map(async (name) => textOf(await files.read(join(folder, name))) ?? ''));
  return texts.flatMap((text) => text.split('\n').map((line) => line.trim())).filter((line) => line.startsWith('/'));
}

async function findLibrary(
  files: Files,
  library: string,
  where: { folders: readonly string[]; architecture: Elf['architecture'] },
): Promise<Elf | undefined> {
  const paths = library.includes('/') ? [library] : where.folders.map((folder) => join(folder, library));
  for (const path of paths) {
    const elf = await ifFile(files, path, readElf);
    // Another architecture's library of the same name does not count, as for ld.so.
    if (elf?.architecture === where.architecture) return elf;
  }
  return undefined;
}

function isFile(files: Files, path: string): Promise<boolean> {
  return ifFile(files, path, () => Promise.resolve(true)).then((is) => is === true);
}

/** What `use` makes of a regular file, links followed; undefined when there is none. */
async function ifFile<Result>(
  files: Files,
  path: string,
  use: (file: Readable) => Promise<Result>,
): Promise<Result | undefined> {
  const file = await files.open(path).catch((thrown: unknown) => {
    if (errnoOf(thrown) === 'EISDIR' || errnoOf(thrown) === 'EINVAL') return undefined;
    throw thrown;
  });
  try {
    return file && (await use(file));
  } finally {
    await file?.close();
  }
}
