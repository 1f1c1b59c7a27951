/**
 * Whether memory counts more than speed in a process that stays. V8 collects late where a heap is never idle, and lets it grow to
 * several times what lives in it; told to save, it collects so often that a single change takes half as long again. So it is told
 * to save while one reconciliation follows the other, and only then.
 */
import type { Clock, Program } from '../host/port.ts';

/** One that spends more than half of so long reconciling has no pause: nodes spend a few hundredths. */
const lookBackMs = 5_000;

export interface Thrift {
  /** A reconciliation that began at this time, on the host's monotonic clock, has ended. */
  worked(beganMs: number): void;
}

export function createThrift(program: Pick<Program, 'saveMemory'>, clock: Pick<Clock, 'monotonic'>): Thrift {
  let recent: { readonly beganMs: number; readonly endedMs: number }[] = [];
  let isSaving = false;
  return {
    worked: (beganMs) => {
      const nowMs = clock.monotonic();
      const fromMs = nowMs - lookBackMs;
      recent = [...recent, { beganMs, endedMs: nowMs }].filter(({ endedMs }) => endedMs > fromMs);
      const workedMs = recent.reduce((sum, one) => sum + one.endedMs - Math.max(one.beganMs, fromMs), 0);
      const isBusy = workedMs > lookBackMs / 2;
      if (isBusy === isSaving) return;
      isSaving = isBusy;
      program.saveMemory(isBusy);
    },
  };
}
