/**
 * The machine's clocks. `process.hrtime` reads CLOCK_MONOTONIC, the clock of systemd's `…TimestampMonotonic` properties.
 */
import { NodekilnError } from '../../errors.ts';
import type { Clock } from '../port.ts';
import { sleepFor } from './timers.ts';

export function createLinuxClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => Number(process.hrtime.bigint() / 1000n) / 1000,
    sleep: async (ms, signal) => {
      try {
        // What is due already.
        await sleepFor(ms, signal);
      } catch (thrown) {
        throw new NodekilnError('NK_INTERRUPTED', 'interrupted while waiting', { cause: thrown });
      }
    },
  };
}
