/**
 * `./dev bench boot`: how long a baked machine takes to a healthy kubelet, how much of that is ours, and what a second
 * run costs. docs/benchmarks.md says what each number means.
 *
 * The table goes to standard output (`--json`: everything measured), progress to standard error. Needs root.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { untilBooted } from '../test/demo/nodes.ts';
import { prepareBootHosts, type BootHosts, type Kind } from './lib/boot-hosts.ts';
import { measureClusterBoots } from './boot-cluster.ts';
import { describeMachine, dropCaches, load, preferLab, writeBack, type Machine } from './lib/machine.ts';
import { ratioOfMedians, summarize, type Ratio } from './lib/statistics.ts';
import { markdownTable } from './lib/table.ts';
import type { BootResult, MilestoneName } from '../src/telemetry/result.ts';
import { openLab, type LabHost } from '../test/lab/lab.ts';
import { waitHttp } from '../test/lab/probe.ts';
import { monotonicMs } from '../test/lab/process.ts';

const usage = `usage: ./dev bench boot [--quick] [--runs N] [--cold-runs N] [--json]

  --runs N       boots of each kind with a warm page cache (default 12; --quick 4)
  --cold-runs N  boots of each kind with a dropped page cache (default 5; --quick 2; 0: none, others on this machine
                 keep their cache)
  --cluster      hosts that join a real cluster: to Ready instead of healthz, warm boots only
  --json         everything measured, as JSON, instead of the table`;

/** Targets of the project; see docs/benchmarks.md. */
const targets = { ratio: 1.15, workWarmMs: 400, workColdMs: 1500 } as const;

const healthzPort = 10_248;
/** Steps of the measurement. */
const probeIntervalMs = 5;
/** The probe is a program, too: it starts when early boot is over, long before any kubelet can be healthy. */
const probeDelayMs = 300;
const earliestHealthzMs = 500;
const secondRuns = 10;
const program = '/opt/nodekiln/bin/nodekiln';

type Cache = 'warm' | 'cold';

interface Boot {
  readonly kind: Kind;
  readonly cache: Cache;
  /** From the start of the host's systemd to kubelet's first healthz 200. */
  readonly healthzMs: number;
  /** Of nodekiln's boots: from the start of our process until kubelet's start was queued. */
  readonly workMs?: number;
  /** Of nodekiln's boots: from the start of the host's systemd to the start of our process. */
  readonly processMs?: number;
  /** Of nodekiln's boots: its own milestones and what happened when, from the start of the host's systemd. */
  readonly stages?: readonly Stage[];
  readonly load: number;
}

interface Stage {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

interface SecondRun {
  /** The program from outside, with entering the host. */
  readonly outsideMs: number;
  /** Entering the host with a program that does nothing. */
  readonly enteringMs: number;
}

interface Measured {
  readonly machine: Machine;
  /** Whether the hosts had the processor before other work of the machine. */
  readonly preferred: boolean;
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly boots: readonly Boot[];
  readonly seconds: readonly SecondRun[];
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    runs: { type: 'string' },
    'cold-runs': { type: 'string' },
    cluster: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
const quick = values.quick === true;
const runs = Number(values.runs ?? (quick ? 4 : 12));
const coldRuns = Number(values['cold-runs'] ?? (quick ? 2 : 5));
if (values.help === true || !Number.isInteger(runs) || !Number.isInteger(coldRuns) || runs < 1 || coldRuns < 0) {
  console.log(usage);
  process.exit(values.help === true ? 0 : 2);
}
const started = performance.now();
if (values.cluster === true) await measureClusterBoots({ runs, asJson: values.json === true, say });
else {
  const measured = await measure();
  console.log(values.json === true ? JSON.stringify(asJson(measured), undefined, 2) : asText(measured));
}

function say(line: string): void {
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
}

// ── measuring ────────────────────────────────────────────────────────────────────────────────────────────────────

async function measure(): Promise<Measured> {
  const [machine, loadBefore] = [await describeMachine(), load()];
  const lab = await openLab();
  try {
    const preferred = await preferLab(lab.id);
    if (!preferred) say('this machine gives the hosts no precedence: other work beside this measurement counts fully');
    const hosts = await prepareBootHosts(lab, say);
    try {
      const boots: Boot[] = [];
      say('one unmeasured boot of each kind');
      for (const kind of ['nodekiln', 'floor'] as const) await bootOnce(hosts, { kind, cache: 'warm' });
      for (const cache of ['warm', 'cold'] as const) {
        const rounds = cache === 'warm' ? runs : coldRuns;
        for (let round = 1; round <= rounds; round += 1) {
          // The second of a pair must not always be the same kind.
          const pair: readonly Kind[] = round % 2 === 1 ? ['nodekiln', 'floor'] : ['floor', 'nodekiln'];
          const made: Boot[] = [];
          for (const kind of pair) made.push(await bootOnce(hosts, { kind, cache }));
          boots.push(...made);
          say(`${cache} ${round} of ${rounds}: ${made.map(bootText).join(', ')}`);
        }
      }
      say(`${secondRuns} further runs on a booted host`);
      const seconds = await runAgain(hosts);
      return { machine, preferred, loadBefore, loadAfter: load(), boots, seconds };
    } finally {
      await hosts.close();
    }
  } finally {
    await lab.close();
  }
}

function bootText({ kind, healthzMs, workMs }: Boot): string {
  return `${kind} ${healthzMs.toFixed(0)} ms${workMs === undefined ? '' : ` (our work ${workMs.toFixed(0)} ms)`}`;
}

async function bootOnce(hosts: BootHosts, { kind, cache }: Pick<Boot, 'kind' | 'cache'>): Promise<Boot> {
  const host = await hosts.create(kind);
  try {
    await (cache === 'cold' ? dropCaches(host.disk) : writeBack(host.disk));
    const loadNow = load();
    await host.start();
    await sleep(probeDelayMs);
    const { atMs } = await waitHttp(host, { port: healthzPort, timeoutMs: 60_000, intervalMs: probeIntervalMs });
    const pid1Ms = await userspaceMs(host);
    if (atMs - pid1Ms < earliestHealthzMs)
      throw new Error(`host ${host.name}: healthy too early for the probe to see when`);
    const common = { kind, cache, healthzMs: atMs - pid1Ms, load: loadNow };
    if (kind === 'floor') return common;
    const result = await untilBooted(host);
    const [process, queued] = [milestone(result, 'process'), milestone(result, 'kubelet-queued')];
    return { ...common, workMs: queued - process, processMs: process - pid1Ms, stages: stagesOf(result, pid1Ms) };
  } finally {
    await host.remove();
  }
}

/** When the host's systemd began, on the clock that machine and hosts share. */
async function userspaceMs(host: LabHost): Promise<number> {
  // Healthz can answer before systemd has finished, but never before its private socket is there.
  const text = await host.check(['systemctl', 'show', '--property=UserspaceTimestampMonotonic', '--value']);
  return Number(text.trim()) / 1000;
}

function stagesOf(result: BootResult, pid1Ms: number): Stage[] {
  return [
    ...result.spans,
    ...result.steps.map(({ id, startMs, endMs }) => ({ name: id, startMs, endMs })),
    ...result.milestones.map(({ name, atMs }) => ({ name, startMs: atMs, endMs: atMs })),
  ].map(({ name, startMs, endMs }) => ({ name, startMs: startMs - pid1Ms, endMs: endMs - pid1Ms }));
}

function milestone(result: BootResult, name: MilestoneName): number {
  const found = result.milestones.find((each) => each.name === name);
  if (!found) throw new Error(`the boot's result has no milestone ${name}`);
  return found.atMs;
}

async function runAgain(hosts: BootHosts): Promise<SecondRun[]> {
  const host = await hosts.create('nodekiln');
  await host.start();
  await untilBooted(host);
  await host.waitRunning();
  const seconds: SecondRun[] = [];
  for (let round = 0; round <= secondRuns; round += 1) {
    const enteringMs = await timed(host, ['/bin/true']);
    const outsideMs = await timed(host, [program, 'boot']);
    // The first warms up.
    if (round > 0) seconds.push({ outsideMs, enteringMs });
  }
  await host.remove();
  return seconds;
}

async function timed(host: LabHost, argv: readonly string[]): Promise<number> {
  const before = monotonicMs();
  await host.check(argv);
  return monotonicMs() - before;
}

// ── reporting ────────────────────────────────────────────────────────────────────────────────────────────────────

type Figure = 'healthzMs' | 'workMs' | 'processMs';

function figures(
  { boots }: Measured,
  which: { readonly figure: Figure; readonly kind: Kind; readonly cache: Cache },
): number[] {
  return boots
    .filter((boot) => boot.kind === which.kind && boot.cache === which.cache)
    .flatMap((boot) => boot[which.figure] ?? []);
}

function ratioOf(measured: Measured, cache: Cache): Ratio {
  const of = (kind: Kind): number[] => figures(measured, { figure: 'healthzMs', kind, cache });
  return ratioOfMedians(of('nodekiln'), of('floor'));
}

interface Row {
  readonly what: string;
  readonly values: readonly number[];
  readonly targetMs?: number;
}

function rows(measured: Measured): Row[] {
  const caches: readonly Cache[] = coldRuns > 0 ? ['warm', 'cold'] : ['warm'];
  const boots = caches.flatMap((cache): Row[] => {
    const of = (figure: Figure, kind: Kind): number[] => figures(measured, { figure, kind, cache });
    return [
      { what: `${cache}: PID 1 to healthz 200, nodekiln`, values: of('healthzMs', 'nodekiln') },
      { what: `${cache}: PID 1 to healthz 200, floor`, values: of('healthzMs', 'floor') },
      { what: `${cache}: PID 1 to our process`, values: of('processMs', 'nodekiln') },
      {
        what: `${cache}: our process to kubelet's start queued`,
        values: of('workMs', 'nodekiln'),
        targetMs: cache === 'warm' ? targets.workWarmMs : targets.workColdMs,
      },
    ];
  });
  return [
    ...boots,
    {
      what: 'second run, whole process from outside',
      values: measured.seconds.map(({ outsideMs, enteringMs }) => outsideMs - enteringMs),
    },
    { what: 'second run, with entering the host', values: measured.seconds.map(({ outsideMs }) => outsideMs) },
  ];
}

function asText(measured: Measured): string {
  const { machine, loadBefore, loadAfter } = measured;
  const cell = (ms: number): string => `${ms.toFixed(0)} ms`;
  const table = markdownTable(
    ['figure', 'median', 'p10', 'p90', 'N', 'target'],
    rows(measured).map(({ what, values: row, targetMs }) => {
      const { median, p10, p90, n } = summarize(row);
      const target = targetMs === undefined ? '' : `≤ ${targetMs} ms ${median <= targetMs ? 'met' : 'missed'}`;
      return [what, cell(median), cell(p10), cell(p90), String(n), target];
    }),
  );
  const ratioLine = (cache: Cache): string => {
    const { ratio, low, high } = ratioOf(measured, cache);
    const target = cache === 'warm' ? `; target ≤ ${targets.ratio}: ${ratio <= targets.ratio ? 'met' : 'missed'}` : '';
    return `${cache}: nodekiln / floor = ${ratio.toFixed(3)} (95 % interval ${low.toFixed(3)} to ${high.toFixed(3)})${target}`;
  };
  return [
    `${new Date().toISOString().slice(0, 10)}, ${machine.cores} cores (${machine.processor}), ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${machine.kernel}; load ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after`,
    '',
    table,
    '',
    ratioLine('warm'),
    ...(coldRuns > 0 ? [ratioLine('cold')] : []),
  ].join('\n');
}

function asJson(measured: Measured): unknown {
  return {
    ...measured,
    summary: rows(measured).map(({ what, values: row, targetMs }) => ({ what, ...summarize(row), targetMs })),
    ratio: {
      target: targets.ratio,
      warm: ratioOf(measured, 'warm'),
      ...(coldRuns > 0 && { cold: ratioOf(measured, 'cold') }),
    },
  };
}
