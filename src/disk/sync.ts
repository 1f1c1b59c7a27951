/** Folders synced: the names in them survive power loss. */
import { errnoOf } from '../errors.ts';
import { inParallel } from '../model/parallel.ts';
import type { Descriptor, Disk } from './disk.ts';

/** Makes the names in the folders durable; folders that are gone are passed over. */
export async function syncFolders(disk: Disk, folders: readonly string[]): Promise<void> {
  await inParallel(folders, 4, async (path) => {
    const folder = await open(disk, path);
    if (!folder) return;
    try {
      await folder.sync();
    } catch (thrown) {
      // Some file systems (such as 9p) cannot sync folders; then there is nothing more to do.
      if (errnoOf(thrown) !== 'EINVAL') throw thrown;
    } finally {
      await folder.close();
    }
  });
}

async function open(disk: Disk, path: string): Promise<Descriptor | undefined> {
  try {
    return await disk.open(path, 'folder');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
