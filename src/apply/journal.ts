/**
 * The journal: what each source asks for, what we touched and whether it is done. A SQLite database (WAL,
 * synchronous=FULL) in `/var/lib/nodekiln/state.db`.
 *
 * One durable transaction (`begin`) records all intents of a plan before its first effect. Done marks follow in batches
 * and may be lost: everything they say can be observed again, or is done again. Each generation is a file as well; when
 * the database is damaged it is set aside and what we touched is rebuilt as the union of the generation files.
 *
 * Times are milliseconds since the epoch. Errors: NK_STATE_UNUSABLE, NK_STATE_LOCKED.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { claimSourceOrder, type Resource, type ResourceId, type ClaimSource } from '../model/resources.ts';
import { fingerprint } from '../host/digest.ts';
import { canonicalJson } from '../model/canonical.ts';
import { errnoOf, NodekilnError } from '../errors.ts';
import { faultPoint } from '../disk/fault-point.ts';
import { keepsOriginal } from '../kinds/planners.ts';
import type { Claims } from '../plan/claims.ts';
import type { RecordedArtifact, FileSeal } from '../model/records.ts';
import type { Change, Touched } from '../model/steps.ts';
import { databaseName, generationsFolder, stateFolder } from '../model/state-paths.ts';
import { join } from '../model/path.ts';

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

export interface Intent {
  readonly source: ClaimSource;
  /** All claims of all sources after this document. */
  readonly claims: Claims;
  readonly changes: readonly Change[];
  /** Resources of units that the plan starts, restarts or reloads. */
  readonly starting: readonly ResourceId[];
  readonly nowMs: number;
}

export interface Journal {
  /** True when the database was damaged and ownership was rebuilt from the generation files. */
  readonly rebuilt: boolean;
  claims(): Claims;
  touched(): Map<ResourceId, Touched>;
  currentGeneration(): Generation | undefined;
  generations(): Generation[];
  /** Records the generation and all intents durably. Returns its number; the present one when nothing about it changed. */
  begin(intent: Intent): number;
  /** The definition in force is in place. */
  markDone(id: ResourceId): void;
  /** What is in place is what this source now asks for, though nothing had to change. */
  markAdopted(id: ResourceId, source: ClaimSource, resource: Resource): void;
  /** Nothing of the resource is left. */
  markRemoved(id: ResourceId): void;
  /** The unit's process was started with this fingerprint. */
  markStarted(id: ResourceId, startedWith: string): void;
  markGeneration(number: number, status: GenerationStatus): void;
  seal(path: string): FileSeal | undefined;
  setSeal(path: string, seal: FileSeal): void;
  /** Stands no later than the mark that the resource is done: what is done has its record. */
  setArtifact(id: ResourceId, artifact: RecordedArtifact): void;
  artifact(id: ResourceId): RecordedArtifact | undefined;
  /** Free notes by key (the agent's status, the last report), JSON. */
  note(key: string): unknown;
  setNote(key: string, value: unknown): void;
  /** Writes pending marks. */
  flush(): void;
  close(): void;
}

const schemaVersion = 1;
const generationsKept = 10;

const schema = `
  CREATE TABLE IF NOT EXISTS generations (number INTEGER PRIMARY KEY, source TEXT NOT NULL, created_ms INTEGER NOT NULL, digest TEXT NOT NULL, status TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS claims (source TEXT NOT NULL, id TEXT NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (source, id)) STRICT;
  CREATE TABLE IF NOT EXISTS touched (id TEXT PRIMARY KEY, source TEXT NOT NULL, definitions TEXT NOT NULL, done INTEGER NOT NULL, started_with TEXT, original INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS seals (path TEXT PRIMARY KEY, seal TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`;

/** Opens or makes the journal below `root` (the host's `/` in our file system). */
export function openJournal(root: string): Journal {
  const folder = join(root, stateFolder);
  const generations = join(root, generationsFolder);
  try {
    mkdirSync(generations, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
  } catch (cause) {
    throw new NodekilnError('NK_STATE_UNUSABLE', `cannot make ${folder}: ${errnoOf(cause) ?? String(cause)}`, {
      cause,
    });
  }
  const path = join(folder, databaseName);
  const opened = openDatabase(path);
  const journal = journalOn(opened.database, generations, opened.damaged);
  return journal;
}

/** The journal without making one: undefined where nodekiln never ran. For commands that only look. */
export function openExistingJournal(root: string): Journal | undefined {
  try {
    readdirSync(join(root, generationsFolder));
  } catch {
    return undefined;
  }
  return openJournal(root);
}

function openDatabase(path: string): { database: DatabaseSync; damaged: boolean } {
  try {
    return { database: prepare(path), damaged: false };
  } catch (cause) {
    if (!isDamage(cause))
      throw new NodekilnError('NK_STATE_UNUSABLE', `cannot open ${path}: ${messageOf(cause)}`, { cause });
  }
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      renameSync(path + suffix, `${path}${suffix}.damaged`);
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT')
        throw new NodekilnError('NK_STATE_UNUSABLE', `cannot set ${path} aside`, { cause });
    }
  }
  return { database: prepare(path), damaged: true };
}

function prepare(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 5000 });
  try {
    chmodSync(path, 0o600);
    database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;');
    const version = versionOf(database);
    if (version > 0 && database.prepare('PRAGMA quick_check').get()?.['quick_check'] !== 'ok') {
      throw new NodekilnError('NK_STATE_UNUSABLE', 'database disk image is malformed');
    }
    // Changes to the schema are additive: a newer file opens as it is. The version is set with the first content.
    if (version < schemaVersion) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** 0 of a database that holds nothing yet. */
function versionOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
}

function isDamage(cause: unknown): boolean {
  return /malformed|not a database|disk image|no such table|corrupt/i.test(messageOf(cause));
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function journalOn(database: DatabaseSync, folder: string, damaged: boolean): Journal {
  const readClaims = database.prepare('SELECT source, resource FROM claims ORDER BY source, id');
  const readTouched = database.prepare('SELECT * FROM touched');
  const readGenerations = database.prepare('SELECT * FROM generations ORDER BY number DESC');
  const writeTouched = database.prepare('INSERT OR REPLACE INTO touched VALUES (?, ?, ?, ?, ?, ?)');
  const deleteTouched = database.prepare('DELETE FROM touched WHERE id = ?');
  const writeSeal = database.prepare('INSERT OR REPLACE INTO seals VALUES (?, ?)');
  const writeNote = database.prepare('INSERT OR REPLACE INTO notes VALUES (?, ?)');
  const touched = new Map<ResourceId, Touched>();
  let pending: (() => void)[] = [];

  if (versionOf(database) < schemaVersion) fillNew();
  for (const row of readTouched.all()) {
    const entry = touchedOf(row);
    touched.set(entry.id, entry);
  }

  /**
   * A new database beside generation files takes the place of a lost one. In one transaction with the version: an older
   * database that is empty beside such a file never began that generation, so nothing of it was touched.
   */
  function fillNew(): void {
    transaction(database, () => {
      if (versionOf(database) >= schemaVersion) return;
      const rebuilt = rebuild(folder);
      for (const entry of rebuilt.touched) store(entry);
      for (const [source, resources] of Object.entries(rebuilt.claims)) storeClaims(source, resources);
      database.exec(`PRAGMA user_version=${schemaVersion}`);
    });
  }

  function store(entry: Touched): void {
    writeTouched.run(
      entry.id,
      entry.source,
      JSON.stringify(entry.definitions),
      entry.done ? 1 : 0,
      entry.startedWith ?? null,
      entry.original ? 1 : 0,
    );
  }

  function storeClaims(source: string, resources: readonly Resource[]): void {
    database.prepare('DELETE FROM claims WHERE source = ?').run(source);
    const insert = database.prepare('INSERT INTO claims VALUES (?, ?, ?)');
    for (const resource of resources) insert.run(source, resource.id, JSON.stringify(resource));
  }

  function update(id: ResourceId, change: (entry: Touched) => Touched): void {
    const entry = touched.get(id);
    if (!entry) return;
    const changed = change(entry);
    touched.set(id, changed);
    pending.push(() => store(changed));
  }

  function allGenerations(): Generation[] {
    return readGenerations.all().map((row) => ({
      number: Number(row['number']),
      source: sourceOf(row['source']),
      createdMs: Number(row['created_ms']),
      digest: String(row['digest']),
      status: String(row['status']) as GenerationStatus,
    }));
  }

  /** Only where the table was lost do the files say it: one above the table's last was written, but never begun. */
  function latestNumber(current: Generation | undefined): number {
    if (current) return current.number;
    return touched.size === 0 ? 0 : Math.max(0, ...generationFiles(folder).map((file) => file.number));
  }

  const journal: Journal = {
    rebuilt: damaged,
    claims() {
      const claims: Partial<Record<ClaimSource, Resource[]>> = {};
      for (const row of readClaims.all()) {
        (claims[sourceOf(row['source'])] ??= []).push(JSON.parse(String(row['resource'])) as Resource);
      }
      return claims;
    },
    touched: () => new Map(touched),
    currentGeneration: () => allGenerations()[0],
    generations: allGenerations,

    begin(intent) {
      journal.flush();
      const digest = fingerprint(intent.claims);
      const current = journal.currentGeneration();
      const same = current?.digest === digest;
      const number = same ? current.number : latestNumber(current) + 1;
      if (!same)
        writeGeneration(folder, number, {
          number,
          source: intent.source,
          createdMs: intent.nowMs,
          claims: intent.claims,
        });
      const starting = new Set(intent.starting);
      for (const change of intent.changes)
        touched.set(change.id, intended(change, touched.get(change.id), starting.has(change.id)));
      transaction(database, () => {
        if (!same) {
          database.prepare("UPDATE generations SET status = 'superseded' WHERE status IN ('pending', 'failed')").run();
          database
            .prepare('INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, ?)')
            .run(number, intent.source, intent.nowMs, digest, 'pending');
          for (const [source, resources] of Object.entries(intent.claims)) storeClaims(source, resources);
        } else {
          database.prepare("UPDATE generations SET status = 'pending' WHERE number = ?").run(number);
        }
        for (const change of intent.changes) {
          const entry = touched.get(change.id);
          if (entry) store(entry);
        }
      });
      prune(folder, number, allGenerations());
      return number;
    },

    markDone: (id) => update(id, (entry) => ({ ...entry, definitions: entry.definitions.slice(-1), done: true })),
    markAdopted: (id, source, resource) =>
      update(id, (entry) => ({ ...entry, source, definitions: [resource], done: true })),
    markRemoved(id) {
      touched.delete(id);
      pending.push(() => deleteTouched.run(id));
    },
    markStarted: (id, startedWith) => update(id, (entry) => ({ ...entry, startedWith })),
    markGeneration(number, status) {
      pending.push(() => database.prepare('UPDATE generations SET status = ? WHERE number = ?').run(status, number));
    },
    seal(path) {
      const row = database.prepare('SELECT seal FROM seals WHERE path = ?').get(path);
      return row ? (JSON.parse(String(row['seal'])) as FileSeal) : undefined;
    },
    setSeal(path, seal) {
      pending.push(() => writeSeal.run(path, JSON.stringify(seal)));
    },
    note(key) {
      const row = database.prepare('SELECT value FROM notes WHERE key = ?').get(key);
      return row ? (JSON.parse(String(row['value'])) as unknown) : undefined;
    },
    setNote(key, value) {
      pending.push(() => writeNote.run(key, JSON.stringify(value)));
    },
    setArtifact: (id, artifact) => journal.setNote(`artifact ${id}`, artifact),
    artifact: (id) => journal.note(`artifact ${id}`) as RecordedArtifact | undefined,
    flush() {
      if (pending.length === 0) return;
      const marks = pending;
      pending = [];
      transaction(database, () => {
        for (const mark of marks) mark();
      });
    },
    close() {
      journal.flush();
      database.close();
    },
  };
  return journal;
}

/** The row of a resource once it is intended: earlier definitions stay until this one is done. */
function intended(change: Change, before: Touched | undefined, starting: boolean): Touched {
  const definitions = before?.definitions ?? [];
  const foreignFile = before === undefined && keepsOriginal(change.observed);
  const last = definitions.at(-1);
  const repeated =
    change.desired === undefined || (last !== undefined && canonicalJson(last) === canonicalJson(change.desired));
  return {
    id: change.id,
    source: change.source,
    definitions: repeated || change.desired === undefined ? definitions : [...definitions, change.desired],
    done: false,
    // Whatever runs now is not yet what is wanted: if we die before the restart, the next run restarts.
    startedWith: starting ? '' : before?.startedWith,
    original: before?.original ?? foreignFile,
  };
}

function touchedOf(row: Record<string, unknown>): Touched {
  return {
    id: String(row['id']) as ResourceId,
    source: sourceOf(row['source']),
    definitions: JSON.parse(String(row['definitions'])) as Resource[],
    done: row['done'] === 1,
    startedWith: typeof row['started_with'] === 'string' ? row['started_with'] : undefined,
    original: row['original'] === 1,
  };
}

function sourceOf(value: unknown): ClaimSource {
  const source = claimSourceOrder.find((known) => known === value);
  if (!source) throw new NodekilnError('NK_STATE_UNUSABLE', `the journal names an unknown source ${String(value)}`);
  return source;
}

function transaction(database: DatabaseSync, work: () => void): void {
  const end = faultPoint('commit to the journal');
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
    end();
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

// ── generation files ─────────────────────────────────────────────────────────────────────────────────────────────

interface GenerationFile {
  readonly number: number;
  readonly source: ClaimSource;
  readonly createdMs: number;
  readonly claims: Claims;
}

function generationFiles(folder: string): { number: number; path: string }[] {
  return readdirSync(folder)
    .flatMap((name) =>
      /^\d+\.json$/.test(name) ? [{ number: Number.parseInt(name, 10), path: join(folder, name) }] : [],
    )
    .sort((a, b) => a.number - b.number);
}

/** Durable and whole: root-only, because documents may hold secrets inline. */
function writeGeneration(folder: string, number: number, content: GenerationFile): void {
  const path = join(folder, `${number}.json`);
  const temporary = `${path}.tmp`;
  const end = faultPoint(`write generation ${number}`);
  const file = openSync(temporary, 'w', 0o600);
  writeSync(file, `${JSON.stringify(content)}\n`);
  fsyncSync(file);
  closeSync(file);
  const named = faultPoint(`rename to generation ${number}`);
  renameSync(temporary, path);
  named();
  syncFolder(folder);
  end();
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}

/** Keeps the newest generations and the last one that was applied; what a killed run wrote and never began goes. */
function prune(folder: string, newest: number, known: readonly Generation[]): void {
  const applied = known.find((generation) => generation.status === 'applied')?.number;
  for (const { number, path } of generationFiles(folder)) {
    const old = number <= newest - generationsKept && number !== applied;
    if (old || number > newest) rmSync(path, { force: true });
  }
  for (const name of readdirSync(folder)) if (name.endsWith('.tmp')) rmSync(join(folder, name), { force: true });
}

/** What may have been touched, from every generation file that can be read; the last file's claims are in force. */
function rebuild(folder: string): { touched: Touched[]; claims: Claims } {
  const touched = new Map<ResourceId, Touched>();
  let claims: Claims = {};
  for (const { path } of generationFiles(folder)) {
    const content = readGeneration(path);
    if (!content) continue;
    claims = content.claims;
    for (const source of claimSourceOrder) {
      for (const resource of content.claims[source] ?? []) {
        const before = touched.get(resource.id)?.definitions ?? [];
        const known = before.some((definition) => canonicalJson(definition) === canonicalJson(resource));
        touched.set(resource.id, {
          id: resource.id,
          source,
          definitions: known ? before : [...before, resource],
          done: false,
          startedWith: undefined,
          original: false,
        });
      }
    }
  }
  return { touched: [...touched.values()], claims };
}

function readGeneration(path: string): GenerationFile | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as GenerationFile;
  } catch {
    return undefined;
  }
}
