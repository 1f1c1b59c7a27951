/** Temporary names on the disk of this machine. */
import { nodeDisk } from '../../disk/node-disk.ts';
import * as temporaries from '../../disk/temporaries.ts';

export const temporaryIn = (folder: string): string => temporaries.temporaryIn(nodeDisk, folder);
export const discardTemporary = (path: string): Promise<void> => temporaries.discardTemporary(nodeDisk, path);
export const sweepTemporaries = (folder: string): Promise<number> => temporaries.sweepTemporaries(nodeDisk, folder);
export const { releaseTemporary } = temporaries;
