/**
 * The executor: carries out a schedule on a host. Whatever is ready runs, longest remaining path first; all file writes
 * that are ready together are one durable batch; deferred steps start once the goal is reached, and what they run yields
 * to everything else.
 *
 * A failed `required` step ends the run: nothing new starts, what runs is awaited. After a failed `bestEffort` or
 * `background` step only its dependents are passed over; when a `required` one is among them, it fails by that. When the signal fires nothing new starts either; what runs sees
 * the signal itself and is awaited, so that nothing goes on behind whoever called.
 *
 * Returns a report. Throws NK_INTERRUPTED, or the error that the signal fired with; and what is a defect (of the journal,
 * of whoever listens to events).
 */
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { atLowPriority } from '../host/low-priority.ts';
import { createGate } from '../model/parallel.ts';
import type { Host } from '../host/port.ts';
import { createDownloads } from '../kinds/downloads.ts';
import type { PerformContext } from '../kinds/performer.ts';
import { performStep, performWriteBatch } from '../kinds/performers.ts';
import { prerequisites } from '../plan/order.ts';
import type { Report, StepRecord } from '../model/report.ts';
import { roleOf, type Schedule, type ScheduledStep } from '../model/steps.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { createReadySteps, type ReadySteps } from './ready-steps.ts';

export interface ExecuteInput {
  readonly schedule: Schedule;
  readonly host: Host;
  readonly context: Omit<
    PerformContext,
    'progress' | 'detail' | 'lookAgain' | 'host' | 'jobs' | 'downloads' | 'unpacking' | 'signal'
  >;
  readonly onEvent?: (event: StepEvent) => void;
  readonly onDone?: (record: StepRecord) => void;
  /** Packages unpacked and images imported at a time: work for a processor and the disk. As many as processors unless told. */
  readonly jobs?: number;
  /** Transfers at a time. */
  readonly transfers?: number;
  readonly signal?: AbortSignal;
}

/** Steps at a time, joins included: enough for a node's, few enough not to crowd systemd and the disk. */
const concurrency = 16;

export async function execute(input: ExecuteInput): Promise<Report> {
  const run = startRun(input);
  const wake = (): void => run.changed.resolve();
  input.signal?.addEventListener('abort', wake, { once: true });
  try {
    await runSteps(run);
    if (mayStart(run)) await lookAgain(run);
  } finally {
    input.signal?.removeEventListener('abort', wake);
    await run.shared.downloads.close();
  }
  throwInterruption(input.signal);
  passOver(run, run.ready.rest(), 'an earlier step failed');
  return reportOf(run);
}

/** What one run knows and has under way. */
interface Run {
  readonly input: ExecuteInput;
  readonly ready: ReadySteps;
  readonly records: Map<string, StepRecord>;
  readonly shared: Pick<PerformContext, 'jobs' | 'downloads' | 'unpacking'>;
  /** Of steps that are done, what is to be looked at again before the run ends. */
  readonly again: { readonly scheduled: ScheduledStep; readonly hasHeld: () => Promise<void> }[];
  /** Groups of steps under way. */
  running: number;
  /** Settled whenever a group ended, and renewed then. */
  changed: PromiseWithResolvers<void>;
  /** The first failure of a required step. */
  fatal: NodekilnError | undefined;
  /** What may never happen, happened. */
  defect: { readonly thrown: unknown } | undefined;
}

function startRun(input: ExecuteInput): Run {
  const { schedule, host, jobs, transfers } = input;
  return {
    input,
    ready: createReadySteps(schedule, ({ step }) => roleOf(step) === 'entry'),
    records: new Map(),
    again: [],
    shared: {
      jobs: new Map(),
      downloads: createDownloads(host, transfers),
      unpacking: createGate(jobs ?? host.program.processors),
    },
    running: 0,
    changed: Promise.withResolvers(),
    fatal: undefined,
    defect: undefined,
  };
}

/** Until nothing runs and nothing more may start. */
async function runSteps(run: Run): Promise<void> {
  for (;;) {
    launchReady(run);
    if (run.running === 0) break;
    await run.changed.promise;
    run.changed = Promise.withResolvers();
  }
  if (run.defect) throw run.defect.thrown;
}

/** What a step brought about and did not last is its failure; who needed it has had it. */
async function lookAgain(run: Run): Promise<void> {
  await Promise.all(
    run.again.map(async ({ scheduled, hasHeld }) => {
      const before = run.records.get(scheduled.step.id);
      if (before?.status !== 'done') return;
      try {
        await hasHeld();
      } catch (thrown) {
        if (run.input.signal?.aborted === true) return;
        const times = { startMs: before.startMs, endMs: run.input.host.clock.monotonic(), details: before.details };
        note(run, scheduled, { status: 'failed', ...times, error: withResource(thrown, scheduled) });
      }
    }),
  );
}

function mayStart({ fatal, defect, input: { signal } }: Run): boolean {
  return fatal === undefined && defect === undefined && signal?.aborted !== true;
}

function launchReady(run: Run): void {
  if (!mayStart(run)) return;
  const writes = run.ready.takeTogether();
  if (writes.length > 0) launch(run, writes);
  while (run.running < concurrency) {
    const scheduled = run.ready.take();
    if (!scheduled) break;
    launch(run, [scheduled]);
  }
}

function launch(run: Run, group: readonly ScheduledStep[]): void {
  run.running += 1;
  carryOut(run, group)
    .catch((thrown: unknown) => {
      run.defect ??= { thrown };
    })
    .finally(() => {
      run.running -= 1;
      run.changed.resolve();
    });
}

async function carryOut(run: Run, group: readonly ScheduledStep[]): Promise<void> {
  for (const { step } of group) run.input.onEvent?.({ type: 'start', step: step.id });
  await attempt(run, group);
}

/** Steps that are done together. When they fail together, each is tried alone: that says which one fails. */
async function attempt(run: Run, group: readonly ScheduledStep[]): Promise<void> {
  const { clock } = run.input.host;
  const details: string[] = [];
  const startMs = clock.monotonic();
  const failure = await performGroup(group, contextOf(run, group, details));
  const times = { startMs, endMs: clock.monotonic(), details };
  if (!failure) {
    for (const scheduled of group) record(run, scheduled, { status: 'done', ...times });
    return;
  }
  // Interrupted, not failed.
  if (run.input.signal?.aborted === true) return;
  const [first, ...others] = group;
  if (others.length > 0) for (const scheduled of group) await attempt(run, [scheduled]);
  else if (first) record(run, first, { status: 'failed', ...times, error: withResource(failure.thrown, first) });
}

async function performGroup(
  group: readonly ScheduledStep[],
  context: PerformContext,
): Promise<{ readonly thrown: unknown } | undefined> {
  const steps = group.map(({ step }) => step);
  const [only, ...others] = steps;
  try {
    if (only && others.length === 0) await performStep(only, context);
    else await performWriteBatch(steps, context);
    return undefined;
  } catch (thrown) {
    return { thrown };
  }
}

function contextOf(run: Run, [first]: readonly ScheduledStep[], details: string[]): PerformContext {
  const { shared, again } = run;
  const { host, context, onEvent, signal } = run.input;
  const step = first?.step.id ?? '';
  return {
    ...context,
    ...shared,
    host: first?.phase === 'deferred' ? atLowPriority(host) : host,
    signal,
    progress: (message, transfer) => onEvent?.({ type: 'progress', step, message, ...(transfer && { transfer }) }),
    lookAgain: (hasHeld) => void (first && again.push({ scheduled: first, hasHeld })),
    detail: (text) => details.push(text),
  };
}

type Ended = Pick<StepRecord, 'status' | 'startMs' | 'endMs' | 'details'> & { readonly error?: NodekilnError };

/** Notes what became of a step, and passes over what needed it, and so on; unless the whole run ends. */
function record(run: Run, scheduled: ScheduledStep, about: Ended): void {
  note(run, scheduled, about);
  const ended = [{ scheduled, status: about.status }];
  for (const { scheduled: one, status } of ended) {
    if (run.fatal !== undefined) return;
    const lost = run.ready.ended(one, status);
    passOver(run, lost, 'a step it needs did not succeed');
    const required = lost.find(({ step }) => step.importance === 'required');
    if (required && about.error) run.fatal ??= lostError(required, { scheduled, error: about.error });
    ended.push(...lost.map((other) => ({ scheduled: other, status: 'skipped' as const })));
  }
}

/** What is required cannot come about any more, whatever was said of what it needs. */
function lostError(
  { step }: ScheduledStep,
  { scheduled, error }: { readonly scheduled: ScheduledStep; readonly error: NodekilnError },
): NodekilnError {
  const { code, message, hint, lines, problems } = error;
  return new NodekilnError(code, `${step.id} is required and needs ${scheduled.step.id}: ${message}`, {
    hint,
    cause: error,
    resource: step.resource,
    lines,
    problems,
  });
}

/** Steps that never start. */
function passOver(run: Run, steps: readonly ScheduledStep[], why: string): void {
  const now = run.input.host.clock.monotonic();
  for (const scheduled of steps) note(run, scheduled, { status: 'skipped', startMs: now, endMs: now, details: [why] });
}

function note(run: Run, { step, phase }: ScheduledStep, about: Ended): void {
  const entry: StepRecord = { id: step.id, resource: step.resource, phase, needs: prerequisites(step), ...about };
  run.records.set(step.id, entry);
  if (entry.status === 'failed' && step.importance === 'required') run.fatal ??= entry.error;
  run.input.onEvent?.({ type: 'end', record: entry });
  run.input.onDone?.(entry);
}

function throwInterruption(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  const reason: unknown = signal.reason;
  if (reason instanceof NodekilnError) throw reason;
  throw new NodekilnError('NK_INTERRUPTED', 'stopped before the plan was carried out', { cause: reason });
}

function reportOf({ input: { schedule }, records, fatal }: Run): Report {
  const goal = schedule.goal === undefined ? undefined : records.get(schedule.goal);
  return {
    outcome: fatal ? 'failed' : isDegraded(schedule, records) ? 'degraded' : 'converged',
    steps: [...records.values()].sort((a, b) => a.startMs - b.startMs),
    goalMs: goal?.status === 'done' ? goal.endMs : undefined,
    error: fatal,
  };
}

/** What is `background` is only reported. */
function isDegraded(schedule: Schedule, records: ReadonlyMap<string, StepRecord>): boolean {
  return schedule.steps.some(({ step }) => step.importance !== 'background' && records.get(step.id)?.status !== 'done');
}

function withResource(error: unknown, { step }: ScheduledStep): NodekilnError {
  const known = asNodekilnError(error);
  if (known.resource !== undefined) return known;
  return new NodekilnError(known.code, `${step.id}: ${known.message}`, {
    hint: known.hint,
    cause: error,
    resource: step.resource,
    lines: known.lines,
    problems: known.problems,
    ...(known.place && { place: known.place }),
  });
}
