/** The schemas of the cache's index, and of what the bake's own record says of the same files. Sizes in bytes, digests `sha256:<hex>`. */
import { array, exactOptional, int, literal, nonnegative, object, regex, string, unknown } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';

const bytes = int().check(nonnegative());
const digest = string().check(regex(/^sha256:[0-9a-f]{64}$/));
/** Part of the name of a file. */
const word = string().check(regex(/^[A-Za-z0-9_][\w.+~-]*$/));

export const cacheEntry = object({
  tool: word,
  /** In full: `1.34.3-5.azl3`. */
  version: string(),
  key: word,
  digest,
  size: bytes,
  /** Of ELF files: `amd64`, `arm64`, `machine-<n>`. */
  architecture: exactOptional(string()),
  source: object({
    type: string(),
    location: string(),
    packageDigest: exactOptional(digest),
    packageSize: exactOptional(bytes),
    /** The package's own version, with epoch and revision. */
    revision: exactOptional(string()),
    package: exactOptional(string()),
    member: exactOptional(string()),
  }),
  /** The time is empty where nothing sealed it. */
  seal: object({ size: bytes, mtimeNs: string().check(regex(/^-?\d*$/)), fsVerity: exactOptional(string()) }),
});
export const cacheIndex = object({
  apiVersion: literal('nodekiln.dev/v1alpha1'),
  kind: literal('ArtifactCache'),
  entries: array(unknown()),
});
/** What the bake's own record says of the same files. */
export const bakedBinaries = object({
  binaries: array(object({ path: string(), tool: word, version: string(), digest, size: bytes })),
});

/** A cached binary: what it is, where it came from, how it looked when it was sealed. */
export type CacheEntry = Infer<typeof cacheEntry>;
export type WrittenIndex = Infer<typeof cacheIndex>;
