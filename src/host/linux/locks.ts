/**
 * The lock is an exclusive transaction on a SQLite file of its own, `lock.db`: the kernel drops it with the process,
 * however that ends. Nothing is ever written into it: whatever stands in it is damage, and is taken out of the very file, so
 * that who has it locked has it still. Who has it is written beside it, as a hint for people: nothing depends on it, so it is
 * not synced.
 */
import { constants } from 'node:fs';
import { open, truncate, unlink } from 'node:fs/promises';
import { errnoOf, NodekilnError } from '../../errors.ts';
import { textOf } from '../../model/bytes.ts';
import { join } from '../../model/path.ts';
import type { Clock, Databases, Files, HeldLock, Locks, Program } from '../port.ts';

export interface LinuxLocksOptions {
  readonly root: string;
  readonly files: Files;
  readonly databases: Databases;
  readonly clock: Clock;
  readonly program: Pick<Program, 'pid'>;
}

/** Between two tries; the first come quickly, because most holders are about to end. */
const pauses = { firstMs: 10, longestMs: 250 };

export function createLinuxLocks({ root, files, databases, clock, program }: LinuxLocksOptions): Locks {
  const tryToTake = async (folder: string, isMended = false): Promise<HeldLock | undefined> => {
    const path = join(folder, 'lock.db');
    for (const suffix of ['', '-journal']) await requireFile(files, path + suffix);
    const database = await databases.open(path, { busyMs: 0 });
    try {
      database.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE;');
      return { release: () => database.close() };
    } catch (thrown) {
      database.close();
      if (errnoOf(thrown) === 'SQLITE_BUSY') return undefined;
      if (isMended || !isDamage(thrown)) throw thrown;
      await truncate(await files.realPath(path));
      return tryToTake(folder, true);
    }
  };

  return {
    take: async (folder, { waitMs, signal }) => {
      signal?.throwIfAborted();
      if (!(await files.stat(folder)))
        await files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
      const holder = await files.realPath(join(folder, 'lock.pid'));
      const read = (): Promise<Uint8Array | undefined> => files.read(join(folder, 'lock.pid'), { maxBytes: 64 });
      const deadline = clock.monotonic() + waitMs;
      for (let pauseMs = pauses.firstMs; ; pauseMs = Math.min(pauseMs * 2, pauses.longestMs)) {
        const lock = await tryToTake(folder);
        if (lock) {
          // On a full disk the lock is held all the same.
          await note(holder, `${program.pid}\n`).catch(() => undefined);
          return lock;
        }
        const leftMs = deadline - clock.monotonic();
        if (leftMs <= 0) {
          const pid = (textOf(await read().catch(() => undefined)) ?? '').trim();
          throw new NodekilnError(
            'NK_STATE_LOCKED',
            `another nodekiln (process ${pid === '' ? 'unknown' : pid}) works on ${root}`,
          );
        }
        await clock.sleep(Math.min(pauseMs, leftMs), signal);
      }
    },
  };
}

/** SQLite would wait for the other end of a FIFO, and follow a link. NK_STATE_UNUSABLE. */
async function requireFile(files: Files, path: string): Promise<void> {
  const found = await files.stat(path);
  if (!found || found.type === 'file') return;
  const what = `the host lock cannot be had: ${path} is no file but a ${found.type}`;
  throw new NodekilnError('NK_STATE_UNUSABLE', what, { hint: `Remove ${path}: it is made anew.` });
}

function isDamage(thrown: unknown): boolean {
  return errnoOf(thrown) === 'SQLITE_NOTADB' || errnoOf(thrown) === 'SQLITE_CORRUPT';
}

/** A file of its own: what has the name may be a FIFO, a link, or somebody else's that is mounted there. */
async function note(path: string, text: string): Promise<void> {
  await unlink(path).catch((thrown: unknown) => {
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
  });
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}
