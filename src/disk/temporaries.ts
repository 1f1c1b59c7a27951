/**
 * Temporary names beside the targets of writes: `.nodekiln-tmp-<pid>-<start time>-<n>`. The name says which process made
 * it, so that what a killed run left behind is recognised and removed by the next write into that folder, while the
 * temporary names of a process that still runs are left alone. A process id that was
 * given out again has another start time.
 *
 * A folder that outlives its process, so that another takes it up, is named alike: `<name>.<pid>-<start time>-<n>`. Nothing
 * removes it but who claims it.
 */
import { errnoOf } from '../errors.ts';
import { textOf } from '../model/bytes.ts';
import { basename, join } from '../model/path.ts';
import { isOthers } from '../model/trust.ts';
import { startTimeIn, type Disk } from './disk.ts';
import { readWhole } from './read.ts';
import { removeWhole } from './remove.ts';

const shape = /^\.nodekiln-tmp-(\d+)-(\d+)-\d+$/;
const claim = /^(.+)\.(\d+)-(\d+)-\d+$/;
/** Names, whatever way leads to their folders: a process gives none twice. */
const live = new Set<string>();
let counter = 0;

/** A name in the folder that nobody else uses. Release it when it was renamed away or removed. */
export function temporaryIn({ self: { pid, startTime } }: Disk, folder: string): string {
  counter += 1;
  const name = `.nodekiln-tmp-${pid}-${startTime}-${counter}`;
  live.add(name);
  return join(folder, name);
}

export function releaseTemporary(path: string): void {
  live.delete(basename(path));
}

/** Removes a temporary name, whatever it is by now; for the paths of failure. */
export async function discardTemporary(disk: Disk, path: string): Promise<void> {
  try {
    await removeWhole(disk, path);
  } finally {
    releaseTemporary(path);
  }
}

/**
 * A folder for a name, ours alone until it is released: the one that an ended process made or that was let go, with what is
 * in it, or a new one, 0700. Who renames it first has it.
 */
export async function claimFolder(disk: Disk, folder: string, name: string): Promise<string> {
  const { pid, startTime } = disk.self;
  counter += 1;
  const path = join(folder, `${name}.${pid}-${startTime}-${counter}`);
  live.add(basename(path));
  try {
    for (const entry of await entriesOf(disk, folder)) {
      const [, known, ...owner] = claim.exec(entry.name) ?? [];
      if (known !== name || (await inUse(disk, entry.name, owner))) continue;
      // What others can lay there is nothing to go on with.
      if (!isOurs(disk, join(folder, entry.name))) continue;
      if (await renamed(disk, join(folder, entry.name), path)) return path;
    }
    await disk.mkdir(path, 0o700);
    return path;
  } catch (thrown) {
    releaseTemporary(path);
    throw thrown;
  }
}

function isOurs(disk: Disk, path: string): boolean {
  const found = disk.look(path);
  return found?.type === 'directory' && !isOthers(found, disk.self);
}

/** False when somebody else was first. */
async function renamed(disk: Disk, from: string, to: string): Promise<boolean> {
  try {
    await disk.rename(from, to);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/** Removes what ended processes left in the folder; returns how many. A missing folder holds none. */
export async function sweepTemporaries(disk: Disk, folder: string): Promise<number> {
  const stale: string[] = [];
  for (const { name } of await entriesOf(disk, folder)) {
    const owner = shape.exec(name)?.slice(1);
    if (owner && !(await inUse(disk, name, owner))) stale.push(name);
  }
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

/** `owner`: the process id and start time in its name. */
async function inUse(disk: Disk, name: string, [pid, start]: readonly string[]): Promise<boolean> {
  if (Number(pid) === disk.self.pid) return live.has(name);
  return start !== undefined && (await startTimeOf(disk, Number(pid))) === start;
}

async function startTimeOf(disk: Disk, pid: number): Promise<string | undefined> {
  try {
    return startTimeIn(textOf(await readWhole(disk, `/proc/${pid}/stat`)));
  } catch {
    return undefined;
  }
}
