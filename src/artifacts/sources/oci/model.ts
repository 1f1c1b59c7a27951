/**
 * What registries and layouts hold: manifests, indexes and blobs, as the OCI image and distribution specifications
 * (v1.1) and Docker's schema 2 describe them. Foreign data: unknown keys are no errors. Sizes in bytes.
 */
import { NodekilnError } from '../../../errors.ts';
import { textOf } from '../../../model/bytes.ts';
import { index, manifest, type Index, type Manifest } from './schema.ts';

export type { Descriptor, Index, Manifest } from './schema.ts';

export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;
export const indexTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
] as const;
export const emptyType = 'application/vnd.oci.empty.v1+json';
export const titleAnnotation = 'org.opencontainers.image.title';

/** Manifests are small; more is an attack or a mistake (distribution specification: at least 4 MiB must be accepted). */
export const maxManifestBytes = 4 * 1024 * 1024;

/** A manifest or index as it was served. */
export interface RawManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly content: Uint8Array;
}

/** What a document of a registry turned out to be. */
export type ParsedManifest =
  | { readonly type: 'manifest'; readonly digest: string; readonly manifest: Manifest }
  | { readonly type: 'index'; readonly digest: string; readonly index: Index };

/** NK_ARTIFACT_UNREADABLE for anything else, Docker's schema 1 included, which says nothing that could be verified. */
export function parseManifest(raw: RawManifest, what: string): ParsedManifest {
  const refuse = (why: string, cause?: unknown): NodekilnError =>
    new NodekilnError('NK_ARTIFACT_UNREADABLE', `the manifest of ${what} ${why}`, { resource: what, cause });
  let data: unknown;
  try {
    data = JSON.parse(textOf(raw.content));
  } catch (thrown) {
    throw refuse('is no JSON', thrown);
  }
  const stated = mediaTypeOf(data) ?? raw.mediaType;
  // One to be read in two ways, each with a digest that is right (CVE-2021-41190).
  if (has(data, 'manifests') && (has(data, 'layers') || has(data, 'config') || has(data, 'fsLayers')))
    throw refuse('is an index and the manifest of an image at once');
  if (isOneOf(indexTypes, stated)) {
    const parsed = index.safeParse(data);
    if (parsed.success) return { type: 'index', digest: raw.digest, index: parsed.data };
    throw refuse('is no valid index', parsed.error);
  }
  if (isOneOf(manifestTypes, stated)) {
    const parsed = manifest.safeParse(data);
    if (parsed.success) return { type: 'manifest', digest: raw.digest, manifest: parsed.data };
    throw refuse('is no valid manifest', parsed.error);
  }
  throw refuse(`has the media type ${stated || 'unknown'}, which cannot be read`);
}

function has(data: unknown, field: string): boolean {
  return typeof data === 'object' && data !== null && field in data;
}

function mediaTypeOf(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || !('mediaType' in data)) return undefined;
  return typeof data.mediaType === 'string' ? data.mediaType : undefined;
}

function isOneOf(types: readonly string[], type: string): boolean {
  return types.includes(type.split(';')[0]?.trim() ?? '');
}
