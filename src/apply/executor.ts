/**
 * The executor: carries out a schedule on a host. Whatever is ready runs, longest remaining path first; all file writes
 * that are ready together are one durable batch; deferred steps start once the goal is reached.
 *
 * A failed `required` step ends the run: nothing new starts, what runs is awaited. After a failed `bestEffort` or
 * `background` step only its dependents are passed over. Returns a report; throws only for defects and interruption.
 */
import { asNodekilnError, NodekilnError } from '../errors.ts';
import { createGate } from '../model/parallel.ts';
import type { Host } from '../host/port.ts';
import { createDownloads } from '../kinds/downloads.ts';
import type { PerformContext } from '../kinds/performer.ts';
import { performStep, performWriteBatch } from '../kinds/performers.ts';
import { prerequisites } from '../plan/order.ts';
import type { Report, StepRecord } from '../model/report.ts';
import type { Schedule, ScheduledStep } from '../model/steps.ts';
import type { StepEvent } from '../telemetry/events.ts';

export interface ExecuteInput {
  readonly schedule: Schedule;
  readonly host: Host;
  readonly context: Omit<
    PerformContext,
    'background' | 'progress' | 'detail' | 'host' | 'jobs' | 'downloads' | 'unpacking' | 'signal'
  >;
  readonly onEvent?: (event: StepEvent) => void;
  readonly onDone?: (record: StepRecord) => void;
  /** Packages unpacked and images imported at a time: work for a processor and the disk. As many as processors unless told. */
  readonly jobs?: number;
  /** Transfers at a time. */
  readonly transfers?: number;
  readonly signal?: AbortSignal;
}

/** Steps that wait (joins, commands, transfers) cost nothing; this bounds the rest. */
const concurrency = 16;

export async function execute(input: ExecuteInput): Promise<Report> {
  const { schedule, host } = input;
  const waiting = new Map(schedule.steps.map((scheduled) => [scheduled.step.id, scheduled]));
  const records = new Map<string, StepRecord>();
  const running = new Set<Promise<void>>();
  const jobs: PerformContext['jobs'] = new Map();
  const downloads = createDownloads(host, input.transfers);
  const unpacking = createGate(input.jobs ?? host.program.processors);
  let fatal: NodekilnError | undefined;

  const record = (
    scheduled: ScheduledStep,
    about: Pick<StepRecord, 'status' | 'startMs' | 'endMs' | 'details'> & { error?: NodekilnError },
  ): void => {
    const { step, phase } = scheduled;
    const entry: StepRecord = { id: step.id, resource: step.resource, phase, needs: prerequisites(step), ...about };
    records.set(step.id, entry);
    if (entry.status === 'failed' && step.importance === 'required') fatal ??= entry.error;
    input.onEvent?.({ type: 'end', record: entry });
    input.onDone?.(entry);
  };

  const goalReached = (): boolean => schedule.goal === undefined || records.get(schedule.goal)?.status === 'done';

  const takeReady = (): ScheduledStep[] => {
    const ready: ScheduledStep[] = [];
    for (const scheduled of waiting.values()) {
      const { step, phase } = scheduled;
      const needs = step.needs.map((need) => records.get(need)?.status);
      if (needs.some((status) => status === 'failed' || status === 'skipped')) {
        waiting.delete(step.id);
        const now = host.clock.monotonic();
        record(scheduled, {
          status: 'skipped',
          startMs: now,
          endMs: now,
          details: ['a step it needs did not succeed'],
        });
      } else if (
        needs.every((status) => status === 'done') &&
        step.after.every((id) => records.has(id)) &&
        (phase === 'goal' || goalReached())
      ) {
        ready.push(scheduled);
      }
    }
    return ready;
  };

  const run = async (group: readonly ScheduledStep[]): Promise<void> => {
    const startMs = host.clock.monotonic();
    const details: string[] = [];
    const [first] = group;
    if (!first) return;
    for (const { step } of group) input.onEvent?.({ type: 'start', step: step.id });
    const context: PerformContext = {
      ...input.context,
      host,
      jobs,
      downloads,
      unpacking,
      signal: input.signal,
      background: first.phase === 'deferred',
      progress: (message, transfer) =>
        input.onEvent?.({ type: 'progress', step: first.step.id, message, ...(transfer && { transfer }) }),
      detail: (text) => details.push(text),
    };
    try {
      if (group.length === 1) await performStep(first.step, context);
      else
        await performWriteBatch(
          group.map(({ step }) => step),
          context,
        );
      const endMs = host.clock.monotonic();
      for (const scheduled of group) record(scheduled, { status: 'done', startMs, endMs, details });
    } catch (error) {
      input.signal?.throwIfAborted();
      if (group.length > 1) {
        // The batch does not say which write failed: one by one it does.
        for (const scheduled of group) await run([scheduled]);
        return;
      }
      record(first, {
        status: 'failed',
        startMs,
        endMs: host.clock.monotonic(),
        details,
        error: withResource(error, first),
      });
    }
  };

  const launch = (group: readonly ScheduledStep[]): void => {
    for (const { step } of group) waiting.delete(step.id);
    const promise: Promise<void> = run(group).finally(() => running.delete(promise));
    running.add(promise);
  };

  for (;;) {
    if (input.signal?.aborted === true) break;
    if (fatal === undefined) {
      const ready = takeReady();
      const writes = ready.filter(({ step }) => step.action.do === 'write');
      if (writes.length > 0) launch(writes);
      for (const scheduled of ready) {
        if (scheduled.step.action.do !== 'write' && running.size < concurrency) launch([scheduled]);
      }
    }
    if (running.size === 0) break;
    await Promise.race(running);
  }
  await Promise.all(running);
  await downloads.close();
  if (input.signal?.aborted === true)
    throw new NodekilnError('NK_INTERRUPTED', 'stopped before the plan was carried out');
  for (const scheduled of waiting.values()) {
    const now = host.clock.monotonic();
    record(scheduled, { status: 'skipped', startMs: now, endMs: now, details: ['an earlier step failed'] });
  }
  return {
    outcome: fatal ? 'failed' : degraded(schedule, records) ? 'degraded' : 'converged',
    steps: [...records.values()].sort((a, b) => a.startMs - b.startMs),
    goalMs: schedule.goal === undefined ? undefined : goalTime(records.get(schedule.goal)),
    error: fatal,
  };
}

/** What is `background` is only reported. */
function degraded(schedule: Schedule, records: ReadonlyMap<string, StepRecord>): boolean {
  return schedule.steps.some(({ step }) => step.importance !== 'background' && records.get(step.id)?.status !== 'done');
}

function goalTime(record: StepRecord | undefined): number | undefined {
  return record?.status === 'done' ? record.endMs : undefined;
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
