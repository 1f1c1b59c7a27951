/** Artifacts in registries and OCI layouts: the only file of an artifact, or the one named; one file of an image. */
import { NodekilnError } from '../../../errors.ts';
import { createDigest } from '../../../host/digest.ts';
import { basename, join } from '../../../model/path.ts';
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from '../source.ts';
import { extractFromImage } from './image-file.ts';
import { openLayoutFolder, openReference } from './open.ts';
import type { Repository } from './repository.ts';
import { chooseFile, resolveManifest } from './resolve.ts';

type Of<Type extends SourceSpec['type']> = Extract<SourceSpec, { type: Type }>;

export const ociSource: ArtifactSource<'oci'> = {
  type: 'oci',
  fetch: (spec, context) => fetchFile({ ...openReference(spec, context), spec }, context),
};

export const ociLayoutSource: ArtifactSource<'oci-layout'> = {
  type: 'oci-layout',
  fetch: async (spec, context) => {
    const repository = await openLayoutFolder(spec.path, context);
    return fetchFile({ repository, tagOrDigest: await tagIn(repository, spec.tag), spec }, context);
  },
};

export const imageFileSource: ArtifactSource<'image-file'> = { type: 'image-file', fetch: fetchImageFile };

interface Place {
  readonly repository: Repository;
  readonly tagOrDigest: string;
}

/** The tag asked for, or the only one. */
async function tagIn(repository: Repository, tag: string | undefined): Promise<string> {
  if (tag !== undefined) return tag;
  const tags = await repository.tags();
  const [only] = tags;
  if (only !== undefined && tags.length === 1) return only;
  throw new NodekilnError(
    'NK_ARTIFACT_MISSING',
    `${repository.name} holds ${tags.length} tagged artifacts, and no tag is named`,
    {
      resource: repository.name,
      lines: tags.map((one) => `it has ${one}`),
    },
  );
}

async function fetchFile(
  { repository, tagOrDigest, spec }: Place & { spec: Of<'oci'> | Of<'oci-layout'> },
  context: FetchContext,
): Promise<Fetched> {
  const what = repository.reference(tagOrDigest);
  const resolved = await resolveManifest(repository, tagOrDigest, spec.architecture);
  await context.verify?.({ repository, digest: resolved.signedDigest, reference: what });
  const file = chooseFile(resolved.manifest, spec.file, what);
  for (const [name, wanted, actual] of [
    ['digest', spec.digest, file.digest],
    ['size', spec.size, file.size],
  ] as const) {
    if (wanted === undefined || wanted === actual) continue;
    throw new NodekilnError('NK_ARTIFACT_DIGEST', `${what} holds a file with the ${name} ${actual}, not ${wanted}`, {
      resource: what,
    });
  }
  const blob = await repository.blob(file, context);
  return { ...blob, digest: file.digest, size: file.size, location: pinned(what, resolved.signedDigest) };
}

async function fetchImageFile(spec: Of<'image-file'>, context: FetchContext): Promise<Fetched> {
  const { repository, tagOrDigest } = await openImage(spec, context);
  const what = repository.reference(tagOrDigest);
  const { manifest, signedDigest } = await resolveManifest(repository, tagOrDigest, spec.architecture);
  await context.verify?.({ repository, digest: signedDigest, reference: what });
  // Two files of one image do not share a name.
  const mark = createDigest().update(`${signedDigest} ${spec.member}`).hex().slice(0, 12);
  const extracted = await extractFromImage(
    {
      host: context,
      repository,
      manifest,
      what,
      member: spec.member,
      architecture: spec.architecture,
      folder: context.folder,
      ...(context.onProgress && { onProgress: context.onProgress }),
      ...(spec.digest !== undefined && { digest: spec.digest }),
      ...(context.signal && { signal: context.signal }),
    },
    join(context.folder, `${mark}-${basename(spec.member)}`),
  );
  const { path, digest, size } = extracted;
  return { path, digest, size, location: `${pinned(what, signedDigest)} ${spec.member}`, temporary: true };
}

async function openImage(spec: Of<'image-file'>, context: FetchContext): Promise<Place> {
  if (spec.reference !== undefined)
    return openReference({ reference: spec.reference, plainHttp: spec.plainHttp ?? false }, context);
  const repository = await openLayoutFolder(spec.layout ?? '.', context);
  return { repository, tagOrDigest: await tagIn(repository, spec.tag) };
}

/** Tags move: what was taken is said by digest, too. */
function pinned(what: string, digest: string): string {
  return what.includes('@') ? what : `${what}@${digest}`;
}
