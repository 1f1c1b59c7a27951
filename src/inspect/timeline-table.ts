/** A timeline as text: one line per row with a bar, then the critical path. Pure. */
import { visibleLine } from '../model/printable.ts';
import { formatDuration, shorten } from './format.ts';
import type { Timeline, TimelineRow } from './timeline.ts';

export interface TableOptions {
  /** Columns of the whole table; bars from 60 on. */
  readonly width: number;
  /** Marks text of the critical path, with colour where there is any. */
  readonly emphasise?: (text: string) => string;
}

/** Beside label, bar and outcome. */
const numberColumns = 26;
const leastBar = 12;
const leastName = 12;

const partBlocks = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

export function timelineTable(timeline: Timeline, options: TableOptions): string {
  const emphasise = options.emphasise ?? ((text) => text);
  const room = options.width - numberColumns - Math.max(0, ...timeline.rows.map((row) => outcomeOf(row).length));
  const wanted = Math.min(44, Math.max(12, ...timeline.rows.map((row) => visibleLine(row.label).length)));
  const labels = options.width < 60 ? Math.min(wanted, Math.max(8, room)) : Math.min(wanted, room - leastBar);
  const bars = options.width < 60 ? 0 : room - labels;
  const lines = timeline.rows.map((row) => {
    const mark = row.critical ? '*' : ' ';
    const label = shorten(visibleLine(row.label), labels).padEnd(labels);
    const bar = bars === 0 ? '' : `  ${barText(row, { span: timeline.endMs, width: bars })}`;
    const numbers = `${formatDuration(row.startMs).padStart(10)} ${formatDuration(row.endMs - row.startMs).padStart(9)}`;
    const line = `${mark} ${label} ${numbers}${bar}${outcomeOf(row)}`.trimEnd();
    return row.critical ? emphasise(line) : line;
  });
  const head = `  ${''.padEnd(labels)} ${'start'.padStart(10)} ${'time'.padStart(9)}`;
  return [
    title(timeline),
    '',
    head,
    ...lines,
    '',
    ...criticalLines(timeline, options.width),
    ...delayLines(timeline),
  ].join('\n');
}

function outcomeOf({ status }: TimelineRow): string {
  return status === 'done' ? '' : ` ${status}`;
}

/** One sentence: what came out, and when. */
export function title(timeline: Timeline): string {
  const goal = timeline.goalMs === undefined ? '' : `, ${lastOf(timeline)} after ${formatDuration(timeline.goalMs)}`;
  const nothing = timeline.unchanged ? ', nothing to do' : '';
  return visibleLine(`${timeline.outcome}${nothing}${goal}, ${endOf(timeline)} (from ${originName(timeline)})`);
}

function lastOf({ goal = 'goal', reached, waitedFor }: Timeline): string {
  if (reached) return goal;
  return waitedFor.length > 0 ? `still waiting for ${waitedFor.join(', ')}` : `not beyond ${goal}`;
}

/** `all done after 3.2 s` */
export function endOf({ outcome, endMs }: Timeline): string {
  return `${outcome === 'failed' ? 'ended' : 'all done'} after ${formatDuration(endMs)}`;
}

export function originName(timeline: Timeline): string {
  switch (timeline.origin) {
    case 'kernel':
      return 'the kernel’s start';
    case 'userspace':
      return 'the start of PID 1';
    case 'process':
      return 'the start of nodekiln';
  }
}

function criticalLines(timeline: Timeline, width: number): string[] {
  const { critical, goalMs } = timeline;
  if (critical.length === 0 || goalMs === undefined) return ['no step ran, so there is no critical path'];
  const total = Math.max(goalMs, Number.EPSILON);
  return [
    'critical path (* above):',
    ...critical.map((segment) => {
      const time = segment.endMs - segment.startMs;
      return `  ${formatDuration(time).padStart(9)} ${String(Math.round((time / total) * 100)).padStart(3)} %  ${shorten(visibleLine(segment.name), Math.max(leastName, width - 20))}`;
    }),
  ];
}

function delayLines({ delays }: Timeline): string[] {
  if (delays.length === 0) return [];
  return [
    '',
    'kubelet waited for these, and would not with `deferrable: true`:',
    ...delays.map(({ resource, ms }) => `  ${formatDuration(ms).padStart(9)}  ${visibleLine(resource)}`),
  ];
}

function barText(row: { startMs: number; endMs: number }, scale: { span: number; width: number }): string {
  const unit = scale.width / Math.max(scale.span, Number.EPSILON);
  const start = Math.min(scale.width - 1, Math.floor(row.startMs * unit));
  const eighths = Math.max(1, Math.round((row.endMs - row.startMs) * unit * 8));
  const full = '█'.repeat(Math.floor(eighths / 8));
  return ' '.repeat(start) + full + (partBlocks[eighths % 8] ?? '');
}
