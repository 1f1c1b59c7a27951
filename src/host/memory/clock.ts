/**
 * Time of a machine in memory. Virtual time stands still while code runs and jumps to the next timer once nothing else
 * is left to do, so that a test of a 90-second timeout takes no time and always takes the same course.
 */
import { NodekilnError } from '../../errors.ts';
import type { Clock } from '../port.ts';

export interface MemoryClock extends Clock {
  /** Calls back after so many milliseconds of the machine's time, unless the result is called before. */
  after(ms: number, callback: () => void): () => void;
  /** Time stands still until this is done: work that takes real time and none of the machine's. */
  outside<T>(work: Promise<T>): Promise<T>;
  /** Somebody sets the time of day so far ahead of its course, or behind; the monotonic clock knows nothing of it. */
  setAhead(ms: number): void;
}

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly callback: () => void;
}

const epoch = Date.UTC(2030, 0, 1);
/** What a machine has behind it when the first process of ours starts. */
const uptimeMs = 10_000;

export function createVirtualClock(): MemoryClock {
  let elapsed = uptimeMs;
  let order = 0;
  let pumping = false;
  let aheadMs = 0;
  let outside = 0;
  const timers: Timer[] = [];

  const pump = (): void => {
    if (outside > 0) {
      pumping = false;
      return;
    }
    const next = timers.shift();
    if (!next) {
      pumping = false;
      return;
    }
    elapsed = Math.max(elapsed, next.due);
    next.callback();
    // Everything the callback set off by promises runs before the next turn.
    setImmediate(pump);
  };

  const goOn = (): void => {
    if (pumping) return;
    pumping = true;
    setImmediate(pump);
  };

  const after = (ms: number, callback: () => void): (() => void) => {
    order += 1;
    const timer = { due: elapsed + Math.max(0, ms), order, callback };
    timers.push(timer);
    timers.sort((a, b) => a.due - b.due || a.order - b.order);
    goOn();
    // Time does not pass for what nobody waits for any more.
    return () => {
      const at = timers.indexOf(timer);
      if (at !== -1) timers.splice(at, 1);
    };
  };

  return {
    now: () => Math.floor(epoch + elapsed + aheadMs),
    monotonic: () => elapsed,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const interrupted = (): void => {
          cancel?.();
          reject(new NodekilnError('NK_INTERRUPTED', 'interrupted while waiting'));
        };
        let cancel: (() => void) | undefined;
        if (signal?.aborted) return interrupted();
        signal?.addEventListener('abort', interrupted, { once: true });
        cancel = after(ms, () => {
          signal?.removeEventListener('abort', interrupted);
          resolve();
        });
      }),
    after,
    setAhead: (ms) => (aheadMs = ms),
    outside: async (work) => {
      outside += 1;
      try {
        return await work;
      } finally {
        outside -= 1;
        goOn();
      }
    },
  };
}
