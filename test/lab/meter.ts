/**
 * How far something long is: a line now and then, or one line that keeps changing on a terminal. In: counts of what is
 * done; milliseconds. Says nothing before the first interval, so that what is quick stays quiet.
 */
import { performance } from 'node:perf_hooks';
import type { Progress } from './prerequisites.ts';

export interface MeterOptions {
  readonly what: string;
  /** Absent: nobody is told. */
  readonly progress: Progress | undefined;
  /** Where a line can change in place; the process's standard error when that is a terminal. */
  readonly terminal?: { write(text: string): unknown } | undefined;
  /** Between two lines. */
  readonly everyMs?: number;
  readonly now?: () => number;
}

export interface Meter {
  /** Begins a phase, of so many of a unit when that is known. */
  phase(name: string, count?: { readonly total?: number; readonly unit: string }): void;
  /** One more of the phase is done. */
  advance(): void;
  /** Says where it stands, when it is time to; `advance` and a timer of the caller's call it. */
  tick(): void;
  /** Takes the changing line away. */
  end(): void;
}

export function createMeter(options: MeterOptions): Meter {
  const { what, progress, now = () => performance.now() } = options;
  const terminal = 'terminal' in options ? options.terminal : process.stderr.isTTY ? process.stderr : undefined;
  const everyMs = options.everyMs ?? (terminal ? 500 : 15_000);
  let name = '';
  let count: { readonly total?: number; readonly unit: string } | undefined;
  let done = 0;
  let begun = now();
  let said = begun;

  const line = (): string => {
    const elapsed = now() - begun;
    const { total, unit = '' } = count ?? {};
    const parts = [`${what}: ${name}`];
    if (count) parts.push(total === undefined ? `${done} ${unit}` : `${done} of ${total} ${unit}`);
    parts.push(duration(elapsed));
    // Too few say nothing about the rest.
    if (total !== undefined && done >= total / 20 && done < total)
      parts.push(`about ${duration((elapsed / done) * (total - done))} left`);
    return parts.join(', ');
  };
  const tick = (): void => {
    if (!progress || now() - said < everyMs) return;
    said = now();
    if (terminal) terminal.write(`\r\u001B[K  ${line()}`);
    else progress(line());
  };
  return {
    phase(next, of) {
      name = next;
      count = of;
      done = 0;
      begun = now();
    },
    advance() {
      done += 1;
      tick();
    },
    tick,
    end() {
      if (progress && terminal) terminal.write('\r\u001B[K');
    },
  };
}

/** `40 s`, `4 min 5 s`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Runs work with a meter that also ticks when nothing happens. */
export async function metered<T>(options: MeterOptions, work: (meter: Meter) => Promise<T>): Promise<T> {
  const meter = createMeter(options);
  const timer = setInterval(() => meter.tick(), 500);
  try {
    return await work(meter);
  } finally {
    clearInterval(timer);
    meter.end();
  }
}
