/** Every kind of source there is. */
import { fileSource } from './file.ts';
import { httpSource } from './http.ts';
import type { FetchContext, Fetched, Source, SourceSpec } from './source.ts';

export const sources: { readonly [Type in SourceSpec['type']]: Source<Type> } = { file: fileSource, http: httpSource };

/** The artifact as a local file of the digest and size that the specification names. */
export async function fetchArtifact(spec: SourceSpec, context: FetchContext): Promise<Fetched> {
  switch (spec.type) {
    case 'file':
      return sources.file.fetch(spec, context);
    case 'http':
      return sources.http.fetch(spec, context);
  }
}
