/**
 * The lab's cache on the real disk: things that take long to make (root file systems, Kubernetes binaries, packages),
 * each in a folder of its own that appears complete or not at all. A key holds a hash of what the content is made from,
 * so a changed recipe is a new key. Two processes that want one key make it once.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

/** `NODEKILN_CACHE`, else the user's cache folder. */
export function cacheFolder(): string {
  const own = process.env['NODEKILN_CACHE'];
  if (own) return own;
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'nodekiln');
}

/** Twelve hexadecimal digits that stand for `parts`, for use in a key. */
export function keyHash(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Runs `work` while no other process holds the lock of that name. The kernel releases it when the holder dies, however
 * it dies: SQLite's file lock gives that without a program of its own.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const folder = join(cacheFolder(), 'locks');
  await mkdir(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, `${name.replaceAll('/', '_')}.lock`));
  try {
    for (;;) {
      try {
        database.exec('BEGIN EXCLUSIVE');
        break;
      } catch (error) {
        if (!(error instanceof Error) || !/locked|busy/i.test(error.message)) throw error;
        await sleep(100);
      }
    }
    return await work();
  } finally {
    database.close();
  }
}

const underway = new Map<string, Promise<string>>();

/** The folder of `key` below the cache, made by `make` in a temporary folder beside it when it is missing. */
export function cached(key: string, make: (dir: string) => Promise<void>): Promise<string> {
  const final = join(cacheFolder(), key);
  const running = underway.get(final);
  if (running) return running;
  const result = makeOnce(key, final, make).finally(() => underway.delete(final));
  underway.set(final, result);
  return result;
}

async function makeOnce(key: string, final: string, make: (dir: string) => Promise<void>): Promise<string> {
  if (await exists(final)) {
    // Asked for now.
    await utimes(final, new Date(), new Date()).catch(() => undefined);
    return final;
  }
  return withLock(key, async () => {
    if (await exists(final)) return final;
    const parent = join(final, '..');
    const prefix = `.${key.split('/').pop() ?? key}.tmp-`;
    await mkdir(parent, { recursive: true });
    // We hold the lock, so what lies here was left by a process that died.
    for (const name of await readdir(parent)) {
      if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true });
    }
    const temporary = await mkdtemp(join(parent, prefix));
    try {
      await make(temporary);
      // mkdtemp makes it private, and a root folder's mode is that of the guest's /.
      await chmod(temporary, 0o755);
      // A root's folder has the time of its archive.
      await utimes(temporary, new Date(), new Date());
      await rename(temporary, final);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
    return final;
  });
}

/** So long nobody is thought to use what was not asked for. */
const unusedMs = 3_600_000;

/**
 * Removes what was made for earlier recipes in a folder of the cache (`baked`), but for the newest `keep` and what was made or
 * asked for within the hour: somebody may be at work with it.
 */
export async function forgetOlder(kind: string, keep: number, nowMs = Date.now()): Promise<void> {
  const parent = join(cacheFolder(), kind);
  const entries = await Promise.all(
    (await readdir(parent))
      .filter((name) => !name.startsWith('.'))
      .map(async (entry) => ({ entry, atMs: (await stat(join(parent, entry))).mtimeMs })),
  );
  const old = entries.sort((one, other) => other.atMs - one.atMs).slice(keep);
  for (const { entry, atMs } of old)
    if (nowMs - atMs > unusedMs) await rm(join(parent, entry), { recursive: true, force: true });
}
