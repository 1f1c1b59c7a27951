/** The port's container images: containerd's store. */

/** Whether an image's layers are made into snapshots when it is imported. `auto`: below a size, see `unpackBelowBytes`. */
export type Unpack = 'auto' | 'always' | 'never';

/**
 * Archives smaller than this are unpacked under `auto`: a large one costs its size again in the image and minutes of the
 * bake, and containerd unpacks it when its first container starts.
 */
export const unpackBelowBytes = 200 * 1024 * 1024;

export interface ImportOptions {
  /** Of the archive. */
  readonly digest?: string;
  readonly pin: boolean;
  /** `auto` unless told. */
  readonly unpack?: Unpack;
  /** Go's name; refused when no image of the archive is for it. */
  readonly architecture?: string;
}

export interface Imported {
  /** Every reference in the store. */
  readonly references: string[];
  /** Of the archive. */
  readonly digest: string;
  readonly size: number;
  readonly unpacked: boolean;
}

/** An image as containerd's store has it. */
export interface StoredContainerImage {
  readonly reference: string;
  /** Of what the reference points at: a manifest, or an index of several systems. */
  readonly digest: string;
  readonly pinned: boolean;
}

export interface Containers {
  /**
   * Imports the images of an archive (OCI layout or docker-archive tar; a path in our own file system) for the host's
   * system into containerd's content store, namespace `k8s.io`; `pin` keeps kubelet from collecting them. In a root
   * folder the root's own containerd is started for this and stopped by `Host.close`. NK_ARTIFACT_MISSING,
   * NK_ARTIFACT_DIGEST (of the archive), NK_ARTIFACT_ARCHITECTURE, NK_IMAGE_IMPORT.
   */
  importArchive(archive: string, options: ImportOptions): Promise<Imported>;
  /**
   * The images in the store. Where no containerd answers, the host's own is started on a private socket and stopped by
   * `Host.close`; it changes no unit. NK_IMAGE_IMPORT when it cannot be started.
   */
  list(): Promise<StoredContainerImage[]>;
}
