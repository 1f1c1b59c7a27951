/** The journal's tables: rows in, rows out. What they mean is the journal's. Errors: NK_STATE_UNUSABLE. */
import { NodekilnError } from '../../errors.ts';
import type { Database, SqlRow } from '../../host/port.ts';
import { claimSourceOrder, type ClaimSource, type Resource, type ResourceId } from '../../model/resources.ts';
import type { Touched } from '../../model/steps.ts';
import type { Claims } from '../../plan/claims.ts';

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

export interface Tables {
  claims(): Claims;
  setClaims(source: string, resources: readonly Resource[]): void;
  touched(): Touched[];
  setTouched(entry: Touched): void;
  deleteTouched(id: ResourceId): void;
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
  note(key: string): unknown;
  setNote(key: string, value: unknown): void;
}

export const schemaVersion = 1;

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

export function openTables(database: Database): Tables {
  const readClaims = database.prepare('SELECT source, resource FROM claims ORDER BY source, id');
  const deleteClaims = database.prepare('DELETE FROM claims WHERE source = ?');
  const insertClaim = database.prepare('INSERT INTO claims VALUES (?, ?, ?)');
  const readTouched = database.prepare('SELECT * FROM touched');
  const writeTouched = database.prepare('INSERT OR REPLACE INTO touched VALUES (?, ?, ?, ?, ?, ?)');
  const deleteTouched = database.prepare('DELETE FROM touched WHERE id = ?');
  const readGenerations = database.prepare('SELECT * FROM generations ORDER BY number DESC');
  // A host keeps every generation it had: a run must not take longer for that.
  const readNewest = database.prepare('SELECT * FROM generations ORDER BY number DESC LIMIT 1');
  const readApplied = database.prepare(
    "SELECT number FROM generations WHERE status = 'applied' ORDER BY number DESC LIMIT 1",
  );
  const supersede = database.prepare(
    "UPDATE generations SET status = 'superseded' WHERE status IN ('pending', 'failed')",
  );
  const writeGeneration = database.prepare("INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, 'pending')");
  const setStatus = database.prepare('UPDATE generations SET status = ? WHERE number = ?');
  const readSeal = database.prepare('SELECT seal AS json FROM seals WHERE path = ?');
  const writeSeal = database.prepare('INSERT OR REPLACE INTO seals VALUES (?, ?)');
  const readNote = database.prepare('SELECT value AS json FROM notes WHERE key = ?');
  const writeNote = database.prepare('INSERT OR REPLACE INTO notes VALUES (?, ?)');

  return {
    claims: () => {
      const claims: Partial<Record<ClaimSource, Resource[]>> = {};
      for (const row of readClaims.all())
        (claims[sourceOf(row['source'])] ??= []).push(JSON.parse(String(row['resource'])) as Resource);
      return claims;
    },
    setClaims: (source, resources) => {
      deleteClaims.run(source);
      for (const resource of resources) insertClaim.run(source, resource.id, JSON.stringify(resource));
    },
    touched: () => readTouched.all().map(touchedOf),
    setTouched: ({ id, source, definitions, done, startedWith, original }) =>
      writeTouched.run(id, source, JSON.stringify(definitions), done ? 1 : 0, startedWith ?? null, original ? 1 : 0),
    deleteTouched: (id) => deleteTouched.run(id),
    generations: () => readGenerations.all().map(generationOf),
    newestGeneration: () => {
      const row = readNewest.get();
      return row && generationOf(row);
    },
    lastApplied: () => {
      const row = readApplied.get();
      return row && Number(row['number']);
    },
    addGeneration: ({ number, source, createdMs, digest }) => {
      supersede.run();
      writeGeneration.run(number, source, createdMs, digest);
    },
    setGenerationStatus: (number, status) => setStatus.run(status, number),
    seal: (path) => jsonOf(readSeal.get(path)),
    setSeal: (path, seal) => writeSeal.run(path, JSON.stringify(seal)),
    note: (key) => jsonOf(readNote.get(key)),
    setNote: (key, value) => writeNote.run(key, JSON.stringify(value)),
  };
}

function generationOf(row: SqlRow): Generation {
  return {
    number: Number(row['number']),
    source: sourceOf(row['source']),
    createdMs: Number(row['created_ms']),
    digest: String(row['digest']),
    status: String(row['status']) as GenerationStatus,
  };
}

function touchedOf(row: SqlRow): Touched {
  return {
    id: String(row['id']) as ResourceId,
    source: sourceOf(row['source']),
    definitions: JSON.parse(String(row['definitions'])) as Resource[],
    done: row['done'] === 1,
    startedWith: typeof row['started_with'] === 'string' ? row['started_with'] : undefined,
    original: row['original'] === 1,
  };
}

function jsonOf(row: SqlRow | undefined): unknown {
  return row ? (JSON.parse(String(row['json'])) as unknown) : undefined;
}

function sourceOf(value: unknown): ClaimSource {
  const source = claimSourceOrder.find((known) => known === value);
  if (!source)
    throw new NodekilnError('NK_STATE_UNUSABLE', `nodekiln’s journal names an unknown source ${String(value)}`);
  return source;
}
