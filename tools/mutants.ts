/**
 * `./dev mutants`: do the tests notice when the code is wrong? Mutants of the pure rooms, and named faults in the rest.
 *
 *     ./dev mutants                  everything anew
 *     ./dev mutants model plan       these rooms
 *     ./dev mutants faults           the named faults
 *     ./dev mutants faults cache     those whose name holds a word
 *     ./dev mutants --changed        what has changed since it was recorded, as far as five minutes go
 *     --minutes=N                    as far as N minutes go
 *     --record                       keep the result in test/mutants/
 *
 * Ends with tables; fails when a room notices fewer than nine tenths of its mutants, when too many are ignored, when a named
 * fault survives or no longer applies, and when a rule has no fault.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { rules } from '../test/faults/rules.ts';
import { choose } from './mutants/choice.ts';
import { type Fault, faultDigest, readFaults, runFaults, type Verdict } from './mutants/faults.ts';
import { digestOf, type FileResult, mutate, sourcesOf } from './mutants/pure.ts';
import { readFaultRecord, readRecord, writeFaultRecord, writeRecord } from './mutants/record.ts';
import { type Room, rooms } from './mutants/rooms.ts';

/** Least part of a room's mutants that tests notice. */
const leastKilled = 0.9;
/** Largest part of all mutants that comments ignore. */
const mostIgnored = 0.03;
/** A run of Stryker begins with all tests of the room; the files that follow are few enough to stop in time. */
const mutantsPerRun = 400;

interface Work {
  readonly room: Room;
  readonly results: Map<string, FileResult>;
  /** Files whose mutants are to run, and how many mutants each is thought to have. */
  readonly stale: { readonly file: string; readonly mutants: number }[];
}

async function workOf(room: Room, changedOnly: boolean): Promise<Work> {
  const record = await readRecord(room.name);
  const work: Work = { room, results: new Map(), stale: [] };
  for (const file of await sourcesOf(room)) {
    const known = record.get(file);
    if (changedOnly && known && known.digest === (await digestOf(file, known.tests))) work.results.set(file, known);
    else work.stale.push({ file, mutants: known ? total(known) : (await readFile(file, 'utf8')).split('\n').length });
  }
  return work;
}

/** Runs the stale files of a room in groups, each kept when it is done; returns those that the time did not suffice for. */
async function runRoom({ room, results, stale }: Work, { deadline, record }: Options): Promise<string[]> {
  let msPerMutant = 0;
  const waiting = [...stale];
  while (waiting.length > 0) {
    const group = [waiting.shift()];
    let mutants = group[0]?.mutants ?? 0;
    while (waiting[0] && mutants + waiting[0].mutants <= mutantsPerRun) {
      mutants += waiting[0].mutants;
      group.push(waiting.shift());
    }
    const files = group.flatMap((one) => (one ? [one.file] : []));
    const started = performance.now();
    if (started + msPerMutant * mutants > deadline) return [...files, ...waiting.map(({ file }) => file)];
    console.log(`mutants: ${room.name}: ${files.map((file) => file.replace(/^.*\//, '')).join(', ')}`);
    for (const [file, result] of await mutate(room, files)) results.set(file, result);
    if (record) await writeRecord(room.name, results);
    msPerMutant = (performance.now() - started) / Math.max(1, mutants);
  }
  return [];
}

function total({ killed, survived }: FileResult): number {
  return killed + survived.length;
}

interface Row {
  readonly name: string;
  readonly files: number;
  readonly mutants: number;
  readonly killed: number;
  readonly ignored: number;
  readonly messages: number;
}

function rowOf(name: string, results: Iterable<FileResult>): Row {
  const all = [...results];
  const sum = (count: (result: FileResult) => number): number => all.reduce((so, result) => so + count(result), 0);
  return {
    name,
    files: all.length,
    mutants: sum(total),
    killed: sum(({ killed }) => killed),
    ignored: sum(({ ignored }) => ignored.length),
    messages: sum(({ messages }) => messages),
  };
}

function share({ killed, mutants }: Row): number {
  return mutants === 0 ? 1 : killed / mutants;
}

function printRooms(rows: readonly Row[]): void {
  printTable(
    ['room', 'files', 'mutants', 'noticed', '%', 'survived', 'ignored', 'messages (not mutated)'],
    rows.map((row) => [
      row.name,
      ...[row.files, row.mutants, row.killed, (share(row) * 100).toFixed(1)].map(String),
      ...[row.mutants - row.killed, row.ignored, row.messages].map(String),
    ]),
  );
}

/** Numbers stand to the right. */
function printTable(columns: readonly string[], lines: readonly (readonly string[])[]): void {
  const widths = columns.map((title, at) => Math.max(title.length, ...lines.map((line) => line[at]?.length ?? 0)));
  const isNumber = (at: number): boolean => lines.every((line) => /^[\d.]+$/.test(line[at] ?? ''));
  const pad = (cell: string, at: number): string =>
    isNumber(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0);
  console.log(['', ...[columns, ...lines].map((line) => line.map(pad).join('  ').trimEnd())].join('\n'));
}

function printPlaces(title: string, results: ReadonlyMap<string, FileResult>, places: 'survived' | 'ignored'): void {
  const lines = [...results].flatMap(([file, result]) => result[places].map((place) => `  ${file}:${place}`));
  if (lines.length > 0) console.log(`\n${title}\n${lines.join('\n')}`);
}

interface Options {
  readonly changed: boolean;
  readonly record: boolean;
  /** On the clock of `performance`. */
  readonly deadline: number;
}

/** What is wrong, in words; nothing is when the list is empty. */
async function runRooms(wanted: readonly Room[], options: Options): Promise<string[]> {
  const parts: { readonly room: string; readonly results: ReadonlyMap<string, FileResult> }[] = [];
  const left: string[] = [];
  for (const room of wanted) {
    const work = await workOf(room, options.changed);
    left.push(...(await runRoom(work, options)));
    if (options.record) await writeRecord(room.name, work.results);
    const anew = new Map([...work.results].filter(([file]) => work.stale.some((one) => one.file === file)));
    printPlaces(`${room.name}: not noticed by any test`, anew, 'survived');
    printPlaces(`${room.name}: ignored`, work.results, 'ignored');
    parts.push({ room: room.name, results: work.results });
  }
  const rows = parts.map(({ room, results }) => rowOf(room, results.values()));
  const all = rowOf(
    'all',
    parts.flatMap(({ results }) => [...results.values()]),
  );
  printRooms([...rows, all]);
  if (left.length > 0) console.log(`\nnot run for want of time: ${left.join(', ')}`);
  return [
    ...rows.filter((row) => share(row) < leastKilled).map(({ name }) => `${name}: fewer than 90 % are noticed`),
    ...(all.ignored > mostIgnored * (all.mutants + all.ignored) ? ['more than 3 % are ignored'] : []),
  ];
}

/** What is wrong, in words. */
async function runNamed(wanted: readonly Fault[], { changed, record, deadline }: Options): Promise<string[]> {
  // Of all faults: what is known of those that are not wanted stays recorded.
  const all = await readFaults();
  const known = new Map<string, string>();
  for (const [name, digest] of await readFaultRecord()) {
    const fault = all.find((one) => one.name === name);
    if (fault && digest === (await faultDigest(fault))) known.set(name, digest);
  }
  const stale = changed ? wanted.filter(({ name }) => !known.has(name)) : wanted;
  const { verdicts, left } = await runFaults(stale, deadline, (line) => console.log(`mutants: ${line}`));
  for (const fault of stale) {
    if (verdicts.get(fault.name) === 'noticed') known.set(fault.name, await faultDigest(fault));
    else known.delete(fault.name);
  }
  if (record) await writeFaultRecord(known);
  const verdictOf = ({ name }: Fault): Verdict | 'not run' =>
    verdicts.get(name) ?? (known.has(name) ? 'noticed' : 'not run');
  printTable(
    ['rule', 'fault', 'test', 'verdict'],
    wanted
      .toSorted((a, b) => Object.keys(rules).indexOf(a.rule) - Object.keys(rules).indexOf(b.rule))
      .map((fault) => [fault.rule, fault.name, fault.test, verdictOf(fault)]),
  );
  if (left.length > 0) console.log(`\nnot run for want of time: ${left.join(', ')}`);
  const bad = [...verdicts].filter(([, verdict]) => verdict !== 'noticed');
  console.log(`\n${wanted.length} faults, ${wanted.filter((fault) => verdictOf(fault) === 'noticed').length} noticed`);
  return bad.map(([name, verdict]) => `fault ${name}: ${verdict}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      changed: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      minutes: { type: 'string' },
    },
  });
  const faults = await readFaults();
  const chosen = choose(positionals, { rooms, faults });
  if (chosen.unknown.length > 0) {
    console.error(`mutants: no room and no fault: ${chosen.unknown.join(', ')}`);
    return 2;
  }
  const minutes = values.minutes === undefined ? (values.changed ? 5 : Infinity) : Number(values.minutes);
  const options = { ...values, deadline: performance.now() + minutes * 60_000 };
  const without = Object.keys(rules).filter((rule) => !faults.some((fault) => fault.rule === rule));
  const wrong = [
    ...(chosen.faults.length > 0 ? await runNamed(chosen.faults, options) : []),
    ...(chosen.rooms.length > 0 ? await runRooms(chosen.rooms, options) : []),
    ...(chosen.allFaults ? without.map((rule) => `the rule ${rule} has no fault`) : []),
  ];
  console.log(
    ['', ...wrong, wrong.length === 0 ? 'the tests notice' : 'the tests do not notice enough']
      .join('\nmutants: ')
      .trim(),
  );
  return wrong.length === 0 ? 0 : 1;
}

process.exitCode = await main();
