/**
 * Paths as text, POSIX rules whatever machine we run on: nothing here looks at a file system. `resolve` and `relative`
 * are for absolute paths only: there is no working directory here.
 */
import posix from 'path-browserify';

export const { basename, dirname, extname, isAbsolute, join, normalize, relative, resolve } = posix;

/**
 * What `find` knows of the folders above a path, nearest first and without the root. Each folder is asked for once, however
 * many paths lie in it.
 */
export function aboveOf<T>(find: (folder: string) => T | undefined): (path: string) => readonly T[] {
  const known = new Map<string, readonly T[]>();
  const within = (folder: string): readonly T[] => {
    const found = known.get(folder);
    if (found) return found;
    const own = find(folder);
    const above = folder.includes('/', 1) ? within(folder.slice(0, folder.lastIndexOf('/'))) : [];
    const all = own === undefined ? above : [own, ...above];
    known.set(folder, all);
    return all;
  };
  return (path) => (path.includes('/', 1) ? within(path.slice(0, path.lastIndexOf('/'))) : []);
}
