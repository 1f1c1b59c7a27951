/** System and configuration extensions that systemd would merge, wherever it looks for them: systemd-sysext(8). */
import { sha256 } from '../host/digest.ts';
import { errnoOf } from '../errors.ts';
import type { Files, FileStat } from '../host/port.ts';
import { bytesOf } from '../model/bytes.ts';
import { join } from '../model/path.ts';
import type { ImageExtension } from './image-lock.ts';
import { walk } from './traces.ts';

const places = ['/etc', '/run', '/var/lib', '/usr/local/lib', '/usr/lib'];
const folders = places.flatMap((place) => [`${place}/extensions`, `${place}/confexts`]);

/** By their paths, each with the digest of its image or of its tree; a link also with where it leads. */
export async function findExtensions(files: Files): Promise<ImageExtension[]> {
  const found: ImageExtension[] = [];
  for (const folder of folders)
    for (const name of await files.list(folder)) {
      const path = join(folder, name);
      const stat = await files.stat(path);
      if (stat) found.push({ path, ...(await contentOf(files, path, stat)) });
    }
  return found;
}

async function contentOf(files: Files, path: string, stat: FileStat): Promise<Omit<ImageExtension, 'path'>> {
  if (stat.type === 'directory') return { digest: await treeDigest(files, path) };
  const digest = (await digestOf(files, path)) ?? (await linkedTree(files, path, stat));
  return { ...(digest !== undefined && { digest }), ...(stat.target !== undefined && { target: stat.target }) };
}

/** Links followed; undefined for what leads to no regular file. */
async function digestOf(files: Files, path: string): Promise<string | undefined> {
  try {
    return await files.digest(path);
  } catch (thrown) {
    if (['ENOENT', 'EISDIR', 'EINVAL', 'ELOOP'].includes(errnoOf(thrown) ?? '')) return undefined;
    throw thrown;
  }
}

/** Of a folder that a link leads to: systemd merges that as well. */
async function linkedTree(files: Files, path: string, { target }: FileStat): Promise<string | undefined> {
  if (target === undefined || (await files.list(path)).length === 0) return undefined;
  return treeDigest(files, path);
}

/** Of the paths, kinds, modes, owners and contents below a folder. */
async function treeDigest(files: Files, folder: string): Promise<string> {
  const entries: [string, FileStat][] = [];
  await walk(files, folder, (path, stat) => void entries.push([path, stat]));
  const lines = await Promise.all(
    entries.map(async ([path, { type, mode, uid, gid, target }]) => {
      const content = type === 'file' ? await files.digest(path) : target;
      return JSON.stringify([path, type, mode, uid, gid, content]);
    }),
  );
  return sha256(bytesOf(lines.sort().join('\n')));
}
