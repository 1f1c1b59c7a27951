/**
 * Runs controllers until it is told to stop: watches their inputs, queues each when there is a reason, gives it the host's
 * lock, a deadline and a back-off, and counts. What a controller does is its own affair; when, is decided here.
 *
 * Stopping takes less than a second: what waits is interrupted, and what cannot be is left where it is. The journal is made
 * for that.
 */
import { keepJournal, type KeptJournal } from '../apply/journal.ts';
import { withHostState } from '../apply/run.ts';
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { untilAborted, withDeadline } from '../host/deadline.ts';
import type { Host } from '../host/port.ts';
import { KubeApiError } from '../kube/error.ts';
import type { Reason } from '../telemetry/agent-report.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Controller, Input, ReconcileContext, Reconciled } from './controller.ts';
import { createMeasures, type Measures } from './measures.ts';
import { createQueue, type Queue } from './queue.ts';
import { createThrift } from './thrift.ts';

export interface RuntimeOptions {
  readonly host: Host;
  readonly controllers: readonly Controller[];
  readonly signal: AbortSignal;
  readonly metrics: Metrics;
  /** A watch that ended, a controller that failed: said once until it is another trouble, and gone on from. */
  readonly onTrouble?: (controller: string, error: NodekilnError) => void;
  /** A controller that failed before does no longer. */
  readonly onWell?: (controller: string) => void;
  /** From 0 to below 1; spreads what many agents would try again at once. */
  readonly random?: () => number;
}

/**
 * The first retry comes so soon, every further one after twice the time, at most; up to a quarter more, and never before the
 * time that an API server asks for.
 */
const retryMinMs = 1000;
const retryMaxMs = 60_000;
/** Another nodekiln (a boot, a person's) is waited for so long before it counts as a failure. */
const lockWaitMs = 60_000;
/** What goes on so long after it was asked to stop is left. */
const stopGraceMs = 500;

/** Resolves after the signal. NK_INTERNAL when two controllers have one name or write the same. */
export async function runControllers(options: RuntimeOptions): Promise<void> {
  const { host, controllers, signal } = options;
  const byName = distinct(controllers);
  const tended = new Map<string, Tended>();
  const journal = keepJournal(host);
  const runtime: Runtime = { ...options, journal, measures: createMeasures(options.metrics) };
  const thrift = createThrift(host.program, host.clock);
  const queue: Queue<Reason> = createQueue({
    clock: host.clock,
    signal,
    work: async (name, reasons) => {
      const controller = byName.get(name);
      if (!controller) return;
      const beganMs = host.clock.monotonic();
      const before = tended.get(name) ?? { failures: 0, trouble: '', next: undefined };
      const after = await tend(runtime, { controller, reasons, before });
      tended.set(name, after);
      thrift.worked(beganMs);
      if (after.next) queue.addLater(name, after.next.dueMs - host.clock.monotonic(), after.next.reason);
    },
  });
  const watches = controllers.flatMap((controller) =>
    controller.inputs.map((input) => follow(runtime, { controller, input, queue })),
  );
  for (const { name } of controllers) queue.add(name, 'start');
  await Promise.all([queue.ended, ...watches]).finally(() => journal.close());
}

/** One reconciliation by hand: for callers that want to know how it went and go on. Throws what it failed with. */
export async function runOnce(
  options: Omit<RuntimeOptions, 'controllers'>,
  controller: Controller | undefined,
): Promise<void> {
  if (!controller) return;
  const journal = keepJournal(options.host);
  const runtime = { ...options, journal, measures: createMeasures(options.metrics) };
  const reconciled = await attempt(runtime, controller, ['start']).finally(() => journal.close());
  if (reconciled.outcome === 'failed') throw reconciled.error;
}

interface Runtime extends Omit<RuntimeOptions, 'controllers'> {
  readonly journal: KeptJournal;
  readonly measures: Measures;
}

/** What is known of a controller between two reconciliations. */
interface Tended {
  /** In a row. */
  readonly failures: number;
  /** What it failed with last, as it was told; '' after a success. */
  readonly trouble: string;
  readonly next: { readonly dueMs: number; readonly reason: Reason } | undefined;
}

function distinct(controllers: readonly Controller[]): Map<string, Controller> {
  const byName = new Map<string, Controller>();
  const writers = new Map<string, string>();
  for (const controller of controllers) {
    if (byName.has(controller.name))
      throw new NodekilnError('NK_INTERNAL', `two controllers are called ${controller.name}`);
    byName.set(controller.name, controller);
    for (const output of controller.outputs) {
      const other = writers.get(output);
      if (other !== undefined)
        throw new NodekilnError('NK_INTERNAL', `${controller.name} and ${other} both write ${output}`);
      writers.set(output, controller.name);
    }
  }
  return byName;
}

interface Turn {
  readonly controller: Controller;
  readonly reasons: readonly Reason[];
  readonly before: Tended;
}

/** One reconciliation, counted, and when the next is due without a change. */
async function tend(runtime: Runtime, { controller, reasons, before }: Turn): Promise<Tended> {
  const { host, measures } = runtime;
  const beganMs = host.clock.monotonic();
  const reconciled = await attempt(runtime, controller, reasons);
  const nowMs = host.clock.monotonic();
  measures.reconciled(controller.name, { outcome: reconciled.outcome, durationMs: nowMs - beganMs });
  if (reconciled.outcome === 'unchanged') {
    const { next } = before;
    // What has become due meanwhile is still to be looked at: a change that says nothing new looks at nothing.
    const isOver = next === undefined || (next.dueMs <= nowMs && reasons.includes(next.reason));
    return isOver ? { ...before, next: { dueMs: nowMs + controller.resyncMs, reason: 'resync' } } : before;
  }
  if (before.trouble !== '' && reconciled.outcome !== 'failed') runtime.onWell?.(controller.name);
  if (reconciled.outcome === 'postponed')
    return { failures: 0, trouble: '', next: { dueMs: nowMs + reconciled.waitMs, reason: 'retry' } };
  const failed = reconciled.outcome === 'failed';
  // What failed before says nothing about inputs that have changed since.
  const failures = failed ? (reasons.includes('change') ? 0 : before.failures) + 1 : 0;
  measures.failures(controller.name, failures);
  const waitMs = failed ? retryAfter(runtime, failures, reconciled.error) : controller.resyncMs;
  const trouble = failed ? tellTrouble(runtime, { controller, error: reconciled.error, before }) : '';
  return { failures, trouble, next: { dueMs: nowMs + waitMs, reason: failed ? 'retry' : 'resync' } };
}

/** A server may ask for this at most. */
const longestAskedMs = 5 * 60_000;

function retryAfter({ random = Math.random }: Runtime, failures: number, error: NodekilnError): number {
  const ownMs = Math.min(retryMinMs * 2 ** (failures - 1), retryMaxMs);
  const askedMs = error instanceof KubeApiError ? Math.min(error.retryAfterMs ?? 0, longestAskedMs) : 0;
  return Math.max(ownMs, askedMs) * (1 + random() / 4);
}

interface Failure {
  readonly controller: Controller;
  readonly error: NodekilnError;
  readonly before: Tended;
}

function tellTrouble({ onTrouble, signal }: Runtime, { controller, error, before }: Failure): string {
  const trouble = `${error.code} ${error.message}`;
  if (trouble !== before.trouble && controller.reportsItself !== true && !signal.aborted)
    onTrouble?.(controller.name, error);
  return trouble;
}

async function attempt(runtime: Runtime, controller: Controller, reasons: readonly Reason[]): Promise<Reconciled> {
  const { host, journal, signal, measures } = runtime;
  const deadline = { clock: host.clock, ms: controller.deadlineMs, about: controller.name, signal };
  try {
    return await withDeadline(deadline, (until) => {
      const context: ReconcileContext = {
        reasons,
        signal: until,
        withState: async (work) => {
          const askedMs = host.clock.monotonic();
          return withHostState(host, { waitMs: lockWaitMs, signal: until, kept: journal }, (state) => {
            measures.lockWaited(controller.name, host.clock.monotonic() - askedMs);
            return work(state);
          });
        },
      };
      return untilAborted({ clock: host.clock, signal, graceMs: stopGraceMs }, controller.reconcile(context));
    });
  } catch (thrown) {
    return { outcome: 'failed', error: asNodekilnError(thrown) };
  }
}

interface Watch {
  readonly controller: Controller;
  readonly input: Input;
  readonly queue: Queue<Reason>;
}

/** Watches an input as long as the agent runs, whatever happens to the watch. */
async function follow(runtime: Runtime, { controller, input, queue }: Watch): Promise<void> {
  const { host, signal, measures, onTrouble } = runtime;
  let waitMs = retryMinMs;
  while (!signal.aborted) {
    const beganMs = host.clock.monotonic();
    try {
      for await (const _change of input.watch(signal)) {
        // One that ends as soon as it began is no better for having told something.
        if (host.clock.monotonic() - beganMs >= waitMs) waitMs = retryMinMs;
        measures.changed(controller.name, input.name);
        queue.add(controller.name, 'change');
      }
    } catch (thrown) {
      if (!signal.aborted) onTrouble?.(controller.name, asNodekilnError(thrown));
    }
    await host.clock.sleep(waitMs, signal).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, retryMaxMs);
    // What happens while nobody watches is not told.
    queue.add(controller.name, 'change');
  }
}
