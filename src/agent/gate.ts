/** Something that others wait for once, with patience that ends. */
import type { Clock } from '../host/port.ts';

export interface Gate {
  /** Idempotent. */
  open(): void;
  /** When it is open, or after so many milliseconds. NK_INTERRUPTED when the signal fires. */
  passed(patienceMs: number, signal: AbortSignal): Promise<void>;
}

export function createGate(clock: Clock): Gate {
  const opened = Promise.withResolvers<void>();
  let isOpen = false;
  return {
    open: () => {
      isOpen = true;
      opened.resolve();
    },
    passed: async (patienceMs, signal) => {
      if (isOpen) return;
      const done = new AbortController();
      const stop = (): void => done.abort(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      try {
        await Promise.race([opened.promise, clock.sleep(patienceMs, done.signal)]);
      } finally {
        signal.removeEventListener('abort', stop);
        done.abort();
      }
    },
  };
}
