/**
 * The port's archives: a file is read once, from its first byte to its last; the part of it that is an archive is unpacked
 * on the way, and what was asked for is written, kept or told. Nothing in an archive is ever executed, and only what is
 * asked for reaches a disk. The outer forms of packages are the callers' to read (`src/artifacts/formats`): they say which
 * part of the file it is, how it is compressed and what form it has, and they judge what they are told.
 *
 * Sizes and positions in bytes, mode bits as numbers. Names of entries are relative, without `.`, doubled slashes and a
 * slash at the end; '' is the archive's own folder.
 */
import { NodekilnError } from '../../errors.ts';
import type { DigestAlgorithm } from '../digest.ts';
import type { OpenFile, StagedFile } from './files.ts';

/** As the first bytes tell; `none` for anything else. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'lzma' | 'bzip2';

/** What a member of an archive is: `other` for FIFOs and whatever an archive makes up. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'other';

/** A member of an archive, as the archive states it. */
export interface ArchiveEntry {
  readonly name: string;
  readonly type: EntryType;
  /** Of the content. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /** Of symlinks as stored; of hard links the name of another entry. */
  readonly target?: string;
  /** Of cpio: how many names its inode has. */
  readonly links?: number;
  /** Of what was kept. */
  readonly content?: Uint8Array;
}

/** Bounds on what an archive may make us do. */
export interface ArchiveLimits {
  /** Of the member that is taken. */
  readonly memberBytes: number;
  /** Of everything that comes out of decompression. */
  readonly totalBytes: number;
  /** Entries. */
  readonly members: number;
  /** Of one header (a long name), and of all that is told and kept together. */
  readonly headerBytes: number;
}

/**
 * What comes out of decompression: a tar archive (ustar, GNU, pax), RPM's cpio payload, or one plain file with the name ''.
 * `files` are what an RPM's header lists, in its order: entries of the stripped form (of packages with files above 4 GiB)
 * have nothing but an index into it.
 */
export type ArchiveForm =
  | { readonly type: 'tar' }
  | { readonly type: 'cpio'; readonly files: readonly Omit<ArchiveEntry, 'content'>[] }
  | { readonly type: 'plain' };

/** What is read, and what is done with it on the way. */
export interface ArchiveRequest {
  readonly file: OpenFile;
  /** What messages call the file. */
  readonly what: string;
  /** The part that is unpacked; all of the file unless told. */
  readonly part?: { readonly position: number; readonly length: number };
  readonly compression: Compression;
  readonly form: ArchiveForm;
  readonly limits: ArchiveLimits;
  /** The first regular file with one of these names goes to the end of `into`. */
  readonly take?: {
    readonly names: readonly string[];
    readonly into: StagedFile;
    /** A digest of its content that is wanted beside the staged file's own. */
    readonly digest?: DigestAlgorithm;
  };
  /** Which entries are told: those with these names, the first ones, or all. None unless told. */
  readonly tell?: { readonly names: readonly string[] } | { readonly first: number } | 'all';
  /**
   * Contents that come with the entries: of regular files up to this size with one of these names, or of those that look
   * like JSON (they begin with `{` or `[`). Such entries are told, too.
   */
  readonly keep?: { readonly upTo: number } & ({ readonly names: readonly string[] } | { readonly only: 'json' });
  /** Digests on the way: SHA-256 of the whole file; one of the part as it lies in the file. */
  readonly digests?: { readonly file?: boolean; readonly part?: DigestAlgorithm };
  readonly signal?: AbortSignal;
}

/** What was there. */
export interface ArchiveReading {
  /** In the archive's order. */
  readonly entries: readonly ArchiveEntry[];
  /** The entry that was taken. `digest`: in hex, when one was wanted. */
  readonly taken?: ArchiveEntry & { readonly digest?: string };
  /** Entries in all, and the bytes of all regular files. */
  readonly members: number;
  readonly memberBytes: number;
  /** `sha256:<hex>` of the file; '' when it was not wanted. */
  readonly fileDigest: string;
  /** In hex; '' when it was not wanted. */
  readonly partDigest: string;
}

/**
 * NK_ARTIFACT_UNREADABLE: damaged, truncated (also when the file ends before the part does), beyond the limits, with data
 * after its end, or with names that are absolute or lead outside. NK_TOOL_MISSING when a program is needed to decompress
 * it and missing. NK_FILE_WRITE when `into` cannot be written. NK_INTERRUPTED.
 */
export interface Archives {
  /** Reads all of the file; every check that can be made has been made when this returns. */
  read(request: ArchiveRequest): Promise<ArchiveReading>;
  /** A compressed file's content as it comes out, to be iterated once. */
  unpack(
    request: Pick<ArchiveRequest, 'file' | 'what' | 'compression' | 'signal'> & { readonly totalBytes: number },
  ): AsyncIterable<Uint8Array>;
}

/** NK_ARTIFACT_UNREADABLE: the archive `what` itself is damaged, truncated, hostile or something else than stated. */
export function unreadable(what: string, why: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_UNREADABLE', `${what} ${why}`, {
    resource: what,
    ...(cause !== undefined && { cause }),
  });
}
