/**
 * The result of a boot: published once, atomically, at `/var/lib/nodekiln/boot/result.json`. That it is there means that it
 * can be read, never that the boot succeeded: `outcome` says so.
 *
 * All times named `…Ms` are CLOCK_MONOTONIC milliseconds of the host (0 = kernel start), with fractions.
 */
import type { Outcome, StepRecord } from '../model/report.ts';

/** In the order in which a good boot passes them. */
export const milestoneNames = [
  'kernel',
  'userspace',
  'process',
  'config',
  'planned',
  'binaries',
  'kubelet-queued',
  'runtime-ready',
  'kubelet-started',
  'healthz',
  'credential',
  'registered',
  'ready',
  'deferred-done',
] as const;

export type MilestoneName = (typeof milestoneNames)[number];

export interface Milestone {
  readonly name: MilestoneName;
  readonly atMs: number;
}

export interface ResultStep {
  readonly id: string;
  readonly resource: string;
  readonly phase: 'goal' | 'deferred';
  /** `interrupted`: under way when the boot was stopped or its time was up. */
  readonly status: StepRecord['status'] | 'interrupted';
  readonly startMs: number;
  readonly endMs: number;
  readonly needs: readonly string[];
  readonly details: readonly string[];
  readonly error?: unknown;
}

/** Work of ours outside the plan: reading documents, observing, planning. */
export interface Span {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** Something of a document on the critical path, before kubelet, that `deferrable: true` would have taken off it. */
export interface Delay {
  /** `unit:demo.service` */
  readonly resource: string;
  /** What it added, milliseconds. */
  readonly ms: number;
}

/** How far a node came in its cluster. */
export interface JoinResult {
  readonly nodeName: string;
  /** What the boot waited for. */
  readonly goal: 'healthz' | 'registered' | 'ready';
  /** The furthest that was seen; absent when not even a credential was. */
  readonly reached?: 'credential' | 'registered' | 'ready';
  /** What stands in the way, when something does: an error with its code. */
  readonly obstacle?: unknown;
}

export interface BootResult {
  readonly apiVersion: 'nodekiln.dev/v1alpha1';
  readonly kind: 'BootResult';
  readonly nodekilnVersion: string;
  /** What carried our TypeScript, as `nodekiln version` says it; absent of what a nodekiln from before that published. */
  readonly runtime?: string;
  readonly bootId: string;
  /** The systemd unit that ran it; absent of a run by hand, which is no part of the machine’s start. */
  readonly unit?: string;
  /** `converged`: everything in place. `degraded`: a best-effort step failed, or the node did not join. `failed`: see `error`. */
  readonly outcome: Outcome;
  /** True when there was nothing to do. */
  readonly unchanged: boolean;
  readonly generation: number | undefined;
  readonly finishedAt: string;
  readonly milestones: readonly Milestone[];
  readonly spans: readonly Span[];
  readonly steps: readonly ResultStep[];
  /** What of documents kubelet waited for and need not have, longest first; absent when there is nothing of that. */
  readonly delays?: readonly Delay[];
  /** How the node joined its cluster; absent of one that stands alone. */
  readonly join?: JoinResult;
  readonly warnings: readonly string[];
  readonly error?: unknown;
}

export function resultStep(record: StepRecord): ResultStep {
  const { error, ...rest } = record;
  return { ...rest, ...(error && { error: error.toJSON() }) };
}
