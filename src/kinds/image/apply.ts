/** Effects of `image` resources: archives imported into containerd's content store, namespace `k8s.io`. */
import type { ContainerImageResource } from '../../model/resources.ts';
import { readContainerImageArchive } from '../../artifacts/container-image-archive.ts';
import { NodekilnError } from '../../errors.ts';
import { orAborted } from '../../host/deadline.ts';
import type { ContainerImageObservation, Touched } from '../../model/steps.ts';
import { artifactPath } from '../binary/artifacts.ts';
import type { PerformContext } from '../performer.ts';

/** Asking containerd would mean starting it: our own record of a finished import of this very archive counts. */
export function observeImage(
  resource: ContainerImageResource,
  touched: Touched | undefined,
): ContainerImageObservation {
  const last = touched?.definitions.at(-1);
  const same =
    last?.kind === 'image' &&
    last.reference === resource.reference &&
    last.digest === resource.digest &&
    last.archive === resource.archive &&
    (last.unpack ?? 'auto') === (resource.unpack ?? 'auto');
  return { kind: 'image', present: touched?.done === true && same };
}

/**
 * Archives smaller than this are unpacked under `auto`: a large one costs its size again in the image and minutes of the
 * bake, and containerd unpacks it when its first container starts.
 */
const unpackBelowBytes = 200 * 1024 * 1024;

/**
 * Looks into the archive, has it imported and pinned, and notes what it was. Errors of `readContainerImageArchive`;
 * NK_IMAGE_IMPORT.
 */
export async function performImport(context: PerformContext, resource: ContainerImageResource): Promise<void> {
  const { host, notes } = context;
  const archive = artifactPath(context.artifactBase, resource.archive);
  const wanted = resource.digest ?? context.lockedDigests.get(resource.id);
  const { unpack = 'auto', pin = true, architecture } = resource;
  const { digest, size, unpacked, references } = await context.unpacking(async () => {
    const about = await readContainerImageArchive(host, archive, {
      ...(wanted !== undefined && { digest: wanted }),
      ...(architecture !== undefined && { architecture }),
      ...(context.signal && { signal: context.signal }),
    });
    const unpacks = unpack === 'auto' ? about.size < unpackBelowBytes : unpack === 'always';
    const imported = host.containers.importArchive(archive, { pin, unpack: unpacks });
    return { ...about, ...(await orAborted(context.signal, imported)) };
  });
  notes.setArtifact(resource.id, { location: resource.archive, digest, size });
  context.detail(unpacked ? 'unpacked' : 'not unpacked: containerd does it when its first container starts');
  if (references.includes(resource.reference)) return;
  throw new NodekilnError(
    'NK_IMAGE_IMPORT',
    `${resource.archive} holds ${references.join(', ') || 'no image'}, not ${resource.reference}`,
    {
      resource: resource.id,
      hint: 'Correct `reference` in the manifest, or use another archive.',
    },
  );
}
