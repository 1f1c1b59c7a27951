/**
 * The boot: documents and facts → resources → a running kubelet, as early as possible. Called by `nodekiln-boot.service`
 * at every start of the machine; the second time there is nothing to do.
 *
 * The result is published once, atomically, at the end, whatever happened. A failed boot is taken up where it stopped.
 */
import { performance } from 'node:perf_hooks';
import { carryOut, prepare, type Prepared } from '../apply/reconcile.ts';
import { readBootDocuments, readNamed, type Documents } from '../documents/documents.ts';
import type { StepEvent } from '../telemetry/events.ts';
import type { Report, StepRecord } from '../model/report.ts';
import { openExistingJournal, openJournal, type Journal } from '../apply/journal.ts';
import { takeHostLock } from '../apply/host-lock.ts';
import { reclaimAfter } from '../apply/reclaim.ts';
import { bootResultPath } from '../model/state-paths.ts';
import { parseDuration } from '../config/duration.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { renderNode } from '../desired/render-node.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { observeFacts } from '../host/facts.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { withFaults } from '../host/faults.ts';
import type { Host } from '../host/port.ts';
import { resultStep, type BootResult, type Milestone, type MilestoneName, type Span } from '../telemetry/result.ts';
import { version } from '../model/program.ts';

export interface BootOptions {
  /** Leave out resources of scope `node`: the machine is captured afterwards. */
  readonly sharedOnly?: boolean;
  readonly onEvent?: (event: StepEvent) => void;
  readonly signal?: AbortSignal;
}

/** What kubelet's and the runtime's first start reads from disk: worth having in the page cache before they ask. */
const warmPaths = [
  '/opt/bin/kubelet',
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/runc',
  '/usr/sbin/runc',
];

const lockWaitMs = 10_000;

/** Boots the machine we run on. Throws what stands in the way before anything is applied; failures of steps are in the result. */
export async function boot(options: BootOptions = {}): Promise<BootResult> {
  const host = withFaults(createLinuxHost());
  try {
    return await bootHost(host, options);
  } finally {
    await host.close();
  }
}

/** The same on a given host. */
export async function bootHost(host: Host, options: BootOptions): Promise<BootResult> {
  const clock = host.clock;
  const recording = startRecording(clock.monotonic());
  const warming = host.files.warm(warmPaths);
  const lock = takeHostLock(host.root, lockWaitMs);
  try {
    const journal = openJournal(host.root);
    try {
      const { result, prepared } = await reconcileBoot({ host, journal, recording, options });
      await publish(host, result);
      if (result.outcome === 'converged') await reclaimAfter(host, prepared);
      return result;
    } finally {
      journal.close();
    }
  } finally {
    lock.release();
    await warming;
  }
}

interface BootRun {
  readonly host: Host;
  readonly journal: Journal;
  readonly recording: Recording;
  readonly options: BootOptions;
}

async function reconcileBoot({
  host,
  journal,
  recording,
  options,
}: BootRun): Promise<{ result: BootResult; prepared: Prepared }> {
  let warnings: readonly string[] = [];
  try {
    const selfUnit = process.env['NODEKILN_UNIT'];
    const made = await makePlan({
      host,
      journal,
      recording,
      documents: () => readBootDocuments(host.files),
      ...(options.sharedOnly && { sharedOnly: true }),
      ...(selfUnit && { selfUnit }),
    });
    warnings = made.warnings;
    recording.milestone('planned', host.clock.monotonic());
    const result = await withinBudget(made.deadlineMs, options.signal, (signal) =>
      carryOut(made.prepared, { artifactBase: '/', signal, ...(options.onEvent && { onEvent: options.onEvent }) }),
    );
    await recordMilestones({ host, report: result, recording });
    const published = await bootResult(host, recording, {
      outcome: result.outcome,
      unchanged: result.changes === 0,
      generation: result.generation,
      steps: result.steps.map(resultStep),
      warnings,
      ...(result.error && { error: result.error.toJSON() }),
    });
    return { result: published, prepared: made.prepared };
  } catch (thrown) {
    const error = asNodekilnError(thrown);
    await publish(
      host,
      await bootResult(host, recording, {
        outcome: 'failed',
        unchanged: false,
        generation: undefined,
        steps: [],
        warnings,
        error: error.toJSON(),
      }),
    );
    throw error;
  }
}

/** Everything that waits or retries stops when the boot's budget is used up: a boot that hangs is a failed boot. */
async function withinBudget<T>(
  budgetMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const budget = AbortSignal.timeout(budgetMs);
  try {
    return await work(outer ? AbortSignal.any([outer, budget]) : budget);
  } catch (thrown) {
    if (!budget.aborted) throw thrown;
    throw new NodekilnError('NK_TIMEOUT', `the boot did not complete within ${budgetMs} ms`, {
      cause: thrown,
      hint: 'See the steps of the result; `spec.boot.deadline` is the budget.',
    });
  }
}

interface PlanRequest {
  readonly host: Host;
  readonly journal: Journal | undefined;
  readonly recording: Recording;
  readonly documents: () => Promise<Documents>;
  readonly sharedOnly?: boolean;
  readonly selfUnit?: string;
}

interface Made {
  readonly prepared: Prepared;
  readonly warnings: readonly string[];
  /** The budget of the whole boot. */
  readonly deadlineMs: number;
}

async function makePlan(request: PlanRequest): Promise<Made> {
  const { host, journal, recording } = request;
  const time = <T>(name: string, work: () => Promise<T>): Promise<T> => recording.span(name, host.clock, work);
  const [documents, facts] = await Promise.all([
    time('read documents', request.documents),
    time('observe facts', () => observeFacts(host)),
  ]);
  recording.milestone('config', host.clock.monotonic());
  const { config, placeOf } = resolveNodeConfig(documents.loaded);
  const desired = renderNode(config, facts, { placeOf });
  const prepared = await time('observe and plan', () =>
    prepare({
      host,
      journal,
      source: 'boot',
      desired,
      ...(request.sharedOnly && { sharedOnly: true }),
      ...(request.selfUnit && { selfUnit: request.selfUnit }),
    }),
  );
  return { prepared, warnings: desired.warnings, deadlineMs: parseDuration(config.spec.boot.deadline) };
}

export interface PlanOptions {
  /** Documents instead of those on the host, later ones over earlier ones. */
  readonly documents?: readonly string[];
}

/** What a boot would do now; changes nothing. */
export async function planBoot(
  options: PlanOptions = {},
): Promise<{ prepared: Prepared; warnings: readonly string[] }> {
  const host = createLinuxHost();
  const journal = openExistingJournal(host.root);
  try {
    const { documents } = options;
    return await makePlan({
      host,
      journal,
      recording: startRecording(host.clock.monotonic()),
      documents: () =>
        documents && documents.length > 0 ? readNamed(host.files, documents) : readBootDocuments(host.files),
    });
  } finally {
    journal?.close();
    await host.close();
  }
}

// ── recording ────────────────────────────────────────────────────────────────────────────────────────────────────

interface Recording {
  readonly milestones: Milestone[];
  readonly spans: Span[];
  milestone(name: MilestoneName, atMs: number): void;
  span<T>(name: string, clock: Host['clock'], work: () => Promise<T>): Promise<T>;
}

function startRecording(nowMs: number): Recording {
  const milestones: Milestone[] = [{ name: 'process', atMs: nowMs - performance.now() }];
  const spans: Span[] = [{ name: 'start of our process', startMs: nowMs - performance.now(), endMs: nowMs }];
  return {
    milestones,
    spans,
    milestone: (name, atMs) => void milestones.push({ name, atMs }),
    async span(name, clock, work) {
      const startMs = clock.monotonic();
      try {
        return await work();
      } finally {
        spans.push({ name, startMs, endMs: clock.monotonic() });
      }
    },
  };
}

async function recordMilestones(about: { host: Host; report: Report; recording: Recording }): Promise<void> {
  const { host, report, recording } = about;
  const machine = await host.units.milestones();
  recording.milestone('kernel', machine.kernelUsec / 1000);
  recording.milestone('userspace', machine.userspaceUsec / 1000);
  const endOf = (test: (step: StepRecord) => boolean): number | undefined => {
    const ends = report.steps.filter((step) => step.status === 'done' && test(step)).map((step) => step.endMs);
    return ends.length === 0 ? undefined : Math.max(...ends);
  };
  const note = (name: MilestoneName, atMs: number | undefined): void => {
    if (atMs !== undefined) recording.milestone(name, atMs);
  };
  note(
    'binaries',
    endOf((step) => step.phase === 'goal' && step.id.startsWith('activate ')),
  );
  note(
    'kubelet-queued',
    endOf((step) => /^(start|restart) unit:kubelet\.service$/.test(step.id)),
  );
  note(
    'runtime-ready',
    endOf((step) => step.id === 'ready unit:containerd.service'),
  );
  if (report.goalMs !== undefined) {
    const kubelet = await host.units.get('kubelet.service');
    if (kubelet.activeEnterUsec > 0) recording.milestone('kubelet-started', kubelet.activeEnterUsec / 1000);
    recording.milestone('healthz', report.goalMs);
    note('deferred-done', Math.max(...report.steps.map((step) => step.endMs)));
  }
}

type ResultPart = Pick<BootResult, 'outcome' | 'unchanged' | 'generation' | 'steps' | 'warnings'> & { error?: unknown };

async function bootResult(host: Host, recording: Recording, part: ResultPart): Promise<BootResult> {
  const bootId = (await host.files.read('/proc/sys/kernel/random/boot_id'))?.toString('utf8').trim() ?? '';
  return {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'BootResult',
    nodekilnVersion: version,
    bootId,
    ...part,
    finishedAt: new Date(host.clock.now()).toISOString(),
    milestones: recording.milestones.toSorted((a, b) => a.atMs - b.atMs),
    spans: recording.spans.toSorted((a, b) => a.startMs - b.startMs),
  };
}

/**
 * A second run that changed nothing does not replace the record of the boot that did the work, unless that one failed or
 * was another start of the machine.
 */
async function publish(host: Host, result: BootResult): Promise<void> {
  const folder = bootResultPath.slice(0, bootResultPath.lastIndexOf('/'));
  const content = new TextEncoder().encode(`${JSON.stringify(result, undefined, 2)}\n`);
  try {
    await host.files.write([{ type: 'directory', path: folder, mode: 0o700, uid: 0, gid: 0 }]);
    const previous = result.unchanged ? await readResult(host) : undefined;
    if (previous?.outcome === 'converged' && !previous.unchanged) {
      await host.files.write([{ type: 'file', path: `${folder}/last.json`, content, mode: 0o600, uid: 0, gid: 0 }]);
      return;
    }
    await host.files.write([{ type: 'file', path: bootResultPath, content, mode: 0o600, uid: 0, gid: 0 }]);
  } catch (cause) {
    throw new NodekilnError('NK_STATE_UNUSABLE', `${bootResultPath} cannot be written`, { cause });
  }
}

/** The published result, if any. */
export async function readResult(host: Host): Promise<BootResult | undefined> {
  const content = await host.files.read(bootResultPath);
  return content && (JSON.parse(content.toString('utf8')) as BootResult);
}
