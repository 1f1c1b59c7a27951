/**
 * The disk by Node's own calls. What may wait for the disk (to find a name, to read, to sync) runs in Node's threads; what only
 * touches what the kernel has at hand, an open descriptor or a name that was just made, is called directly: a way to a
 * thread and back takes longer than the call.
 */
import type { BigIntStats, Dirent, Stats } from 'node:fs';
import {
  close as closeLater,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync as fsyncLater,
  ftruncate as ftruncateLater,
  lstatSync,
  open as openLater,
  openSync,
  read as readLater,
  readFileSync,
  readSync,
  renameSync,
  watch,
  write as writeLater,
  writeSync,
} from 'node:fs';
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rmdir,
  statfs,
  symlink,
  unlink,
} from 'node:fs/promises';
import { promisify } from 'node:util';
import type { FileType } from '../model/files.ts';
import type { Identity } from '../model/trust.ts';
import { isReadOnlyMount } from './mounts.ts';
import { bytesOfPath, nameOf } from './names.ts';
import { startTimeIn, type Descriptor, type Disk, type EntryStat, type OpenMode } from './disk.ts';

/** open(2); Node does not name it. */
const O_PATH = 0o10000000;

const flags: Readonly<Record<OpenMode, number>> = {
  name: O_PATH | constants.O_NOFOLLOW,
  read: constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
  'read-entry': constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  continue: constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  overwrite: constants.O_WRONLY,
  folder: constants.O_RDONLY | constants.O_DIRECTORY,
  'folder-entry': constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
};

/** Of root alone: others could say so of anybody. */
function sudoerOf(env: NodeJS.ProcessEnv): Identity | undefined {
  const [uid, gid] = [Number(env['SUDO_UID']), Number(env['SUDO_GID'])];
  return process.geteuid?.() === 0 && Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : undefined;
}

let ownStart: string | undefined;

export const nodeDisk: Disk = {
  self: {
    pid: process.pid,
    get startTime() {
      return (ownStart ??= startTimeIn(readFileSync('/proc/self/stat', 'latin1')) ?? '0');
    },
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    sudoer: sudoerOf(process.env),
  },
  // A file that is made lies in a folder that was just looked up.
  open: async (path, how) =>
    descriptorOf(
      how === 'create'
        ? openSync(bytesOfPath(path), flags[how], 0o600)
        : await open(bytesOfPath(path), flags[how], 0o600),
    ),
  stat: async (path) => statOf(await lstat(bytesOfPath(path), { bigint: true })),
  look: (path) => {
    const found = lstatSync(bytesOfPath(path), { throwIfNoEntry: false });
    return found && { type: typeOf(found), mode: found.mode & 0o7777, uid: found.uid, gid: found.gid };
  },
  readlink: (path) => readlink(bytesOfPath(path)),
  isReadOnly: (path) => isReadOnly(path).catch(() => false),
  readdir: async (path) =>
    (await readdir(bytesOfPath(path), { withFileTypes: true, encoding: 'buffer' })).map((entry) => ({
      name: nameOf(entry.name),
      type: typeOf(entry),
    })),
  mkdir: async (path, mode) => {
    await mkdir(bytesOfPath(path), mode);
  },
  symlink: (target, path) => symlink(target, bytesOfPath(path)),
  link: (from, to) => link(bytesOfPath(from), bytesOfPath(to)),
  reflink: (from, to) =>
    copyFile(bytesOfPath(from), bytesOfPath(to), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE),
  copy: (from, to) => copyFile(bytesOfPath(from), bytesOfPath(to), constants.COPYFILE_EXCL),
  rename: async (from, to) => renameSync(bytesOfPath(from), bytesOfPath(to)),
  unlink: (path) => unlink(bytesOfPath(path)),
  rmdir: (path) => rmdir(bytesOfPath(path)),
  space: async (path) => {
    const { bsize, blocks, bavail } = await statfs(bytesOfPath(path));
    return { totalBytes: bsize * blocks, availableBytes: bsize * bavail };
  },
  watch: (folder, onEvent) => {
    const watcher = watch(folder, (type, name) => onEvent(name ?? '', type === 'change'));
    // A folder that went: whoever watches looks at it itself.
    watcher.on('error', () => onEvent('', false));
    return () => watcher.close();
  },
};

const open = promisify(openLater);
const close = promisify(closeLater);
const read = promisify(readLater);
const write = promisify(writeLater);
const fsync = promisify(fsyncLater);
const ftruncate = promisify(ftruncateLater);

/** Of what is open already by its descriptor: its name may lead elsewhere by now. */
async function isReadOnly(path: string): Promise<boolean> {
  const held = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
  const fd = held === undefined ? await open(bytesOfPath(path), flags.name) : Number(held);
  try {
    const id = /^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return id !== undefined && isReadOnlyMount(await readFile('/proc/self/mountinfo', 'latin1'), id);
  } finally {
    if (held === undefined) closeSync(fd);
  }
}

/** As much goes into the kernel's memory at once. */
const smallBytes = 64 * 1024;

function descriptorOf(fd: number): Descriptor {
  let written = 0;
  return {
    fd,
    stat: async () => statOf(fstatSync(fd, { bigint: true })),
    read: async (buffer, position) => (await read(fd, buffer, 0, buffer.length, position)).bytesRead,
    readNow: (buffer, position) => readSync(fd, buffer, 0, buffer.length, position),
    write: async (bytes, position) => {
      written += bytes.length;
      // Of much data, what does not fit into memory waits for the disk.
      if (written <= smallBytes) return writeSync(fd, bytes, 0, bytes.length, position);
      return (await write(fd, bytes, 0, bytes.length, position)).bytesWritten;
    },
    truncate: (length) => ftruncate(fd, length),
    chown: async (uid, gid) => fchownSync(fd, uid, gid),
    chmod: async (mode) => fchmodSync(fd, mode),
    sync: () => fsync(fd),
    // The last one of a file that was removed meanwhile frees its blocks.
    close: async () => (written <= smallBytes ? closeSync(fd) : close(fd)),
  };
}

function statOf(found: BigIntStats): EntryStat {
  return {
    type: typeOf(found),
    size: Number(found.size),
    mode: Number(found.mode & 0o7777n),
    uid: Number(found.uid),
    gid: Number(found.gid),
    mtimeNs: found.mtimeNs,
    inode: found.ino,
    device: found.dev,
    links: Number(found.nlink),
    // POSIX leaves the unit to the system; Linux counts in 512 bytes whatever the file system's blocks are.
    allocatedBytes: Number(found.blocks) * 512,
  };
}

function typeOf(entry: Dirent<Buffer> | Stats | BigIntStats): FileType {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}
