/** Effects of `image` resources: archives imported into containerd's content store, namespace `k8s.io`. */
import type { ImageResource } from '../../desired/resources.ts';
import { NodekilnError } from '../../errors.ts';
import type { ImageObservation, Touched } from '../../plan/types.ts';
import { artifactPath } from '../binary/artifacts.ts';
import type { PerformContext } from '../performer.ts';

/** Asking containerd would mean starting it: our own record of a finished import of this very archive counts. */
export function observeImage(resource: ImageResource, touched: Touched | undefined): ImageObservation {
  const last = touched?.definitions.at(-1);
  const same =
    last?.kind === 'image' &&
    last.reference === resource.reference &&
    last.digest === resource.digest &&
    last.archive === resource.archive;
  return { kind: 'image', present: touched?.done === true && same };
}

export async function performImport(context: PerformContext, resource: ImageResource): Promise<void> {
  const archive = artifactPath(context.artifactBase, resource.archive);
  const names = await context.host.containers.importArchive(archive, {
    pin: resource.pin ?? true,
    ...(resource.digest && { digest: resource.digest }),
  });
  if (names.includes(resource.reference)) return;
  throw new NodekilnError(
    'NK_IMAGE_IMPORT',
    `${resource.archive} holds ${names.join(', ') || 'no image'}, not ${resource.reference}`,
    {
      resource: resource.id,
      hint: 'Correct `reference` in the manifest, or use another archive.',
    },
  );
}
