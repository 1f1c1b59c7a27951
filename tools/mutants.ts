/**
 * `./dev mutants`: do the tests notice when the code is wrong? Mutants of the pure rooms, and named faults in the rest.
 *
 *     ./dev mutants                  everything anew
 *     ./dev mutants model plan       these rooms
 *     ./dev mutants --changed        what has changed since it was recorded, as far as five minutes go
 *     --minutes=N                    as far as N minutes go
 *     --record                       keep the result in test/mutants/
 *
 * Ends with a table; fails when a room notices fewer than nine tenths of its mutants, or too many are ignored.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { digestOf, type FileResult, mutate, sourcesOf } from './mutants/pure.ts';
import { readRecord, writeRecord } from './mutants/record.ts';
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

/** Runs the stale files of a room in groups; returns those that the time did not suffice for. */
async function runRoom({ room, results, stale }: Work, deadline: number): Promise<string[]> {
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

function printTable(rows: readonly Row[]): void {
  const columns = ['room', 'files', 'mutants', 'killed', '%', 'survived', 'ignored', 'messages (not mutated)'];
  const cells = rows.map((row) => [
    row.name,
    ...[row.files, row.mutants, row.killed, (share(row) * 100).toFixed(1)].map(String),
    ...[row.mutants - row.killed, row.ignored, row.messages].map(String),
  ]);
  const widths = columns.map((title, at) => Math.max(title.length, ...cells.map((line) => line[at]?.length ?? 0)));
  for (const line of [columns, ...cells]) {
    console.log(
      line.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
    );
  }
}

function printPlaces(title: string, results: ReadonlyMap<string, FileResult>, places: 'survived' | 'ignored'): void {
  const lines = [...results].flatMap(([file, result]) => result[places].map((place) => `  ${file}:${place}`));
  if (lines.length > 0) console.log(`\n${title}\n${lines.join('\n')}`);
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
  const unknown = positionals.filter((name) => !rooms.some((room) => room.name === name));
  if (unknown.length > 0) {
    console.error(`mutants: no room ${unknown.join(', ')}; there are ${rooms.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const minutes = values.minutes === undefined ? (values.changed ? 5 : Infinity) : Number(values.minutes);
  const deadline = performance.now() + minutes * 60_000;
  const parts: { readonly room: string; readonly results: ReadonlyMap<string, FileResult> }[] = [];
  const left: string[] = [];
  for (const room of rooms.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
    const work = await workOf(room, values.changed);
    left.push(...(await runRoom(work, deadline)));
    if (values.record) await writeRecord(room.name, work.results);
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
  console.log('');
  printTable([...rows, all]);
  if (left.length > 0) {
    console.log(`\nnot run for want of time (./dev mutants runs all): ${left.join(', ')}`);
  }
  const faults = [
    ...rows.filter((row) => share(row) < leastKilled).map(({ name }) => `${name}: fewer than 90 % are noticed`),
    ...(all.ignored > mostIgnored * (all.mutants + all.ignored) ? ['more than 3 % are ignored'] : []),
  ];
  for (const fault of faults) console.log(`mutants: ${fault}`);
  if (faults.length === 0) console.log('mutants: enough of them are noticed');
  return faults.length === 0 ? 0 : 1;
}

process.exitCode = await main();
