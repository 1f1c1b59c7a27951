/** Records that outlive a run: what was found out about a file or an artifact, kept in the journal. Pure. */

/** Size, change time and inode of a file whose digest we computed: while they hold, so does the digest. */
export interface FileSeal {
  readonly size: number;
  readonly mtimeNs: string;
  readonly inode: string;
  readonly digest: string;
  /** Which file of which image it is, where it was taken out of one. */
  readonly from?: string;
}

/** What an artifact turned out to be when it was put into place. */
export interface RecordedArtifact {
  /** Without secrets. */
  readonly location: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** As the artifact states it. */
  readonly version?: string;
}
