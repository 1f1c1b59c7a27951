/**
 * Entries of a file system as data: what is there, what shall be there, and what came of it. Sizes in bytes, mode bits as
 * numbers (0o644), identities as the system numbers them.
 */

/** `other`: a FIFO, a device or a socket. */
export type FileType = 'file' | 'directory' | 'symlink' | 'other';

export interface Attributes {
  /** Permission bits including setuid, setgid and sticky, without the file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** An entry itself: a symlink is not followed. */
export interface FileStat extends Attributes {
  readonly type: FileType;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  /** Names that the inode has. */
  readonly links: number;
  /** Bytes that it occupies on the disk. */
  readonly allocatedBytes: number;
  /** The target of a symlink, as stored. */
  readonly target?: string;
}

/** Whether reading it gives what stands in it, without waiting. */
export function isRegular({ type }: Pick<FileStat, 'type'>): boolean {
  return type === 'file';
}

/** A name in a folder. */
export interface FolderEntry {
  readonly name: string;
  readonly type: FileType;
}

/** One exact thing to put at a path. Parent folders are made 0755 root:root when missing. */
export type FileWrite =
  | ({ readonly type: 'file'; readonly path: string; readonly content: Uint8Array } & Attributes)
  | ({ readonly type: 'directory'; readonly path: string } & Attributes)
  | { readonly type: 'symlink'; readonly path: string; readonly target: string };

/** A file of root's. */
export function rootFile(path: string, content: Uint8Array, mode: number): FileWrite {
  return { type: 'file', path, content, mode, uid: 0, gid: 0 };
}

/** `unchanged`: content, mode and owner were right already and nothing was written. `attributes`: only mode or owner. */
export type WriteOutcome = 'created' | 'replaced' | 'attributes' | 'unchanged';

/** How a placed file came to be. */
export type PlaceMethod = 'reflink' | 'hardlink' | 'copy' | 'unchanged';

/** Of a file system, in bytes. */
export interface DiskSpace {
  readonly totalBytes: number;
  /** For a process without root rights: what is reserved for root is not in it. */
  readonly availableBytes: number;
}

/**
 * What happened to a watched folder. `changed`: entries with these names came, went, or got other content or attributes;
 * several events are one while nobody listens. `inPlace`: those of them that were written to where they are since they
 * came, so that more of it may follow; what is renamed into place is whole. `present`: the folder is there now, or another one is in its place (look at
 * all of it). `missing`: there is none now.
 */
export type FolderEvent =
  | { readonly type: 'changed'; readonly names: readonly string[]; readonly inPlace: readonly string[] }
  | { readonly type: 'present' }
  | { readonly type: 'missing' };
