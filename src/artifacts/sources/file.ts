/** A file that is there already: beside the manifest, or in a folder of the host. Read once for its digest. */
import { resolve } from '../../model/path.ts';
import { digestOfFile, requireDigest, requireSize, withLocalFile } from './local-file.ts';
import type { ArtifactSource, FetchContext, Fetched, SourceSpec } from './source.ts';

export const fileSource: ArtifactSource<'file'> = { type: 'file', fetch: fetchFile };

async function fetchFile(spec: Extract<SourceSpec, { type: 'file' }>, context: FetchContext): Promise<Fetched> {
  const path = resolve(context.base, spec.path);
  return withLocalFile(context, { path }, async (file) => {
    const { size } = file.stat;
    requireSize(path, size, spec.size);
    const digest = await digestOfFile(context, file, { what: path, signal: context.signal });
    requireDigest(path, digest, spec.digest);
    return { path, digest, size, location: path, temporary: false };
  });
}
