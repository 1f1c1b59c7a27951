/** What one controller asks another to do out of turn, and waits for. */
import { createNotices } from './cluster.ts';

export interface Errand {
  /** Resolves when it was done after this call. NK_INTERRUPTED, NK_TIMEOUT: the signal's reason. */
  run(signal: AbortSignal): Promise<void>;
  /** Somebody waits for it. */
  readonly isWanted: boolean;
  /** Told by whoever did it. */
  done(): void;
  /** Yields at once, and whenever it is wanted. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<void>;
}

export function createErrand(): Errand {
  const notices = createNotices();
  let wanted: PromiseWithResolvers<void> | undefined;
  return {
    run: async (signal) => {
      wanted ??= Promise.withResolvers();
      const { promise } = wanted;
      notices.tell();
      const stopped = Promise.withResolvers<never>();
      const stop = (): void => stopped.reject(signal.reason as Error);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      try {
        await Promise.race([promise, stopped.promise]);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    get isWanted() {
      return wanted !== undefined;
    },
    done: () => {
      wanted?.resolve();
      wanted = undefined;
    },
    watch: (signal) => notices.listen(signal),
  };
}
