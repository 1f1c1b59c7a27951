/** Effects of `image` resources: archives imported into containerd's content store, namespace `k8s.io`. */
import type { ContainerImageResource } from '../../model/resources.ts';
import { NodekilnError } from '../../errors.ts';
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

export async function performImport(context: PerformContext, resource: ContainerImageResource): Promise<void> {
  const archive = artifactPath(context.artifactBase, resource.archive);
  const wanted = resource.digest ?? context.lockedDigests.get(resource.id);
  const imported = await context.unpacking(() =>
    context.host.containers.importArchive(archive, {
      pin: resource.pin ?? true,
      unpack: resource.unpack ?? 'auto',
      ...(wanted !== undefined && { digest: wanted }),
      ...(resource.architecture !== undefined && { architecture: resource.architecture }),
    }),
  );
  const { references, digest, size, unpacked } = imported;
  context.notes.setArtifact(resource.id, { location: resource.archive, digest, size });
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
