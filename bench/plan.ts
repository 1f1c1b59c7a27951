/**
 * `./dev bench plan`: how the time of planning grows with what is planned, and what of it is more than reading and sorting
 * the same resources. docs/benchmarks.md says what each number means.
 *
 * The tables go to standard output (`--json`: everything measured), progress to standard error.
 */
import { parseArgs } from 'node:util';
import { describeMachine, load } from './lib/machine.ts';
import { growth, ratioOfMedians, summarize, type Growth } from './lib/statistics.ts';
import { markdownTable } from './lib/table.ts';
import { canonicalJson } from '../src/model/canonical.ts';
import { diff } from '../src/plan/diff.ts';
import { plan } from '../src/plan/plan.ts';
import { schedule } from '../src/plan/schedule.ts';
import type { Situation } from '../test/support/plan-cases.ts';
import { filesPerUnit, shapes, sizedSituation, type Shape } from '../test/support/plan-sizes.ts';

const usage = `usage: ./dev bench plan [--quick] [--runs N] [--json]

  --runs N   measurements of each kind, taken in turns (default 15; --quick 5)
  --json     everything measured, as JSON, instead of the tables`;

/** Targets of the project; see docs/benchmarks.md. */
const targets = { exponent: 1.1, files: 10_000, ms: 1000 } as const;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    runs: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
const runs = Number(values.runs ?? (values.quick === true ? 5 : 15));
if (values.help === true || !Number.isInteger(runs) || runs < 1) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}

const sizes = [1250, 2500, 5000, 10_000, 20_000] as const;
const largest = 20_000;
const parts = ['diff', 'plan', 'schedule', 'whole', 'floor'] as const;
type Part = (typeof parts)[number];
const rows = [...parts, 'clock'] as const;

/**
 * Milliseconds by part and size, in the order they were taken: of our thread on the processor, which other work on the
 * machine hardly adds to; and by the clock for the three together.
 */
type Times = Record<Part | 'clock', Record<number, number[]>>;

interface Measured {
  readonly machine: Awaited<ReturnType<typeof describeMachine>>;
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly times: Readonly<Record<Shape, Times>>;
}

function timed<T>(work: () => T): readonly [T, number] {
  const before = process.threadCpuUsage();
  const result = work();
  const { user, system } = process.threadCpuUsage(before);
  return [result, (user + system) / 1000];
}

/** What nothing that looks at every resource can do without: its canonical text, and all of them in order. */
function floor({ desired }: Situation): string {
  return [...desired.values()]
    .map(({ resource }) => ({ id: resource.id, text: canonicalJson(resource) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ text }) => text)
    .join('\n');
}

function measureOnce(situation: Situation): Record<Part | 'clock', number> {
  const start = performance.now();
  const [difference, diffMs] = timed(() => diff(situation));
  const [made, planMs] = timed(() => plan({ ...difference, desired: situation.desired, goal: situation.goal }));
  const [, scheduleMs] = timed(() => schedule(made));
  const clockMs = performance.now() - start;
  const [, floorMs] = timed(() => floor(situation));
  const whole = diffMs + planMs + scheduleMs;
  return { diff: diffMs, plan: planMs, schedule: scheduleMs, whole, floor: floorMs, clock: clockMs };
}

/** The mean of so many plans. */
function measureOften(situation: Situation, times: number): Record<Part | 'clock', number> {
  const all = Array.from({ length: times }, () => measureOnce(situation));
  const mean = (part: Part | 'clock'): number => all.reduce((sum, once) => sum + once[part], 0) / times;
  return Object.fromEntries(rows.map((part) => [part, mean(part)])) as Record<Part | 'clock', number>;
}

function emptyTimes(): Times {
  const bySize = (): Record<number, number[]> => Object.fromEntries(sizes.map((size) => [size, []]));
  return { diff: bySize(), plan: bySize(), schedule: bySize(), whole: bySize(), floor: bySize(), clock: bySize() };
}

/**
 * Sizes in turns, so that whatever else the machine does meets them all alike; and of each as many plans as make the same
 * number of files, so that every measurement takes about as long and leaves as much garbage.
 */
function measure(shape: Shape): Times {
  const situations = new Map(sizes.map((size) => [size, sizedSituation(shape, size)]));
  const times = emptyTimes();
  for (let round = -2; round < runs; round++) {
    for (const [size, situation] of situations) {
      const once = measureOften(situation, largest / size);
      // The first rounds are the compiler's.
      if (round >= 0) for (const part of rows) times[part][size]?.push(once[part]);
    }
  }
  return times;
}

const started = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};

const [machine, loadBefore] = [await describeMachine(), load()];
const times = Object.fromEntries(
  shapes.map((shape) => {
    say(`${shape}: ${sizes.at(0)} to ${sizes.at(-1)} files`);
    return [shape, measure(shape)];
  }),
) as Record<Shape, Times>;
const measured: Measured = { machine, loadBefore, loadAfter: load(), times };
console.log(values.json === true ? JSON.stringify({ ...measured, growth: grown(measured) }) : asText(measured));

// ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────────

function grown({ times: all }: Measured): Record<Shape, Record<Part | 'clock', Growth>> {
  const bySize = (row: Record<number, number[]>): Growth => growth(sizes.map((size) => [size, row[size] ?? []]));
  return Object.fromEntries(
    shapes.map((shape) => [shape, Object.fromEntries(rows.map((part) => [part, bySize(all[shape][part])]))]),
  ) as Record<Shape, Record<Part | 'clock', Growth>>;
}

function asText(all: Measured): string {
  const { machine: about } = all;
  const exponents = grown(all);
  return [
    `${new Date().toISOString().slice(0, 10)}, ${about.cores} cores (${about.processor}), ${(about.memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${about.kernel}; load ${all.loadBefore.toFixed(1)} before, ${all.loadAfter.toFixed(1)} after; ${runs} runs of each in turns`,
    ...shapes.flatMap((shape) => ['', shape, '', table(all.times[shape], exponents[shape])]),
    '',
    ...shapes.map((shape) => verdict(shape, all.times[shape], exponents[shape])),
  ].join('\n');
}

function table(times: Times, exponents: Record<Part | 'clock', Growth>): string {
  const names: Record<Part | 'clock', string> = {
    diff: 'diff',
    plan: 'plan',
    schedule: 'schedule',
    whole: 'the three',
    floor: 'floor: canonical JSON, sorted',
    clock: 'the three, by the clock',
  };
  const cell = (row: readonly number[]): string => {
    const { median, p10, p90 } = summarize(row);
    return `${median.toFixed(1)} (${p10.toFixed(1)} to ${p90.toFixed(1)})`;
  };
  const head = [
    'ms of files, units',
    ...sizes.map((size) => `${size}, ${Math.ceil(size / filesPerUnit)}`),
    'exponent (95 %)',
  ];
  return markdownTable(
    head,
    rows.map((part) => {
      const { exponent, low, high } = exponents[part];
      const fit = `${exponent.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
      return [names[part], ...sizes.map((size) => cell(times[part][size] ?? [])), fit];
    }),
  );
}

function verdict(shape: Shape, times: Times, exponents: Record<Part | 'clock', Growth>): string {
  const { exponent } = exponents.whole;
  const { median } = summarize(times.clock[targets.files] ?? []);
  const { ratio } = ratioOfMedians(times.whole[targets.files] ?? [], times.floor[targets.files] ?? []);
  const met = (yes: boolean): string => (yes ? 'met' : 'missed');
  return `${shape}: ${targets.files} files and ${targets.files / filesPerUnit} units in ${median.toFixed(0)} ms (< ${targets.ms}: ${met(median < targets.ms)}), ${ratio.toFixed(1)} times the floor; exponent ${exponent.toFixed(2)} (≤ ${targets.exponent}: ${met(exponent <= targets.exponent)})`;
}
