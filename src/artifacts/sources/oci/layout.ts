/**
 * A folder in the OCI image layout: `oci-layout`, `index.json`, `blobs/sha256/<hex>`. The same answers as a registry's.
 * Errors: NK_ARTIFACT_MISSING, NK_ARTIFACT_DIGEST, NK_ARTIFACT_UNREADABLE.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NodekilnError, errnoOf } from '../../../errors.ts';
import { indexTypes, maxManifestBytes, parseManifest } from './model.ts';
import type { Descriptor, Index, RawManifest } from './model.ts';
import type { Repository } from './repository.ts';

const tagAnnotation = 'org.opencontainers.image.ref.name';
const chunkSize = 1024 * 1024;

/** NK_ARTIFACT_MISSING when the folder is no layout. */
export async function openLayout(folder: string, signal?: AbortSignal): Promise<Repository> {
  const index = await readIndex(folder);
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
    await checkSize(path, { what, most: maxManifestBytes });
    const content = await readFile(path);
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    if (digest !== entry.digest) throw wrongDigest(path, digest, entry.digest);
    return { digest, mediaType: entry.mediaType, content };
  };

  return {
    name: folder,
    reference,
    manifest,
    blob: async ({ digest, size }) => {
      const path = blobPath(folder, digest);
      await checkSize(path, { what: path, exactly: size });
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(path, { highWaterMark: chunkSize, ...(signal && { signal }) }))
        hash.update(chunk as Buffer);
      const actual = `sha256:${hash.digest('hex')}`;
      if (actual !== digest) throw wrongDigest(path, actual, digest);
      return { path, temporary: false };
    },
    tags: async () => tagsOf(index),
    referrers: (digest) => referrersIn(index, digest, manifest),
  };
}

async function readIndex(folder: string): Promise<Index> {
  const path = join(folder, 'index.json');
  const missing = new NodekilnError('NK_ARTIFACT_MISSING', `${folder} is no OCI layout: it has no index.json`, {
    resource: folder,
  });
  await checkSize(path, { what: path, most: maxManifestBytes, missing });
  const raw: RawManifest = { digest: '', mediaType: indexTypes[0], content: await readFile(path) };
  const parsed = parseManifest(raw, path);
  if (parsed.type === 'index') return parsed.index;
  throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} is no index`, { resource: path });
}

function tagsOf(index: Index): string[] {
  return index.manifests.flatMap(({ annotations }) => annotations?.[tagAnnotation] ?? []);
}

/** In a layout, what refers to a manifest says so in its `subject`. */
async function referrersIn(index: Index, digest: string, manifest: Repository['manifest']): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  for (const descriptor of index.manifests) {
    const { content } = await manifest(descriptor.digest);
    const data = JSON.parse(content.toString('utf8')) as { subject?: { digest?: unknown } };
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

async function checkSize(
  path: string,
  { what, most, exactly, missing }: { what: string; most?: number; exactly?: number; missing?: NodekilnError },
): Promise<void> {
  const found = await stat(path).catch((thrown: unknown) => {
    if (errnoOf(thrown) !== 'ENOENT' && errnoOf(thrown) !== 'ENOTDIR') throw thrown;
    throw missing ?? new NodekilnError('NK_ARTIFACT_MISSING', `${path} does not exist`, { resource: what });
  });
  if (!found.isFile())
    throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} is no regular file`, { resource: what });
  if (most !== undefined && found.size > most)
    throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${path} has more than ${most} bytes`, { resource: what });
  if (exactly !== undefined && found.size !== exactly)
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${path} has ${found.size} bytes, not ${exactly}`, {
      resource: what,
    });
}

function wrongDigest(path: string, actual: string, wanted: string): NodekilnError {
  return new NodekilnError('NK_ARTIFACT_DIGEST', `${path} has the digest ${actual}, not ${wanted}`, { resource: path });
}
