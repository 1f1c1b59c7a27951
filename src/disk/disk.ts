/**
 * A disk as thin system calls: what publishing, walking and removing stand on. Each call is one system call (or as good
 * as one), knows nothing of hosts and roots, and throws the system's own error with the errno as its `code`. Another
 * runtime brings its own; tests wrap this one to see in which order things reach the disk.
 *
 * Paths are absolute paths of our own file system. Sizes and positions in bytes.
 */
import type { Attributes, DiskSpace, FileStat, FileType, FolderEntry } from '../model/files.ts';

import type { Identity } from '../model/trust.ts';

/** An entry without the target of a symlink, which is a call of its own. */
export type EntryStat = Omit<FileStat, 'target'>;

/** What has a name, and who may change it. */
export interface Look extends Attributes {
  readonly type: FileType;
}

/**
 * How something is opened. `read` follows a symlink, `read-entry` refuses one; neither waits for a FIFO or a device.
 * `create` makes a new file, 0600, for writing and reading, and refuses whatever has the name; `continue` takes what is
 * there for both, or makes it, and refuses a symlink. `overwrite` is for the
 * kernel's own files. `folder` follows a symlink, `folder-entry` refuses one. `name` only holds on to what
 * has the name, be that a symlink.
 */
export type OpenMode = 'name' | 'read' | 'read-entry' | 'create' | 'continue' | 'overwrite' | 'folder' | 'folder-entry';

/** Something open. */
export interface Descriptor {
  /** Its number: `/proc/self/fd/<fd>` leads to what is open, wherever its names have gone. */
  readonly fd: number;
  stat(): Promise<EntryStat>;
  /** Bytes read into the buffer, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** The same while nothing else runs: for measuring. */
  readNow(buffer: Uint8Array, position: number): number;
  /** Bytes written, maybe fewer than given. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  truncate(length: number): Promise<void>;
  chown(uid: number, gid: number): Promise<void>;
  chmod(mode: number): Promise<void>;
  /** fsync(2). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Who we are: the owner of what we make, and which of the processes. */
  readonly self: Identity & {
    readonly pid: number;
    readonly startTime: string;
    /** Who became root by sudo(8), which says so. */
    readonly sudoer?: Identity | undefined;
  };
  open(path: string, how: OpenMode): Promise<Descriptor>;
  stat(path: string): Promise<EntryStat>;
  /**
   * Less of it, at once and while nothing else runs: for the folders of a path, which the kernel has at hand. A thread for each
   * would cost a boot more than all that they may wait for the disk. Undefined where there is nothing.
   */
  look(path: string): Look | undefined;
  readlink(path: string): Promise<string>;
  /** Whether it lies on a mount that nobody writes through. What cannot be told is none. */
  isReadOnly(path: string): Promise<boolean>;
  /** In the order of the disk. */
  readdir(path: string): Promise<FolderEntry[]>;
  /** Under our umask. */
  mkdir(path: string, mode: number): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
  /** A new file with the content of another: shared on the disk, or refused where that cannot be. */
  reflink(from: string, to: string): Promise<void>;
  /** A new file with the content of another. */
  copy(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  space(path: string): Promise<DiskSpace>;
  /**
   * Tells of each entry of the folder that comes, goes or changes, and of the folder itself by its own name, until the
   * returned call. `inPlace`: its content or attributes changed where it is. A folder that was removed tells nothing more. Throws when it cannot be watched.
   */
  watch(folder: string, onEvent: (name: string, inPlace: boolean) => void): () => void;
}

/**
 * When a process started, field 22 of its /proc/PID/stat: it tells apart two processes that were given one id. Undefined of one
 * that has ended and that nobody has waited for yet. The second field is the program's name in parentheses and may hold
 * anything, so count from the last parenthesis.
 */
export function startTimeIn(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return /^[ZX]/.test(fields[0] ?? '') ? undefined : fields[19];
}
