/** Archives of a machine in memory: the same walk over files in memory, decompressed without any program. */
import { createArchives } from '../archives/archives.ts';
import { createDecompress } from '../linux/archives/decompress.ts';
import type { Archives } from '../port/archives.ts';

/** See `Archives`; bzip2 is NK_TOOL_MISSING. */
export function createMemoryArchives(): Archives {
  return createArchives(createDecompress({ programs: false }));
}
