/**
 * An inventory: which versions of which packages and images belong on which platform, keyed by operating system,
 * release and variant. Data only, and just what its document holds (`config/schema-inventory.ts` says what each field
 * means); `selection.ts` answers questions about it, `import-agentbaker.ts` reads the format it was first met in. Facts that
 * are not understood here are carried along under `other`.
 */
import type { InventoryDocument } from '../../config/schema-inventory.ts';

type Frozen<T> = T extends readonly (infer Element)[]
  ? readonly Frozen<Element>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

export type Inventory = Frozen<InventoryDocument['spec']>;
export type Facts = Readonly<Record<string, unknown>>;

export type InventoryPackage = Inventory['packages'][number];
/** What holds for one platform. Platforms look for their block by keys, from the most exact to `default`. */
export type PlatformBlock = InventoryPackage['blocks'][number];
/** At most two versions of one line. */
export type VersionEntry = NonNullable<PlatformBlock['entries']>[number];
export type InventoryImage = Inventory['images'][number];
export type InventoryGpuImage = Inventory['gpuImages'][number];
export type InventoryArtifact = Inventory['artifacts'][number];
