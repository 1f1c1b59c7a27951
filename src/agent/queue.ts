/**
 * The queue of the agent: which keys have work, and why. A key that waits is not queued a second time, its reasons add up;
 * one key is never worked on twice at once, and what is added meanwhile follows. Different keys go on beside each other.
 */
import { isOver } from '../host/deadline.ts';
import type { Clock } from '../host/port.ts';

export interface Queue<Reason> {
  /** Now, or as soon as the present work on the key has ended. */
  add(key: string, reason: Reason): void;
  /**
   * In so many milliseconds, unless the key is worked on earlier: the end of every work decides anew when the next one is
   * due, so a key has one such appointment at most.
   */
  addLater(key: string, ms: number, reason: Reason): void;
  /** Resolves when the signal has fired and nothing is worked on any more. */
  readonly ended: Promise<void>;
}

export interface QueueOptions<Reason> {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Must not throw; `reasons` are without repetition and never empty. */
  readonly work: (key: string, reasons: readonly Reason[]) => Promise<void>;
}

interface Entry<Reason> {
  reasons: Set<Reason>;
  working: boolean;
  appointment: AbortController | undefined;
}

export function createQueue<Reason>({ clock, signal, work }: QueueOptions<Reason>): Queue<Reason> {
  const entries = new Map<string, Entry<Reason>>();
  const ended = Promise.withResolvers<void>();

  const entryOf = (key: string): Entry<Reason> => {
    const known = entries.get(key);
    if (known) return known;
    const made: Entry<Reason> = { reasons: new Set(), working: false, appointment: undefined };
    entries.set(key, made);
    return made;
  };

  const endIfIdle = (): void => {
    if (signal.aborted && [...entries.values()].every(({ working }) => !working)) ended.resolve();
  };

  const start = (key: string, entry: Entry<Reason>): void => {
    if (entry.working || entry.reasons.size === 0 || signal.aborted) return;
    entry.appointment?.abort(isOver);
    entry.appointment = undefined;
    const reasons = [...entry.reasons];
    entry.reasons = new Set();
    entry.working = true;
    void work(key, reasons).finally(() => {
      entry.working = false;
      start(key, entry);
      endIfIdle();
    });
  };

  const stop = (): void => {
    for (const { appointment } of entries.values()) appointment?.abort(isOver);
    endIfIdle();
  };
  signal.addEventListener('abort', stop, { once: true });
  endIfIdle();

  return {
    add(key, reason) {
      const entry = entryOf(key);
      entry.reasons.add(reason);
      start(key, entry);
    },
    addLater(key, ms, reason) {
      const entry = entryOf(key);
      entry.appointment?.abort(isOver);
      const appointment = new AbortController();
      entry.appointment = appointment;
      if (signal.aborted) return;
      void clock.sleep(ms, appointment.signal).then(
        () => {
          entry.appointment = undefined;
          entry.reasons.add(reason);
          start(key, entry);
        },
        () => undefined,
      );
    },
    ended: ended.promise,
  };
}
