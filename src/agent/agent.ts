/**
 * The agent: follows a source of documents and keeps the machine as they say. Local and patient: while a document is bad
 * or a unit unhealthy, the last good state stays and the next change of the source is tried.
 *
 * A source is `dir:/path`: all documents in a folder, merged in lexical order. A folder without documents means that this
 * source asks for nothing: what it brought is removed.
 */
import { watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { runWith, withHostState, type Ended, type HostState } from '../apply/run.ts';
import { imageDefaults, loadNodeDocuments } from '../documents/documents.ts';
import { readFolder, type SourcedText } from '../documents/sources/folder.ts';
import type { StepEvent } from '../telemetry/events.ts';
import type { Outcome } from '../model/report.ts';
import type { DesiredState } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
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

function reconcileFolder({ host, folder, options }: Reconciliation): Promise<AgentReport> {
  const startedMs = host.clock.monotonic();
  return withHostState(host, { waitMs: lockWaitMs }, (state) => reconcile(state, { folder, options, startedMs }));
}

function reconcile(
  state: HostState,
  { folder, options, startedMs }: Omit<Reconciliation, 'host'> & { startedMs: number },
): Promise<AgentReport> {
  const { host, journal } = state;
  let digest = '';
  return runWith(state, {
    source: 'agent',
    artifactBase: '/',
    onEvent: (event) => options.onEvent?.({ type: 'step', event }),
    ...(options.signal && { signal: options.signal }),
    ask: async () => {
      const own = await readFolder(host.files, folder);
      const texts = own.length === 0 ? [] : [...(await imageDefaults(host.files)), ...own];
      digest = sha256(texts.flatMap(({ file, text }) => [file, text]).join('\0'));
      return { desired: texts.length === 0 ? nothing : await render(host, texts) };
    },
    publish: async (ended) => {
      const report: AgentReport = {
        source: options.source,
        digest,
        ...reportOf(ended),
        durationMs: host.clock.monotonic() - startedMs,
        finishedAt: new Date(host.clock.now()).toISOString(),
      };
      journal.setNote('agent', report);
      options.onEvent?.({ type: 'reconciled', report });
      return report;
    },
  });
}

type About = Pick<AgentReport, 'outcome' | 'generation' | 'changes' | 'impact'> & { error?: NodekilnError };

function reportOf(ended: Ended): About {
  if (ended.type === 'stopped')
    return { outcome: 'failed', generation: undefined, changes: 0, impact: [], error: ended.error };
  const { outcome, generation, changes, error } = ended.result;
  return { outcome, generation, changes, impact: ended.prepared.plan.impact, ...(error && { error }) };
}

async function render(host: Host, texts: readonly SourcedText[]): Promise<DesiredState> {
  const ask = await loadNodeDocuments(texts);
  return ask(await observeFacts(host)).desired;
}
