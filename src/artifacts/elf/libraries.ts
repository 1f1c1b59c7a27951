/**
 * Whether a root provides what a program needs to start: its loader, every shared library, and the symbol versions it
 * wants of them, libraries of libraries included. Answered from the files' headers, before an extraction replaces an
 * install; nothing is executed. Search order: ld.so(8) without its cache.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { errnoOf } from '../../errors.ts';
import { createPathResolver } from '../../host/linux/paths.ts';
import type { PathResolver } from '../../host/linux/paths.ts';
import { readElf } from './elf.ts';
import type { Elf } from './elf.ts';

export interface MissingLibrary {
  /** `libc.so.6`, or the loader's path. */
  readonly library: string;
  /** Who wants it: the program itself or one of its libraries. */
  readonly neededBy: string;
  /** Symbol versions that the library found does not have; empty when there is no such library. */
  readonly versions: readonly string[];
}

const triplets = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;

/** Both in our own file system. Empty for static programs and for files that are no ELF. */
export async function checkLibraries(file: string, root: string): Promise<MissingLibrary[]> {
  const program = await readElf(file);
  if (!program) return [];
  const resolver = createPathResolver(root);
  const folders = await searchFolders(resolver, program);
  const missing: MissingLibrary[] = [];
  const found = new Map<string, Elf | undefined>();
  const name = posix.basename(file);

  if (program.interpreter !== undefined && (await findFile(resolver, program.interpreter)) === undefined) {
    missing.push({ library: program.interpreter, neededBy: name, versions: [] });
  }
  const pending: { elf: Elf; name: string }[] = [{ elf: program, name }];
  for (let next = pending.shift(); next; next = pending.shift()) {
    for (const library of next.elf.needed) {
      if (!found.has(library)) {
        const elf = await findLibrary(resolver, library, { folders, architecture: program.architecture });
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

async function searchFolders(resolver: PathResolver, program: Elf): Promise<string[]> {
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
  return [...own, ...(await configuredFolders(resolver)), ...standard];
}

/** /etc/ld.so.conf.d/*.conf, where distributions name their multiarch folders. */
async function configuredFolders(resolver: PathResolver): Promise<string[]> {
  const folder = await resolver.target('/etc/ld.so.conf.d');
  const names = await readdir(folder).catch(ignoreMissing);
  const texts = await Promise.all(
    (names ?? [])
      .filter((name) => name.endsWith('.conf'))
      .sort()
      .map((name) => readFile(join(folder, name), 'utf8').catch(ignoreMissing)),
  );
  return texts
    .flatMap((text) => (text ?? '').split('\n').map((line) => line.trim()))
    .filter((line) => line.startsWith('/'));
}

async function findLibrary(
  resolver: PathResolver,
  library: string,
  where: { folders: readonly string[]; architecture: Elf['architecture'] },
): Promise<Elf | undefined> {
  const paths = library.includes('/') ? [library] : where.folders.map((folder) => posix.join(folder, library));
  for (const path of paths) {
    const file = await findFile(resolver, path);
    const elf = file === undefined ? undefined : await readElf(file);
    // Another architecture's library of the same name does not count, as for ld.so.
    if (elf?.architecture === where.architecture) return elf;
  }
  return undefined;
}

async function findFile(resolver: PathResolver, path: string): Promise<string | undefined> {
  const real = await resolver.target(path);
  return (await stat(real).catch(ignoreMissing))?.isFile() ? real : undefined;
}

function ignoreMissing(thrown: unknown): undefined {
  if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return undefined;
  throw thrown;
}
