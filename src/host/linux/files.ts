/**
 * Files of a Linux host: reading, and durable exact writing as the port promises. The order of a batch is: folders,
 * then every temporary file, then their fsyncs together (the file system commits them at once), then the renames, then
 * one fsync per folder. Content that is right already is not written; its folder is synced all the same, because an
 * earlier run may have been killed between rename and fsync.
 *
 * In: absolute host paths, bytes, mode bits. Errors: NK_FILE_WRITE for whatever writing fails on; reading throws the
 * system's own errors.
 */
import { createHash } from 'node:crypto';
import { constants, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, readdir, readFile, readlink, rename, rmdir, symlink, unlink } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import { errnoOf, NodekilnError } from '../../errors.ts';
import { faultPoint } from '../faults.ts';
import { inParallel } from '../parallel.ts';
import type { Files, FileStat, FileType, FileWrite, WriteOutcome } from '../port.ts';
import { makeFolders, syncFolders } from './folders.ts';
import { createPathResolver, normalise } from './paths.ts';
import { placeFile } from './place.ts';
import { discardTemporary, releaseTemporary, sweepTemporaries, temporaryIn } from './temporaries.ts';
import { writeError } from './write-error.ts';

/** More does not help: Node has four file system threads. */
const lanes = 8;
/** Descriptors held open between writing and fsync. */
const batchSize = 128;
const readSize = 1024 * 1024;

type FileEntry = Extract<FileWrite, { type: 'file' }>;
type DirectoryEntry = Extract<FileWrite, { type: 'directory' }>;
type SymlinkEntry = Extract<FileWrite, { type: 'symlink' }>;

export function createLinuxFiles(root: string): Files {
  const resolver = createPathResolver(root);

  return {
    stat: async (path) => statEntry(await resolver.entry(path)),

    read: async (path) => unlessMissing(async () => readFile(await resolver.target(path))),

    realPath: (path) => resolver.entry(path),

    list: async (path) => {
      const names = await unlessMissing(async () => readdir(await resolver.target(path)));
      return (names ?? []).sort();
    },

    write: async (writes) => {
      const outcomes = new Map<string, WriteOutcome>();
      const [folders, entries] = stages(writes);
      const touched = new Set<string>();
      for (const write of folders) {
        const real = await locate(write.path, touched);
        const outcome =
          write.type === 'directory' ? await writeDirectory(write, real) : await writeEntries([{ write, real }]);
        outcomes.set(write.path, Array.isArray(outcome) ? (outcome[0] ?? 'unchanged') : outcome);
      }
      const located = await inParallel(entries, lanes, async (write) => ({
        write,
        real: await entryOf(write.path, 'write'),
      }));
      for (const { write, real } of located) await prepareFolder(real, write.path, touched);
      const results = await writeEntries(located);
      for (const [index, { write }] of located.entries()) outcomes.set(write.path, results[index] ?? 'unchanged');
      await syncFolders([...touched]);
      return writes.map((write) => outcomes.get(write.path) ?? 'unchanged');
    },

    writeKernel: async (path, value) => {
      const handle = await open(await resolver.target(path), constants.O_WRONLY);
      try {
        await handle.write(value);
      } finally {
        await handle.close();
      }
    },

    remove: async (paths) => {
      const removed = new Set<string>();
      const parents = new Set<string>();
      // Deepest first, so that a folder given together with its content goes too.
      for (const path of [...paths].sort((a, b) => depth(b) - depth(a))) {
        const real = await entryOf(path, 'remove');
        parents.add(dirname(real));
        if (await removeEntry(real, path)) removed.add(path);
      }
      await inParallel([...parents], lanes, sweepTemporaries);
      await syncFolders([...parents]);
      return paths.filter((path) => removed.has(path));
    },

    place: async (source, target, attributes) => {
      const touched = new Set<string>();
      const from = await resolver.target(source);
      const to = await locate(target, touched);
      const method = await placeFile({ from, to, path: target, ...attributes });
      await syncFolders([...touched]);
      return method;
    },

    digest: async (path) => {
      const hash = createHash('sha256');
      await readThrough(await resolver.target(path), (chunk) => hash.update(chunk));
      return `sha256:${hash.digest('hex')}`;
    },

    warm: async (paths) => {
      const sizes = await inParallel(paths, lanes / 2, async (path) => {
        try {
          const real = await resolver.target(path);
          return (await isCached(real)) ? 0 : await readThrough(real, () => undefined);
        } catch {
          return 0;
        }
      });
      return sizes.reduce((sum, size) => sum + size, 0);
    },
  };

  async function entryOf(path: string, verb: string): Promise<string> {
    try {
      return await resolver.entry(path);
    } catch (thrown) {
      throw writeError(verb, path, thrown);
    }
  }

  /** The real path of a target, its folder made and swept. `touched` collects the folders to sync. */
  async function locate(path: string, touched: Set<string>): Promise<string> {
    const real = await entryOf(path, 'write');
    await prepareFolder(real, path, touched);
    return real;
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
async function isCached(real: string): Promise<boolean> {
  const handle = await open(real, constants.O_RDONLY);
  try {
    const { size } = await handle.stat();
    if (size < worthSampling) return false;
    const page = Buffer.alloc(4096);
    const started = performance.now();
    for (let index = 0; index < samples; index += 1) {
      readSync(handle.fd, page, 0, page.length, Math.floor((size / samples) * index));
      if (performance.now() - started > cachedMs) return false;
    }
    return true;
  } finally {
    await handle.close();
  }
}

async function prepareFolder(real: string, path: string, touched: Set<string>): Promise<void> {
  const folder = dirname(real);
  if (touched.has(folder)) return;
  try {
    for (const changed of await makeFolders(folder)) touched.add(changed);
    await sweepTemporaries(folder);
  } catch (thrown) {
    throw writeError('make the folder of', path, thrown);
  }
  touched.add(folder);
}

/** Folders, and symlinks that lead to other targets of the same batch, come before what lies behind them. */
function stages(writes: readonly FileWrite[]): [(DirectoryEntry | SymlinkEntry)[], (FileEntry | SymlinkEntry)[]] {
  const ancestors = new Set<string>();
  const seen = new Set<string>();
  for (const write of writes) {
    const path = normalise(write.path);
    if (seen.has(path)) throw new NodekilnError('NK_INTERNAL', `two writes to ${path} in one batch`);
    seen.add(path);
    for (let up = posix.dirname(path); up !== '/'; up = posix.dirname(up)) ancestors.add(up);
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

function depth(path: string): number {
  return normalise(path).split('/').length;
}

async function writeDirectory(write: DirectoryEntry, real: string): Promise<WriteOutcome> {
  try {
    let found = await statEntry(real);
    const replaced = found?.type === 'symlink';
    if (replaced) {
      await unlink(real);
      found = undefined;
    }
    if (found === undefined) {
      await makeFolders(real, write);
      return replaced ? 'replaced' : 'created';
    }
    if (found.type !== 'directory') {
      throw new NodekilnError('NK_FILE_WRITE', `cannot make the folder ${write.path}: a file is in its place`, {
        hint: 'Remove or rename the file, or correct the path.',
        resource: `file:${write.path}`,
      });
    }
    return (await setAttributes(real, found, write)) ? 'attributes' : 'unchanged';
  } catch (thrown) {
    throw writeError('make', write.path, thrown);
  }
}

interface Located {
  readonly write: FileEntry | SymlinkEntry;
  readonly real: string;
}

/** One target between its temporary file and its rename. */
interface Prepared {
  readonly outcome: WriteOutcome;
  readonly temporary?: string;
}

async function writeEntries(entries: readonly Located[]): Promise<WriteOutcome[]> {
  const prepared: (Prepared & Located)[] = [];
  try {
    for (let start = 0; start < entries.length; start += batchSize) {
      await prepareBatch(entries.slice(start, start + batchSize), prepared);
    }
    for (const { temporary, real, write } of prepared) {
      if (temporary === undefined) continue;
      const end = faultPoint(`rename to ${write.path}`);
      try {
        await rename(temporary, real);
      } catch (thrown) {
        throw writeError('put', write.path, thrown);
      }
      releaseTemporary(temporary);
      end();
    }
  } catch (thrown) {
    const temporaries = prepared.flatMap(({ temporary }) => temporary ?? []);
    await Promise.allSettled(temporaries.map(discardTemporary));
    throw thrown;
  }
  const byPath = new Map(prepared.map(({ real, outcome }) => [real, outcome]));
  return entries.map(({ real }) => byPath.get(real) ?? 'unchanged');
}

async function prepareBatch(entries: readonly Located[], prepared: (Prepared & Located)[]): Promise<void> {
  const handles: { handle: FileHandle; path: string }[] = [];
  try {
    await inParallel(entries, lanes, async ({ write, real }) => {
      try {
        const found = await statEntry(real);
        if (found?.type === 'directory') {
          throw new NodekilnError('NK_FILE_WRITE', `cannot write ${write.path}: a folder is in its place`, {
            hint: 'Remove or rename the folder, or correct the path.',
            resource: `file:${write.path}`,
          });
        }
        const settled = found && (await settleInPlace(write, real, found));
        if (settled) {
          prepared.push({ write, real, outcome: settled });
          return;
        }
        const temporary = temporaryIn(dirname(real));
        prepared.push({ write, real, temporary, outcome: found ? 'replaced' : 'created' });
        const end = faultPoint(`make the temporary file for ${write.path}`);
        if (write.type === 'symlink') await symlink(write.target, temporary);
        else handles.push({ handle: await writeTemporary(temporary, write), path: write.path });
        end();
      } catch (thrown) {
        throw writeError('write', write.path, thrown);
      }
    });
    await inParallel(handles, lanes, async ({ handle, path }) => {
      try {
        await handle.sync();
      } catch (thrown) {
        throw writeError('write', path, thrown);
      }
    });
  } finally {
    await Promise.all(handles.map(({ handle }) => handle.close()));
  }
}

/** What can be done without a new file: nothing, or new attributes. */
async function settleInPlace(
  write: FileEntry | SymlinkEntry,
  real: string,
  found: LinkedStat,
): Promise<WriteOutcome | undefined> {
  if (write.type === 'symlink') return found.target === write.target ? 'unchanged' : undefined;
  if (found.type !== 'file' || found.size !== write.content.byteLength) return undefined;
  const same = sameAttributes(found, write);
  // A hard link shares its attributes with other names, such as a binary with its cached original.
  if (!same && found.links > 1) return undefined;
  if (!write.content.byteLength || (await readFile(real)).equals(write.content)) {
    if (same) return 'unchanged';
    return (await setAttributes(real, found, write)) ? 'attributes' : 'unchanged';
  }
  return undefined;
}

async function writeTemporary(temporary: string, write: FileEntry): Promise<FileHandle> {
  const handle = await open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    await handle.writeFile(write.content);
    // Owner first: changing it takes setuid and setgid away.
    await handle.chown(write.uid, write.gid);
    await handle.chmod(write.mode);
    return handle;
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

/** Mode and owner on a descriptor of exactly the entry that was seen. */
async function setAttributes(real: string, found: FileStat, wanted: Attributes): Promise<boolean> {
  if (sameAttributes(found, wanted)) return false;
  const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const end = faultPoint(`change the attributes of ${real}`);
  try {
    const opened = await handle.stat({ bigint: true });
    if (opened.ino !== found.inode) throw new Error('it was replaced while its attributes were changed');
    if (found.uid !== wanted.uid || found.gid !== wanted.gid) await handle.chown(wanted.uid, wanted.gid);
    await handle.chmod(wanted.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
  end();
  return true;
}

async function removeEntry(real: string, path: string): Promise<boolean> {
  const end = faultPoint(`unlink ${path}`);
  try {
    await unlink(real);
    end();
    return true;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
    if (errno !== 'EISDIR' && errno !== 'EPERM') throw writeError('remove', path, thrown);
  }
  try {
    await rmdir(real);
    end();
    return true;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOTEMPTY' || errno === 'EBUSY' || errno === 'ENOENT') return false;
    throw writeError('remove', path, thrown);
  }
}

type LinkedStat = FileStat & { readonly links: number };

async function statEntry(real: string): Promise<LinkedStat | undefined> {
  const found = await unlessMissing(() => lstat(real, { bigint: true }));
  if (!found) return undefined;
  const type: FileType = found.isFile()
    ? 'file'
    : found.isDirectory()
      ? 'directory'
      : found.isSymbolicLink()
        ? 'symlink'
        : 'other';
  return {
    type,
    size: Number(found.size),
    mode: Number(found.mode & 0o7777n),
    uid: Number(found.uid),
    gid: Number(found.gid),
    mtimeNs: found.mtimeNs,
    inode: found.ino,
    device: found.dev,
    links: Number(found.nlink),
    ...(type === 'symlink' && { target: await readlink(real) }),
  };
}

async function unlessMissing<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw thrown;
  }
}

/** Reads a regular file once, in order; returns its length. */
async function readThrough(real: string, use: (chunk: Buffer) => void): Promise<number> {
  const handle = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) {
      throw Object.assign(new Error(`EINVAL: not a regular file, ${real}`), { code: 'EINVAL' });
    }
    const buffer = Buffer.allocUnsafe(readSize);
    for (let total = 0; ;) {
      const { bytesRead } = await handle.read(buffer, 0, readSize, total);
      if (bytesRead === 0) return total;
      use(buffer.subarray(0, bytesRead));
      total += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
