/**
 * One run of the engine on a host, written once for bake, boot and agent: lock → journal → prepare → carry out → what the
 * moment makes of it → reclaim. The moments differ in what they ask for and in what they publish.
 *
 * Times are milliseconds. Errors: NK_STATE_LOCKED when another nodekiln works on the host, NK_STATE_UNUSABLE,
 * NK_INTERRUPTED as soon as the signal fires, also while the lock is waited for.
 */
import { asNodekilnError, type NodekilnError } from '../errors.ts';
import { untilAborted, withDeadline } from '../host/deadline.ts';
import type { Clock, Host } from '../host/port.ts';
import type { ClaimSource, DesiredState, ResourceId } from '../model/resources.ts';
import { takeHostLock } from './host-lock.ts';
import { openJournal, type Journal, type KeptJournal } from './journal.ts';
import { reclaimAfter } from './reclaim.ts';
import { carryOut, prepare, type CarryOutOptions, type Prepared, type Result } from './reconcile.ts';

/** A host whose lock we hold, with its journal. */
export interface HostState {
  readonly host: Host;
  readonly journal: Journal;
}

export interface HostLockOptions {
  /** How long the present holder of the lock is waited for. */
  readonly waitMs: number;
  readonly signal?: AbortSignal;
}

export interface HostStateOptions extends HostLockOptions {
  /** Of a caller that comes again and again. */
  readonly kept?: KeptJournal;
}

/** Does the work with the host's lock, which is given back whatever becomes of it. */
export async function withHostLock<T>(
  host: Host,
  { waitMs, signal }: HostLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await takeHostLock(host, { waitMs, signal });
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** With the lock held: opens the journal for the work, and closes it. */
export async function withJournal<T>(
  host: Host,
  work: (state: HostState) => Promise<T>,
  kept?: KeptJournal,
): Promise<T> {
  const journal = await (kept ? kept.open() : openJournal(host));
  try {
    return await work({ host, journal });
  } finally {
    journal.close();
  }
}

export function withHostState<T>(
  host: Host,
  options: HostStateOptions,
  work: (state: HostState) => Promise<T>,
): Promise<T> {
  return withHostLock(host, options, () => withJournal(host, work, options.kept));
}

export interface Asked {
  readonly desired: DesiredState;
  /** Everything that waits or retries while it is carried out stops after so long: NK_TIMEOUT. */
  readonly budgetMs?: number;
}

/** How far a run came. What was not applied was not touched, or stands in the journal as begun. */
export type Ended =
  | { readonly type: 'applied'; readonly prepared: Prepared; readonly result: Result }
  | { readonly type: 'stopped'; readonly error: NodekilnError };

export interface RunRequest<T> extends CarryOutOptions {
  readonly source: ClaimSource;
  /** What the source asks for, found out with the lock held. */
  readonly ask: () => Promise<Asked>;
  /** Leave out resources of scope `node`: a half-booted machine to be captured. */
  readonly sharedOnly?: boolean;
  /** See `PrepareInput`; asked when it is known what the source asks for. */
  readonly onlyChanges?: () => boolean;
  /** See `PrepareInput`. */
  readonly concerns?: (id: ResourceId) => boolean;
  /** The systemd unit that runs us, if any: nothing we start may be ordered after it. */
  readonly selfUnit?: string;
  /**
   * What goes on so long after the signal or the budget asked it to end is left to itself, for a process that ends then.
   * Without it everything is waited for.
   */
  readonly leaveAfterMs?: number;
  /** What it throws ends the run with nothing touched. */
  readonly onPrepared?: (prepared: Prepared) => void | Promise<void>;
  /** Measures what observing and planning takes. */
  readonly span?: <R>(name: string, work: () => Promise<R>) => Promise<R>;
  /** Called once, however the run ended, before anything is reclaimed. */
  readonly publish: (ended: Ended) => Promise<T>;
}

/** Throws only what `publish` throws. */
export async function runWith<T>(state: HostState, request: RunRequest<T>): Promise<T> {
  const ended = await attempt(state, request);
  const published = await request.publish(ended);
  if (ended.type === 'applied' && ended.result.outcome === 'converged') await reclaimAfter(state.host, ended.prepared);
  return published;
}

async function attempt<T>(state: HostState, request: RunRequest<T>): Promise<Ended> {
  const { leaveAfterMs, signal } = request;
  try {
    return await leaving(state.host.clock, { leaveAfterMs, signal }, apply(state, request));
  } catch (thrown) {
    return { type: 'stopped', error: asNodekilnError(thrown) };
  }
}

async function apply<T>({ host, journal }: HostState, request: RunRequest<T>): Promise<Ended> {
  const {
    source,
    sharedOnly,
    onlyChanges,
    concerns,
    selfUnit,
    signal,
    leaveAfterMs,
    span = (_name, work) => work(),
  } = request;
  const { desired, budgetMs } = await request.ask();
  const prepared = await drafting(journal, async () => {
    const one = await span('observe and plan', () =>
      prepare({
        host,
        journal,
        source,
        desired,
        draft: true,
        ...(sharedOnly !== undefined && { sharedOnly }),
        ...(onlyChanges && { onlyChanges: onlyChanges() }),
        ...(concerns && { concerns }),
        ...(selfUnit !== undefined && { selfUnit }),
      }),
    );
    await request.onPrepared?.(one);
    return one;
  });
  const budget = { clock: host.clock, ms: budgetMs, about: `the ${source}`, signal };
  const result = await withDeadline(budget, (until) =>
    leaving(host.clock, { leaveAfterMs, signal: until }, carryOut(prepared, { ...request, signal: until })),
  );
  return { type: 'applied', prepared, result };
}

/** Work that ends with a generation drafted, or with none. */
async function drafting<T>(journal: Journal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    await journal.dropDraft();
    throw thrown;
  }
}

interface Leaving {
  readonly leaveAfterMs?: number | undefined;
  readonly signal: AbortSignal | undefined;
}

function leaving<T>(clock: Clock, { leaveAfterMs, signal }: Leaving, work: Promise<T>): Promise<T> {
  if (leaveAfterMs === undefined || !signal) return work;
  return untilAborted({ clock, signal, graceMs: leaveAfterMs }, work);
}
