/**
 * A file in the making: filled piece by piece under its temporary name, looked into, then published or discarded. Pieces
 * are written while the next ones come; how far writing may lag behind is bounded.
 */
import { errnoOf, NodekilnError } from '../errors.ts';
import { basename, dirname, join } from '../model/path.ts';
import { isOthers } from '../model/trust.ts';
import type { Descriptor, Disk } from './disk.ts';
import { publish, writeAll } from './publish.ts';
import type { PublishedAttributes } from './publish.ts';
import { readRange } from './read.ts';
import { syncFolders } from './sync.ts';
import { discardTemporary, temporaryIn } from './temporaries.ts';
import { writeError } from './write-error.ts';

/** Writes on their way at a time. */
const inFlight = 4;

export interface Staged {
  /** Its temporary name, in our own file system. */
  readonly temporary: string;
  readonly size: number;
  /** Resolves when there is room for more. NK_FILE_WRITE, also for an earlier piece. */
  append(chunk: Uint8Array): Promise<void>;
  restart(): Promise<void>;
  /** Resolves when everything appended is written. */
  settle(): Promise<void>;
  read(position: number, length: number): Promise<Uint8Array>;
  publish(name: string, attributes: PublishedAttributes): Promise<void>;
  /** Ends it and lets it stay under the name that it has, durably. */
  keep(): Promise<void>;
  discard(): Promise<void>;
}

/** Begins a file in a folder that is there; `path` is what the host calls the folder, for messages. */
export async function stageFile(disk: Disk, folder: string, path: string): Promise<Staged> {
  const temporary = temporaryIn(disk, folder);
  const descriptor = await create(disk, temporary, path);
  return stagedOn({ disk, descriptor, temporary, path, size: 0 });
}

/** The same under a name of its own, with what is there under it already. */
export async function continueFile(
  disk: Disk,
  { folder, name, path }: { readonly folder: string; readonly name: string; readonly path: string },
): Promise<Staged> {
  const temporary = join(folder, name);
  try {
    const descriptor = await disk.open(temporary, 'continue');
    const found = await descriptor.stat();
    const { type, size, links } = found;
    // What others can still write to, or have by another name, is nothing to go on with.
    if (type === 'file' && links === 1 && !isOthers(found, disk.self))
      return stagedOn({ disk, descriptor, temporary, path, size });
    await descriptor.close();
  } catch (thrown) {
    throw writeError('write into', path, thrown);
  }
  throw new NodekilnError('NK_FILE_WRITE', `${join(path, name)} is no regular file of ours`);
}

async function create(disk: Disk, temporary: string, path: string): Promise<Descriptor> {
  try {
    return await disk.open(temporary, 'create');
  } catch (thrown) {
    await discardTemporary(disk, temporary);
    throw writeError('write into', path, thrown);
  }
}

interface Parts {
  readonly disk: Disk;
  readonly descriptor: Descriptor;
  readonly temporary: string;
  readonly path: string;
  /** Of what is there already. */
  readonly size: number;
}

function stagedOn({ disk, descriptor, temporary, path, size: sizeBefore }: Parts): Staged {
  const writing = new Set<Promise<void>>();
  let failure: { readonly thrown: unknown } | undefined;
  let size = sizeBefore;
  let done = false;

  const check = (): void => {
    if (failure) throw writeError('write into', path, failure.thrown);
    if (done) throw new NodekilnError('NK_INTERNAL', `a file in ${path} is written to after its end`);
  };
  const settle = async (): Promise<void> => {
    await Promise.all(writing);
    check();
  };
  const begin = (chunk: Uint8Array, position: number): void => {
    const write = writeAll(descriptor, chunk, position)
      .catch((thrown: unknown) => void (failure ??= { thrown }))
      .finally(() => writing.delete(write));
    writing.add(write);
  };

  return {
    temporary,
    get size() {
      return size;
    },
    append: async (chunk) => {
      check();
      begin(chunk, size);
      size += chunk.length;
      while (writing.size >= inFlight) await Promise.race(writing);
      check();
    },
    restart: async () => {
      await settle();
      size = 0;
      await descriptor.truncate(0);
    },
    settle,
    read: async (position, length) => {
      await settle();
      return readRange(descriptor, position, length);
    },
    publish: async (name, attributes) => {
      await settle();
      done = true;
      const target = join(dirname(temporary), basename(name));
      // What publishes it closes it.
      const make = (): Promise<Descriptor> => Promise.resolve(descriptor);
      await publish(disk, [{ target, path: join(path, basename(name)), temporary, make, attributes }]);
    },
    keep: async () => {
      await settle();
      done = true;
      await descriptor.sync();
      await descriptor.close();
      await syncFolders(disk, [dirname(temporary)]);
    },
    discard: async () => {
      if (done) return;
      done = true;
      await Promise.all(writing);
      await descriptor.close().catch(ignoreClosed);
      await discardTemporary(disk, temporary);
    },
  };
}

function ignoreClosed(thrown: unknown): void {
  if (errnoOf(thrown) !== 'EBADF') throw thrown;
}
