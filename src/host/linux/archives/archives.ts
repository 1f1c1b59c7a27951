/**
 * Archives on Linux: decompression by the programs and libraries that are at hand. Nothing of it is loaded before the
 * first archive: most boots read none.
 */
import type { Archives } from '../../port/archives.ts';

/** Of every file system alike: files come open. */
export function createLinuxArchives(): Archives {
  let loaded: Promise<Archives> | undefined;
  const load = (): Promise<Archives> => (loaded ??= makeArchives());
  return {
    read: async (request) => (await load()).read(request),
    async *unpack(request) {
      yield* (await load()).unpack(request);
    },
  };
}

async function makeArchives(): Promise<Archives> {
  const [{ createArchives }, { createDecompress }] = await Promise.all([
    import('../../archives/archives.ts'),
    import('./decompress.ts'),
  ]);
  return createArchives(createDecompress({ programs: true }));
}
