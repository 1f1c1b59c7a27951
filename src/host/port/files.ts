/**
 * The port's files: reading, durable exact writing, removing, watching. Paths are absolute, as seen inside the host.
 *
 * Reading throws the system's own errors (their `code` is the errno) but for what is missing. It never waits: what is no
 * regular file (a FIFO, a device, a socket) is refused with EINVAL, a folder with EISDIR, and what is larger than the
 * reader takes with EFBIG. Writing fails with NK_FILE_WRITE.
 *
 * A symlink in a folder that others than root (and ourselves) may write to is followed by nobody: NK_PATH_UNSAFE. For who
 * only asks what is there, or removes it, there is nothing behind it.
 */
import type {
  Attributes,
  DiskSpace,
  FileStat,
  FileWrite,
  FolderEntry,
  FolderEvent,
  PlaceMethod,
  WriteOutcome,
} from '../../model/files.ts';
import type { Exposure } from '../../model/trust.ts';

export type {
  Attributes,
  DiskSpace,
  FileStat,
  FileType,
  FileWrite,
  FolderEntry,
  FolderEvent,
  PlaceMethod,
  WriteOutcome,
} from '../../model/files.ts';

/** What is read into memory at most unless told: larger files are read in parts, see `Files.open`. */
export const largestRead = 64 * 1024 * 1024;

/** A regular file open for reading in parts, however large it is. */
export interface OpenFile {
  /** As it was when it was opened. */
  readonly stat: FileStat;
  /** At most `length` bytes from `position` on; fewer only at the end of the file, none behind it. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** The owner is who this process is, unless told. */
export type StagedAttributes = Pick<Attributes, 'mode'> & Partial<Attributes>;

/**
 * A file in the making: under a temporary name, in the folder where it will stand, only root's to read. When its process
 * dies the next write into the folder removes it.
 */
export interface StagedFile {
  /** Its temporary name on the host, for whoever has to look into it before it is published. */
  readonly path: string;
  /** Bytes appended so far. */
  readonly size: number;
  /**
   * Adds to the end, in the order of the calls, which may overlap: each resolves when there is room for more. The chunk
   * is not to be changed any more.
   */
  append(chunk: Uint8Array): Promise<void>;
  /** Empties it, to begin again. */
  restart(): Promise<void>;
  /** `sha256:<hex>` of what was appended, once everything is written. */
  digest(): Promise<string>;
  /** At most `length` bytes from `position` on, of what was appended. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Gives it attributes and the name in its folder, durably; what has the name is replaced, a symlink never followed. */
  publish(name: string, attributes: StagedAttributes): Promise<void>;
  /** Removes it unless it was published. Idempotent. */
  discard(): Promise<void>;
}

/**
 * A file in the making that may outlive its process: it has its name from the first byte, and begins with what is there
 * under it. Who uses it sees to it that nobody else does, see `Files.claimFolder`.
 */
export interface ContinuedFile extends StagedFile {
  /** Ends the making and lets it stay as it is, durably. */
  keep(): Promise<void>;
}

/** Events of a folder, to be iterated once; ends with `close`. */
export interface FolderWatch extends AsyncIterable<FolderEvent> {
  /** Idempotent. */
  close(): void;
}

export interface Files {
  /** The entry at the path itself (a symlink is not followed), or undefined when there is none. */
  stat(path: string): Promise<FileStat | undefined>;
  /**
   * Whole content of a regular file, or undefined when there is none; follows symlinks inside the host. EFBIG beyond
   * `maxBytes` (64 MiB unless told).
   */
  read(path: string, options?: { readonly maxBytes?: number }): Promise<Uint8Array | undefined>;
  /** A regular file for reading in parts, or undefined when there is none; follows symlinks inside the host. */
  open(path: string): Promise<OpenFile | undefined>;
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(path: string): Promise<string[]>;
  /** The same with the type of each entry itself. */
  entries(path: string): Promise<FolderEntry[]>;
  /**
   * Writes all, durably and exactly: temporary file in the target folder, mode and owner set on the descriptor whatever
   * the umask, fsync, rename, fsync of each folder once. A symlink at a target path is replaced, never followed; a
   * folder where a file must be is an error. After it returns, every write survives power loss. On failure: NK_FILE_WRITE,
   * no temporary files left; single writes are whole or absent.
   */
  write(writes: readonly FileWrite[]): Promise<WriteOutcome[]>;
  /** Begins a file in a folder, which is made when missing: for content too large for `write`, or checked before it gets its name. */
  stage(folder: string): Promise<StagedFile>;
  /** The same under a name of its own, with what an earlier process left under it; a symlink there is refused. */
  continue(folder: string, name: string): Promise<ContinuedFile>;
  /**
   * A folder in this one for a name, 0700, ours alone until it is released or removed: the one that an ended process had,
   * with all that is in it, or a new one. Two that ask at a time get two.
   */
  claimFolder(folder: string, name: string): Promise<string>;
  /** Lets a claimed folder stay for the next who claims its name. */
  releaseFolder(path: string): Promise<void>;
  /** A new folder in this one, 0700, named so that it goes when its process dies; remove it with `removeTree`. */
  temporaryFolder(folder: string): Promise<string>;
  /** Writes a value into a file of /proc or /sys in one call: no temporary file, no fsync. Throws the system error. */
  writeKernel(path: string, value: string): Promise<void>;
  /** Puts mode and owner of the file or folder at the path right where it is, durably; a symlink is never followed. */
  setAttributes(path: string, attributes: Attributes): Promise<void>;
  /** Removes files, symlinks and empty folders durably; missing ones and folders in use are passed over. Returns those removed. */
  remove(paths: readonly string[]): Promise<string[]>;
  /** Removes whatever is at the path with all that is in it, durably; symlinks are removed, never followed. False when there is nothing. */
  removeTree(path: string): Promise<boolean>;
  /**
   * Puts the content of `source` at `target` without consuming the source: reflink, else hard link, else copy, under a
   * temporary name, then rename over the target. `unchanged` when target already is that content (same inode, mode and owner).
   */
  place(source: string, target: string, attributes: Attributes): Promise<PlaceMethod>;
  /** Gives the entry another name on the same file system, durably; what has the name is replaced, a symlink never followed. */
  move(from: string, to: string): Promise<void>;
  /** `sha256:…` of a regular file. */
  digest(path: string): Promise<string>;
  /**
   * Where the entry lies in our own file system (see `Host.local`), parent symlinks resolved inside the host. Absent when
   * the host's files lie in no file system (memory).
   */
  realPath(path: string): Promise<string>;
  /**
   * What somebody else than root and ourselves can change of what the path leads to: a folder or link on the way, or what is
   * there. Undefined when there is nothing of that, or nothing there.
   */
  exposure(path: string): Promise<Exposure | undefined>;
  /** Reads the files once so that the page cache holds them; never fails; missing files and those that seem to be there already are passed over. Returns bytes read. */
  warm(paths: readonly string[]): Promise<number>;
  /** Removes what ended processes left under temporary names in the folders. Writing into a folder does it, too. */
  sweep(folders: readonly string[]): Promise<void>;
  /** Of the file system that a folder, or the nearest one above it that is there, lies on. */
  space(folder: string): Promise<DiskSpace>;
  /**
   * Watches the entries of a folder and the folder itself, from when this resolves: it may be missing, be removed,
   * renamed or replaced, and come again.
   */
  watch(folder: string): Promise<FolderWatch>;
}
