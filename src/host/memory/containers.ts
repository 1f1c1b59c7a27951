/** Container images of a machine in memory: a test says what an archive brings. */
import { NodekilnError } from '../../errors.ts';
import { textOf } from '../../model/bytes.ts';
import { sha256 } from '../digest.ts';
import type { Containers, Files, StoredContainerImage } from '../port.ts';
import type { Effects } from './effects.ts';

export interface MemoryContainersOptions {
  /** References by the archive's path; of others what they say of themselves. */
  readonly archives: ReadonlyMap<string, readonly string[]>;
  /** The store of the machine. */
  readonly images: Map<string, StoredContainerImage>;
  readonly effects: Effects;
  readonly files: Pick<Files, 'read'>;
}

export function createMemoryContainers({ archives, images, effects, files }: MemoryContainersOptions): Containers {
  return {
    importArchive: async (archive, { pin, unpack }) => {
      effects.alive();
      const references = archives.get(archive) ?? namesIn(textOf(await files.read(archive)) ?? '');
      if (references.length === 0) throw new NodekilnError('NK_IMAGE_IMPORT', `there is no archive ${archive}`);
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

/** As containerd takes them from an OCI layout's index. */
function namesIn(archive: string): string[] {
  return [...archive.matchAll(/"io\.containerd\.image\.name":"([^"]+)"/g)].map(([, name = '']) => name);
}
