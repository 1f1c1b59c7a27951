/**
 * Files of a Linux host, below its root: paths are resolved inside it, and what the disk does is `src/disk`.
 *
 * In: absolute host paths, bytes, mode bits. Errors: NK_FILE_WRITE for whatever writing fails on; reading throws the
 * system's own errors.
 */
import { errnoOf } from '../../errors.ts';
import type { Descriptor, Disk } from '../../disk/disk.ts';
import { entriesOf, statOf, unlessMissing } from '../../disk/entries.ts';
import { faultPoint } from '../../disk/fault-point.ts';
import { nodeDisk } from '../../disk/node-disk.ts';
import { placeFile } from '../../disk/place.ts';
import { lanes } from '../../disk/publish.ts';
import { openRegular, readRange, readWhole, type Opening } from '../../disk/read.ts';
import { removeEntry, removeWhole } from '../../disk/remove.ts';
import { createPathResolver, holding, type PathResolver, type Places } from '../../disk/resolve.ts';
import { continueFile, stageFile, type Staged } from '../../disk/staged.ts';
import { syncFolders } from '../../disk/sync.ts';
import { claimFolder, releaseTemporary, sweepTemporaries, temporaryIn } from '../../disk/temporaries.ts';
import { watchFolder } from '../../disk/watch.ts';
import { writeError } from '../../disk/write-error.ts';
import { changeAttributes, depth, locate, writeEntries } from '../../disk/write.ts';
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
}: About): Pick<Files, 'stat' | 'read' | 'open' | 'list' | 'entries' | 'digest' | 'realPath' | 'exposure'> {
  const entries: Files['entries'] = (path) =>
    holding(
      resolver,
      async (places) => (await unlessMissing(async () => entriesOf(disk, await places.target(path)))) ?? [],
    );
  return {
    stat: (path) =>
      unlessUnsafe(() =>
        holding(resolver, (places) => unlessMissing(async () => statOf(disk, await places.entry(path)))),
      ),
    read: (path, { maxBytes = largestRead } = {}) =>
      holding(resolver, (places) => unlessMissing(async () => readWhole(places, path, maxBytes))),
    open: (path) => holding(resolver, (places) => unlessMissing(async () => openFile(places, path))),
    list: async (path) => (await entries(path)).map(({ name }) => name),
    entries,
    digest: (path) =>
      holding(resolver, async (places) => {
        const digest = createDigest();
        await readThrough(places, path, (chunk) => digest.update(chunk));
        return `sha256:${digest.hex()}`;
      }),
    realPath: (path) => resolver.entry(path),
    exposure: (path) => resolver.exposure(path),
  };
}

/** Behind a link that is not followed there is nothing of anybody's. */
async function unlessUnsafe<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (errnoOf(thrown) === 'NK_PATH_UNSAFE') return undefined;
    throw thrown;
  }
}

/** A folder to put something into, made when missing. NK_FILE_WRITE. */
async function folderOf({ disk }: About, places: Places, path: string): Promise<string> {
  const touched = new Set<string>();
  // Of an entry in it, so that a folder behind a symlink is the one meant.
  const real = dirname(await locate({ disk, places, touched }, join(path, 'entry')));
  await syncFolders(disk, [...touched]);
  return real;
}

function writing(
  about: About,
): Pick<
  Files,
  | 'write'
  | 'stage'
  | 'continue'
  | 'claimFolder'
  | 'releaseFolder'
  | 'temporaryFolder'
  | 'writeKernel'
  | 'setAttributes'
  | 'place'
  | 'move'
> {
  const { disk, resolver } = about;
  return {
    write: (writes) => holding(resolver, (places) => writeEntries(disk, places, writes)),

    stage: (folder) => fileIn(about, folder, (real) => stageFile(disk, real, folder)),

    continue: (folder, name) =>
      fileIn(about, folder, (real) => continueFile(disk, { folder: real, name: basename(name), path: folder })),

    claimFolder: (folder, name) =>
      holding(resolver, async (places) => {
        const real = await folderOf(about, places, folder);
        try {
          return join(folder, basename(await claimFolder(disk, real, name)));
        } catch (thrown) {
          throw writeError('make a folder in', folder, thrown);
        }
      }),

    releaseFolder: async (path) => releaseTemporary(path),

    temporaryFolder: (folder) =>
      holding(resolver, async (places) => {
        const temporary = temporaryIn(disk, await folderOf(about, places, folder));
        try {
          await disk.mkdir(temporary, 0o700);
        } catch (thrown) {
          releaseTemporary(temporary);
          throw writeError('make a folder in', folder, thrown);
        }
        return join(folder, basename(temporary));
      }),

    writeKernel: (path, value) =>
      holding(resolver, async (places) => {
        const file = await disk.open(await places.target(path), 'overwrite');
        try {
          await file.write(bytesOf(value), 0);
        } finally {
          await file.close();
        }
      }),

    setAttributes: (path, wanted) =>
      holding(resolver, async (places) => {
        try {
          const real = await unlessMissing(() => places.entry(path));
          const found = real === undefined ? undefined : await statOf(disk, real);
          if (real !== undefined && found) await changeAttributes(disk, real, { found, wanted });
        } catch (thrown) {
          throw writeError('put mode and owner right of', path, thrown);
        }
      }),

    place: (source, target, attributes) =>
      holding(resolver, async (places) => {
        const touched = new Set<string>();
        const from = await places.target(source).catch((thrown: unknown) => {
          throw writeError('place', target, thrown);
        });
        const to = await locate({ disk, places, touched }, target);
        const method = await placeFile(disk, { from, to, path: target, attributes, touched });
        await syncFolders(disk, [...touched]);
        return method;
      }),

    move: (from, to) =>
      holding(resolver, async (places) => {
        const touched = new Set<string>();
        try {
          const source = await places.entry(from);
          const target = await locate({ disk, places, touched }, to);
          const end = faultPoint(`rename to ${to}`);
          await disk.rename(source, target);
          releaseTemporary(source);
          end();
          touched.add(dirname(source));
        } catch (thrown) {
          throw writeError('move', to, thrown);
        }
        await syncFolders(disk, [...touched]);
      }),
  };
}

/** Its folder is held for as long as it is in the making. */
async function fileIn(about: About, folder: string, begin: (real: string) => Promise<Staged>): Promise<ContinuedFile> {
  const places = about.resolver.hold();
  try {
    const staged = await begin(await folderOf(about, places, folder));
    const digest = createDigest();
    for (let position = 0; position < staged.size; position += readSize)
      digest.update(await staged.read(position, readSize));
    return hashed({ staged, folder, places }, digest);
  } catch (thrown) {
    const named = places.named(thrown);
    await places.release();
    throw named;
  }
}

interface InTheMaking {
  readonly staged: Staged;
  readonly folder: string;
  readonly places: Places;
}

/** With its digest, which grows as it does. */
function hashed({ staged, folder, places }: InTheMaking, digest = createDigest()): ContinuedFile {
  const ending = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      throw places.named(thrown);
    } finally {
      await places.release();
    }
  };
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
    publish: (name, attributes) => ending(staged.publish(name, attributes)),
    keep: () => ending(staged.keep()),
    discard: () => ending(staged.discard()),
  };
}

function removing({ disk, resolver }: About): Pick<Files, 'remove' | 'removeTree' | 'sweep'> {
  /** The entry, unless nothing leads there. */
  const present = (places: Places, path: string): Promise<string | undefined> =>
    unlessUnsafe(() => unlessMissing(() => places.entry(path))).catch((thrown: unknown) => {
      throw writeError('remove', path, thrown);
    });
  return {
    remove: (paths) =>
      holding(resolver, async (places) => {
        const removed = new Set<string>();
        const parents = new Set<string>();
        // Deepest first, so that a folder given together with its content goes too.
        for (const path of [...paths].sort((a, b) => depth(b) - depth(a))) {
          const real = await present(places, path);
          if (real === undefined) continue;
          parents.add(dirname(real));
          if (await removeEntry(disk, real, path)) removed.add(path);
        }
        await inParallel([...parents], lanes, (parent) => sweepTemporaries(disk, parent));
        await syncFolders(disk, [...parents]);
        return paths.filter((path) => removed.has(path));
      }),

    removeTree: (path) =>
      holding(resolver, async (places) => {
        const real = await present(places, path);
        if (real === undefined) return false;
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
      }),

    sweep: async (folders) => {
      for (const folder of folders)
        await holding(resolver, (places) =>
          unlessMissing(async () => sweepTemporaries(disk, await places.target(folder))),
        );
    },
  };
}

/** What concerns whole folders and file systems rather than entries. */
function whole({ disk, resolver }: About): Pick<Files, 'warm' | 'space' | 'watch'> {
  return {
    warm: async (paths) => {
      const sizes = await inParallel(paths, lanes / 2, async (path) => {
        try {
          return await holding(resolver, async (places) =>
            (await isCached(places, path)) ? 0 : await readThrough(places, path, () => undefined),
          );
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

async function openFile(from: Opening, path: string): Promise<OpenFile> {
  const { file } = await openRegular(from, path);
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
async function readThrough(from: Opening, path: string, use: (chunk: Uint8Array) => void): Promise<number> {
  const { file } = await openRegular(from, path);
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
async function isCached(from: Opening, path: string): Promise<boolean> {
  const { file, size } = await openRegular(from, path);
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
