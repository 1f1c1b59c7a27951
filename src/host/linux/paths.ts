/** Paths of a root folder on the disk of this machine. */
import { nodeDisk } from '../../disk/node-disk.ts';
import * as resolve from '../../disk/resolve.ts';

export type { PathResolver } from '../../disk/resolve.ts';
export const createPathResolver = (root: string): resolve.PathResolver => resolve.createPathResolver(nodeDisk, root);
