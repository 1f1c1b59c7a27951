/** Where artifact paths of a document lead. */
import { isAbsolute, join } from 'node:path';

/** Relative paths are relative to the folder of the document they stand in. */
export function artifactPath(base: string, path: string): string {
  return isAbsolute(path) ? path : join(base, path);
}
