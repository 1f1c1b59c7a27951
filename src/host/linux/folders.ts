/**
 * Folders: made whole under a temporary name and renamed into place, so that one with the wrong mode is never seen, not
 * even after a kill; and synced, so that the names in them survive power loss.
 */
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../errors.ts';
import { faultPoint } from '../faults.ts';
import { inParallel } from '../parallel.ts';
import { releaseTemporary, sweepTemporaries, temporaryIn } from './temporaries.ts';

interface FolderAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who can give files away makes them root's; in tests without root rights they stay the user's. */
function plainAttributes(): FolderAttributes {
  const uid = process.getuid?.() ?? 0;
  return { mode: 0o755, uid, gid: uid === 0 ? 0 : (process.getgid?.() ?? 0) };
}

/**
 * Makes the folder and its missing parents (those 0755 root:root). Returns the folders whose entries changed, to be
 * synced. An existing folder, also by way of a symlink in its parents, is left as it is.
 */
export async function makeFolders(folder: string, attributes = plainAttributes()): Promise<string[]> {
  if (await isPresent(folder)) return [];
  const parent = dirname(folder);
  const changed = await makeFolders(parent);
  // What a run that was killed while it made this very folder left here.
  await sweepTemporaries(parent);
  const temporary = temporaryIn(parent);
  try {
    await mkdir(temporary, 0o700);
    const handle = await open(temporary, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      await handle.chown(attributes.uid, attributes.gid);
      await handle.chmod(attributes.mode);
    } finally {
      await handle.close();
    }
    const end = faultPoint(`rename to the folder ${folder}`);
    await rename(temporary, folder);
    end();
  } catch (thrown) {
    await rmdir(temporary).catch(() => undefined);
    // Somebody else made it meanwhile and put something into it.
    if (errnoOf(thrown) !== 'ENOTEMPTY' && errnoOf(thrown) !== 'EEXIST') throw thrown;
  } finally {
    releaseTemporary(temporary);
  }
  return [...changed, parent];
}

async function isPresent(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/** Makes the names in the folders durable; folders that are gone are passed over. */
export async function syncFolders(folders: readonly string[]): Promise<void> {
  await inParallel(folders, 4, async (folder) => {
    let handle;
    try {
      handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return;
      throw thrown;
    }
    try {
      await handle.sync();
    } catch (thrown) {
      // Some file systems (such as 9p) cannot sync folders; then there is nothing more to do.
      if (errnoOf(thrown) !== 'EINVAL') throw thrown;
    } finally {
      await handle.close();
    }
  });
}
