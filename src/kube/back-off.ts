/**
 * How long to leave an API server alone after trouble: longer each time, never in step with others, and as long as the
 * server asks for. Milliseconds on an injected clock.
 */
import type { Clock } from '../host/port.ts';

export interface BackOffOptions {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** The first pause, before jitter. */
  readonly firstMs?: number;
  /** The longest, before jitter. */
  readonly longestMs?: number;
}

export interface BackOff {
  /**
   * Waits between half of the pause and the whole of it, then doubles the pause; at least as long as the server asks, and
   * up to a quarter more. NK_INTERRUPTED when the signal fires.
   */
  wait(retryAfterMs: number | undefined, signal: AbortSignal): Promise<void>;
  /** All is well: the next pause is the first again. */
  reset(): void;
}

/** A server may ask for this at most. */
const longestAskedMs = 5 * 60_000;

/** From 200 ms to 30 s unless told. */
export function createBackOff(options: BackOffOptions): BackOff {
  const { clock, random = Math.random, firstMs = 200, longestMs = 30_000 } = options;
  let pauseMs = firstMs;
  return {
    wait: async (retryAfterMs, signal) => {
      const ownMs = pauseMs * (0.5 + random() / 2);
      const askedMs = Math.min(retryAfterMs ?? 0, longestAskedMs) * (1 + random() / 4);
      pauseMs = Math.min(pauseMs * 2, longestMs);
      await clock.sleep(Math.max(ownMs, askedMs), signal);
    },
    reset: () => {
      pauseMs = firstMs;
    },
  };
}
