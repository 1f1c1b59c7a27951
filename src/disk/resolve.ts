/**
 * Paths of a host as paths of our own file system. For the machine itself they are the same. For a root folder every
 * path is walked component by component, with symlinks interpreted as the host would see them: absolute targets start
 * at the root folder, and `..` never leads out of it. What comes out contains no symlink except, when asked for, the
 * last component; missing components are kept as they are written.
 *
 * In: absolute host paths. Out: absolute paths. Errors: system errors (ELOOP after 40 symlinks, like the kernel).
 */
import { errnoOf, NodekilnError } from '../errors.ts';
import { basename, dirname, join, normalize } from '../model/path.ts';
import type { Disk } from './disk.ts';

const maxSymlinks = 40;

export interface PathResolver {
  readonly root: string;
  /** The entry itself: a symlink in the last component is not followed. */
  entry(path: string): Promise<string>;
  /** What the path leads to: every symlink is followed. */
  target(path: string): Promise<string>;
}

export function createPathResolver(disk: Disk, root: string): PathResolver {
  if (root === '/') {
    return {
      root,
      entry: (path) => Promise.resolve(normalise(path)),
      target: (path) => Promise.resolve(normalise(path)),
    };
  }
  return {
    root,
    entry: async (path) => {
      const clean = normalise(path);
      if (clean === '/') return root;
      return join(await walk(disk, root, dirname(clean)), basename(clean));
    },
    target: (path) => walk(disk, root, normalise(path)),
  };
}

/** An absolute path without `.`, `..`, doubled or trailing slashes. */
export function normalise(path: string): string {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new NodekilnError('NK_INTERNAL', `not an absolute path: ${JSON.stringify(path)}`);
  }
  const clean = normalize(path);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

async function walk(disk: Disk, root: string, path: string): Promise<string> {
  const pending = path.split('/').filter((part) => part !== '');
  let reached: string[] = [];
  let followed = 0;
  while (pending.length > 0) {
    const part = pending.shift() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      reached.pop();
      continue;
    }
    const target = await linkTarget(disk, join(root, ...reached, part));
    if (target === undefined) {
      reached.push(part);
      continue;
    }
    followed += 1;
    if (followed > maxSymlinks) {
      throw Object.assign(new Error(`ELOOP: too many symbolic links, ${path}`), { code: 'ELOOP', path });
    }
    if (target.startsWith('/')) reached = [];
    pending.unshift(...target.split('/'));
  }
  return join(root, ...reached);
}

async function linkTarget(disk: Disk, path: string): Promise<string | undefined> {
  try {
    return await disk.readlink(path);
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'EINVAL' || errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
