/** Looking at entries: undefined, or nothing, for what is missing. */
import { errnoOf } from '../errors.ts';
import type { FileStat, FolderEntry } from '../model/files.ts';
import type { Disk } from './disk.ts';

/** The entry itself, with the target of a symlink. */
export async function statOf(disk: Disk, real: string): Promise<FileStat | undefined> {
  const found = await unlessMissing(() => disk.stat(real));
  if (found?.type !== 'symlink') return found;
  return { ...found, target: await disk.readlink(real) };
}

/** Sorted by name. */
export async function entriesOf(disk: Disk, real: string): Promise<FolderEntry[]> {
  const entries = (await unlessMissing(() => disk.readdir(real))) ?? [];
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export async function unlessMissing<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
