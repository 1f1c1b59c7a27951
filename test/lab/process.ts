/** Which process is which: numbers are reused, so a process is its number and its start time. */
import { readFileSync } from 'node:fs';

/** Field 22 of /proc/PID/stat (clock ticks since boot), `undefined` when there is no such process. */
export function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in parentheses and may itself hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function isAlive(process: { readonly pid: number; readonly startTicks: string }): boolean {
  return startTicks(process.pid) === process.startTicks;
}

/** The kernel's USER_HZ: 100 on every architecture that Node runs on. */
export const millisecondsPerTick = 10;

/** CLOCK_MONOTONIC in milliseconds: one clock for the machine and all guests. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
