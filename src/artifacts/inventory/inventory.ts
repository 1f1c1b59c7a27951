/**
 * An inventory: which versions of which packages and images belong on which platform, keyed by operating system,
 * release and variant. Data only; `selection.ts` answers questions about it, `import-agentbaker.ts` reads the format it
 * was first met in. Facts that are not understood here are carried along under `other`.
 */

export interface Inventory {
  readonly packages: readonly InventoryPackage[];
  readonly images: readonly InventoryImage[];
  readonly gpuImages: readonly InventoryGpuImage[];
  readonly artifacts: readonly InventoryArtifact[];
  readonly other: Facts;
}

export type Facts = Readonly<Record<string, unknown>>;

export interface InventoryPackage {
  readonly name: string;
  /** Folder in the image that downloads land in. */
  readonly location?: string | undefined;
  readonly blocks: readonly PlatformBlock[];
  readonly other: Facts;
}

/** What holds for one platform. Platforms look for their block by keys, from the most exact to `default`. */
export interface PlatformBlock {
  /** `ubuntu`, `azurelinux`, `default`, … */
  readonly os: string;
  /** `r2204`, `v3.0`, `current` */
  readonly release: string;
  /** `OSGUARD`, `DEFAULT` */
  readonly variant?: string | undefined;
  /** Template of the address; the platform's package manager serves when absent. */
  readonly url?: string | undefined;
  readonly entries?: readonly VersionEntry[] | null | undefined;
  /** The older form: a plain list. */
  readonly legacyVersions?: readonly string[] | undefined;
  readonly other: Facts;
}

/** At most two versions of one line. `skip`: the platform brings its own, nothing is to be done. */
export interface VersionEntry {
  readonly skip: boolean;
  readonly latest?: string | null | undefined;
  readonly previous?: string | null | undefined;
  /** The Kubernetes minor version it belongs to: `1.34`. */
  readonly kubernetes?: string | undefined;
  /** How a bot finds newer ones; `false`: never update. */
  readonly update?: string | false | undefined;
  readonly other: Facts;
}

export interface InventoryImage {
  /** `mcr.microsoft.com/oss/pause:*`, the asterisk standing for the version. */
  readonly reference: string;
  readonly amd64Only?: readonly string[] | undefined;
  readonly multiArch?: readonly VersionEntry[] | null | undefined;
  readonly legacyMultiArch?: readonly string[] | undefined;
  readonly windows?: readonly VersionEntry[] | undefined;
  readonly other: Facts;
}

export interface InventoryGpuImage {
  readonly reference: string;
  readonly version: VersionEntry;
  readonly other: Facts;
}

export interface InventoryArtifact {
  readonly name: string;
  /** Template of the reference. */
  readonly reference: string;
  readonly windows?: readonly VersionEntry[] | undefined;
  readonly other: Facts;
}
