/** What a run reports: what became of each step, and of the whole. Pure. */
import type { NodekilnError } from '../errors.ts';

export type StepStatus = 'done' | 'failed' | 'skipped';

/** What became of a step. Times are CLOCK_MONOTONIC milliseconds of the host. */
export interface StepRecord {
  readonly id: string;
  readonly resource: string;
  readonly phase: 'goal' | 'deferred';
  readonly status: StepStatus;
  readonly startMs: number;
  readonly endMs: number;
  readonly needs: readonly string[];
  readonly details: readonly string[];
  readonly error?: NodekilnError;
}

export type Outcome = 'converged' | 'degraded' | 'failed';

export interface Report {
  readonly outcome: Outcome;
  readonly steps: readonly StepRecord[];
  /** When the goal was reached, CLOCK_MONOTONIC milliseconds; undefined when the plan had none or it failed. */
  readonly goalMs: number | undefined;
  /** The first failure of a required step. */
  readonly error: NodekilnError | undefined;
}
