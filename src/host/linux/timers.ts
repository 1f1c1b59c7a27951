/**
 * Timers of Node end at once when they are to last longer than 2^31-1 ms (24.8 days). Whatever lasts as long as a document
 * says goes through here.
 */
import { setTimeout as delay } from 'node:timers/promises';

export const longestTimerMs = 2 ** 31 - 1;

/** For one timer: at least a millisecond, at most what a timer can. */
export function timerMs(ms: number): number {
  return Math.min(Math.max(1, Math.ceil(ms)), longestTimerMs);
}

/** However long. */
export async function sleepFor(ms: number, signal?: AbortSignal): Promise<void> {
  let left = Math.max(0, ms);
  do {
    const part = Math.min(left, longestTimerMs);
    await delay(part, undefined, signal && { signal });
    left -= part;
  } while (left > 0);
}
