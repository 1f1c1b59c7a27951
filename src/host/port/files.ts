/** The port's files: reading, durable exact writing, removing. Paths are absolute, as seen inside the host. */

export type FileType = 'file' | 'directory' | 'symlink' | 'other';

export interface FileStat {
  readonly type: FileType;
  readonly size: number;
  /** Permission bits including setuid, setgid and sticky, without the file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  /** The target of a symlink, as stored. */
  readonly target?: string;
}

/** One exact thing to put at a path. Parent folders are made 0755 root:root when missing. */
export type FileWrite =
  | {
      readonly type: 'file';
      readonly path: string;
      readonly content: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: 'directory';
      readonly path: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string };

/** `unchanged`: content, mode and owner were right already and nothing was written. `attributes`: only mode or owner. */
export type WriteOutcome = 'created' | 'replaced' | 'attributes' | 'unchanged';

/** How a placed file came to be; see `Files.place`. */
export type PlaceMethod = 'reflink' | 'hardlink' | 'copy' | 'unchanged';

export interface Files {
  /** The entry at the path itself (a symlink is not followed), or undefined when there is none. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Whole content; follows symlinks inside the host. NK_FILE_WRITE never: reading errors other than "missing" throw the system error. */
  read(path: string): Promise<Buffer | undefined>;
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(path: string): Promise<string[]>;
  /**
   * Writes all, durably and exactly: temporary file in the target folder, mode and owner set on the descriptor whatever
   * the umask, fsync, rename, fsync of each folder once. A symlink at a target path is replaced, never followed; a
   * folder where a file must be is an error. After it returns, every write survives power loss. On failure: NK_FILE_WRITE,
   * no temporary files left; single writes are whole or absent.
   */
  write(writes: readonly FileWrite[]): Promise<WriteOutcome[]>;
  /** Writes a value into a file of /proc or /sys in one call: no temporary file, no fsync. Throws the system error. */
  writeKernel(path: string, value: string): Promise<void>;
  /** Removes files, symlinks and empty folders durably; missing ones and folders in use are passed over. Returns those removed. */
  remove(paths: readonly string[]): Promise<string[]>;
  /**
   * Puts the content of `source` at `target` without consuming the source: reflink, else hard link, else copy, under a
   * temporary name, then rename over the target. `unchanged` when target already is that content (same inode, mode and owner).
   */
  place(source: string, target: string, attributes: { mode: number; uid: number; gid: number }): Promise<PlaceMethod>;
  /** `sha256:…` of a regular file. */
  digest(path: string): Promise<string>;
  /**
   * Where the entry lies in our own file system, parent symlinks resolved inside the host: for streaming content too
   * large for `write`. Absent when the host's files lie in no file system (memory).
   */
  realPath?(path: string): Promise<string>;
  /** Reads the files once so that the page cache holds them; never fails; missing files and those that seem to be there already are passed over. Returns bytes read. */
  warm(paths: readonly string[]): Promise<number>;
}
