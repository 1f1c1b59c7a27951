/**
 * Removes labs whose keeper died without cleaning up (killed with SIGKILL, for instance). The keeper's mounts went with
 * its mount namespace and its guests with it; control groups, disks and records are left for us.
 */
import { readFile, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from './cache.ts';
import { labGroup, labsWithGroups, removeGroups } from './cgroups.ts';
import { isAlive } from './process.ts';
import type { OwnerRecord } from './protocol.ts';
import { runFolder } from './protocol.ts';

async function readOwner(id: string): Promise<OwnerRecord | undefined> {
  const text = await readFile(join(runFolder, id, 'owner.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, startTicks, disk } = value as Record<string, unknown>;
  if (typeof pid !== 'number' || typeof startTicks !== 'string' || typeof disk !== 'string') return undefined;
  return { pid, startTicks, disk };
}

/** Removes what a dead lab left. `disk` must be the lab's own folder. */
export async function sweepLab(id: string, disk: string): Promise<void> {
  await removeGroups(labGroup(id));
  await rm(disk, { recursive: true, force: true, maxRetries: 10 });
  await rmdir(join(disk, '..')).catch(() => undefined);
  await rm(join(runFolder, id), { recursive: true, force: true });
  await rmdir(runFolder).catch(() => undefined);
}

/** Sweeps every lab on this machine that nobody owns any more; returns their ids. */
export async function sweepDeadLabs(): Promise<readonly string[]> {
  const swept: string[] = [];
  // A lab's record is there before its groups and goes after them: groups without one were left.
  for (const id of await labsWithGroups()) {
    if (!(await exists(join(runFolder, id)))) await removeGroups(labGroup(id));
  }
  for (const id of await readdir(runFolder).catch(() => [])) {
    const owner = await readOwner(id);
    if (!owner) {
      // A lab that is just being opened has no record yet.
      const made = await stat(join(runFolder, id)).catch(() => undefined);
      if (made && Date.now() - made.mtimeMs > 60_000) await rm(join(runFolder, id), { recursive: true, force: true });
      continue;
    }
    if (isAlive(owner) || !owner.disk.endsWith(`/${id}`)) continue;
    await sweepLab(id, owner.disk);
    swept.push(id);
  }
  return swept;
}
