/**
 * What containerd's store of a host holds, read from its files: the images of the namespace `k8s.io`, by what they point at
 * and whether kubelet must keep them. No program of the host is run. Source: containerd, core/metadata/buckets.go.
 */
import { NodekilnError } from '../errors.ts';
import { textOf } from '../model/bytes.ts';
import { readBolt, type Bucket } from './bolt.ts';
import type { Files, StoredContainerImage } from './port.ts';

export const storeDatabase = '/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db';
/** By which the CRI tells kubelet never to collect an image. */
const pinnedLabel = 'io.cri-containerd.pinned';
/** Of a node with some thousand images it has a few megabytes. */
const maxBytes = 256 * 1024 * 1024;

/** None when containerd never ran there. NK_IMAGE_IMPORT when the store cannot be read. */
export async function storedImages(files: Files): Promise<StoredContainerImage[]> {
  const file = await files.open(storeDatabase);
  if (!file) return [];
  try {
    if (file.stat.size > maxBytes) throw unusable(`it has ${file.stat.size} bytes, more than ${maxBytes}`);
    const database = readBolt(await file.read(0, file.stat.size));
    const images = ['v1', 'k8s.io', 'images'].reduce<Bucket | undefined>(
      (bucket, name) => bucket?.buckets.get(name),
      database,
    );
    return [...(images?.buckets ?? [])].flatMap(([reference, image]) => describe(reference, image));
  } catch (thrown) {
    if (thrown instanceof RangeError) throw unusable(thrown.message, thrown);
    throw thrown;
  } finally {
    await file.close();
  }
}

/** The store names each image a second time by its digest. */
function describe(reference: string, image: Bucket): StoredContainerImage[] {
  const digest = textOf(image.buckets.get('target')?.values.get('digest') ?? new Uint8Array());
  if (reference.startsWith('sha256:') || !/^sha256:[0-9a-f]{64}$/.test(digest)) return [];
  const label = image.buckets.get('labels')?.values.get(pinnedLabel);
  return [{ reference, digest, pinned: label !== undefined && textOf(label) === 'pinned' }];
}

function unusable(why: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_IMAGE_IMPORT', `containerd’s store ${storeDatabase} cannot be read: ${why}`, {
    ...(cause !== undefined && { cause }),
    hint: 'Bake into a fresh root.',
  });
}
