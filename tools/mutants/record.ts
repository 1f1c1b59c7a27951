/** What was found out last, in `test/mutants/<room>.json`: a run of what has changed takes the rest from there. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileResult } from './pure.ts';

const folder = join(import.meta.dirname, '..', '..', 'test', 'mutants');

export type RoomRecord = ReadonlyMap<string, FileResult>;

export async function readRecord(room: string): Promise<RoomRecord> {
  const text = await readFile(join(folder, `${room}.json`), 'utf8').catch(() => '{}');
  return new Map(Object.entries(JSON.parse(text) as Readonly<Record<string, FileResult>>));
}

export async function writeRecord(room: string, record: RoomRecord): Promise<void> {
  await mkdir(folder, { recursive: true });
  const sorted = [...record].sort(([a], [b]) => a.localeCompare(b));
  await writeFile(join(folder, `${room}.json`), `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
}

/** Faults that were noticed, each with the digest of what the verdict rests on. */
export async function readFaultRecord(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(folder, 'faults.json'), 'utf8').catch(() => '{}');
  return new Map(Object.entries(JSON.parse(text) as Readonly<Record<string, string>>));
}

export async function writeFaultRecord(record: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const sorted = [...record].sort(([a], [b]) => a.localeCompare(b));
  await writeFile(join(folder, 'faults.json'), `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
}
