/** The disk by Node's own calls. */
import type { BigIntStats, Dirent } from 'node:fs';
import { constants, readFileSync, readSync, watch } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import {
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rmdir,
  statfs,
  symlink,
  unlink,
} from 'node:fs/promises';
import type { FileType } from '../model/files.ts';
import { startTimeIn, type Descriptor, type Disk, type EntryStat, type OpenMode } from './disk.ts';

const flags: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
  'read-entry': constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  overwrite: constants.O_WRONLY,
  folder: constants.O_RDONLY | constants.O_DIRECTORY,
  'folder-entry': constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
};

let ownStart: string | undefined;

export const nodeDisk: Disk = {
  self: {
    pid: process.pid,
    get startTime() {
      return (ownStart ??= startTimeIn(readFileSync('/proc/self/stat', 'latin1')) ?? '0');
    },
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
  },
  open: async (path, how) => descriptorOf(await open(path, flags[how], 0o600)),
  stat: async (path) => statOf(await lstat(path, { bigint: true })),
  readlink: (path) => readlink(path),
  realpath: (path) => realpath(path),
  readdir: async (path) =>
    (await readdir(path, { withFileTypes: true })).map((entry) => ({ name: entry.name, type: typeOf(entry) })),
  mkdir: async (path, mode) => {
    await mkdir(path, mode);
  },
  symlink: (target, path) => symlink(target, path),
  link: (from, to) => link(from, to),
  reflink: (from, to) => copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE),
  copy: (from, to) => copyFile(from, to, constants.COPYFILE_EXCL),
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  rmdir: (path) => rmdir(path),
  space: async (path) => {
    const { bsize, blocks, bavail } = await statfs(path);
    return { totalBytes: bsize * blocks, availableBytes: bsize * bavail };
  },
  watch: (folder, onEvent) => {
    const watcher = watch(folder, (type, name) => onEvent(name ?? '', type === 'change'));
    // A folder that went: whoever watches looks at it itself.
    watcher.on('error', () => onEvent('', false));
    return () => watcher.close();
  },
};

function descriptorOf(handle: FileHandle): Descriptor {
  return {
    fd: handle.fd,
    stat: async () => statOf(await handle.stat({ bigint: true })),
    read: async (buffer, position) => (await handle.read(buffer, 0, buffer.length, position)).bytesRead,
    readNow: (buffer, position) => readSync(handle.fd, buffer, 0, buffer.length, position),
    write: async (bytes, position) => (await handle.write(bytes, 0, bytes.length, position)).bytesWritten,
    truncate: (length) => handle.truncate(length),
    chown: (uid, gid) => handle.chown(uid, gid),
    chmod: (mode) => handle.chmod(mode),
    sync: () => handle.sync(),
    close: () => handle.close(),
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

function typeOf(entry: Dirent | BigIntStats): FileType {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}
