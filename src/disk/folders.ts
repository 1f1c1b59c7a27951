/**
 * Folders: made whole under a temporary name and renamed into place, so that one with the wrong mode is never seen, not
 * even after a kill.
 */
import { errnoOf } from '../errors.ts';
import type { Attributes } from '../model/files.ts';
import { dirname } from '../model/path.ts';
import type { Disk } from './disk.ts';
import { publish } from './publish.ts';
import { sweepTemporaries } from './temporaries.ts';

/** Who can give files away makes them root's; in tests without root rights they stay the user's. */
function plainAttributes({ self: { uid, gid } }: Disk): Attributes {
  return { mode: 0o755, uid, gid: uid === 0 ? 0 : gid };
}

/** Folders that this process is making now. */
const underWay = new WeakMap<Disk, Map<string, Promise<ReadonlySet<string>>>>();

/**
 * Makes the folder and its missing parents (those 0755 root:root). Returns the folders whose entries changed, to be
 * synced. An existing folder, also by way of a symlink in its parents, is left as it is, and so is one that somebody else
 * makes meanwhile. System errors.
 *
 * One that is made twice at once is made once: a folder that is renamed over an empty one takes its place, and whoever is
 * about to put something into that one finds it gone.
 */
export function makeFolders(
  disk: Disk,
  folder: string,
  { attributes = plainAttributes(disk), name = folder }: MakeOptions = {},
): Promise<ReadonlySet<string>> {
  const making = underWay.get(disk) ?? new Map<string, Promise<ReadonlySet<string>>>();
  underWay.set(disk, making);
  const joined = making.get(name);
  if (joined) return joined;
  const made = makeFolder(disk, folder, { attributes, name }).finally(() => making.delete(name));
  making.set(name, made);
  return made;
}

export interface MakeOptions {
  /** Of the folder itself. */
  readonly attributes?: Attributes;
  /** Its own path, where it is reached by way of an open folder. */
  readonly name?: string;
}

async function makeFolder(
  disk: Disk,
  folder: string,
  { attributes, name }: Required<MakeOptions>,
): Promise<ReadonlySet<string>> {
  if (await isPresent(disk, folder)) return new Set();
  const parent = dirname(folder);
  const changed = new Set(await makeFolders(disk, parent, { name: dirname(name) }));
  // What a run that was killed while it made this very folder left here.
  await sweepTemporaries(disk, parent);
  const make = async (temporary: string) => {
    await disk.mkdir(temporary, 0o700);
    return disk.open(temporary, 'folder-entry');
  };
  try {
    await publish(disk, [{ target: folder, path: folder, verb: 'make', make, attributes, isFolder: true }], {
      touched: changed,
    });
  } catch (thrown) {
    const cause = thrown instanceof Error && errnoOf(thrown.cause) !== undefined ? thrown.cause : thrown;
    // Somebody else made it meanwhile and put something into it, or something else: who asked for it looks.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoOf(cause) ?? '')) throw cause;
  }
  return changed.add(parent);
}

async function isPresent(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.stat(path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}
