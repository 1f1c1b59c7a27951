/** The machine that measures: what kind it is, how busy, and the state of its page cache. */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { hierarchies, labGroup } from '../../test/lab/cgroups.ts';
import { run } from '../../test/lab/run.ts';

export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly processor: string;
}

export async function describeMachine(): Promise<Machine> {
  const processors = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return {
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    processor: /^model name\s*:\s*(.+)$/m.exec(processors)?.[1] ?? process.arch,
  };
}

/** The mean number of runnable processes in the last minute. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

/** Writes back what is dirty on this folder's file system, so that a later sync does not pay for what others wrote. */
export async function writeBack(folder: string): Promise<void> {
  await run(['sync', '--file-system', folder]);
}

/** Drops the page cache, directory entries and inodes of the whole machine. */
export async function dropCaches(folder: string): Promise<void> {
  await writeBack(folder);
  await writeFile('/proc/sys/vm/drop_caches', '3');
}

/** Version 1 counts from 1024, version 2 from 100. */
const preferred = { 'cpu.shares': '32768', 'cpu.weight': '3200' } as const;

/**
 * Gives a lab's hosts the processor before whatever else runs on this machine wants it, so that other work beside a
 * measurement disturbs it less. Both kinds that are compared have it. Says whether the machine let us.
 */
export async function preferLab(id: string): Promise<boolean> {
  let done = false;
  for (const { path } of hierarchies()) {
    for (const [name, value] of Object.entries(preferred)) {
      const written = await writeFile(join(path, labGroup(id), name), value, { flag: 'r+' }).then(
        () => true,
        () => false,
      );
      done ||= written;
    }
  }
  return done;
}
