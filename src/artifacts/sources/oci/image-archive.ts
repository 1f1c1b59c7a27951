/**
 * A container image of a registry as an archive that containerd imports (OCI image layout 1.0, as tar): what the reference
 * names (an index stays one), of an index only what is for one system. Every blob is verified by digest and size.
 *
 * Errors: those of the repository and of `resolveManifest`; NK_NO_SPACE, NK_FILE_WRITE.
 */
import { NodekilnError } from '../../../errors.ts';
import { createDigest } from '../../../host/digest.ts';
import type { StagedFile } from '../../../host/port.ts';
import { bytesOf } from '../../../model/bytes.ts';
import { inParallel } from '../../../model/parallel.ts';
import { join } from '../../../model/path.ts';
import { formatReference, parseReference, storedName } from '../../../model/reference.ts';
import { requireSpace } from '../../space.ts';
import { withLocalFile } from '../local-file.ts';
import type { ArtifactSource, FetchContext, Fetched, SourceSpec } from '../source.ts';
import { parseManifest, type Descriptor, type RawManifest } from './model.ts';
import { openReference } from './open.ts';
import type { Repository } from './repository.ts';
import { resolveManifest } from './resolve.ts';
import { inTemporaryFolder } from '../../../host/temporary-folder.ts';

export const containerImageSource: ArtifactSource<'container-image'> = { type: 'container-image', fetch: fetchImage };

/** Layers on their way at a time. */
const lanes = 3;
const chunkBytes = 1024 * 1024;
const blockBytes = 512;
const deepestIndex = 3;

/** `digest` and `location` are those of what the reference names, not of the archive: it is the same wherever it is made. */
async function fetchImage(
  spec: Extract<SourceSpec, { type: 'container-image' }>,
  context: FetchContext,
): Promise<Fetched> {
  const { repository, tagOrDigest } = openReference(spec, context);
  const { reference, digest: wanted, architecture } = spec;
  const named = parseReference(reference).digest;
  if (wanted !== undefined && named !== undefined && wanted !== named)
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${reference} has another digest than the one asked for, ${wanted}`, {
      resource: reference,
    });
  const asked = wanted ?? tagOrDigest;
  // Tells what is missing for the system before anything large comes.
  const { signedDigest } = await resolveManifest(repository, asked, architecture);
  await context.verify?.({ repository, digest: signedDigest, reference: repository.reference(asked) });
  const image = await contentOf(repository, { digest: signedDigest, architecture });
  const size = [...image.blobs.values()].reduce((sum, blob) => sum + blob.size, 0);
  // Once as they come, once in the archive.
  await requireSpace(context.local, context.folder, { bytes: 2 * size, what: reference });
  const path = await writeArchive(image, { repository, context, reference });
  return { path, digest: signedDigest, size, location: withDigest(reference, signedDigest), temporary: true };
}

/** An image's documents, by digest, and what they name. */
interface ImageContent {
  readonly top: RawManifest;
  readonly documents: ReadonlyMap<string, RawManifest>;
  readonly blobs: ReadonlyMap<string, Descriptor>;
}

async function contentOf(
  repository: Repository,
  { digest, architecture }: { readonly digest: string; readonly architecture: string | undefined },
): Promise<ImageContent> {
  const documents = new Map<string, RawManifest>();
  const blobs = new Map<string, Descriptor>();
  const follow = async (next: string, depth: number): Promise<RawManifest> => {
    const what = repository.reference(next);
    if (depth === deepestIndex) throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${what} is an index of indexes`);
    const raw = await repository.manifest(next);
    documents.set(next, raw);
    const parsed = parseManifest(raw, what);
    if (parsed.type === 'manifest') {
      const { config, layers } = parsed.manifest;
      for (const blob of [config, ...layers]) blobs.set(blob.digest, blob);
    } else
      for (const child of parsed.index.manifests) if (isFor(child, architecture)) await follow(child.digest, depth + 1);
    return raw;
  };
  return { top: await follow(digest, 0), documents, blobs };
}

/** As containerd takes what an index names: all that is for the system, or for any. */
function isFor({ platform }: Descriptor, architecture: string | undefined): boolean {
  if (platform === undefined) return true;
  return platform.os === 'linux' && (architecture === undefined || platform.architecture === architecture);
}

// ── the archive ──────────────────────────────────────────────────────────────────────────────────────────────────

interface Making {
  readonly repository: Repository;
  readonly context: FetchContext;
  readonly reference: string;
}

async function writeArchive(image: ImageContent, making: Making): Promise<string> {
  const { local, folder } = making.context;
  const archive = await local.stage(folder);
  try {
    // Of this image alone: another that comes meanwhile may have the same layers.
    await inTemporaryFolder(local, folder, (own) => fill({ archive, own }, image, making));
    const name = `${createDigest().update(`${image.top.digest} ${making.reference}`).hex().slice(0, 16)}.tar`;
    await archive.publish(name, { mode: 0o600 });
    return join(folder, name);
  } finally {
    await archive.discard();
  }
}

interface Filling {
  readonly archive: StagedFile;
  /** For what is fetched on the way. */
  readonly own: string;
}

async function fill(
  { archive, own }: Filling,
  { top, documents, blobs }: ImageContent,
  { repository, context, reference }: Making,
): Promise<void> {
  await append(archive, 'oci-layout', bytesOf(JSON.stringify({ imageLayoutVersion: '1.0.0' })));
  await append(archive, 'index.json', bytesOf(JSON.stringify(layoutIndex(top, reference))));
  for (const [digest, { content }] of documents) await append(archive, blobPath(digest), content);
  let writing = Promise.resolve();
  await inParallel([...blobs.values()], lanes, async (blob) => {
    const { path, temporary } = await repository.blob(blob, { ...context, folder: own });
    // One after the other into the archive, whichever comes first.
    const turn = writing.then(() => appendFile(archive, { name: blobPath(blob.digest), path, context }));
    writing = turn.catch(() => undefined);
    await turn;
    if (temporary) await context.local.remove([path]);
  });
  await archive.append(new Uint8Array(2 * blockBytes));
}

/** containerd takes the name from its own annotation. */
function layoutIndex({ digest, mediaType, content }: RawManifest, reference: string): object {
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: statedType(content) ?? mediaType.split(';')[0]?.trim(),
        digest,
        size: content.length,
        annotations: { 'io.containerd.image.name': storedName(reference) },
      },
    ],
  };
}

function statedType(content: Uint8Array): string | undefined {
  const { mediaType } = JSON.parse(new TextDecoder().decode(content)) as { mediaType?: unknown };
  return typeof mediaType === 'string' ? mediaType : undefined;
}

/** Tags move: what was taken is said by digest, too. */
function withDigest(reference: string, digest: string): string {
  return formatReference({ ...parseReference(reference), digest });
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

async function append(archive: StagedFile, name: string, content: Uint8Array): Promise<void> {
  await archive.append(tarHeader(name, content.length));
  await archive.append(content);
  await archive.append(paddingOf(content.length));
}

async function appendFile(
  archive: StagedFile,
  { name, path, context }: { readonly name: string; readonly path: string; readonly context: FetchContext },
): Promise<void> {
  await withLocalFile(context, { path }, async (file) => {
    const { size } = file.stat;
    await archive.append(tarHeader(name, size));
    for (let position = 0; position < size; position += chunkBytes)
      await archive.append(await file.read(position, chunkBytes));
    await archive.append(paddingOf(size));
  });
}

function paddingOf(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes);
}

/** A regular file, 0644, of nobody in particular (POSIX.1-1988 ustar; sizes from 8 GiB on as GNU writes them). */
function tarHeader(name: string, size: number): Uint8Array {
  const header = new Uint8Array(blockBytes);
  const put = (text: string, at: number): void => header.set(bytesOf(text), at);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  put(name, 0);
  put(octal(0o644, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  if (size < 8 * 1024 ** 3) put(octal(size, 11), 124);
  else {
    header[124] = 0x80;
    new DataView(header.buffer).setBigUint64(128, BigInt(size));
  }
  put(octal(0, 11), 136);
  put('        ', 148);
  put('0', 156);
  put('ustar\0', 257);
  put('00', 263);
  put(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  );
  return header;
}
