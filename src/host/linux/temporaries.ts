/**
 * Temporary names beside the targets of writes: `.nodekiln-tmp-<pid>-<start time>-<n>`. The name says which process made
 * it, so that what a killed run left behind is recognised and removed by the next write into that folder, while the
 * temporary names of a process that still runs are left alone. The start time is field 22 of /proc/PID/stat: a process
 * id that was given out again has another.
 */
import { readFileSync } from 'node:fs';
import { readdir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../errors.ts';

const shape = /^\.nodekiln-tmp-(\d+)-(\d+)-\d+$/;
const live = new Set<string>();
let counter = 0;
let ownStart: string | undefined;

/** A name in the folder that nobody else uses. Release it when it was renamed away or removed. */
export function temporaryIn(folder: string): string {
  ownStart ??= startTime(process.pid) ?? '0';
  counter += 1;
  const path = join(folder, `.nodekiln-tmp-${process.pid}-${ownStart}-${counter}`);
  live.add(path);
  return path;
}

export function releaseTemporary(path: string): void {
  live.delete(path);
}

/** Unlinks a temporary name, whatever it is by now; for the paths of failure. */
export async function discardTemporary(path: string): Promise<void> {
  try {
    await removeEntry(path);
  } finally {
    releaseTemporary(path);
  }
}

/** Removes what ended processes left in the folder; returns how many. A missing folder holds none. */
export async function sweepTemporaries(folder: string): Promise<number> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return 0;
    throw thrown;
  }
  const stale = names.filter((name) => shape.test(name) && !inUse(folder, name));
  for (const name of stale) await removeEntry(join(folder, name));
  return stale.length;
}

function inUse(folder: string, name: string): boolean {
  const [, pid, start] = shape.exec(name) ?? [];
  if (Number(pid) === process.pid) return live.has(join(folder, name));
  return start !== undefined && startTime(Number(pid)) === start;
}

function startTime(pid: number): string | undefined {
  try {
    // The second field is the program's name in parentheses and may hold anything, so count from the last parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

async function removeEntry(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT') return;
    if (errno !== 'EISDIR' && errno !== 'EPERM') throw thrown;
    // Another sweep of the same folder may be quicker.
    await rm(path, { recursive: true, force: true });
  }
}
