/** The port's clocks. */

export interface Clock {
  /** Whole milliseconds since the epoch. */
  now(): number;
  /** CLOCK_MONOTONIC in milliseconds with fractions: the clock systemd's timestamps are on. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
