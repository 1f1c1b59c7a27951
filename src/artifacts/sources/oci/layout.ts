/**
 * A folder in the OCI image layout: `oci-layout`, `index.json`, `blobs/sha256/<hex>`. The same answers as a registry's.
 * Errors: NK_ARTIFACT_MISSING, NK_ARTIFACT_DIGEST, NK_ARTIFACT_UNREADABLE.
 */
import { NodekilnError } from '../../../errors.ts';
import { sha256 } from '../../../host/digest.ts';
import { textOf } from '../../../model/bytes.ts';
import { join } from '../../../model/path.ts';
import { digestOfFile, requireDigest, requireSize, withLocalFile } from '../local-file.ts';
import type { FetchHost } from '../source.ts';
import { indexTypes, maxManifestBytes, parseManifest } from './model.ts';
import type { Descriptor, Index, RawManifest } from './model.ts';
import type { Repository } from './repository.ts';

const tagAnnotation = 'org.opencontainers.image.ref.name';

type LayoutHost = Pick<FetchHost, 'local' | 'archives'>;

/** `folder`: in our own file system. NK_ARTIFACT_MISSING when it is no layout. */
export async function openLayout(host: LayoutHost, folder: string, signal?: AbortSignal): Promise<Repository> {
  const index = await readIndex(host, folder);
  const reference = (tagOrDigest: string): string => `${folder}${tagOrDigest.includes(':') ? '@' : ':'}${tagOrDigest}`;

  const manifest = async (tagOrDigest: string): Promise<RawManifest> => {
    const what = reference(tagOrDigest);
    const entry = tagOrDigest.includes(':')
      ? { digest: tagOrDigest, mediaType: '' }
      : index.manifests.find(({ annotations }) => annotations?.[tagAnnotation] === tagOrDigest);
    if (!entry)
      throw new NodekilnError('NK_ARTIFACT_MISSING', `${what} is not in the layout`, {
        resource: what,
        lines: tagsOf(index).map((tag) => `it has ${tag}`),
      });
    const path = blobPath(folder, entry.digest);
    const content = await readDocument(host, { path, what });
    const digest = sha256(content);
    requireDigest(path, digest, entry.digest);
    return { digest, mediaType: entry.mediaType, content };
  };

  return {
    name: folder,
    reference,
    manifest,
    blob: async ({ digest, size }) => {
      const path = blobPath(folder, digest);
      return withLocalFile(host, { path }, async (file) => {
        requireSize(path, file.stat.size, size);
        requireDigest(path, await digestOfFile(host, file, { what: path, signal }), digest);
        return { path, temporary: false };
      });
    },
    tags: async () => tagsOf(index),
    referrers: (digest) => referrersIn(index, digest, manifest),
  };
}

async function readIndex(host: LayoutHost, folder: string): Promise<Index> {
  const path = join(folder, 'index.json');
  const missing = new NodekilnError('NK_ARTIFACT_MISSING', `${folder} is no OCI layout: it has no index.json`, {
    resource: folder,
  });
  const content = await readDocument(host, { path, what: path, missing });
  const parsed = parseManifest({ digest: '', mediaType: indexTypes[0], content }, path);
  if (parsed.type === 'index') return parsed.index;
  throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} is no index`, { resource: path });
}

/** A manifest or index: bounded, as in registries. */
function readDocument(
  host: LayoutHost,
  at: { readonly path: string; readonly what: string; readonly missing?: NodekilnError },
): Promise<Uint8Array> {
  return withLocalFile(host, at, (file) => {
    if (file.stat.size > maxManifestBytes)
      throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${at.path} has more than ${maxManifestBytes} bytes`, {
        resource: at.what,
      });
    return file.read(0, file.stat.size);
  });
}

function tagsOf(index: Index): string[] {
  return index.manifests.flatMap(({ annotations }) => annotations?.[tagAnnotation] ?? []);
}

/** In a layout, what refers to a manifest says so in its `subject`. */
async function referrersIn(index: Index, digest: string, manifest: Repository['manifest']): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  for (const descriptor of index.manifests) {
    const { content } = await manifest(descriptor.digest);
    const data = JSON.parse(textOf(content)) as { subject?: { digest?: unknown } };
    if (data.subject?.digest === digest) found.push(descriptor);
  }
  return found;
}

function blobPath(folder: string, digest: string): string {
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
  if (hex === undefined)
    throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${JSON.stringify(digest)} is no digest that can be checked`);
  return join(folder, 'blobs', 'sha256', hex);
}
