/**
 * The journal's tables: rows in, rows out. What they mean is the journal's. A row that cannot be read is left out, and who
 * opened the tables is told of it. Columns are named, because a newer nodekiln may have added some.
 */
import { isMap } from '../../config/paths.ts';
import type { Database, SqlRow } from '../../host/port.ts';
import { claimSourceOrder, type ClaimSource, type Resource, type ResourceId } from '../../model/resources.ts';
import type { Touched } from '../../model/steps.ts';
import type { Claims } from '../../plan/claims.ts';
import { isResource } from './resource-form.ts';

export type GenerationStatus = 'pending' | 'applied' | 'degraded' | 'failed' | 'superseded';

export interface Generation {
  readonly number: number;
  /** The source whose document made it. */
  readonly source: ClaimSource;
  readonly createdMs: number;
  /** Fingerprint of all claims of all sources. */
  readonly digest: string;
  readonly status: GenerationStatus;
}

/** A row that is no longer what was written. */
export interface DamagedRow {
  readonly table: 'claims' | 'touched' | 'generations' | 'seals' | 'notes';
  readonly row: SqlRow;
}

export interface Tables {
  claims(): Claims;
  setClaims(source: string, resources: readonly Resource[]): void;
  touched(): Touched[];
  setTouched(entry: Touched): void;
  deleteTouched(id: ResourceId): void;
  /** Tells of each row that is read only when somebody asks for it, and could not be. */
  lookThrough(): void;
  /** Takes the row away, whatever stands in it. */
  deleteRow(damaged: DamagedRow): void;
  /** The newest first. */
  generations(): Generation[];
  newestGeneration(): Generation | undefined;
  /** Number of the newest one that was applied whole. */
  lastApplied(): number | undefined;
  /** A new one that is pending; what was pending or failed before is superseded. */
  addGeneration(generation: Omit<Generation, 'status'>): void;
  setGenerationStatus(number: number, status: GenerationStatus): void;
  seal(path: string): unknown;
  setSeal(path: string, seal: unknown): void;
  /** Of a note that is not such a thing it is told as of a damaged one. */
  note(key: string, isSuch?: (value: unknown) => boolean): unknown;
  setNote(key: string, value: unknown): void;
}

export const schemaVersion = 1;

/** Of a generation: no host comes near it. */
export const largestNumber = 999_999_999_999;
/** What a Date can hold. */
const latestMs = 8_640_000_000_000_000;

const schema = `
  CREATE TABLE IF NOT EXISTS generations (number INTEGER PRIMARY KEY, source TEXT NOT NULL, created_ms INTEGER NOT NULL, digest TEXT NOT NULL, status TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS claims (source TEXT NOT NULL, id TEXT NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (source, id)) STRICT;
  CREATE TABLE IF NOT EXISTS touched (id TEXT PRIMARY KEY, source TEXT NOT NULL, definitions TEXT NOT NULL, done INTEGER NOT NULL, started_with TEXT, original INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS seals (path TEXT PRIMARY KEY, seal TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`;

/** 0 of a database that holds nothing yet. */
export function versionOf(database: Database): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
}

/** With the first content, in its transaction. */
export function setVersion(database: Database): void {
  database.exec(`PRAGMA user_version=${schemaVersion}`);
}

/** Changes to the schema are additive: a newer file opens as it is. */
export function makeTables(database: Database): void {
  if (versionOf(database) < schemaVersion) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
}

export function openTables(database: Database, onDamage: (damaged: DamagedRow) => void): Tables {
  const readClaims = database.prepare('SELECT source, id, resource FROM claims ORDER BY source, id');
  const deleteClaims = database.prepare('DELETE FROM claims WHERE source = ?');
  const insertClaim = database.prepare('INSERT INTO claims (source, id, resource) VALUES (?, ?, ?)');
  const readTouched = database.prepare('SELECT id, source, definitions, done, started_with, original FROM touched');
  const writeTouched = database.prepare(
    `INSERT INTO touched (id, source, definitions, done, started_with, original) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET source = excluded.source, definitions = excluded.definitions, done = excluded.done,
       started_with = excluded.started_with, original = excluded.original`,
  );
  const deleteTouched = database.prepare('DELETE FROM touched WHERE id = ?');
  const generationColumns = 'number, source, created_ms, digest, status';
  const readGenerations = database.prepare(`SELECT ${generationColumns} FROM generations ORDER BY number DESC`);
  // A host keeps every generation it had: a run must not take longer for that.
  const readNewest = database.prepare(`SELECT ${generationColumns} FROM generations ORDER BY number DESC LIMIT 1`);
  const readApplied = database.prepare(
    "SELECT number FROM generations WHERE status = 'applied' ORDER BY number DESC LIMIT 1",
  );
  const supersede = database.prepare(
    "UPDATE generations SET status = 'superseded' WHERE status IN ('pending', 'failed')",
  );
  const writeGeneration = database.prepare(
    `INSERT INTO generations (${generationColumns}) VALUES (?, ?, ?, ?, 'pending')
     ON CONFLICT (number) DO UPDATE SET source = excluded.source, created_ms = excluded.created_ms,
       digest = excluded.digest, status = excluded.status`,
  );
  const setStatus = database.prepare('UPDATE generations SET status = ? WHERE number = ?');
  const readSeal = database.prepare('SELECT path, seal FROM seals WHERE path = ?');
  const readBroken = {
    notes: "SELECT key, value FROM notes WHERE NOT json_valid(value) OR instr(CAST(value AS BLOB), X'00') > 0",
    seals: "SELECT path, seal FROM seals WHERE iif(json_valid(seal), json_type(seal) <> 'object', TRUE)",
    generations: `SELECT ${generationColumns} FROM generations WHERE NOT (status IN (${listed(statuses)}) AND source IN (${listed(claimSourceOrder)})
      AND number BETWEEN 1 AND ${largestNumber} AND created_ms BETWEEN 0 AND ${latestMs})`,
  } as const satisfies Partial<Record<DamagedRow['table'], string>>;
  const writeSeal = database.prepare(
    'INSERT INTO seals (path, seal) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET seal = excluded.seal',
  );
  const readNote = database.prepare('SELECT key, value FROM notes WHERE key = ?');
  const writeNote = database.prepare(
    'INSERT INTO notes (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );

  /** What the row says, or nothing, and that is told. */
  const said = <Said>(table: DamagedRow['table'], row: SqlRow | undefined, read: (row: SqlRow) => Said): Said[] => {
    if (!row) return [];
    try {
      return [read(row)];
    } catch {
      onDamage({ table, row });
      return [];
    }
  };
  const generations = (): Generation[] =>
    readGenerations.all().flatMap((row) => said('generations', row, generationOf));

  return {
    claims: () => {
      const claims: Partial<Record<ClaimSource, Resource[]>> = {};
      for (const row of readClaims.all())
        for (const { source, resource } of said('claims', row, claimOf)) (claims[source] ??= []).push(resource);
      return claims;
    },
    setClaims: (source, resources) => {
      deleteClaims.run(source);
      for (const resource of resources) insertClaim.run(source, resource.id, JSON.stringify(resource));
    },
    touched: () => readTouched.all().flatMap((row) => said('touched', row, touchedOf)),
    setTouched: ({ id, source, definitions, done, unsure, startedWith, original }) => {
      const state = done ? doneState.done : unsure === true ? doneState.unsure : doneState.open;
      writeTouched.run(id, source, JSON.stringify(definitions), state, startedWith ?? null, original ? 1 : 0);
    },
    deleteTouched: (id) => deleteTouched.run(id),
    lookThrough: () => {
      for (const table of ['generations', 'seals', 'notes'] as const)
        for (const row of database.prepare(readBroken[table]).all()) onDamage({ table, row });
    },
    deleteRow: ({ table, row }) => {
      const keys = keysOf[table];
      database
        .prepare(`DELETE FROM ${table} WHERE ${keys.map((column) => `${column} IS ?`).join(' AND ')}`)
        .run(...keys.map((column) => row[column] ?? null));
    },
    generations,
    newestGeneration: () => said('generations', readNewest.get(), generationOf)[0] ?? generations()[0],
    lastApplied: () => {
      const row = readApplied.get();
      return row && Number(row['number']);
    },
    addGeneration: ({ number, source, createdMs, digest }) => {
      supersede.run();
      writeGeneration.run(number, source, createdMs, digest);
    },
    setGenerationStatus: (number, status) => setStatus.run(status, number),
    seal: (path) => said('seals', readSeal.get(path), (row) => mapOf(row['seal']))[0],
    setSeal: (path, seal) => writeSeal.run(path, JSON.stringify(seal)),
    note: (key, isSuch = () => true) =>
      said('notes', readNote.get(key), (row) => {
        const value = jsonOf(row['value']);
        if (!isSuch(value)) throw new RangeError('something else');
        return value;
      })[0],
    setNote: (key, value) => writeNote.run(key, JSON.stringify(value)),
  };
}

/** `touched.done`. */
const doneState = { open: 0, done: 1, unsure: 2 } as const;

/** By which columns a row is known: the last one is its name. */
export const keysOf = {
  claims: ['source', 'id'],
  touched: ['id'],
  generations: ['number'],
  seals: ['path'],
  notes: ['key'],
} as const satisfies Record<DamagedRow['table'], readonly string[]>;

const statuses: readonly GenerationStatus[] = ['pending', 'applied', 'degraded', 'failed', 'superseded'];

function generationOf(row: SqlRow): Generation {
  return {
    number: upTo(largestNumber, row['number']),
    source: oneOf(claimSourceOrder, row['source']),
    createdMs: upTo(latestMs, row['created_ms']),
    digest: String(row['digest']),
    status: oneOf(statuses, row['status']),
  };
}

function claimOf(row: SqlRow): { source: ClaimSource; resource: Resource } {
  const [resource] = resourcesOf([jsonOf(row['resource'])], row['id']);
  if (!resource) throw new RangeError('no resource');
  return { source: oneOf(claimSourceOrder, row['source']), resource };
}

function touchedOf(row: SqlRow): Touched {
  const done = upTo(doneState.unsure, row['done']);
  return {
    id: String(row['id']) as ResourceId,
    source: oneOf(claimSourceOrder, row['source']),
    definitions: resourcesOf(jsonOf(row['definitions']), row['id']),
    done: done === doneState.done,
    ...(done === doneState.unsure && { unsure: true }),
    startedWith: typeof row['started_with'] === 'string' ? row['started_with'] : undefined,
    original: upTo(1, row['original']) === 1,
  };
}

/** Definitions of the resource of this id. */
function resourcesOf(value: unknown, id: unknown): Resource[] {
  if (!Array.isArray(value)) throw new RangeError('no list');
  return (value as unknown[]).map((each) => {
    if (!isResource(each) || each.id !== id) throw new RangeError('no resource');
    return each;
  });
}

function mapOf(text: unknown): unknown {
  const value = jsonOf(text);
  if (!isMap(value)) throw new RangeError('no map');
  return value;
}

function jsonOf(text: unknown): unknown {
  return JSON.parse(String(text)) as unknown;
}

/** As SQL has it: words of ours without a quote. */
function listed(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join();
}

function upTo(largest: number, value: unknown): number {
  if (typeof value !== 'number' || value < 0 || value > largest) throw new RangeError('an impossible number');
  return value;
}

function oneOf<const Word extends string>(words: readonly Word[], value: unknown): Word {
  const word = words.find((known) => known === value);
  if (word === undefined) throw new RangeError('an unknown word');
  return word;
}
