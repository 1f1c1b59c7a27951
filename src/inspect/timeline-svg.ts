/**
 * A timeline as a picture: an SVG of 1100 pixels that reads on light and dark ground. Pure.
 *
 * From top to bottom: what came out; the critical path as one band, with its segments named; then, over one axis, the
 * milestones as lines and one bar per row, lane by lane, the critical path in the strong colour.
 */
import { count } from '../model/count.ts';
import { visible } from '../model/printable.ts';
import { formatDuration, shorten } from './format.ts';
import { endOf, originName } from './timeline-table.ts';
import { laneTitles } from './timeline-trace.ts';
import { lanes, type Segment, type Timeline, type TimelineMilestone, type TimelineRow } from './timeline.ts';

const width = 1100;
const margin = 28;
const gutter = 252;
const chartLeft = margin + gutter;
/** Room at the right for the label of the last milestone and the duration beside the longest bar. */
const chartRight = width - margin - 142;
const rowHeight = 20;
const barHeight = 12;
const laneGap = 30;
const labelRow = 16;
/** Average advance of a character at 11 px in the fonts below, measured on DejaVu Sans, the widest of them. */
const charWidth = 6.1;

/** [light, dark] of every colour. */
const palette = {
  ground: ['#ffffff', '#0f1419'],
  ink: ['#1b2733', '#e3e9ef'],
  quiet: ['#64748b', '#94a3b8'],
  rule: ['#e5eaf0', '#26313c'],
  zebra: ['#f7f9fb', '#141b22'],
  bar: ['#7fb2e5', '#3f7db8'],
  work: ['#a99be0', '#7768ba'],
  machine: ['#b6c1cd', '#52606e'],
  unit: ['#9fd3c1', '#3c8570'],
  deferred: ['#c3d7ea', '#34506b'],
  critical: ['#e8590c', '#ff7a2f'],
  wait: ['#f7a668', '#b85f24'],
  failed: ['#c92a2a', '#ff6b6b'],
  mark: ['#475569', '#a8b5c4'],
} as const satisfies Record<string, readonly [string, string]>;

type Colour = keyof typeof palette;

export function timelineSvg(timeline: Timeline): string {
  const span = Math.max(timeline.endMs, 1) * 1.005;
  const scale: Scale = { span, x: (ms) => chartLeft + (ms / span) * (chartRight - chartLeft) };
  const parts: string[] = [];
  let y = 44;
  parts.push(text({ x: margin, y, class: 'title' }, headline(timeline)));
  y += 20;
  parts.push(text({ x: margin, y, class: 'quiet' }, subtitle(timeline)));
  y += 26;
  const band = criticalBand(timeline, y);
  parts.push(band.svg);
  y = band.bottom;

  const labels = layoutMilestones(timeline.milestones, scale.x);
  const levels = Math.max(0, ...labels.map((label) => label.level + 1));
  y += levels * labelRow;
  const labelsBottom = y - labelRow + 6;
  const axisY = y;
  const body = laneParts(timeline, scale, y);
  y = body.bottom + 8;
  parts.push(body.ground, axis(scale, { top: axisY, bottom: y }));
  const marks = labels.map((label) => milestone(label, { labelsBottom, bottom: y }));
  parts.push(...marks.map((mark) => mark.line), ...marks.map((mark) => mark.text));
  parts.push(body.svg);
  y += 24;
  parts.push(legend(timeline, y));
  y += 22;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="${escape(`Timeline: ${headline(timeline)}`)}">`,
    `<style>${styles()}</style>`,
    `<rect class="f-ground" width="${width}" height="${y}" rx="10"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

interface Scale {
  readonly span: number;
  readonly x: (ms: number) => number;
}

function headline(timeline: Timeline): string {
  if (timeline.unchanged) return `Nothing to do, known after ${formatDuration(timeline.endMs)}`;
  if (timeline.goalMs === undefined || !timeline.reached)
    return `Boot ${timeline.outcome} after ${formatDuration(timeline.endMs)}${waited(timeline)}`;
  const goal = timeline.goal === 'ready unit:kubelet.service' ? 'kubelet healthy' : 'Goal reached';
  return `${goal} after ${formatDuration(timeline.goalMs)}`.replace(/^k/, 'K');
}

/** One name: the picture has the others. */
function waited({ waitedFor: [first, ...others] }: Timeline): string {
  if (first === undefined) return '';
  return `, waiting for ${first}${others.length > 0 ? ` and ${others.length} more` : ''}`;
}

function subtitle(timeline: Timeline): string {
  const steps = timeline.rows.flatMap((row) => row.steps).length;
  const when = timeline.finishedAt.replace(/\.\d+Z$/, 'Z').replace('T', ' ');
  return `${timeline.outcome} · ${count(steps, 'step')} · ${endOf(timeline)} · times from ${originName(timeline)} · ${when} · nodekiln ${timeline.nodekilnVersion}`;
}

// ── critical path ────────────────────────────────────────────────────────────────────────────────────────────────

function criticalBand(timeline: Timeline, top: number): { svg: string; bottom: number } {
  const { critical, goalMs } = timeline;
  if (critical.length === 0 || goalMs === undefined || goalMs <= 0) return { svg: '', bottom: top };
  const left = margin;
  const perMs = (width - 2 * margin) / goalMs;
  const bandTop = top + 10;
  const height = 26;
  const shares = critical
    .map((segment) => ({ segment, time: segment.endMs - segment.startMs }))
    .filter(({ time }) => time / goalMs >= 0.015)
    .sort((a, b) => b.time - a.time)
    .slice(0, 8);
  const numbered = new Map(
    critical
      .filter((segment) => shares.some((share) => share.segment === segment))
      .map((segment, index) => [segment, index + 1]),
  );
  const blocks = critical.map((segment) => {
    const x = left + segment.startMs * perMs;
    const w = Math.max(0.6, (segment.endMs - segment.startMs) * perMs - 1);
    const number = numbered.get(segment);
    const block = `<rect class="f-${segmentColour(segment)}" x="${n(x)}" y="${bandTop}" width="${n(w)}" height="${height}" rx="${w > 6 ? 3 : 0}"><title>${escape(`${segment.name}: ${formatDuration(segment.endMs - segment.startMs)}`)}</title></rect>`;
    return number !== undefined && w >= 14
      ? `${block}${text({ x: x + w / 2, y: bandTop + 17, class: 'number', anchor: 'middle' }, String(number))}`
      : block;
  });
  const columns = 3;
  const columnWidth = (width - 2 * margin) / columns;
  const legendTop = bandTop + height + 20;
  const perColumn = Math.ceil(numbered.size / columns);
  const entries = [...numbered].map(([segment, number], index) => {
    const x = left + Math.floor(index / perColumn) * columnWidth;
    const y = legendTop + (index % perColumn) * 17;
    const time = segment.endMs - segment.startMs;
    return [
      `<rect class="f-${segmentColour(segment)}" x="${n(x)}" y="${y - 9}" width="10" height="10" rx="2"/>`,
      text({ x: x + 16, y, class: 'label' }, `${number}  ${shorten(segment.name, 35)}`),
      text(
        { x: x + columnWidth - 24, y, class: 'quiet', anchor: 'end' },
        `${formatDuration(time)} · ${Math.round((time / goalMs) * 100)} %`,
      ),
    ].join('');
  });
  const heading = text({ x: left, y: top, class: 'lane' }, 'Critical path to the goal');
  return { svg: [heading, ...blocks, ...entries].join('\n'), bottom: legendTop + perColumn * 17 + 22 };
}

function segmentColour(segment: Segment): Colour {
  switch (segment.kind) {
    case 'machine':
      return 'machine';
    case 'work':
      return 'work';
    case 'step':
      return 'critical';
    case 'wait':
      return 'wait';
  }
}

// ── milestones ───────────────────────────────────────────────────────────────────────────────────────────────────

export interface MilestoneLabel {
  readonly milestone: TimelineMilestone;
  readonly x: number;
  /** The box of the text. */
  readonly left: number;
  readonly right: number;
  /** Line of labels, 0 nearest to the bars. */
  readonly level: number;
  readonly text: string;
}

/**
 * Places labels so that none overlaps another: the text stands right of its line (left of it at the right edge), on the
 * lowest level that is free there. A line runs down from its label; where it can be had, none runs through a text.
 */
export function layoutMilestones(
  milestones: readonly TimelineMilestone[],
  x: (ms: number) => number,
): MilestoneLabel[] {
  const placed: MilestoneLabel[] = [];
  for (const milestone of [...milestones].sort((a, b) => b.atMs - a.atMs)) {
    const label = `${milestone.label} ${formatDuration(milestone.atMs)}`;
    const at = x(milestone.atMs);
    const size = label.length * charWidth;
    const fits = at + 5 + size <= width - 8;
    const box = fits ? { left: at + 4, right: at + 5 + size } : { left: at - 5 - size, right: at - 4 };
    const apart = (level: number): boolean =>
      placed.every((other) => other.level !== level || box.left >= other.right + 8 || other.left >= box.right + 8);
    const clear = (level: number): boolean =>
      placed.every((other) => {
        const throughOther = other.level < level && at > other.left - 3 && at < other.right + 3;
        const throughThis = other.level > level && other.x > box.left - 3 && other.x < box.right + 3;
        return !throughOther && !throughThis;
      });
    // A level above all others is always apart, so there is a last resort.
    const levels = Array.from({ length: placed.length + 1 }, (_, level) => level).filter(apart);
    const level = levels.find(clear) ?? levels[0] ?? placed.length;
    placed.push({ milestone, x: at, ...box, level, text: label });
  }
  return placed.sort((a, b) => a.milestone.atMs - b.milestone.atMs);
}

function milestone(
  label: MilestoneLabel,
  area: { labelsBottom: number; bottom: number },
): { line: string; text: string } {
  const y = area.labelsBottom - label.level * labelRow;
  const goal = label.milestone.name === 'healthz';
  const anchor = label.left > label.x ? 'start' : 'end';
  const textX = anchor === 'start' ? label.x + 5 : label.x - 5;
  return {
    line: `<line class="${goal ? 's-critical goal' : 's-mark mark'}" x1="${n(label.x)}" x2="${n(label.x)}" y1="${y - 9}" y2="${area.bottom}"/>`,
    text: text({ x: textX, y, class: goal ? 'milestone goal-label' : 'milestone', anchor }, label.text),
  };
}

// ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function laneParts(timeline: Timeline, scale: Scale, top: number): { ground: string; svg: string; bottom: number } {
  const parts: string[] = [];
  const ground: string[] = [];
  let y = top;
  for (const lane of lanes) {
    const rows = timeline.rows.filter((row) => row.lane === lane);
    if (rows.length === 0) continue;
    y += laneGap - 8;
    parts.push(text({ x: margin, y, class: 'lane' }, laneTitles[lane]));
    y += 8;
    for (const [index, row] of rows.entries()) {
      if (index % 2 === 0)
        ground.push(
          `<rect class="f-zebra" x="${margin - 8}" y="${y}" width="${width - 2 * margin + 16}" height="${rowHeight}" rx="3"/>`,
        );
      parts.push(rowPart(row, scale, y));
      y += rowHeight;
    }
  }
  return { ground: ground.join('\n'), svg: parts.join('\n'), bottom: y };
}

function rowPart(row: TimelineRow, scale: Scale, y: number): string {
  const x = scale.x(row.startMs);
  const w = Math.max(2, scale.x(row.endMs) - x);
  const baseline = y + rowHeight / 2 + 4;
  const time =
    row.status === 'skipped'
      ? 'skipped'
      : `${formatDuration(row.endMs - row.startMs)}${row.status === 'done' ? '' : ` ${row.status}`}`;
  const roomRight = x + w + 6 + time.length * charWidth <= width - 8;
  const durationX = roomRight ? x + w + 6 : x - 6;
  const colour = rowColour(row);
  const limit = Math.floor((gutter - 14) / charWidth) - 2;
  return [
    text({ x: margin, y: baseline, class: row.critical ? 'label strong' : 'label' }, shorten(row.label, limit)),
    `<rect class="f-${colour}" x="${n(x)}" y="${y + (rowHeight - barHeight) / 2}" width="${n(w)}" height="${barHeight}" rx="${w > 6 ? 2.5 : 0}"><title>${escape(`${row.steps.length > 1 ? row.steps.join('\n') : row.label}\n${formatDuration(row.startMs)} – ${formatDuration(row.endMs)}`)}</title></rect>`,
    text(
      {
        x: durationX,
        y: baseline,
        class: isBad(row) ? 'duration bad' : 'duration',
        anchor: roomRight ? 'start' : 'end',
      },
      time,
    ),
  ].join('');
}

function isBad({ status }: Pick<TimelineRow, 'status'>): boolean {
  return status === 'failed' || status === 'interrupted';
}

function rowColour(row: TimelineRow): Colour {
  if (isBad(row)) return 'failed';
  if (row.status === 'skipped') return 'rule';
  if (row.critical) return row.lane === 'machine' ? 'machine' : row.lane === 'work' ? 'work' : 'critical';
  return row.lane === 'goal' ? 'bar' : row.lane;
}

// ── axis and legend ──────────────────────────────────────────────────────────────────────────────────────────────

function axis(scale: Scale, area: { top: number; bottom: number }): string {
  const step = tickStep(scale.span, 8);
  const parts: string[] = [];
  for (let ms = 0; ms <= scale.span; ms += step) {
    const x = n(scale.x(ms));
    parts.push(`<line class="s-rule" x1="${x}" x2="${x}" y1="${area.top}" y2="${area.bottom}"/>`);
    parts.push(
      text({ x: scale.x(ms), y: area.bottom + 14, class: 'tick', anchor: 'middle' }, tickLabel(ms, scale.span)),
    );
  }
  return parts.join('\n');
}

/** The smallest of 1, 2, 5 × 10ⁿ that makes at most so many ticks. */
export function tickStep(span: number, ticks: number): number {
  const rough = span / ticks;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5].map((factor) => factor * power).find((candidate) => candidate >= rough);
  return step ?? 10 * power;
}

function tickLabel(ms: number, span: number): string {
  if (span < 1000) return `${Number(ms.toFixed(2))} ms`;
  return `${Number((ms / 1000).toFixed(2))} s`;
}

function legend(timeline: Timeline, y: number): string {
  const wanted: [Colour, string, boolean][] = [
    ['critical', 'on the critical path', timeline.critical.length > 0],
    ['wait', 'waiting for others', timeline.gaps.length > 0],
    ['bar', 'beside it', timeline.rows.some((row) => row.lane === 'goal' && !row.critical)],
    ['work', 'reading and planning', timeline.rows.some((row) => row.lane === 'work')],
    ['machine', 'before nodekiln', timeline.rows.some((row) => row.lane === 'machine')],
    ['unit', 'unit activating', timeline.rows.some((row) => row.lane === 'unit')],
    ['deferred', 'deferred', timeline.rows.some((row) => row.lane === 'deferred')],
    ['failed', 'failed or interrupted', timeline.rows.some(isBad)],
  ];
  let x = margin;
  const parts: string[] = [];
  for (const [colour, label] of wanted.filter(([, , shown]) => shown)) {
    parts.push(`<rect class="f-${colour}" x="${n(x)}" y="${y + 3}" width="10" height="10" rx="2"/>`);
    parts.push(text({ x: x + 15, y: y + 12, class: 'quiet' }, label));
    x += 15 + label.length * charWidth + 22;
  }
  return parts.join('');
}

// ── SVG ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function styles(): string {
  const colours = (index: 0 | 1): string =>
    Object.entries(palette)
      .map(([name, pair]) => `.f-${name}{fill:${pair[index]}}.s-${name}{stroke:${pair[index]}}`)
      .join('') +
    `text{fill:${palette.ink[index]}}.milestone,.duration{stroke:${palette.ground[index]}}.quiet,.tick,.duration{fill:${palette.quiet[index]}}.milestone{fill:${palette.mark[index]}}` +
    `.goal-label{fill:${palette.critical[index]}}.bad{fill:${palette.failed[index]}}.number{fill:${index === 0 ? palette.ink[0] : palette.ground[1]}}`;
  return [
    'text{font:11px system-ui,"Segoe UI","Helvetica Neue",Arial,"DejaVu Sans",sans-serif}',
    '.title{font-size:20px;font-weight:600}.quiet{font-size:11.5px}.lane{font-size:12px;font-weight:600}',
    '.label{font-size:11.5px}.strong,.goal-label,.number{font-weight:600}.tick,.duration{font-size:10.5px}',
    '.milestone,.duration{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}.mark{stroke-width:1;stroke-dasharray:2 3;opacity:.75}.goal{stroke-width:1.6}',
    colours(0),
    `@media (prefers-color-scheme:dark){${colours(1)}}`,
  ].join('');
}

interface TextPlace {
  readonly x: number;
  readonly y: number;
  readonly class: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

function text(place: TextPlace, content: string): string {
  const anchor = place.anchor && place.anchor !== 'start' ? ` text-anchor="${place.anchor}"` : '';
  return `<text x="${n(place.x)}" y="${n(place.y)}" class="${place.class}"${anchor}>${escape(content)}</text>`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escape(content: string): string {
  return visible(content).replace(/[&<>"\n]/g, (character) => `&#${character.charCodeAt(0)};`);
}
