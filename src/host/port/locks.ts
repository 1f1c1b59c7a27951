/** The port's locks: one process at a time, however the last one ended. */

export interface HeldLock {
  /** Idempotent. The end of the process gives it back, too. */
  release(): void;
}

export interface LockOptions {
  /** How long the present holder is waited for, at most. Nothing else is held up meanwhile. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Locks {
  /**
   * Takes the lock that stands in a folder of the host, which is made when missing (0700). NK_STATE_LOCKED names the
   * process that has it, NK_INTERRUPTED as soon as the signal fires.
   */
  take(folder: string, options: LockOptions): Promise<HeldLock>;
}
