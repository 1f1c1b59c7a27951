/**
 * timeline(result) → where the time of a boot went. Pure.
 *
 * The critical path is walked back from the goal: from each step to the one among its `needs` that ended last, then
 * through our own spans to the start of the process, and through the machine's milestones to its start. The segments
 * follow each other without a hole, so their times add up to the time of the goal; what nobody claims is a named wait.
 *
 * Times in: CLOCK_MONOTONIC milliseconds of the host. Times out: milliseconds after `origin`.
 */
import { count } from '../model/count.ts';
import { delaysIn, goalOf, pathTo } from '../telemetry/critical-path.ts';
import type { BootResult, Delay, MilestoneName, ResultStep } from '../telemetry/result.ts';

/** When systemd began to start a unit and when it was active, CLOCK_MONOTONIC microseconds as in UnitStatus. */
export interface UnitTiming {
  readonly name: string;
  readonly inactiveExitUsec: number;
  readonly activeEnterUsec: number;
}

export const lanes = ['machine', 'work', 'goal', 'unit', 'deferred'] as const;
export type Lane = (typeof lanes)[number];

export interface TimelineRow {
  /** Unique in a timeline. */
  readonly id: string;
  readonly label: string;
  readonly lane: Lane;
  readonly startMs: number;
  readonly endMs: number;
  readonly status: ResultStep['status'];
  readonly critical: boolean;
  /** Steps in this row: writes that were one durable batch share one. */
  readonly steps: readonly string[];
}

/** `machine`: before our process. `work`: ours outside the plan. `step`: a step. `wait`: for somebody else. */
export type SegmentKind = 'machine' | 'work' | 'step' | 'wait';

export interface Segment {
  readonly name: string;
  readonly kind: SegmentKind;
  readonly startMs: number;
  readonly endMs: number;
  readonly step?: string;
}

export interface TimelineMilestone {
  readonly name: MilestoneName;
  readonly label: string;
  readonly atMs: number;
}

export interface Timeline {
  readonly outcome: BootResult['outcome'];
  readonly unchanged: boolean;
  readonly finishedAt: string;
  readonly nodekilnVersion: string;
  /** What the clock below starts at: far-away milestones of a machine that runs for long are left out. */
  readonly origin: 'kernel' | 'userspace' | 'process';
  /** The origin on CLOCK_MONOTONIC. */
  readonly originMs: number;
  /** The step that the critical path leads to: the one that failed when the goal was not reached. */
  readonly goal: string | undefined;
  readonly reached: boolean;
  /** Steps that were under way when the boot was stopped or its time was up, longest first. */
  readonly waitedFor: readonly string[];
  readonly goalMs: number | undefined;
  readonly endMs: number;
  readonly milestones: readonly TimelineMilestone[];
  readonly rows: readonly TimelineRow[];
  readonly critical: readonly Segment[];
  /** The waits of the critical path, longest first. */
  readonly gaps: readonly Segment[];
  /** What of documents kubelet waited for on the critical path and need not have, longest first. */
  readonly delays: readonly Delay[];
}

/** A machine that started longer ago than this did not start for this boot. */
const sameStartMs = 120_000;
/** Clocks are read one after the other; less than this is no hole. */
const epsilonMs = 0.05;

const milestoneLabels: Record<MilestoneName, string> = {
  kernel: 'kernel',
  userspace: 'userspace',
  process: 'nodekiln starts',
  config: 'configuration read',
  planned: 'planned',
  binaries: 'binaries active',
  'kubelet-queued': 'kubelet queued',
  'runtime-ready': 'runtime ready',
  'kubelet-started': 'kubelet started',
  healthz: 'kubelet healthy',
  credential: 'certificate',
  registered: 'registered',
  ready: 'Node Ready',
  'deferred-done': 'deferred work done',
};

export function timeline(result: BootResult, units: readonly UnitTiming[] = []): Timeline {
  const at = new Map(result.milestones.map((milestone) => [milestone.name, milestone.atMs]));
  const { origin, originMs } = originOf(result, at);
  const goalStep = goalOf(result.steps);
  const timings = units.filter((unit) => unit.inactiveExitUsec / 1000 >= originMs);
  const path = goalStep ? pathTo(goalStep, result.steps) : [];
  const absolute = goalStep ? segments({ result, at, originMs, path, timings }) : [];
  const critical = absolute.map((segment) => shift(segment, originMs));
  const onPath = new Set([...path.map((step) => step.id), ...absolute.map((segment) => segment.name)]);
  const rows = [
    ...machineRows(at, originMs),
    ...result.spans.map((span, index) => workRow(span, index, onPath.has(span.name))),
    ...stepRows(result.steps, onPath),
    ...timings.map((unit) => unitRow(unit, result)),
  ].map((row) => shift(row, originMs));
  const milestones = result.milestones
    .filter((milestone) => milestone.atMs >= originMs)
    .map(({ name, atMs }) => ({ name, label: milestoneLabels[name], atMs: round(atMs - originMs) }))
    .sort((a, b) => a.atMs - b.atMs);
  const ends = [...rows.map((row) => row.endMs), ...milestones.map((milestone) => milestone.atMs)];
  return {
    outcome: result.outcome,
    unchanged: result.unchanged,
    finishedAt: result.finishedAt,
    nodekilnVersion: result.nodekilnVersion,
    origin,
    originMs,
    goal: goalStep?.id,
    reached: goalStep !== undefined && result.outcome !== 'failed',
    waitedFor: result.steps
      .filter(({ status }) => status === 'interrupted')
      .sort((a, b) => a.startMs - b.startMs)
      .map(({ id }) => id),
    goalMs: goalStep && round(goalStep.endMs - originMs),
    endMs: Math.max(0, ...ends),
    milestones,
    rows: rows.sort(
      (a, b) => lanes.indexOf(a.lane) - lanes.indexOf(b.lane) || a.startMs - b.startMs || a.endMs - b.endMs,
    ),
    critical,
    gaps: critical
      .filter((segment) => segment.kind === 'wait')
      .sort((a, b) => b.endMs - b.startMs - (a.endMs - a.startMs)),
    delays: delaysIn(result.steps),
  };
}

type Moments = ReadonlyMap<MilestoneName, number>;

/** The earliest milestone from which an unbroken start leads to our process. */
function originOf(result: BootResult, at: Moments): Pick<Timeline, 'origin' | 'originMs'> {
  const starts = [...result.spans.map((span) => span.startMs), ...result.steps.map((step) => step.startMs)];
  const process = Math.min(...[at.get('process') ?? starts, starts].flat());
  const userspace = at.get('userspace');
  if (starts.length === 0 && !at.has('process'))
    return { origin: 'process', originMs: result.milestones[0]?.atMs ?? 0 };
  // Who ran it by hand did not wait for the machine.
  if (
    result.unit === undefined ||
    userspace === undefined ||
    userspace <= 0 ||
    userspace > process ||
    process - userspace > sameStartMs
  ) {
    return { origin: 'process', originMs: process };
  }
  const kernel = at.get('kernel');
  if (kernel === undefined || kernel > userspace || userspace - kernel > sameStartMs) {
    return { origin: 'userspace', originMs: userspace };
  }
  return { origin: 'kernel', originMs: kernel };
}

interface PathInput {
  readonly result: BootResult;
  readonly at: Moments;
  readonly originMs: number;
  readonly path: readonly ResultStep[];
  readonly timings: readonly UnitTiming[];
}

function segments(input: PathInput): Segment[] {
  const found: Segment[] = [];
  let clock = input.originMs;
  const reach = (to: number, name: string, kind: SegmentKind): void => {
    if (to - clock < epsilonMs) return;
    found.push({ name, kind, startMs: clock, endMs: to });
    clock = to;
  };
  for (const { name, startMs, endMs } of machineSpans(input.at)) {
    if (startMs < clock - epsilonMs || endMs <= clock) continue;
    reach(endMs, name, 'machine');
  }
  const first = input.path[0]?.startMs ?? clock;
  for (const span of spansUntil(input.result, first)) {
    reach(span.startMs, clock === input.at.get('process') ? 'program start' : 'between our own stages', 'work');
    reach(span.endMs, span.name, 'work');
  }
  reach(first, 'recording the plan', 'work');
  for (const step of input.path) {
    reach(step.startMs, `until ${step.id} may run`, 'wait');
    for (const part of partsOf(step, input)) {
      if (part.endMs - clock < epsilonMs) continue;
      found.push({ ...part, startMs: clock });
      clock = part.endMs;
    }
  }
  return found;
}

/** Our spans that end before the first step, each before the next; of nested ones the outer. */
function spansUntil(result: BootResult, endMs: number): BootResult['spans'] {
  const chosen: BootResult['spans'][number][] = [];
  let until = endMs + epsilonMs;
  const byEnd = [...result.spans].sort((a, b) => b.endMs - a.endMs || a.startMs - b.startMs);
  for (const span of byEnd) {
    if (span.endMs > until) continue;
    chosen.unshift(span);
    until = span.startMs + epsilonMs;
  }
  return chosen;
}

function machineSpans(at: Moments): { name: string; startMs: number; endMs: number }[] {
  const [kernel, userspace, process] = [at.get('kernel'), at.get('userspace'), at.get('process')];
  const spans: { name: string; startMs: number; endMs: number }[] = [];
  if (kernel !== undefined && userspace !== undefined && userspace >= kernel) {
    spans.push({ name: 'kernel', startMs: kernel, endMs: userspace });
  }
  if (userspace !== undefined && process !== undefined && process >= userspace) {
    spans.push({ name: 'systemd before nodekiln', startMs: userspace, endMs: process });
  }
  return spans;
}

/**
 * A step on the path; a wait for a unit is told apart by whom it waits for: systemd until the unit's process is started,
 * then the component until it says that it is ready.
 */
function partsOf(step: ResultStep, { at, timings, result }: PathInput): Segment[] {
  const whole = { startMs: step.startMs, endMs: step.endMs, step: step.id };
  const unit = /^ready unit:(.+)$/.exec(step.id)?.[1];
  if (unit === undefined) return [{ ...whole, name: batchLabel(batchOf(step, result.steps)), kind: 'step' }];
  const component = unit.replace(/\.service$/, '');
  const timing = timings.find((candidate) => candidate.name === unit);
  const queued = unit === 'kubelet.service' ? at.get('runtime-ready') : undefined;
  const started =
    (timing && timing.inactiveExitUsec / 1000) ?? (unit === 'kubelet.service' ? at.get('kubelet-started') : undefined);
  const cuts = [
    { name: `waiting for the container runtime`, endMs: queued },
    { name: `waiting for systemd to start ${component}`, endMs: started },
  ];
  const parts: Segment[] = [];
  let clock = step.startMs;
  for (const { name, endMs } of cuts) {
    if (endMs === undefined || endMs <= clock || endMs >= step.endMs) continue;
    parts.push({ name, kind: 'wait', startMs: clock, endMs, step: step.id });
    clock = endMs;
  }
  return [...parts, { ...whole, name: `waiting for ${component}`, kind: 'wait', startMs: clock }];
}

function machineRows(at: Moments, originMs: number): TimelineRow[] {
  return machineSpans(at)
    .filter((span) => span.startMs >= originMs)
    .map((span) => ({
      ...span,
      id: `machine ${span.name}`,
      label: span.name,
      lane: 'machine',
      status: 'done',
      critical: true,
      steps: [],
    }));
}

function workRow(span: BootResult['spans'][number], index: number, critical: boolean): TimelineRow {
  return {
    id: `work ${index} ${span.name}`,
    label: span.name,
    lane: 'work',
    startMs: span.startMs,
    endMs: span.endMs,
    status: 'done',
    critical,
    steps: [],
  };
}

/** One row per step; writes of one durable batch began and ended together and are one. */
function stepRows(steps: readonly ResultStep[], onPath: ReadonlySet<string>): TimelineRow[] {
  const shown = steps.filter((step) => step.status !== 'skipped' || step.endMs > step.startMs);
  const groups = Map.groupBy(shown, batchKey);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    return [
      {
        id: first.id,
        label: batchLabel(group),
        lane: first.phase,
        startMs: first.startMs,
        endMs: first.endMs,
        status: first.status,
        critical: group.some((step) => onPath.has(step.id)),
        steps: group.map((step) => step.id),
      },
    ];
  });
}

/** The writes that were one durable batch with this one; a step alone otherwise. */
function batchOf(step: ResultStep, steps: readonly ResultStep[]): ResultStep[] {
  return steps.filter((other) => batchKey(other) === batchKey(step));
}

function batchKey(step: ResultStep): string {
  return verbOf(step) === 'write' ? `write ${step.phase} ${step.status} ${step.startMs} ${step.endMs}` : step.id;
}

function batchLabel(batch: readonly ResultStep[]): string {
  return batch.length === 1 ? (batch[0]?.id ?? '') : `write ${count(batch.length, 'file')}`;
}

function verbOf(step: ResultStep): string {
  return step.id.slice(0, step.id.indexOf(' '));
}

function unitRow(unit: UnitTiming, result: BootResult): TimelineRow {
  const startMs = unit.inactiveExitUsec / 1000;
  const activeMs = unit.activeEnterUsec / 1000;
  const failed = result.steps.some((step) => step.resource === `unit:${unit.name}` && step.status === 'failed');
  return {
    id: `unit ${unit.name}`,
    label: `${unit.name} activating`,
    lane: 'unit',
    startMs,
    endMs: Math.max(startMs, activeMs),
    status: failed ? 'failed' : 'done',
    critical: false,
    steps: [],
  };
}

function shift<T extends { readonly startMs: number; readonly endMs: number }>(item: T, originMs: number): T {
  return { ...item, startMs: round(item.startMs - originMs), endMs: round(item.endMs - originMs) };
}

/** Microseconds are the clock's own resolution; more digits are noise. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
