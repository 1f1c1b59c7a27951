/**
 * Control groups of a lab: one folder per host in every hierarchy of the machine (version 1, hybrid or version 2).
 * Without them two guests would both put themselves at the root of the machine's hierarchies.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Hierarchy {
  readonly path: string;
  readonly version: 1 | 2;
  /** Mount options, which name the controllers of a version 1 hierarchy. */
  readonly options: readonly string[];
}

/** Every mounted hierarchy of this machine. */
export function hierarchies(): readonly Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, path, type, options] = line.split(' ');
    if (path === undefined || !path.startsWith('/sys/fs/cgroup')) continue;
    if (type === 'cgroup') found.push({ path, version: 1, options: (options ?? '').split(',') });
    if (type === 'cgroup2') found.push({ path, version: 2, options: [] });
  }
  return found;
}

export function labGroup(id: string): string {
  return `nodekiln-lab-${id}`;
}

/** The ids of all labs that have a group somewhere. */
export async function labsWithGroups(): Promise<ReadonlySet<string>> {
  const prefix = labGroup('');
  const names = await Promise.all(hierarchies().map((hierarchy) => readdir(hierarchy.path)));
  const ours = names.flat().filter((name) => name.startsWith(prefix));
  return new Set(ours.map((name) => name.slice(prefix.length)));
}

async function ignore(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined);
}

/** Makes `group/name/…` in every hierarchy and returns the innermost folders. */
export async function makeGroups(...names: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    hierarchies().map(async (hierarchy) => {
      if (hierarchy.version === 2) await delegateDown(hierarchy, names);
      return makeGroup(hierarchy, names);
    }),
  );
}

/** A group of version 2 has only the controllers that every group above it passes on. */
async function delegateDown(hierarchy: Hierarchy, names: readonly string[]): Promise<void> {
  let folder = hierarchy.path;
  for (const name of names) {
    await ignore(delegateControllers(folder));
    folder = join(folder, name);
    await mkdir(folder, { recursive: true });
  }
}

async function makeGroup(hierarchy: Hierarchy, names: readonly string[]): Promise<string> {
  let folder = hierarchy.path;
  for (const name of names) {
    const parent = folder;
    folder = join(folder, name);
    await mkdir(folder, { recursive: true });
    if (hierarchy.options.includes('cpuset')) await copyCpuset(parent, folder);
  }
  return folder;
}

/** One more group `name` in the root group of the guest whose PID 1 is `pid`, in every hierarchy. */
export async function makeGroupsOfGuest(pid: number, name: string): Promise<readonly string[]> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n');
  const made: string[] = [];
  for (const line of lines) {
    const [number, controllers = '', ...rest] = line.split(':');
    const hierarchy = hierarchies().find((each) =>
      number === '0'
        ? each.version === 2
        : each.version === 1 && controllers.split(',').every((one) => each.options.includes(one)),
    );
    const root = rest.join(':').replace(/\/init\.scope$/, '');
    const names = root.split('/').filter((part) => part !== '');
    if (hierarchy) made.push(await makeGroup(hierarchy, [...names, name]));
  }
  return made;
}

async function delegateControllers(folder: string): Promise<void> {
  const controllers = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).trim();
  if (controllers === '') return;
  const wanted = controllers.split(' ').map((name) => `+${name}`);
  await writeFile(join(folder, 'cgroup.subtree_control'), wanted.join(' '));
}

/** A new cpuset group is empty, and an empty one takes no process. */
async function copyCpuset(from: string, to: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    await writeFile(join(to, file), await readFile(join(from, file), 'utf8'));
  }
}

/** All processes in a lab's or a host's groups, in whatever group below. */
export function groupProcesses(...names: readonly string[]): readonly number[] {
  const found = new Set<number>();
  const visit = (folder: string): void => {
    let entries;
    try {
      entries = readdirSync(folder, { withFileTypes: true });
      for (const line of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n')) {
        const process = Number(line);
        if (process > 0) found.add(process);
      }
    } catch {
      return;
    }
    for (const entry of entries) if (entry.isDirectory()) visit(join(folder, entry.name));
  };
  for (const hierarchy of hierarchies()) visit(join(hierarchy.path, ...names));
  return [...found];
}

/** Of version 1, a process that a runtime has frozen, and died before it thawed it, hears no SIGKILL. */
async function thaw(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  if (entries.some(({ name }) => name === 'freezer.state'))
    await writeFile(join(folder, 'freezer.state'), 'THAWED').catch(() => undefined);
  for (const entry of entries) if (entry.isDirectory()) await thaw(join(folder, entry.name));
}

/** Kills what is left in the groups and removes them. */
export async function removeGroups(...names: readonly string[]): Promise<void> {
  for (const hierarchy of hierarchies())
    if (hierarchy.options.includes('freezer')) await thaw(join(hierarchy.path, ...names));
  for (let tries = 0; tries < 200; tries += 1) {
    const left = groupProcesses(...names).filter((pid) => pid !== process.pid);
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    }
    if (left.length === 0) break;
    await sleep(20);
  }
  for (const hierarchy of hierarchies()) await removeTree(join(hierarchy.path, ...names));
}

async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  // The kernel lets go of a group a moment after its last process.
  for (let tries = 0; tries < 50; tries += 1) {
    try {
      await rmdir(folder);
      return;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      await sleep(20);
    }
  }
}
