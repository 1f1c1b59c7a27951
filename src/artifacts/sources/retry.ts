/**
 * Trying again within one budget of time: what to retry is decided by the error, how long to wait by the server when it
 * says so, else by doubling. Milliseconds on an injected clock.
 */
import { NodekilnError } from '../../errors.ts';
import type { Clock } from '../../host/port.ts';

/** Thrown by an attempt that may be repeated. */
export class RetryableError extends Error {
  /** What the server asked for, `Retry-After`. */
  readonly waitMs: number | undefined;
  /** Work was done, so waiting starts from the shortest pause again. */
  readonly progressed: boolean;
  /** There is nobody who could have answered. */
  readonly unreached: boolean;

  constructor(
    message: string,
    detail: { cause?: unknown; waitMs?: number | undefined; progressed?: boolean; unreached?: boolean } = {},
  ) {
    super(message, { cause: detail.cause });
    this.name = 'RetryableError';
    this.waitMs = detail.waitMs;
    this.progressed = detail.progressed ?? false;
    this.unreached = detail.unreached ?? false;
  }
}

/** What a person who waits is told soon. */
export interface Impatience {
  /** For the error: how to wait after all. */
  readonly hint: string;
}

/** How long it is tried. */
export interface RetryOptions {
  readonly clock: Clock;
  /** From the first attempt's start to the last one's start. */
  readonly budgetMs: number;
  /** For the error: what was tried. */
  readonly what: string;
  /** A server that was never there is given up after a few attempts; else it may still come up within the budget. */
  readonly impatience?: Impatience | undefined;
  readonly signal?: AbortSignal | undefined;
}

const shortestPauseMs = 100;
const firstPauseMs = 250;
const longestPauseMs = 15_000;
const attemptsToReach = 3;

/**
 * NK_SOURCE_UNAVAILABLE with the last failure when the budget is used up, NK_INTERRUPTED when the signal fires; other
 * errors of the attempt pass through.
 */
export async function retry<T>(
  options: RetryOptions,
  attempt: (number: number, remainingMs: number) => Promise<T>,
): Promise<T> {
  const { clock, budgetMs, what, impatience } = options;
  const deadline = clock.monotonic() + budgetMs;
  let pauseMs = firstPauseMs;
  let reached = false;
  for (let number = 1; ; number++) {
    if (stopped()) throw interrupted(undefined);
    try {
      return await attempt(number, Math.max(0, deadline - clock.monotonic()));
    } catch (thrown) {
      if (stopped() && !(thrown instanceof NodekilnError)) throw interrupted(thrown);
      if (!(thrown instanceof RetryableError)) throw thrown;
      reached ||= !thrown.unreached;
      if (impatience && !reached && number >= attemptsToReach) throw unreached(number, thrown, impatience);
      if (thrown.progressed) pauseMs = firstPauseMs;
      // "At once" from a busy server is no invitation to ask it without a pause.
      const waitMs = Math.max(thrown.waitMs ?? pauseMs, shortestPauseMs);
      if (clock.monotonic() + waitMs >= deadline) throw exhausted(number, thrown);
      await clock.sleep(waitMs, options.signal).catch((thrownInSleep: unknown) => {
        throw stopped() ? interrupted(thrownInSleep) : thrownInSleep;
      });
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }
  function stopped(): boolean {
    return options.signal?.aborted === true;
  }
  function interrupted(cause: unknown): NodekilnError {
    return new NodekilnError('NK_INTERRUPTED', `${what} was interrupted`, { cause, resource: what });
  }
  function unreached(attempts: number, last: RetryableError, { hint }: Impatience): NodekilnError {
    const message = `${what}: ${last.message}, after ${attempts} attempts`;
    return new NodekilnError('NK_SOURCE_UNAVAILABLE', message, { cause: last, resource: what, hint });
  }
  function exhausted(attempts: number, last: RetryableError): NodekilnError {
    const tries = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
    const wait = last.waitMs === undefined ? '' : ` (it asks to wait ${last.waitMs} ms)`;
    return new NodekilnError(
      'NK_SOURCE_UNAVAILABLE',
      `${what}: ${last.message}${wait}, after ${tries} within ${budgetMs} ms`,
      { cause: last, resource: what },
    );
  }
}
