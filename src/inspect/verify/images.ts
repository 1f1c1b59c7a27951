/**
 * Container images: by the very digest, every blob in the content store whole, pinned as locked. The store is asked through
 * containerd (`Containers.list`); the blobs are read where containerd keeps them.
 */
import { asNodekilnError } from '../../errors.ts';
import type { Files, Host, StoredContainerImage } from '../../host/port.ts';
import type { ImageLock } from '../../image/image-lock.ts';
import { subjectOf, type Check } from './check.ts';
import { index, manifest } from './schema-images.ts';
import { sha256 } from '../../host/digest.ts';
import { textOf } from '../../model/bytes.ts';

const blobFolder = '/var/lib/containerd/io.containerd.content.v1.content/blobs';

export interface ImageOptions {
  /** Sizes only: the blobs are not read. */
  readonly trustSeals: boolean;
}

export async function checkImages(host: Host, lock: ImageLock, options: ImageOptions): Promise<Check[]> {
  const checks: Check[] = [];
  if (lock.images.length === 0) return checks;
  let stored: ReadonlyMap<string, StoredContainerImage>;
  try {
    stored = new Map((await host.containers.list()).map((image) => [image.reference, image]));
  } catch (thrown) {
    const { message } = asNodekilnError(thrown);
    for (const { reference } of lock.images) {
      const subject = subjectOf(checks, 'images', reference);
      subject.fail('present', message);
      for (const property of ['complete', 'pinned']) subject.skip(property, 'the store cannot be asked');
    }
    return checks;
  }
  for (const wanted of lock.images) {
    const subject = subjectOf(checks, 'images', wanted.reference);
    const image = stored.get(wanted.reference);
    const absent =
      image === undefined
        ? 'not in the store'
        : image.digest === wanted.digest
          ? undefined
          : `has the digest ${image.digest}, not ${wanted.digest}`;
    if (!subject.judge('present', absent) || !image) {
      for (const property of ['complete', 'pinned']) subject.skip(property, 'it is not there');
      continue;
    }
    const problems = await blobProblems(host.files, wanted.digest, {
      ...options,
      architecture: lock.image.architecture,
    });
    subject.judge('complete', problems.length === 0 ? undefined : problems.join('; '));
    const pinning = image.pinned ? 'is pinned, and was not' : 'is not pinned: kubelet may remove it';
    subject.judge('pinned', image.pinned === wanted.pinned ? undefined : pinning);
  }
  const unlocked = [...stored.keys()].filter((name) => !lock.images.some(({ reference }) => reference === name));
  subjectOf(checks, 'images', 'others').judge('none', unlocked.length === 0 ? undefined : unlocked.join(', '));
  return checks;
}

interface Walk extends ImageOptions {
  readonly architecture: string;
}

async function blobProblems(files: Files, digest: string, options: Walk): Promise<string[]> {
  const root = await documentOf(files, digest);
  if (typeof root === 'string') return [root];
  const list = index.safeParse(root.document);
  if (list.success) {
    const mine = list.data.manifests.filter(
      ({ platform }) =>
        platform === undefined || (platform.os === 'linux' && platform.architecture === options.architecture),
    );
    if (mine.length === 0) return [`its index names no image for linux/${options.architecture}`];
    return (await Promise.all(mine.map((inner) => blobProblems(files, inner.digest, options)))).flat();
  }
  const parsed = manifest.safeParse(root.document);
  if (!parsed.success) return [`${digest} is neither an index nor a manifest`];
  const blobs = [parsed.data.config, ...parsed.data.layers];
  const problems = await Promise.all(blobs.map((blob) => blobProblem(files, blob, options)));
  return problems.filter((problem) => problem !== undefined);
}

/** Documents are small and always read in full. */
async function documentOf(files: Files, digest: string): Promise<{ document: unknown } | string> {
  const bytes = await files.read(blobPath(digest));
  if (bytes === undefined) return `${digest} is missing`;
  const actual = sha256(bytes);
  if (actual !== digest) return `${digest} has the content ${actual}`;
  try {
    return { document: JSON.parse(textOf(bytes)) as unknown };
  } catch {
    return `${digest} is no JSON`;
  }
}

async function blobProblem(
  files: Files,
  { digest, size }: { digest: string; size: number },
  { trustSeals }: ImageOptions,
): Promise<string | undefined> {
  const path = blobPath(digest);
  const stat = await files.stat(path);
  if (stat?.type !== 'file') return `${digest} is missing`;
  if (stat.size !== size) return `${digest} has ${stat.size} bytes, not ${size}`;
  if (trustSeals) return undefined;
  const actual = await files.digest(path);
  return actual === digest ? undefined : `${digest} has the content ${actual}`;
}

function blobPath(digest: string): string {
  return `${blobFolder}/${digest.replace(':', '/')}`;
}
