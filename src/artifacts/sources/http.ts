/** An address, downloaded into the context's folder. */
import { createHash } from 'node:crypto';
import { join, posix } from 'node:path';
import { download } from './download.ts';
import { shownUrl } from './http-client.ts';
import type { FetchContext, Fetched, ArtifactSource, SourceSpec } from './source.ts';

export const httpSource: ArtifactSource<'http'> = { type: 'http', fetch: fetchHttp };

async function fetchHttp(spec: Extract<SourceSpec, { type: 'http' }>, context: FetchContext): Promise<Fetched> {
  const location = shownUrl(spec.url);
  // Two addresses that end alike do not share a name.
  const mark = createHash('sha256').update(spec.url).digest('hex').slice(0, 12);
  const to = join(context.folder, `${mark}-${posix.basename(new URL(spec.url).pathname) || 'artifact'}`);
  const { path, digest, size } = await download({ ...context, ...spec, to });
  return { path, digest, size, location, temporary: true };
}
