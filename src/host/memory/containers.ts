/** Container images of a machine in memory: a test says what an archive brings. */
import { NodekilnError } from '../../errors.ts';
import { sha256 } from '../digest.ts';
import type { Containers, StoredContainerImage } from '../port.ts';
import type { Effects } from './effects.ts';

export interface MemoryContainersOptions {
  /** References by the archive's path. */
  readonly archives: ReadonlyMap<string, readonly string[]>;
  /** The store of the machine. */
  readonly images: Map<string, StoredContainerImage>;
  readonly effects: Effects;
}

export function createMemoryContainers({ archives, images, effects }: MemoryContainersOptions): Containers {
  return {
    importArchive: async (archive, { pin, unpack }) => {
      effects.alive();
      const references = archives.get(archive);
      if (!references) throw new NodekilnError('NK_IMAGE_IMPORT', `there is no archive ${archive}`);
      return effects.run(`import ${archive}`, () => {
        for (const reference of references)
          images.set(reference, { reference, digest: sha256(reference), pinned: pin });
        return { references: [...images.keys()], unpacked: unpack };
      });
    },
    list: async () => {
      effects.alive();
      return [...images.values()];
    },
  };
}
