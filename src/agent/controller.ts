/**
 * What a controller of the agent is: a name, what it watches, what it alone writes, and one function that makes the world
 * as its inputs say. Inputs and outputs are data: the runtime watches the ones and refuses two controllers that write the
 * same. A controller keeps no timers, retries nothing and takes no lock by itself: the runtime does (`runtime.ts`).
 */
import type { HostState } from '../apply/run.ts';
import type { AgentSpec } from '../config/agent-config.ts';
import type { DocumentSource } from '../documents/sources/source.ts';
import type { NodekilnError } from '../errors.ts';
import type { Host } from '../host/port.ts';
import type { StepEvent } from '../telemetry/events.ts';
import type { Errand } from './errand.ts';
import type { SayEvent } from './events.ts';
import type { Gate } from './gate.ts';
import type { AppliedBoard } from './applied.ts';
import type { NodeCluster } from './cluster.ts';
import type { AgentReport, Reason } from '../telemetry/agent-report.ts';

export interface Controller extends ControllerBody {
  /** `desired-state`; for reports and metrics. */
  readonly name: string;
}

/** A controller without the name that the table gives it. */
export interface ControllerBody {
  readonly inputs: readonly Input[];
  /** What no other controller writes: `claims:agent`, `lease:node`, `file:/etc/…`. */
  readonly outputs: readonly string[];
  /** After a success it looks again so long after, for what its inputs do not say. Milliseconds. */
  readonly resyncMs: number;
  /** One reconciliation takes at most so long. Milliseconds. */
  readonly deadlineMs: number;
  /** It says itself what it failed with; the runtime does not say it again. */
  readonly reportsItself?: boolean;
  /** What the world does is `failed`, or thrown; either is tried again. */
  reconcile(context: ReconcileContext): Promise<Reconciled>;
}

/** A change that waits for its turn. */
export interface Postponed {
  /** Milliseconds since 1970; undefined when it is others who decide. */
  readonly untilMs: number | undefined;
  /** `it restarts kubelet.service, and nodes do that at different times` */
  readonly why: string;
}

/** What controllers are made with. */
export interface AgentContext {
  readonly host: Host;
  /** How the agent goes about it. */
  readonly config: AgentSpec;
  /** Path of the AgentConfig. */
  readonly configFile: string;
  /** The documents that say what this machine is to be. */
  readonly source: DocumentSource;
  /** The cluster whose node this is; absent of an agent that follows a folder and reports to nobody. */
  readonly cluster?: NodeCluster;
  /** What is in force, as the controller of the desired state tells it. */
  readonly applied: AppliedBoard;
  /** The source that the configuration names; `source` is another one when the Node names another Secret. */
  readonly configured: string;
  /** Tokens have been looked at once: units that read them may start. */
  readonly tokensTried: Gate;
  /** A certificate of the agent before its time, tokens before theirs: after a rotation in the cluster. */
  readonly certificateErrand: Errand;
  readonly tokensErrand: Errand;
  /** Ends the agent with this error, so that systemd starts it anew. */
  readonly end: (why: NodekilnError) => void;
  readonly onReport?: (report: AgentReport) => void;
  /** Told of what people should know, as Events tell it. */
  readonly onNotice?: SayEvent;
  /** Told when a change begins to wait for its turn. */
  readonly onPostponed?: (postponed: Postponed) => void;
  readonly onStep?: (event: StepEvent) => void;
}

/** Something that is watched. */
export interface Input {
  /** `documents dir:/etc/nodekiln/desired`; for metrics. */
  readonly name: string;
  /**
   * Yields when it begins to look and whenever the controller has to look again; it may yield too often. Ends with the
   * signal. When it throws or ends before, the watch begins anew.
   */
  watch(signal: AbortSignal): AsyncIterable<unknown>;
}

export interface ReconcileContext {
  /** Without repetition, never empty. */
  readonly reasons: readonly Reason[];
  /** Fires when the agent is asked to stop (NK_INTERRUPTED), and when the deadline has passed (NK_TIMEOUT). */
  readonly signal: AbortSignal;
  /** Does the work with the host's lock and journal. NK_STATE_LOCKED, NK_STATE_UNUSABLE, NK_INTERRUPTED. */
  withState<T>(work: (state: HostState) => Promise<T>): Promise<T>;
}

export type Reconciled =
  | { readonly outcome: 'done' }
  /** Nothing was done: its turn comes so much later. Milliseconds. A change in between is looked at at once. */
  | { readonly outcome: 'postponed'; readonly waitMs: number }
  /** Tried again, less and less often. */
  | { readonly outcome: 'failed'; readonly error: NodekilnError }
  /** Its inputs say what they said last time; what is due by time stays due. */
  | { readonly outcome: 'unchanged' };
