/**
 * Temporary names beside the targets of writes: `.nodekiln-tmp-<pid>-<start time>-<n>`. The name says which process made
 * it, so that what a killed run left behind is recognised and removed by the next write into that folder, while the
 * temporary names of a process that still runs are left alone. A process id that was
 * given out again has another start time.
 */
import { errnoOf } from '../errors.ts';
import { textOf } from '../model/bytes.ts';
import { join } from '../model/path.ts';
import { startTimeIn, type Disk } from './disk.ts';
import { readWhole } from './read.ts';
import { removeWhole } from './remove.ts';

const shape = /^\.nodekiln-tmp-(\d+)-(\d+)-\d+$/;
const live = new Set<string>();
let counter = 0;

/** A name in the folder that nobody else uses. Release it when it was renamed away or removed. */
export function temporaryIn({ self: { pid, startTime } }: Disk, folder: string): string {
  counter += 1;
  const path = join(folder, `.nodekiln-tmp-${pid}-${startTime}-${counter}`);
  live.add(path);
  return path;
}

export function releaseTemporary(path: string): void {
  live.delete(path);
}

/** Removes a temporary name, whatever it is by now; for the paths of failure. */
export async function discardTemporary(disk: Disk, path: string): Promise<void> {
  try {
    await removeWhole(disk, path);
  } finally {
    releaseTemporary(path);
  }
}

/** Removes what ended processes left in the folder; returns how many. A missing folder holds none. */
export async function sweepTemporaries(disk: Disk, folder: string): Promise<number> {
  const stale: string[] = [];
  for (const { name } of await entriesOf(disk, folder))
    if (shape.test(name) && !(await inUse(disk, folder, name))) stale.push(name);
  for (const name of stale) await removeWhole(disk, join(folder, name));
  return stale.length;
}

async function entriesOf(disk: Disk, folder: string): Promise<readonly { readonly name: string }[]> {
  try {
    return await disk.readdir(folder);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return [];
    throw thrown;
  }
}

async function inUse(disk: Disk, folder: string, name: string): Promise<boolean> {
  const [, pid, start] = shape.exec(name) ?? [];
  if (Number(pid) === disk.self.pid) return live.has(join(folder, name));
  return start !== undefined && (await startTimeOf(disk, Number(pid))) === start;
}

async function startTimeOf(disk: Disk, pid: number): Promise<string | undefined> {
  try {
    return startTimeIn(textOf(await readWhole(disk, `/proc/${pid}/stat`)));
  } catch {
    return undefined;
  }
}
