/**
 * Files of a Linux host, below its root: paths are resolved inside it, and what the disk does is `src/disk`.
 *
 * In: absolute host paths, bytes, mode bits. Errors: NK_FILE_WRITE for whatever writing fails on; reading throws the
 * system's own errors.
 */
import type { Descriptor, Disk } from '../../disk/disk.ts';
import { entriesOf, statOf, unlessMissing } from '../../disk/entries.ts';
import { faultPoint } from '../../disk/fault-point.ts';
import { nodeDisk } from '../../disk/node-disk.ts';
import { placeFile } from '../../disk/place.ts';
import { lanes } from '../../disk/publish.ts';
import { openRegular, readRange, readWhole } from '../../disk/read.ts';
import { removeEntry, removeWhole } from '../../disk/remove.ts';
import { createPathResolver, type PathResolver } from '../../disk/resolve.ts';
import { continueFile, stageFile, type Staged } from '../../disk/staged.ts';
import { syncFolders } from '../../disk/sync.ts';
import { claimFolder, releaseTemporary, sweepTemporaries, temporaryIn } from '../../disk/temporaries.ts';
import { watchFolder } from '../../disk/watch.ts';
import { writeError } from '../../disk/write-error.ts';
import { depth, entryOf, locate, writeEntries } from '../../disk/write.ts';
import { bytesOf } from '../../model/bytes.ts';
import { inParallel } from '../../model/parallel.ts';
import { basename, dirname, join } from '../../model/path.ts';
import { createDigest } from '../digest.ts';
import { largestRead, type ContinuedFile, type Files, type OpenFile } from '../port.ts';

export function createLinuxFiles(root: string, disk: Disk = nodeDisk): Files {
  const resolver = createPathResolver(disk, root);
  const about: About = { disk, resolver };
  return { ...reading(about), ...writing(about), ...removing(about), ...whole(about) };
}

interface About {
  readonly disk: Disk;
  readonly resolver: PathResolver;
}

function reading({
  disk,
  resolver,
}: About): Pick<Files, 'stat' | 'read' | 'open' | 'list' | 'entries' | 'digest' | 'realPath'> {
  const entries: Files['entries'] = async (path) => entriesOf(disk, await resolver.target(path));
  return {
    stat: async (path) => statOf(disk, await resolver.entry(path)),
    read: (path, { maxBytes = largestRead } = {}) =>
      unlessMissing(async () => readWhole(disk, await resolver.target(path), maxBytes)),
    open: (path) => unlessMissing(async () => openFile(disk, await resolver.target(path))),
    list: async (path) => (await entries(path)).map(({ name }) => name),
    entries,
    digest: async (path) => {
      const digest = createDigest();
      await readThrough(disk, await resolver.target(path), (chunk) => digest.update(chunk));
      return `sha256:${digest.hex()}`;
    },
    realPath: (path) => resolver.entry(path),
  };
}

function writing({
  disk,
  resolver,
}: About): Pick<
  Files,
  | 'write'
  | 'stage'
  | 'continue'
  | 'claimFolder'
  | 'releaseFolder'
  | 'temporaryFolder'
  | 'writeKernel'
  | 'place'
  | 'move'
> {
  /** A folder to put something into, made when missing. */
  const folderOf = async (path: string): Promise<string> => {
    const touched = new Set<string>();
    // Of an entry in it, so that a folder behind a symlink is the one meant.
    const real = dirname(await locate({ disk, resolver, touched }, join(path, 'entry')));
    await syncFolders(disk, [...touched]);
    return real;
  };
  return {
    write: (writes) => writeEntries(disk, resolver, writes),

    stage: async (folder) => hashed(await stageFile(disk, await folderOf(folder), folder), folder),

    continue: async (folder, name) => {
      const staged = await continueFile(disk, { folder: await folderOf(folder), name: basename(name), path: folder });
      const digest = createDigest();
      for (let position = 0; position < staged.size; position += readSize)
        digest.update(await staged.read(position, readSize));
      return hashed(staged, folder, digest);
    },

    claimFolder: async (folder, name) => {
      const real = await folderOf(folder);
      try {
        return join(folder, basename(await claimFolder(disk, real, name)));
      } catch (thrown) {
        throw writeError('make a folder in', folder, thrown);
      }
    },

    releaseFolder: async (path) => releaseTemporary(await resolver.entry(path)),

    temporaryFolder: async (folder) => {
      const temporary = temporaryIn(disk, await folderOf(folder));
      try {
        await disk.mkdir(temporary, 0o700);
      } catch (thrown) {
        releaseTemporary(temporary);
        throw writeError('make a folder in', folder, thrown);
      }
      return join(folder, basename(temporary));
    },

    writeKernel: async (path, value) => {
      const file = await disk.open(await resolver.target(path), 'overwrite');
      try {
        await file.write(bytesOf(value), 0);
      } finally {
        await file.close();
      }
    },

    place: async (source, target, attributes) => {
      const touched = new Set<string>();
      const from = await resolver.target(source);
      const to = await locate({ disk, resolver, touched }, target);
      const method = await placeFile(disk, { from, to, path: target, attributes, touched });
      await syncFolders(disk, [...touched]);
      return method;
    },

    move: async (from, to) => {
      const touched = new Set<string>();
      const source = await entryOf(resolver, from, 'move');
      const target = await locate({ disk, resolver, touched }, to);
      const end = faultPoint(`rename to ${to}`);
      try {
        await disk.rename(source, target);
      } catch (thrown) {
        throw writeError('move', to, thrown);
      }
      releaseTemporary(source);
      end();
      await syncFolders(disk, [...touched.add(dirname(source))]);
    },
  };
}

/** With its digest, which grows as it does. */
function hashed(staged: Staged, folder: string, digest = createDigest()): ContinuedFile {
  return {
    path: join(folder, basename(staged.temporary)),
    get size() {
      return staged.size;
    },
    append: async (chunk) => {
      const room = staged.append(chunk);
      // While it is being written.
      digest.update(chunk);
      await room;
    },
    restart: async () => {
      await staged.restart();
      digest = createDigest();
    },
    digest: async () => {
      await staged.settle();
      return `sha256:${digest.hex()}`;
    },
    read: (position, length) => staged.read(position, length),
    publish: (name, attributes) => staged.publish(name, attributes),
    keep: () => staged.keep(),
    discard: () => staged.discard(),
  };
}

function removing({ disk, resolver }: About): Pick<Files, 'remove' | 'removeTree' | 'sweep'> {
  return {
    remove: async (paths) => {
      const removed = new Set<string>();
      const parents = new Set<string>();
      // Deepest first, so that a folder given together with its content goes too.
      for (const path of [...paths].sort((a, b) => depth(b) - depth(a))) {
        const real = await entryOf(resolver, path, 'remove');
        parents.add(dirname(real));
        if (await removeEntry(disk, real, path)) removed.add(path);
      }
      await inParallel([...parents], lanes, (parent) => sweepTemporaries(disk, parent));
      await syncFolders(disk, [...parents]);
      return paths.filter((path) => removed.has(path));
    },

    removeTree: async (path) => {
      const real = await entryOf(resolver, path, 'remove');
      const end = faultPoint(`remove the tree ${path}`);
      try {
        const removed = await removeWhole(disk, real);
        releaseTemporary(real);
        await syncFolders(disk, [dirname(real)]);
        end();
        return removed;
      } catch (thrown) {
        throw writeError('remove', path, thrown);
      }
    },

    sweep: async (folders) => {
      for (const folder of folders) await sweepTemporaries(disk, await resolver.target(folder));
    },
  };
}

/** What concerns whole folders and file systems rather than entries. */
function whole({ disk, resolver }: About): Pick<Files, 'warm' | 'space' | 'watch'> {
  return {
    warm: async (paths) => {
      const sizes = await inParallel(paths, lanes / 2, async (path) => {
        try {
          const real = await resolver.target(path);
          return (await isCached(disk, real)) ? 0 : await readThrough(disk, real, () => undefined);
        } catch {
          return 0;
        }
      });
      return sizes.reduce((sum, size) => sum + size, 0);
    },

    space: async (folder) => {
      for (let real = await resolver.target(folder); ; real = dirname(real)) {
        const found = await unlessMissing(() => disk.space(real));
        if (found) return found;
      }
    },

    watch: (folder) => watchFolder(disk, () => resolver.target(folder)),
  };
}

const readSize = 1024 * 1024;

async function openFile(disk: Disk, real: string): Promise<OpenFile> {
  const { file } = await openRegular(disk, real);
  let closed = false;
  return {
    stat: await file.stat(),
    read: (position, length) => readRange(file, position, length),
    close: async () => {
      if (closed) return;
      closed = true;
      await file.close();
    },
  };
}

/** Reads a regular file once, in order; returns its length. */
async function readThrough(disk: Disk, real: string, use: (chunk: Uint8Array) => void): Promise<number> {
  const { file } = await openRegular(disk, real);
  try {
    const buffer = new Uint8Array(readSize);
    for (let total = 0; ;) {
      const read = await file.read(buffer, total);
      if (read === 0) return total;
      use(buffer.subarray(0, read));
      total += read;
    }
  } finally {
    await file.close();
  }
}

const samples = 16;
const worthSampling = 1024 * 1024;
/** A page out of the page cache takes a few microseconds, one from the fastest disk a hundred. */
const cachedMs = 0.8;

/**
 * Guesses by the time that pages spread over the file take to read: reading 100 MB that are there already costs tens of
 * milliseconds on a machine that has better things to do. The first slow page settles it.
 */
async function isCached(disk: Disk, real: string): Promise<boolean> {
  const { file, size } = await openRegular(disk, real);
  try {
    return size >= worthSampling && pagesCome(file, size);
  } finally {
    await file.close();
  }
}

function pagesCome(file: Descriptor, size: number): boolean {
  const page = new Uint8Array(4096);
  const started = performance.now();
  for (let index = 0; index < samples; index += 1) {
    file.readNow(page, Math.floor((size / samples) * index));
    if (performance.now() - started > cachedMs) return false;
  }
  return true;
}
