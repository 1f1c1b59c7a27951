/**
 * What a member of this family gives: the outer form of a package read from its first bytes on, in small pieces: what it
 * says about itself, and where in the file its members are. Unpacking them is the port's (`Archives`); judging what comes
 * out is the member's again. Nothing in a package is ever executed.
 */
import type { DigestAlgorithm } from '../../host/digest.ts';
import type { ArchiveEntry, ArchiveForm, Archives, Compression } from '../../host/port.ts';
import type { PackageForm } from '../../model/resources.ts';
import type { Limits } from './limits.ts';
import type { RangeReader } from './range-reader.ts';

/** The members of the family. */
export type FormatName = PackageForm;

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

/** A digest that a package's own metadata promise. */
export interface Promised {
  readonly algorithm: DigestAlgorithm;
  readonly hex: string;
}

/** Where a package has its members, and what must hold of them. */
export interface Layout {
  readonly info: PackageInfo;
  readonly part: { readonly position: number; readonly length: number };
  readonly form: ArchiveForm;
  /** Of the part as it lies in the file. */
  readonly promisedPart?: Promised;
  /** Of a member's content. */
  readonly promised?: (name: string) => Promised | undefined;
  /**
   * The entries as the package's metadata mean them; NK_ARTIFACT_UNREADABLE when the two do not agree. It needs all entries
   * to be told. Absent: entries say everything themselves.
   */
  readonly judge?: (entries: readonly ArchiveEntry[]) => ArchiveEntry[];
}

/** What a form is read with. */
export interface OpenContext {
  readonly reader: RangeReader;
  readonly archives: Archives;
  readonly limits: Limits;
  readonly signal: AbortSignal | undefined;
}

/** A member of the family. */
export interface Format {
  readonly name: FormatName;
  /** True when the first bytes (512, or all when there are fewer) are of this form. */
  matches(head: Uint8Array): boolean;
  /** Reads headers only. NK_ARTIFACT_UNREADABLE. */
  open(context: OpenContext): Promise<Layout>;
}
