/**
 * The lock is an exclusive transaction on a SQLite file of its own, `lock.db`: the kernel drops it with the process,
 * however that ends. Who has it is written beside it, as a hint for people: nothing depends on it, so it is not synced.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { errnoOf, NodekilnError } from '../../errors.ts';
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
  const tryToTake = async (folder: string): Promise<HeldLock | undefined> => {
    const database = await databases.open(join(folder, 'lock.db'), { busyMs: 0 });
    try {
      database.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE;');
      return { release: () => database.close() };
    } catch (thrown) {
      database.close();
      if (errnoOf(thrown) === 'SQLITE_BUSY') return undefined;
      throw thrown;
    }
  };

  return {
    take: async (folder, { waitMs, signal }) => {
      signal?.throwIfAborted();
      if (!(await files.stat(folder)))
        await files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
      const holder = await files.realPath(join(folder, 'lock.pid'));
      const deadline = clock.monotonic() + waitMs;
      for (let pauseMs = pauses.firstMs; ; pauseMs = Math.min(pauseMs * 2, pauses.longestMs)) {
        const lock = await tryToTake(folder);
        if (lock) {
          // On a full disk the lock is held all the same.
          await writeFile(holder, `${program.pid}\n`, { mode: 0o600 }).catch(() => undefined);
          return lock;
        }
        const leftMs = deadline - clock.monotonic();
        if (leftMs <= 0) {
          const pid = (await readFile(holder, 'utf8').catch(() => '')).trim();
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
