/** Every kind of source there is, each loaded when it is used. */
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from './source.ts';

const sources: { readonly [Type in SourceSpec['type']]: () => Promise<ArtifactSource<Type>> } = {
  file: () => import('./file.ts').then((module) => module.fileSource),
  http: () => import('./http.ts').then((module) => module.httpSource),
  oci: () => import('./oci/source.ts').then((module) => module.ociSource),
  'oci-layout': () => import('./oci/source.ts').then((module) => module.ociLayoutSource),
  'image-file': () => import('./oci/source.ts').then((module) => module.imageFileSource),
  'container-image': () => import('./oci/image-archive.ts').then((module) => module.containerImageSource),
  apt: () => import('./packages/apt.ts').then((module) => module.aptSource),
  dnf: () => import('./packages/dnf.ts').then((module) => module.dnfSource),
};

/** The artifact as a local file of the digest and size that the specification names. */
export async function fetchArtifact(spec: SourceSpec, context: FetchContext): Promise<Fetched> {
  // The compiler cannot see that a specification goes with the source of its type; the table's type says so.
  const source = (await sources[spec.type]()) as ArtifactSource<typeof spec.type>;
  return source.fetch(spec, context);
}
