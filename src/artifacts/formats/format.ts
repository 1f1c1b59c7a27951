/**
 * What a member of this family gives: a walk over the entries of one package form, in one pass, and what the package
 * says about itself. Nothing in a package is ever executed.
 */
import type { Compression } from './decompress.ts';
import type { Account } from './limits.ts';
import type { ByteReader } from './reader.ts';

export type FormatName = 'deb' | 'rpm' | 'tarball' | 'file';

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'other';

export interface Entry {
  /** Relative, without `./`, empty for the root itself. */
  readonly name: string;
  readonly type: EntryType;
  /** Bytes of content. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /** Of links, as stored. */
  readonly target?: string;
  /** The digest that the package's own metadata promises for the content. */
  readonly promised?: {
    readonly algorithm: 'sha256' | 'sha512' | 'sha384' | 'sha224' | 'sha1' | 'md5';
    readonly hex: string;
  };
}

/** What a package says about itself. */
export interface PackageInfo {
  readonly format: FormatName;
  readonly compression: Compression;
  readonly name?: string;
  /** As the package writes it, with epoch and revision: `1:1.34.8-2.azl3`. */
  readonly version?: string;
  /** As the package writes it: `amd64`, `x86_64`, `noarch`. */
  readonly architecture?: string;
}

export interface Visitor {
  /** Called once, before the first entry. */
  package(info: PackageInfo): void;
  /** Called for each entry in order. Content that is not read is skipped. */
  entry(entry: Entry, content: AsyncIterable<Buffer>): Promise<void>;
}

export interface Format {
  readonly name: FormatName;
  /** True when the first bytes (512, or all when there are fewer) are of this form. */
  matches(head: Buffer): boolean;
  /** Reads the whole package; every check it can make has been made when this returns. */
  walk(reader: ByteReader, visitor: Visitor, account: Account): Promise<void>;
}
