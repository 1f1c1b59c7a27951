/**
 * Batches of exact entries: folders, and symlinks that others lead through, one after the other; then all files and the
 * other symlinks as one publication. What is right already is not written; its folder is synced all the same, because an
 * earlier run may have been killed between rename and fsync.
 *
 * In: entries with the paths that the host gives them and where these lie. Errors: NK_FILE_WRITE, and NK_INTERNAL for two
 * writes to one path.
 */
import { NodekilnError } from '../errors.ts';
import { equalBytes } from '../model/bytes.ts';
import type { Attributes, FileStat, FileWrite, WriteOutcome } from '../model/files.ts';
import { dirname } from '../model/path.ts';
import { inParallel } from '../model/parallel.ts';
import { isOthers } from '../model/trust.ts';
import type { Descriptor, Disk } from './disk.ts';
import { statOf } from './entries.ts';
import { faultPoint } from './fault-point.ts';
import { makeFolders } from './folders.ts';
import { lanes, publish, setAttributes, writeAll, type Publication } from './publish.ts';
import { readWhole } from './read.ts';
import { normalise, type Places } from './resolve.ts';
import { syncFolders } from './sync.ts';
import { sweepTemporaries } from './temporaries.ts';
import { writeError } from './write-error.ts';

type FileEntry = Extract<FileWrite, { type: 'file' }>;
type DirectoryEntry = Extract<FileWrite, { type: 'directory' }>;
type SymlinkEntry = Extract<FileWrite, { type: 'symlink' }>;

export async function writeEntries(disk: Disk, places: Places, writes: readonly FileWrite[]): Promise<WriteOutcome[]> {
  const outcomes = new Map<string, WriteOutcome>();
  const locating = { disk, places, touched: new Set<string>() };
  const { touched } = locating;
  const [first, second] = stages(writes);
  for (const write of first) {
    const real = await locate(locating, write.path);
    outcomes.set(
      write.path,
      write.type === 'directory'
        ? await writeDirectory(disk, write, real)
        : await writeTogether(disk, [{ write, real }], touched).then(([outcome = 'unchanged']) => outcome),
    );
    places.forget();
  }
  const located: Located[] = [];
  for (const write of second) located.push({ write, real: await locate(locating, write.path) });
  const results = await writeTogether(disk, located, touched);
  for (const [index, { write }] of located.entries()) outcomes.set(write.path, results[index] ?? 'unchanged');
  await syncFolders(disk, [...touched]);
  return writes.map((write) => outcomes.get(write.path) ?? 'unchanged');
}

export interface Locating {
  readonly disk: Disk;
  readonly places: Places;
  /** Collects the folders to sync. */
  readonly touched: Set<string>;
}

/** The path of a target, its folder made and swept. NK_FILE_WRITE. */
export async function locate({ disk, places, touched }: Locating, path: string): Promise<string> {
  try {
    const real = await places.made(path, touched);
    const folder = dirname(real);
    if (!touched.has(folder)) await sweepTemporaries(disk, folder);
    touched.add(folder);
    return real;
  } catch (thrown) {
    throw writeError('make the folder of', path, thrown);
  }
}

/** Folders, and symlinks that lead to other targets of the same batch, come before what lies behind them. */
function stages(writes: readonly FileWrite[]): [(DirectoryEntry | SymlinkEntry)[], (FileEntry | SymlinkEntry)[]] {
  const ancestors = new Set<string>();
  const seen = new Set<string>();
  for (const write of writes) {
    const path = normalise(write.path);
    if (seen.has(path)) throw new NodekilnError('NK_INTERNAL', `two writes to ${path} in one batch`);
    seen.add(path);
    for (let up = dirname(path); up !== '/'; up = dirname(up)) ancestors.add(up);
  }
  const first: (DirectoryEntry | SymlinkEntry)[] = [];
  const second: (FileEntry | SymlinkEntry)[] = [];
  for (const write of writes) {
    if (write.type === 'directory') first.push(write);
    else if (write.type === 'symlink' && ancestors.has(normalise(write.path))) first.push(write);
    else second.push(write);
  }
  first.sort((a, b) => depth(a.path) - depth(b.path));
  return [first, second];
}

/** How many names lead to it. */
export function depth(path: string): number {
  return normalise(path).split('/').length;
}

async function writeDirectory(disk: Disk, write: DirectoryEntry, real: string): Promise<WriteOutcome> {
  try {
    let found = await statOf(disk, real);
    const replaced = found?.type === 'symlink';
    if (replaced) {
      await disk.unlink(real);
      found = undefined;
    }
    if (found === undefined) {
      await makeFolders(disk, real, { attributes: write });
      // Somebody who asks for nothing special may have made it meanwhile.
      const made = await statOf(disk, real);
      if (made?.type === 'directory') await changeAttributes(disk, real, { found: made, wanted: write });
      return replaced ? 'replaced' : 'created';
    }
    if (found.type !== 'directory') {
      throw new NodekilnError('NK_FILE_WRITE', `cannot make the folder ${write.path}: a file is in its place`, {
        hint: 'Remove or rename the file, or correct the path.',
        resource: `file:${write.path}`,
      });
    }
    return (await changeAttributes(disk, real, { found, wanted: write })) ? 'attributes' : 'unchanged';
  } catch (thrown) {
    throw writeError('make', write.path, thrown);
  }
}

interface Located {
  readonly write: FileEntry | SymlinkEntry;
  readonly real: string;
}

async function writeTogether(disk: Disk, entries: readonly Located[], touched: Set<string>): Promise<WriteOutcome[]> {
  const looked = await inParallel(entries, lanes, (entry) => lookAt(disk, entry));
  const publications = looked.flatMap(({ publication }) => publication ?? []);
  await publish(disk, publications, { touched });
  return looked.map(({ outcome }) => outcome);
}

/** What can be done without a new entry is done: nothing, or new attributes. */
async function lookAt(
  disk: Disk,
  { write, real }: Located,
): Promise<{ outcome: WriteOutcome; publication?: Publication }> {
  try {
    const found = await statOf(disk, real);
    if (found?.type === 'directory') {
      throw new NodekilnError('NK_FILE_WRITE', `cannot write ${write.path}: a folder is in its place`, {
        hint: 'Remove or rename the folder, or correct the path.',
        resource: `file:${write.path}`,
      });
    }
    const settled = found && (await settleInPlace(disk, { write, real, found }));
    if (settled) return { outcome: settled };
    return { outcome: found ? 'replaced' : 'created', publication: publicationOf(disk, { write, real }) };
  } catch (thrown) {
    throw writeError('write', write.path, thrown);
  }
}

function publicationOf(disk: Disk, { write, real }: Located): Publication {
  const common = { target: real, path: write.path };
  if (write.type === 'file')
    return { ...common, attributes: write, make: (temporary) => writeTemporary(disk, temporary, write.content) };
  const make = async (temporary: string): Promise<undefined> => {
    await disk.symlink(write.target, temporary);
  };
  return { ...common, make };
}

async function writeTemporary(disk: Disk, temporary: string, content: Uint8Array): Promise<Descriptor> {
  const descriptor = await disk.open(temporary, 'create');
  try {
    await writeAll(descriptor, content, 0);
    return descriptor;
  } catch (thrown) {
    await descriptor.close();
    throw thrown;
  }
}

async function settleInPlace(
  disk: Disk,
  { write, real, found }: Located & { readonly found: FileStat },
): Promise<WriteOutcome | undefined> {
  if (write.type === 'symlink') return found.target === write.target ? 'unchanged' : undefined;
  if (found.type !== 'file' || found.size !== write.content.byteLength) return undefined;
  const same = sameAttributes(found, write);
  // A hard link shares its attributes with other names, such as a binary with its cached original; and what others could
  // write to they may still have open.
  if (!same && (found.links > 1 || isOthers(found, disk.self))) return undefined;
  if (write.content.byteLength > 0 && !equalBytes(await readWhole(disk, real), write.content)) return undefined;
  if (same) return 'unchanged';
  return (await changeAttributes(disk, real, { found, wanted: write })) ? 'attributes' : 'unchanged';
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

/** Mode and owner on a descriptor of exactly the entry that was seen. */
export async function changeAttributes(
  disk: Disk,
  real: string,
  { found, wanted }: { readonly found: FileStat; readonly wanted: Attributes },
): Promise<boolean> {
  if (sameAttributes(found, wanted)) return false;
  const descriptor = await disk.open(real, 'read-entry');
  const end = faultPoint(`change the attributes of ${real}`);
  try {
    if ((await descriptor.stat()).inode !== found.inode)
      throw new Error('it was replaced while its attributes were changed');
    await setAttributes(descriptor, wanted);
    await descriptor.sync();
  } finally {
    await descriptor.close();
  }
  end();
  return true;
}
