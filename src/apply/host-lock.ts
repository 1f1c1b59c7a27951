/**
 * One nodekiln works on a host at a time. The lock is an exclusive transaction on a SQLite file of its own: the kernel
 * drops it with the process, however that ends. NK_STATE_LOCKED names the holder.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { NodekilnError } from '../errors.ts';
import { stateFolder } from '../model/state-paths.ts';
import { join } from '../model/path.ts';

export interface HostLock {
  release(): void;
}

/** Takes the lock below `root`, waiting at most `waitMs` for the present holder. */
export function takeHostLock(root: string, waitMs: number): HostLock {
  const folder = join(root, stateFolder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const holder = join(folder, 'lock.pid');
  const database = new DatabaseSync(join(folder, 'lock.db'), { timeout: waitMs });
  try {
    database.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE;');
  } catch (cause) {
    database.close();
    throw new NodekilnError('NK_STATE_LOCKED', `another nodekiln (process ${readHolder(holder)}) works on ${root}`, {
      cause,
    });
  }
  writeFileSync(holder, `${process.pid}\n`, { mode: 0o600 });
  return { release: () => database.close() };
}

function readHolder(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
}
