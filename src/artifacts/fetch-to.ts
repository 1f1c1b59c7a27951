/**
 * One artifact from any source, put at a path: whole and right or not at all, durable when this returns. What is there
 * already is replaced by a rename, or left alone when it is of the digest that is asked for.
 */
import { basename, dirname } from '../model/path.ts';
import { defaultLimits } from './formats/limits.ts';
import { digestOfFile, requireDigest, withLocalFile } from './sources/local-file.ts';
import { fetchArtifact } from './sources/table.ts';
import type { FetchContext, Fetched, SourceSpec } from './sources/source.ts';
import { inTemporaryFolder } from '../host/temporary-folder.ts';

type Context = Omit<FetchContext, 'folder'>;

/** What is at a path now, and whether it was there before. */
export type FetchedTo = Omit<Fetched, 'temporary'> & { readonly outcome: 'fetched' | 'unchanged' };

/** `to`: absolute, in our own file system. Errors of the source; NK_FILE_WRITE. */
export async function fetchTo(spec: SourceSpec, to: string, context: Context): Promise<FetchedTo> {
  const { local } = context;
  const there = await isThere(spec, to, context);
  if (there) return there;
  return inTemporaryFolder(local, dirname(to), async (temporary) => {
    const { temporary: ours, ...fetched } = await fetchArtifact(spec, { ...context, folder: temporary });
    if (ours) await local.move(fetched.path, to);
    else await copy(context, fetched, to);
    return { ...fetched, path: to, outcome: 'fetched' };
  });
}

/** What has the digest that is asked for is the artifact, wherever it came from. */
async function isThere({ digest }: SourceSpec, to: string, context: Context): Promise<FetchedTo | undefined> {
  if (digest === undefined || (await context.local.stat(to))?.type !== 'file') return undefined;
  const { signal } = context;
  return withLocalFile(context, { path: to }, async (file) => {
    if ((await digestOfFile(context, file, { what: to, signal })) !== digest) return undefined;
    return { path: to, digest, size: file.stat.size, location: to, outcome: 'unchanged' };
  });
}

/** The source stays as it is, and what is copied is what was checked. */
function copy(context: Context, { path, digest }: Pick<Fetched, 'path' | 'digest'>, to: string): Promise<void> {
  const { local, archives, signal } = context;
  return withLocalFile(context, { path }, async (file) => {
    const into = await local.stage(dirname(to));
    try {
      await archives.read({
        file,
        what: path,
        compression: 'none',
        form: { type: 'plain' },
        limits: { ...defaultLimits, memberBytes: file.stat.size, totalBytes: file.stat.size },
        take: { names: [''], into },
        ...(signal && { signal }),
      });
      requireDigest(path, await into.digest(), digest);
      await into.publish(basename(to), { mode: file.stat.mode });
    } finally {
      await into.discard();
    }
  });
}
