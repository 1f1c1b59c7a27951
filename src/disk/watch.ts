/**
 * A folder watched by its path: its entries and, through the folders above it, the folder itself, which may be missing, be
 * removed, renamed or replaced, and come again. The system watches inodes, so each folder on the way has a watch of its
 * own, which is renewed when another inode has the name. Nothing tells of a symlink on the way whose target is renamed
 * elsewhere: now and then we look.
 */
import { errnoOf } from '../errors.ts';
import { basename, dirname } from '../model/path.ts';
import type { Disk } from './disk.ts';
import { createFolderEvents, type FolderEvents } from './folder-events.ts';

const lookMs = 30_000;

export interface WatchedFolder extends Pick<FolderEvents, typeof Symbol.asyncIterator> {
  close(): void;
}

interface Level {
  readonly path: string;
  /** Which inode is watched; undefined when there is no such folder. */
  identity?: string | undefined;
  unwatch?: (() => void) | undefined;
  /** Something happened to the folder itself: the same inode number may be another folder by now. */
  stale?: boolean;
}

/** `locate` says where the folder lies in our own file system, each time anew. Resolves when nothing will be missed. */
export async function watchFolder(disk: Disk, locate: () => Promise<string>): Promise<WatchedFolder> {
  const events = createFolderEvents();
  let levels: Level[] = [];
  const state = { closed: false, looking: false, again: false };

  const close = (error?: unknown): void => {
    state.closed = true;
    clearInterval(timer);
    for (const { unwatch } of levels) unwatch?.();
    levels = [];
    events.end(error);
  };

  const onEvent = (level: Level, name: string, inPlace: boolean): void => {
    const index = levels.indexOf(level);
    const next = levels[index + 1];
    if (!next && name !== '') events.push({ type: 'changed', names: [name], inPlace: inPlace ? [name] : [] });
    const itself = name === '' || name === basename(level.path);
    if (!itself && (!next || name !== basename(next.path))) return;
    for (const below of levels.slice(itself ? index : index + 1)) below.stale = true;
    look();
  };

  /** Whether the folder is watched anew, or is no longer there to be watched. */
  const renew = async (): Promise<boolean> => {
    const path = await locate();
    const moved = levels.at(-1)?.path !== path;
    if (moved) {
      for (const { unwatch } of levels) unwatch?.();
      levels = pathsDownTo(path).map((level) => ({ path: level }));
    }
    let renewed = moved;
    for (const level of levels) {
      renewed = await renewLevel(disk, level, (name, inPlace) => onEvent(level, name, inPlace));
      if (state.closed) level.unwatch?.();
    }
    return renewed;
  };

  /** Looks whether every watch is still on what has the name; what is asked for meanwhile follows. */
  const look = (): void => {
    state.again = true;
    if (state.looking) return;
    state.looking = true;
    void (async () => {
      while (state.again && !state.closed) {
        state.again = false;
        if (await renew()) events.push({ type: levels.at(-1)?.identity === undefined ? 'missing' : 'present' });
      }
    })()
      .catch((thrown: unknown) => close(thrown))
      .finally(() => (state.looking = false));
  };

  const timer = setInterval(look, lookMs);
  try {
    await renew();
  } catch (thrown) {
    close();
    throw thrown;
  }
  return { [Symbol.asyncIterator]: () => events[Symbol.asyncIterator](), close: () => close() };
}

/** `/`, `/a`, `/a/b` for `/a/b`. */
function pathsDownTo(path: string): string[] {
  return path === '/' ? ['/'] : [...pathsDownTo(dirname(path)), path];
}

/** Whether its watch is another one now, or gone. */
async function renewLevel(
  disk: Disk,
  level: Level,
  onEvent: (name: string, inPlace: boolean) => void,
): Promise<boolean> {
  const identity = await identityOf(disk, level.path);
  if (identity === level.identity && level.stale !== true) return false;
  const before = level.identity;
  level.unwatch?.();
  level.unwatch = undefined;
  level.identity = undefined;
  level.stale = false;
  if (identity === undefined) return before !== undefined;
  try {
    level.unwatch = disk.watch(level.path, onEvent);
  } catch (thrown) {
    if (!isGone(thrown)) throw thrown;
    return before !== undefined;
  }
  level.identity = identity;
  // Another may have taken its name before the watch was there.
  if ((await identityOf(disk, level.path)) !== identity) {
    level.stale = true;
    await renewLevel(disk, level, onEvent);
  }
  return true;
}

async function identityOf(disk: Disk, path: string): Promise<string | undefined> {
  let folder;
  try {
    folder = await disk.open(path, 'folder');
  } catch (thrown) {
    if (isGone(thrown)) return undefined;
    throw thrown;
  }
  try {
    const { device, inode } = await folder.stat();
    return `${device}:${inode}`;
  } finally {
    await folder.close();
  }
}

function isGone(thrown: unknown): boolean {
  return errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR';
}
