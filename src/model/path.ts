/**
 * Paths as text, POSIX rules whatever machine we run on: nothing here looks at a file system. `resolve` and `relative`
 * are for absolute paths only: there is no working directory here.
 */
import posix from 'path-browserify';

export const { basename, dirname, extname, isAbsolute, join, normalize, relative, resolve } = posix;

/** The folders above a path, nearest first, without the root. */
export function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) parents.push(path.slice(0, end));
  return parents;
}
