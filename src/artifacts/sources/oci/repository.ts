/** What a registry and a layout folder both give: one repository's manifests, blobs and tags. */
import type { Progress } from '../download.ts';
import type { Descriptor, RawManifest } from './model.ts';

/** One repository’s manifests, blobs and tags. */
export interface Repository {
  /** `registry.example/team/kubelet`, or the folder: for messages. */
  readonly name: string;
  /** By tag or digest; its digest is verified. NK_ARTIFACT_MISSING, NK_ARTIFACT_DIGEST. */
  manifest(reference: string): Promise<RawManifest>;
  /** A blob as a file, its digest and size verified. `temporary`: the file is the caller's, in `folder`. */
  blob(descriptor: Descriptor, options: BlobOptions): Promise<{ readonly path: string; readonly temporary: boolean }>;
  /** All tags. NK_TAGS_UNAVAILABLE when they cannot be listed, which is another thing than there being none. */
  tags(): Promise<string[]>;
  /** Manifests that refer to the one of this digest; empty when there are none. */
  referrers(digest: string): Promise<Descriptor[]>;
  /** How to write a tag or digest of it in messages. */
  reference(tagOrDigest: string): string;
}

/** How a blob is taken. */
export interface BlobOptions {
  /** Where a download lands. */
  readonly folder: string;
  readonly onProgress?: (progress: Progress) => void;
}
