/** An address, downloaded into the context's folder. */
import { createDigest } from '../../host/digest.ts';
import { basename, join } from '../../model/path.ts';
import { download } from './download.ts';
import { shownUrl } from './http-client.ts';
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from './source.ts';

export const httpSource: ArtifactSource<'http'> = { type: 'http', fetch: fetchHttp };

async function fetchHttp(spec: Extract<SourceSpec, { type: 'http' }>, context: FetchContext): Promise<Fetched> {
  const location = shownUrl(spec.url);
  // Two addresses that end alike do not share a name.
  const mark = createDigest().update(spec.url).hex().slice(0, 12);
  const to = join(context.folder, `${mark}-${basename(new URL(spec.url).pathname) || 'artifact'}`);
  const { path, digest, size } = await download({ ...context, ...spec, to });
  return { path, digest, size, location, temporary: true };
}
