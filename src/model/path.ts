/**
 * Paths as text, POSIX rules whatever machine we run on: nothing here looks at a file system. `resolve` and `relative`
 * are for absolute paths only: there is no working directory here.
 */
import posix from 'path-browserify';

export const { basename, dirname, extname, isAbsolute, join, normalize, relative, resolve } = posix;
