/**
 * A timeline in the Trace Event Format, as chrome://tracing and ui.perfetto.dev read it. Pure.
 * Times are microseconds after the timeline's origin.
 */
import { lanes, type Lane, type Timeline, type TimelineRow } from './timeline.ts';

export interface TraceEvent {
  readonly name: string;
  readonly cat?: string;
  readonly ph: 'X' | 'i' | 'M';
  readonly ts?: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly s?: 'g';
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
}

export const laneTitles: Record<Lane, string> = {
  machine: 'Before nodekiln',
  work: 'nodekiln reads and plans',
  goal: 'Steps before the goal',
  unit: 'Units, as systemd saw them',
  deferred: 'Deferred until the goal was reached',
};

const pid = 1;

export function timelineTrace(timeline: Timeline): Trace {
  const threads = lanes.flatMap((lane) =>
    tracks(timeline.rows.filter((row) => row.lane === lane)).map((rows, index) => ({ lane, index, rows })),
  );
  const events = threads.flatMap(({ lane, index, rows }, position): TraceEvent[] => {
    const tid = position + 1;
    return [
      {
        name: 'thread_name',
        ph: 'M',
        pid,
        tid,
        args: { name: index === 0 ? laneTitles[lane] : `${laneTitles[lane]} (${index + 1})` },
      },
      { name: 'thread_sort_index', ph: 'M', pid, tid, args: { sort_index: tid } },
      ...rows.map((row): TraceEvent => ({
        name: row.label,
        cat: row.critical ? `${lane},critical` : lane,
        ph: 'X',
        ts: micros(row.startMs),
        dur: micros(row.endMs - row.startMs),
        pid,
        tid,
        args: { status: row.status, ...(row.steps.length > 0 && { steps: row.steps }) },
      })),
    ];
  });
  const marks = timeline.milestones.map((milestone): TraceEvent => ({
    name: milestone.label,
    cat: 'milestone',
    ph: 'i',
    ts: micros(milestone.atMs),
    pid,
    tid: 0,
    s: 'g',
  }));
  const process: TraceEvent = {
    name: 'process_name',
    ph: 'M',
    pid,
    tid: 0,
    args: { name: `nodekiln ${timeline.nodekilnVersion}` },
  };
  return { displayTimeUnit: 'ms', traceEvents: [process, ...marks, ...events] };
}

/** Rows that overlap cannot share a thread of the viewer. */
function tracks(rows: readonly TimelineRow[]): TimelineRow[][] {
  const found: TimelineRow[][] = [];
  for (const row of [...rows].sort((a, b) => a.startMs - b.startMs)) {
    const free = found.find((track) => (track.at(-1)?.endMs ?? 0) <= row.startMs);
    if (free) free.push(row);
    else found.push([row]);
  }
  return found;
}

function micros(ms: number): number {
  return Math.round(ms * 1000);
}
