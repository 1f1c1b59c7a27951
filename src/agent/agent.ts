/**
 * The agent: follows a source of documents and keeps the machine as they say. Local and patient: while a document is bad
 * or a unit unhealthy, the last good state stays and the next change of the source is tried.
 *
 * A source is `dir:/path`: all documents in a folder, merged in lexical order. A folder without documents means that this
 * source asks for nothing: what it brought is removed.
 */
import { watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { reclaimAfter } from '../apply/reclaim.ts';
import { carryOut, prepare, type Prepared } from '../apply/reconcile.ts';
import { readFolder, type Documents } from '../documents/documents.ts';
import type { StepEvent } from '../telemetry/events.ts';
import type { Outcome } from '../model/report.ts';
import { openJournal, type Journal } from '../apply/journal.ts';
import { takeHostLock } from '../apply/host-lock.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { renderNode } from '../desired/render-node.ts';
import type { DesiredState } from '../model/resources.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { observeFacts } from '../host/facts.ts';
import { withFaults } from '../host/faults.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import type { Impact } from '../model/steps.ts';

export interface AgentOptions {
  /** `dir:/etc/nodekiln/desired` */
  readonly source: string;
  /** Reconcile once and return, instead of following the source. */
  readonly once?: boolean;
  readonly onEvent?: (event: AgentEvent) => void;
  readonly signal?: AbortSignal;
}

export type AgentEvent =
  | { readonly type: 'watching'; readonly source: string }
  | { readonly type: 'reconciled'; readonly report: AgentReport }
  | { readonly type: 'step'; readonly event: StepEvent };

/** What the agent last did, kept in the journal for `nodekiln status` under the key `agent`. */
export interface AgentReport {
  readonly source: string;
  /** Fingerprint of the documents. */
  readonly digest: string;
  readonly outcome: Outcome;
  readonly generation: number | undefined;
  readonly changes: number;
  readonly impact: readonly Impact[];
  readonly durationMs: number;
  readonly finishedAt: string;
  readonly error?: unknown;
}

/** What an empty folder asks for. */
const nothing: DesiredState = { resources: new Map(), goal: undefined, warnings: [] };

/** Writers that rename one document after the other are read as one change. */
const settleMs = 50;
/** Drift is looked for, and a failed state tried again, at least this often. */
const resyncMs = 60_000;
const retryMinMs = 1000;
const lockWaitMs = 60_000;

/** Runs until the signal aborts; with `once`, until the source is reconciled (throws when that failed). */
export async function runAgent(options: AgentOptions): Promise<void> {
  const folder = folderOf(options.source);
  const host = withFaults(createLinuxHost());
  try {
    if (options.once === true) {
      const report = await reconcileFolder({ host, folder, options });
      if (report.outcome === 'failed') throw failure(report);
      return;
    }
    await follow(host, folder, options);
  } finally {
    await host.close();
  }
}

function failure(report: AgentReport): NodekilnError {
  return report.error instanceof NodekilnError
    ? report.error
    : new NodekilnError('NK_INTERNAL', 'the reconciliation failed');
}

function folderOf(source: string): string {
  const match = /^dir:(\/.*)$/.exec(source);
  if (match?.[1] !== undefined) return match[1];
  throw new NodekilnError('NK_USAGE', `${source} is not a source`, { hint: 'Use --source dir:/etc/nodekiln/desired.' });
}

async function follow(host: Host, folder: string, options: AgentOptions): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const changes = watchFolder(folder);
  options.onEvent?.({ type: 'watching', source: options.source });
  let backoffMs = retryMinMs;
  try {
    while (options.signal?.aborted !== true) {
      const report = await reconcileFolder({ host, folder, options });
      const failed = report.outcome === 'failed';
      const waitMs = failed ? backoffMs : resyncMs;
      backoffMs = failed ? Math.min(backoffMs * 2, resyncMs) : retryMinMs;
      if (await changes.next(waitMs, options.signal)) {
        backoffMs = retryMinMs;
        await host.clock.sleep(settleMs, options.signal).catch(() => undefined);
      }
    }
  } finally {
    changes.close();
  }
}

interface Changes {
  /** True when the folder changed since the last call, false after the time or at the signal. */
  next(waitMs: number, signal: AbortSignal | undefined): Promise<boolean>;
  close(): void;
}

function watchFolder(folder: string): Changes {
  let changed = false;
  let wake = (): void => undefined;
  const watcher = watch(folder, () => {
    changed = true;
    wake();
  });
  return {
    async next(waitMs, signal) {
      if (!changed && signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs);
          wake = () => (clearTimeout(timer), resolve());
          signal?.addEventListener('abort', wake, { once: true });
        });
      }
      const result = changed;
      changed = false;
      return result;
    },
    close: () => watcher.close(),
  };
}

interface Reconciliation {
  readonly host: Host;
  readonly folder: string;
  readonly options: AgentOptions;
}

async function reconcileFolder({ host, folder, options }: Reconciliation): Promise<AgentReport> {
  const startedMs = host.clock.monotonic();
  const lock = takeHostLock(host.root, lockWaitMs);
  const journal = openJournal(host.root);
  try {
    const { report, prepared } = await reconcile({ host, folder, options, journal, startedMs });
    journal.setNote('agent', report);
    if (prepared && report.outcome === 'converged') await reclaimAfter(host, prepared);
    options.onEvent?.({ type: 'reconciled', report });
    return report;
  } finally {
    journal.close();
    lock.release();
  }
}

async function reconcile(
  input: Reconciliation & { journal: Journal; startedMs: number },
): Promise<{ report: AgentReport; prepared?: Prepared }> {
  const { host, folder, options, journal, startedMs } = input;
  let digest = '';
  const finish = (
    about: Pick<AgentReport, 'outcome' | 'generation' | 'changes' | 'impact'> & { error?: NodekilnError | undefined },
  ): AgentReport => {
    const { error, ...rest } = about;
    return {
      source: options.source,
      digest,
      ...rest,
      durationMs: host.clock.monotonic() - startedMs,
      finishedAt: new Date(host.clock.now()).toISOString(),
      ...(error && { error }),
    };
  };
  try {
    const documents = await readFolder(host.files, folder);
    digest = documents.digest;
    const desired = documents.loaded.length === 0 ? nothing : await render(host, documents);
    const prepared = await prepare({ host, journal, source: 'agent', desired });
    const result = await carryOut(prepared, {
      artifactBase: '/',
      onEvent: (event) => options.onEvent?.({ type: 'step', event }),
      ...(options.signal && { signal: options.signal }),
    });
    const report = finish({
      outcome: result.outcome,
      generation: result.generation,
      changes: result.changes,
      impact: prepared.plan.impact,
      error: result.error,
    });
    return { report, prepared };
  } catch (thrown) {
    const error = asNodekilnError(thrown);
    return { report: finish({ outcome: 'failed', generation: undefined, changes: 0, impact: [], error }) };
  }
}

async function render(host: Host, documents: Documents): Promise<DesiredState> {
  const { config, placeOf } = resolveNodeConfig(documents.loaded);
  return renderNode(config, await observeFacts(host), { placeOf });
}
