/**
 * Whether memory counts more than speed in a process that stays. V8 collects late where a heap is never idle, and lets it grow to
 * several times what lives in it; told to save, it collects so often that a single change takes half as long again. So it is told
 * to save while one reconciliation follows the other, and only then.
 */
import type { Clock, Program } from '../host/port.ts';

/** More than so many reconciliations within the time are a run without a pause: nodes work at a few a minute. */
const busyCount = 20;
const busyMs = 10_000;

export interface Thrift {
  /** A reconciliation has ended. */
  worked(): void;
}

export function createThrift(program: Pick<Program, 'saveMemory'>, clock: Pick<Clock, 'monotonic'>): Thrift {
  /** When the last ones ended, the oldest first. */
  let ends: number[] = [];
  let isSaving = false;
  return {
    worked: () => {
      const nowMs = clock.monotonic();
      ends = [...ends, nowMs].slice(-busyCount - 1);
      const [first = nowMs] = ends;
      const isBusy = ends.length > busyCount && nowMs - first < busyMs;
      if (isBusy === isSaving) return;
      isSaving = isBusy;
      program.saveMemory(isBusy);
    },
  };
}
