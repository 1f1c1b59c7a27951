/** Archives on Linux: decompression by the programs and libraries that are at hand. */
import { createArchives } from '../../archives/archives.ts';
import type { Archives } from '../../port/archives.ts';
import { createDecompress } from './decompress.ts';

export function createLinuxArchives(): Archives {
  return createArchives(createDecompress({ programs: true }));
}
