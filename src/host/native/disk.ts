/**
 * The disk by system calls of the host program. What may wait for the disk runs beside us; what only touches what the kernel has
 * at hand is called directly.
 */
import { startTimeIn, type Descriptor, type Disk, type EntryStat, type OpenMode } from '../../disk/disk.ts';
import { isReadOnlyMount } from '../../disk/mounts.ts';
import { textOf } from '../../model/bytes.ts';
import type { FileType, FolderEntry } from '../../model/files.ts';
import type { Identity } from '../../model/trust.ts';
import { basename } from '../../model/path.ts';
import { begin, later, now } from './crossing.ts';
import { about } from './about.ts';

/** open(2), of amd64 and arm64 alike but for those that `constants` has. */
const O = {
  RDONLY: 0,
  WRONLY: 0o1,
  RDWR: 0o2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  NONBLOCK: 0o4000,
  PATH: 0o10000000,
  ...(about.architecture === 'arm64'
    ? { DIRECTORY: 0o40000, NOFOLLOW: 0o100000 }
    : { DIRECTORY: 0o200000, NOFOLLOW: 0o400000 }),
} as const;

const flags: Readonly<Record<OpenMode, number>> = {
  name: O.PATH | O.NOFOLLOW,
  read: O.RDONLY | O.NONBLOCK | O.NOCTTY,
  'read-entry': O.RDONLY | O.NONBLOCK | O.NOCTTY | O.NOFOLLOW,
  create: O.RDWR | O.CREAT | O.EXCL | O.NOFOLLOW,
  continue: O.RDWR | O.CREAT | O.NOFOLLOW | O.NONBLOCK,
  overwrite: O.WRONLY,
  folder: O.RDONLY | O.DIRECTORY,
  'folder-entry': O.RDONLY | O.DIRECTORY | O.NOFOLLOW,
};

/** Of root alone: others could say so of anybody. */
function sudoer(): Identity | undefined {
  const [uid, gid] = [Number(about.environment['SUDO_UID']), Number(about.environment['SUDO_GID'])];
  return about.uid === 0 && Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : undefined;
}

let ownStart: string | undefined;

/** In the place of Node's in the host program. */
export const nodeDisk: Disk = {
  self: {
    pid: about.pid,
    get startTime() {
      return (ownStart ??= startTimeIn(readSmall('/proc/self/stat')) ?? '0');
    },
    uid: about.uid,
    gid: about.gid,
    sudoer: sudoer(),
  },
  open: async (path, how) =>
    descriptorOf(
      how === 'create'
        ? now<number>('open', path, flags[how], 0o600)
        : await later<number>('open', path, flags[how], 0o600),
    ),
  stat: async (path) => statOf(await later<string>('lstat', path)),
  look: (path) => {
    const found = now<string | undefined>('look', path);
    if (found === undefined) return undefined;
    const { type, mode, uid, gid } = statOf(found);
    return { type, mode, uid, gid };
  },
  readlink: (path) => later('readlink', path),
  isReadOnly: async (path) => {
    try {
      return isReadOnly(path);
    } catch {
      return false;
    }
  },
  readdir: async (path) => entriesIn(await later<string>('readdir', path)),
  mkdir: (path, mode) => later('mkdir', path, mode),
  symlink: (target, path) => later('symlink', target, path),
  link: (from, to) => later('link', from, to),
  reflink: (from, to) => later('reflink', from, to),
  copy: (from, to) => later('copy', from, to),
  rename: async (from, to) => now('rename', from, to),
  unlink: (path) => later('unlink', path),
  rmdir: (path) => later('rmdir', path),
  space: async (path) => {
    const [totalBytes = 0, availableBytes = 0] = (await later<string>('statfs', path)).split(' ').map(Number);
    return { totalBytes, availableBytes };
  },
  watch: (folder, onEvent) => {
    const watching = begin('events', [now<number>('inotify', folder, IN.ALL)], (mask: number, name: string) => {
      if ((mask & IN.IGNORED) === 0)
        onEvent(name || basename(folder), (mask & ~(IN.ATTRIB | IN.MODIFY | IN.ISDIR)) === 0);
    });
    watching.done.catch(() => onEvent('', false));
    return () => watching.cancel();
  },
};

/** inotify(7) */
const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  IGNORED: 0x8000,
  ISDIR: 0x40000000,
  /** MODIFY, ATTRIB, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF, MOVE_SELF */
  ALL: 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800,
} as const;

/** A file of the kernel's, which is at hand. */
function readSmall(path: string): string {
  const fd = now<number>('open', path, O.RDONLY, 0);
  try {
    let text = '';
    for (;;) {
      const piece = now<Uint8Array>('read', fd, 64 * 1024, -1);
      if (piece.length === 0) return text;
      text += textOf(piece);
    }
  } finally {
    now('close', fd);
  }
}

/** Of what is open already by its descriptor: its name may lead elsewhere by now. */
function isReadOnly(path: string): boolean {
  const held = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
  const fd = held === undefined ? now<number>('open', path, flags.name, 0) : Number(held);
  try {
    const id = /^mnt_id:\s*(\d+)$/m.exec(readSmall(`/proc/self/fdinfo/${fd}`))?.[1];
    return id !== undefined && isReadOnlyMount(readSmall('/proc/self/mountinfo'), id);
  } finally {
    if (held === undefined) now('close', fd);
  }
}

/** As much goes into the kernel's memory at once. */
const smallBytes = 64 * 1024;

function descriptorOf(fd: number): Descriptor {
  let written = 0;
  const put = (bytes: Uint8Array, buffer: Uint8Array): number => {
    buffer.set(bytes);
    return bytes.length;
  };
  return {
    fd,
    stat: async () => statOf(now<string>('fstat', fd)),
    read: async (buffer, position) => put(await later<Uint8Array>('read', fd, buffer.length, position), buffer),
    readNow: (buffer, position) => put(now<Uint8Array>('read', fd, buffer.length, position), buffer),
    write: async (bytes, position) => {
      written += bytes.length;
      // Of much data, what does not fit into memory waits for the disk.
      if (written <= smallBytes) return now<number>('write', fd, bytes, position);
      return later<number>('write', fd, bytes, position);
    },
    truncate: (length) => later('ftruncate', fd, length),
    chown: async (uid, gid) => now('fchown', fd, uid, gid),
    chmod: async (mode) => now('fchmod', fd, mode),
    sync: () => later('fsync', fd),
    // The last one of a file that was removed meanwhile frees its blocks.
    close: async () => (written <= smallBytes ? now('close', fd) : later('close', fd)),
  };
}

const letters: Readonly<Record<string, FileType>> = { f: 'file', d: 'directory', l: 'symlink' };

function entriesIn(json: string): FolderEntry[] {
  const pairs: string[] = JSON.parse(json);
  const entries: FolderEntry[] = [];
  for (let at = 0; at < pairs.length; at += 2)
    entries.push({ name: pairs[at] ?? '', type: letters[pairs[at + 1] ?? ''] ?? 'other' });
  return entries;
}

/** `mode size uid gid mtimeNs inode device links blocks` */
function statOf(text: string): EntryStat {
  const [mode = '', size, uid, gid, mtimeNs = '', inode = '', device = '', links, blocks] = text.split(' ');
  return {
    type: types[Number(mode) >> 12] ?? 'other',
    size: Number(size),
    mode: Number(mode) & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    mtimeNs: BigInt(mtimeNs),
    inode: BigInt(inode),
    device: BigInt(device),
    links: Number(links),
    // POSIX leaves the unit to the system; Linux counts in 512 bytes whatever the file system's blocks are.
    allocatedBytes: Number(blocks) * 512,
  };
}

/** S_IFMT, inode(7) */
const types: Readonly<Record<number, FileType>> = { 0o10: 'file', 0o04: 'directory', 0o12: 'symlink' };
