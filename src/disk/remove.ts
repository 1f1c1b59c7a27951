/**
 * Removing: single entries, and trees with all that is in them. Symlinks are removed and never followed; a tree is walked
 * on open folders, so that one exchanged for a symlink while we walk leads nowhere. The caller syncs the folders.
 */
import { errnoOf } from '../errors.ts';
import { join } from '../model/path.ts';
import type { Disk } from './disk.ts';
import { faultPoint } from './fault-point.ts';
import { writeError } from './write-error.ts';

/**
 * Removes a file, a symlink or an empty folder. False when there is none, and for a folder in use. `path` is what the host
 * calls it, for messages. NK_FILE_WRITE.
 */
export async function removeEntry(disk: Disk, real: string, path: string): Promise<boolean> {
  const end = faultPoint(`unlink ${path}`);
  try {
    await disk.unlink(real);
    end();
    return true;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
    if (errno !== 'EISDIR' && errno !== 'EPERM') throw writeError('remove', path, thrown);
  }
  try {
    await disk.rmdir(real);
    end();
    return true;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOTEMPTY' || errno === 'EBUSY' || errno === 'ENOENT') return false;
    throw writeError('remove', path, thrown);
  }
}

/** Removes whatever is there with all that is in it; false when there is nothing. System errors. */
export async function removeWhole(disk: Disk, real: string): Promise<boolean> {
  try {
    await disk.unlink(real);
    return true;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
    if (errno !== 'EISDIR' && errno !== 'EPERM') throw thrown;
  }
  return unlessGone(async () => {
    // One that is empty goes where no descriptor is left to look into it.
    if (await isRemoved(disk, real)) return;
    await empty(disk, real);
    await disk.rmdir(real);
  });
}

async function isRemoved(disk: Disk, folder: string): Promise<boolean> {
  try {
    await disk.rmdir(folder);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOTEMPTY' || errnoOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

async function empty(disk: Disk, real: string): Promise<void> {
  const folder = await disk.open(real, 'folder-entry');
  try {
    const inside = `/proc/self/fd/${folder.fd}`;
    for (const { name, type } of await disk.readdir(inside)) {
      // Another sweep of the same folder may be quicker.
      if (type === 'directory') await removeWhole(disk, join(inside, name));
      else await unlessGone(() => disk.unlink(join(inside, name)));
    }
  } finally {
    await folder.close();
  }
}

async function unlessGone(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}
