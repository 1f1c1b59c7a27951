/** Work with an end: signals that fire by time, and leave neither timer nor listener behind. */
import { asNodekilnError, NodekilnError } from '../errors.ts';
import type { Clock } from './port.ts';

/** Why what is not needed any more is ended: without a reason Node.js makes an error with a stack for it, each time. */
export const isOver = 'is over';

export interface Deadline {
  readonly clock: Clock;
  /** From now on; none when undefined. */
  readonly ms: number | undefined;
  /** Of what is not done by then, for the error: `the boot`. */
  readonly about: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Does the work under a signal that fires with the outer one, with its reason, or with NK_TIMEOUT when the time has
 * passed. What the work throws after that is the timeout, with its own error as the cause.
 */
export async function withDeadline<T>(
  { clock, ms, about, signal }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const until = new AbortController();
  const done = new AbortController();
  const stop = (): void => until.abort(signal?.reason);
  if (signal?.aborted === true) stop();
  signal?.addEventListener('abort', stop, { once: true });
  let late: NodekilnError | undefined;
  const timer =
    ms === undefined
      ? undefined
      : clock.sleep(ms, done.signal).then(
          () => {
            late = new NodekilnError('NK_TIMEOUT', `${about} was not done within ${ms} ms`);
            until.abort(late);
          },
          () => undefined,
        );
  try {
    return await work(until.signal);
  } catch (thrown) {
    if (late === undefined || thrown === late || signal?.aborted === true) throw thrown;
    throw new NodekilnError('NK_TIMEOUT', late.message, { cause: thrown });
  } finally {
    signal?.removeEventListener('abort', stop);
    done.abort(isOver);
    await timer;
  }
}

/**
 * Waits for the work, but not longer than `graceMs` after the signal has fired: NK_INTERRUPTED then, and the work is left
 * to itself. For the end of a process, whose state must hold at any instant anyway.
 */
export async function untilAborted<T>(
  { clock, signal, graceMs }: { clock: Clock; signal: AbortSignal; graceMs: number },
  work: Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const left = Promise.withResolvers<never>();
  const stop = (): void => {
    clock.sleep(graceMs, done.signal).then(
      () => left.reject(new NodekilnError('NK_INTERRUPTED', 'stopped, without waiting for what cannot be interrupted')),
      () => undefined,
    );
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  // Its end is nobody's when it was left.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
    done.abort(isOver);
  }
}

/** The work, or the signal's reason as soon as it fires; the work goes on for itself then. */
export async function orAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(asNodekilnError(signal.reason));
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Resolves when the signal fires; at once when it has. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  const fired = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => fired.resolve(), { once: true });
  if (signal.aborted) fired.resolve();
  return fired.promise;
}
