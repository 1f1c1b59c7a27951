/**
 * A root without /etc/resolv.conf, or with a link there that leads nowhere a program could be given a resolver (see
 * host/linux/root-exec.ts), has a link into /run while package managers work in it, and what it had afterwards. The link is
 * known by where it leads, and what it stands in for lies beside it: a bake that was killed leaves both, and the next bake
 * or seal puts them right.
 */
import { resolverPlace } from '../host/linux/root-exec.ts';
import type { Files, Host } from '../host/port.ts';

const resolverFile = '/etc/resolv.conf';
const standIn = '../run/nodekiln/resolv.conf';
const kept = '/etc/.resolv.conf.nodekiln';

/** Does the work in a root where the programs that it runs, if any, can be given a resolver. */
export async function withResolver<T>(
  { root, files }: Host,
  { programs }: { readonly programs: boolean },
  work: () => Promise<T>,
): Promise<T> {
  await restoreResolver(files);
  const found = await files.stat(resolverFile);
  if (!programs || (found && found.type !== 'symlink') || (await resolverPlace(root)) !== '') return work();
  try {
    if (found?.target !== undefined) await linkAt(files, kept, found.target);
    await linkAt(files, resolverFile, standIn);
    return await work();
  } finally {
    await restoreResolver(files);
  }
}

/** What a package put there meanwhile stays. */
export async function restoreResolver(files: Files): Promise<void> {
  const [found, original] = [await files.stat(resolverFile), await files.stat(kept)];
  const ours = found?.target === standIn;
  // Nothing there: a package took it away, or something else did; what the root had is right for both.
  if (original?.target !== undefined && (ours || !found)) await linkAt(files, resolverFile, original.target);
  else if (ours) await files.remove([resolverFile]);
  if (original) await files.remove([kept]);
}

async function linkAt(files: Files, path: string, target: string): Promise<void> {
  await files.write([{ type: 'symlink', path, target }]);
}
