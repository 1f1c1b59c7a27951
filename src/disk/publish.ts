/**
 * The one way in which anything gets its name on a disk: made under a temporary name beside its target, mode and owner set
 * on the descriptor whatever the umask, content synced, renamed over the target, and then the folder synced. What has the
 * name is replaced; a symlink there is never followed. A reader sees the old or the new, never a part, and what this
 * returned from survives power loss.
 *
 * Many are published as one: all temporaries first, then their content synced together (the file system commits them at
 * once), then the renames in order, then each folder once. When anything fails before the first rename every target is as
 * it was; no temporary stays.
 */
import { inParallel } from '../model/parallel.ts';
import type { Attributes } from '../model/files.ts';
import { dirname } from '../model/path.ts';
import type { Descriptor, Disk } from './disk.ts';
import { faultPoint } from './fault-point.ts';
import { syncFolders } from './sync.ts';
import { discardTemporary, releaseTemporary, temporaryIn } from './temporaries.ts';
import { writeError } from './write-error.ts';

/** More does not help: Node has four file system threads. */
export const lanes = 8;
/** Descriptors held open between writing and fsync. */
const batchSize = 128;

/** The owner stays who this process is, unless told. */
export type PublishedAttributes = Pick<Attributes, 'mode'> & Partial<Attributes>;

export interface Publication {
  /** Where it gets its name, in our own file system. Its folder is there. */
  readonly target: string;
  /** The target as the host sees it: for messages. */
  readonly path: string;
  /** Its temporary name, when it has one already. */
  readonly temporary?: string;
  /** Makes it under the temporary name. Returns it open, unless it is a symlink. */
  make(temporary: string): Promise<Descriptor | undefined>;
  /** What is said to have failed, as in "cannot VERB PATH"; `write` unless told. */
  readonly verb?: string;
  /** Absent: as it was made. A hard link shares those of its original. */
  readonly attributes?: PublishedAttributes | undefined;
  /** The content of a folder is synced with what is published in it. */
  readonly isFolder?: true;
}

export interface PublishOptions {
  /** Collects the folders whose names changed instead of syncing them: the caller has more to do in them and syncs once. */
  readonly touched?: Set<string>;
}

export async function publish(
  disk: Disk,
  publications: readonly Publication[],
  options: PublishOptions = {},
): Promise<void> {
  const made: Made[] = [];
  try {
    for (let start = 0; start < publications.length; start += batchSize)
      await makeBatch(disk, publications.slice(start, start + batchSize), made);
    // In the order asked for: lanes may have overtaken one another.
    const temporaries = new Map(made.map(({ publication, temporary }) => [publication, temporary]));
    for (const publication of publications) await name(disk, publication, temporaries.get(publication) ?? '');
  } catch (thrown) {
    await Promise.allSettled(made.map(({ temporary }) => discardTemporary(disk, temporary)));
    throw thrown;
  }
  const folders = publications.map(({ target }) => dirname(target));
  if (options.touched) for (const folder of folders) options.touched.add(folder);
  else await syncFolders(disk, [...new Set(folders)]);
}

interface Made {
  readonly publication: Publication;
  readonly temporary: string;
}

/** Makes some and syncs their content, with each open only as long as that takes. */
async function makeBatch(disk: Disk, publications: readonly Publication[], made: Made[]): Promise<void> {
  const open: { readonly publication: Publication; readonly descriptor: Descriptor }[] = [];
  try {
    await inParallel(publications, lanes, async (publication) => {
      const { target, path, attributes, verb = 'write' } = publication;
      try {
        const temporary = publication.temporary ?? temporaryIn(disk, dirname(target));
        made.push({ publication, temporary });
        const end = faultPoint(`make the temporary file for ${path}`);
        const descriptor = await publication.make(temporary);
        if (descriptor) open.push({ publication, descriptor });
        if (descriptor && attributes) await setAttributes(descriptor, attributes);
        end();
      } catch (thrown) {
        throw writeError(verb, path, thrown);
      }
    });
    await inParallel(open, lanes, async ({ publication, descriptor }) => {
      if (publication.isFolder) return;
      try {
        await descriptor.sync();
      } catch (thrown) {
        throw writeError(publication.verb ?? 'write', publication.path, thrown);
      }
    });
  } finally {
    await Promise.all(open.map(({ descriptor }) => descriptor.close()));
  }
}

async function name(disk: Disk, { target, path, verb = 'write' }: Publication, temporary: string): Promise<void> {
  const end = faultPoint(`rename to ${path}`);
  try {
    await disk.rename(temporary, target);
  } catch (thrown) {
    throw writeError(verb, path, thrown);
  }
  releaseTemporary(temporary);
  end();
}

/** Owner first: changing it takes setuid and setgid away. */
export async function setAttributes(descriptor: Descriptor, attributes: PublishedAttributes): Promise<void> {
  const { mode, uid, gid } = attributes;
  // -1 leaves it: chown(2).
  if (uid !== undefined || gid !== undefined) await descriptor.chown(uid ?? -1, gid ?? -1);
  await descriptor.chmod(mode);
}

/** Writes all of it, however much one call takes. */
export async function writeAll(descriptor: Descriptor, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await descriptor.write(bytes.subarray(done), position + done);
}
