/**
 * Effects of `image` resources: archives, and what registries have, imported into containerd's content store, namespace
 * `k8s.io`.
 */
import type { ContainerImageResource } from '../../model/resources.ts';
import { progressText } from '../../artifacts/sources/progress.ts';
import type { Fetched, SourceSpec } from '../../artifacts/sources/source.ts';
import { readContainerImageArchive } from '../../artifacts/container-image-archive.ts';
import { NodekilnError } from '../../errors.ts';
import { orAborted } from '../../host/deadline.ts';
import type { ContainerImageObservation, Touched } from '../../model/steps.ts';
import { artifactPath, locatedSignature } from '../binary/artifacts.ts';
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
 * NK_IMAGE_IMPORT; without an archive those of the registry.
 */
export async function performImport(context: PerformContext, resource: ContainerImageResource): Promise<void> {
  const { host, notes } = context;
  const { path: archive, digest: wanted, pulled } = await archiveOf(context, resource);
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
  notes.setArtifact(resource.id, pulled ?? { location: resource.archive ?? archive, digest, size });
  context.detail(unpacked ? 'unpacked' : 'not unpacked: containerd does it when its first container starts');
  if (references.includes(resource.reference)) return;
  throw new NodekilnError(
    'NK_IMAGE_IMPORT',
    `${resource.archive ?? archive} holds ${references.join(', ') || 'no image'}, not ${resource.reference}`,
    {
      resource: resource.id,
      hint: 'Correct `reference` in the manifest, or use another archive.',
    },
  );
}

interface Archive {
  readonly path: string;
  /** That the archive itself must have. */
  readonly digest: string | undefined;
  /** What a registry gave: what counts is what the reference named, not the archive that was made of it. */
  readonly pulled?: Pick<Fetched, 'location' | 'digest' | 'size'>;
}

async function archiveOf(context: PerformContext, resource: ContainerImageResource): Promise<Archive> {
  const { archive, reference, plainHttp, signature, transfer, architecture } = resource;
  const digest = resource.digest ?? context.lockedDigests.get(resource.id);
  if (archive !== undefined) return { path: artifactPath(context.artifactBase, archive), digest };
  const spec: SourceSpec = {
    type: 'container-image',
    reference,
    ...(plainHttp !== undefined && { plainHttp }),
    ...(architecture !== undefined && { architecture }),
    ...(digest !== undefined && { digest }),
  };
  const fetched = await context.downloads.fetch(spec, {
    transfer,
    ...(signature && { signature: locatedSignature(signature, context.artifactBase) }),
    signal: context.signal,
    onProgress: (progress) => context.progress(progressText(progress), progress),
  });
  const { location, size } = fetched;
  return { path: fetched.path, digest: undefined, pulled: { location, digest: fetched.digest, size } };
}
