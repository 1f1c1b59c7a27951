/** The port's container images: containerd's store. */

/** What becomes of imported images. */
export interface ContainerImport {
  /** Keeps kubelet from collecting the images. */
  readonly pin: boolean;
  /** Makes snapshots of their layers; otherwise containerd does when the first container of an image starts. */
  readonly unpack: boolean;
}

/** What came of an import. */
export interface ContainerImported {
  /** Every reference in the store. */
  readonly references: readonly string[];
  /** Whether the layers have snapshots now. */
  readonly unpacked: boolean;
}

/** An image as containerd's store has it. */
export interface StoredContainerImage {
  readonly reference: string;
  /** Of what the reference points at: a manifest, or an index of several systems. */
  readonly digest: string;
  readonly pinned: boolean;
}

/** containerd’s store of a host. */
export interface Containers {
  /**
   * Imports the images of an archive (OCI layout or docker-archive tar; a path in our own file system) for the host's
   * system into containerd's content store, namespace `k8s.io`. The archive was looked into before. In a root folder the
   * root's own containerd is started for this, in a sandbox, and stopped by `Host.close`. NK_IMAGE_IMPORT.
   */
  importArchive(archive: string, options: ContainerImport): Promise<ContainerImported>;
  /**
   * The images in the store: of the containerd that runs, or read from its files. Nothing is started. NK_IMAGE_IMPORT when they cannot be read.
   */
  list(): Promise<StoredContainerImage[]>;
}
