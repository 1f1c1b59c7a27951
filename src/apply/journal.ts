/**
 * The journal: what each source asks for, what we touched and whether it is done. A SQLite database (WAL,
 * synchronous=FULL) in `/var/lib/nodekiln/state.db`.
 *
 * One durable transaction (`begin`) records all intents of a plan before its first effect. Done marks follow in batches
 * and may be lost: everything they say can be observed again, or is done again. Each generation is a file as well; when
 * the database is damaged it is set aside and what we touched is rebuilt as the union of the generation files.
 *
 * Times are milliseconds since the epoch. Errors: NK_STATE_UNUSABLE; NK_FILE_WRITE for a generation file.
 */
import { errnoOf, NodekilnError } from '../errors.ts';
import { fingerprint } from '../host/digest.ts';
import type { Database, Files, Host } from '../host/port.ts';
import { keepsOriginal } from '../kinds/planners.ts';
import { canonicalJson } from '../model/canonical.ts';
import type { FileSeal, RecordedArtifact } from '../model/records.ts';
import type { ClaimSource, Resource, ResourceId } from '../model/resources.ts';
import { generationsFolder } from '../model/state-paths.ts';
import type { Change, Touched } from '../model/steps.ts';
import type { Claims } from '../plan/claims.ts';
import {
  generationNumbers,
  pruneGenerations,
  readGeneration,
  rebuildFromGenerations,
  writeGeneration,
} from './journal/generations.ts';
import { makeStateFolders, openDatabase } from './journal/open.ts';
import {
  openTables,
  schemaVersion,
  setVersion,
  versionOf,
  type Generation,
  type GenerationStatus,
  type Tables,
} from './journal/tables.ts';

export type { Generation, GenerationStatus } from './journal/tables.ts';

export interface Intent {
  readonly source: ClaimSource;
  /** All claims of all sources after this document. */
  readonly claims: Claims;
  readonly changes: readonly Change[];
  /** Resources of units that the plan starts, restarts or reloads. */
  readonly starting: readonly ResourceId[];
  readonly nowMs: number;
  /** Written with it. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

export interface Journal {
  /** True when the database was damaged and ownership was rebuilt from the generation files. */
  readonly rebuilt: boolean;
  /** A newer nodekiln has written to it; what this one knows of it holds all the same. */
  readonly isNewer: boolean;
  claims(): Claims;
  /** What all sources asked for in a generation; undefined when its file is gone or cannot be read. */
  claimsOf(generation: number): Promise<Claims | undefined>;
  touched(): Map<ResourceId, Touched>;
  currentGeneration(): Generation | undefined;
  /** The newest first. */
  generations(): Generation[];
  /**
   * Records the generation and all intents durably. Returns its number; the present one when nothing about it changed.
   * When it throws, nothing is recorded.
   */
  begin(intent: Intent): Promise<number>;
  /** The definition in force is in place. */
  markDone(id: ResourceId): void;
  /** What is in place is what this source now asks for, though nothing had to change. */
  markAdopted(id: ResourceId, source: ClaimSource, resource: Resource): void;
  /** Another agent put these in place, and they are ours from now on. One durable transaction; what we touched stays as it is. */
  takeOver(source: ClaimSource, resources: readonly Resource[], notes: Readonly<Record<string, unknown>>): void;
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
  /** Free notes by key (the agent's status, the last report), JSON; also one that is still pending. */
  note(key: string): unknown;
  setNote(key: string, value: unknown): void;
  /** Drops generation files that are old. Nothing depends on it. */
  prune(): Promise<void>;
  /** Writes pending marks; when it throws they are still pending. */
  flush(): void;
  close(): void;
}

/** Opens or makes the journal of a host. */
export async function openJournal(host: Host): Promise<Journal> {
  await makeStateFolders(host);
  const { database, damaged } = await openDatabase(host);
  try {
    const tables = openTables(database);
    if (versionOf(database) < schemaVersion) await fillNew(host.files, database, tables);
    return journalOn({ files: host.files, database, tables, damaged });
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** The journal without making one: undefined where nodekiln never ran. For commands that only look. */
export async function openExistingJournal(host: Host): Promise<Journal | undefined> {
  const folder = await host.files.stat(generationsFolder).catch(() => undefined);
  return folder?.type === 'directory' ? openJournal(host) : undefined;
}

/**
 * A new database beside generation files takes the place of a lost one. In one transaction with the version: an older
 * database that is empty beside such a file never began that generation, so nothing of it was touched.
 */
async function fillNew(files: Files, database: Database, tables: Tables): Promise<void> {
  const rebuilt = await rebuildFromGenerations(files);
  transaction(database, () => {
    if (versionOf(database) >= schemaVersion) return;
    for (const entry of rebuilt.touched) tables.setTouched(entry);
    for (const [source, resources] of Object.entries(rebuilt.claims)) tables.setClaims(source, resources);
    setVersion(database);
  });
}

interface Parts {
  readonly files: Files;
  readonly database: Database;
  readonly tables: Tables;
  readonly damaged: boolean;
}

/** Marks on their way to the database, and what is touched, marks included. */
interface Memory {
  readonly touched: Map<ResourceId, Touched>;
  pending: (() => void)[];
}

function journalOn(parts: Parts): Journal {
  const { files, database, tables, damaged } = parts;
  const memory: Memory = { touched: new Map(tables.touched().map((entry) => [entry.id, entry])), pending: [] };
  const flush = (): void => {
    const marks = memory.pending;
    if (marks.length === 0) return;
    transaction(database, () => {
      for (const mark of marks) mark();
    });
    memory.pending = memory.pending.slice(marks.length);
    if (memory.pending.length === 0) unwritten.clear();
  };
  /** Who writes something reads it back before it is written. */
  const unwritten = new Map<string, string>();
  const readBack = (key: string, written: () => unknown): unknown => {
    const pending = unwritten.get(key);
    return pending === undefined ? written() : (JSON.parse(pending) as unknown);
  };
  const note: Journal['note'] = (key) => readBack(`note ${key}`, () => tables.note(key));
  const setNote: Journal['setNote'] = (key, value) => {
    unwritten.set(`note ${key}`, JSON.stringify(value));
    memory.pending.push(() => tables.setNote(key, value));
  };
  return {
    rebuilt: damaged,
    isNewer: versionOf(database) > schemaVersion,
    claims: () => tables.claims(),
    claimsOf: async (number) => (await readGeneration(files, number))?.claims,
    touched: () => new Map(memory.touched),
    currentGeneration: () => tables.newestGeneration(),
    generations: () => tables.generations(),
    prune: async () => {
      const newest = tables.newestGeneration();
      if (newest) await pruneGenerations(files, { newest: newest.number, applied: tables.lastApplied() });
    },
    begin: (intent) => {
      flush();
      return begin(parts, memory, intent);
    },
    takeOver: (source, resources, notes) => {
      flush();
      const entries = resources
        .filter(({ id }) => !memory.touched.has(id))
        .map((resource): Touched => ({
          id: resource.id,
          source,
          definitions: [resource],
          done: true,
          startedWith: undefined,
          original: false,
        }));
      transaction(database, () => {
        for (const entry of entries) tables.setTouched(entry);
        for (const [key, value] of Object.entries(notes)) tables.setNote(key, value);
      });
      for (const entry of entries) memory.touched.set(entry.id, entry);
    },
    ...marking(tables, memory),
    seal: (path) => readBack(`seal ${path}`, () => tables.seal(path)) as FileSeal | undefined,
    setSeal: (path, seal) => {
      unwritten.set(`seal ${path}`, JSON.stringify(seal));
      memory.pending.push(() => tables.setSeal(path, seal));
    },
    note,
    setNote,
    setArtifact: (id, artifact) => setNote(`artifact ${id}`, artifact),
    artifact: (id) => note(`artifact ${id}`) as RecordedArtifact | undefined,
    flush,
    close() {
      try {
        flush();
      } finally {
        database.close();
      }
    },
  };
}

/** What SQLite refuses (a full disk, say) is that the state cannot be written. */
function transaction(database: Database, work: () => void): void {
  try {
    database.transaction(work);
  } catch (cause) {
    if (errnoOf(cause)?.startsWith('SQLITE_') !== true) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodekilnError('NK_STATE_UNUSABLE', `nodekiln’s journal cannot be written: ${why}`, { cause });
  }
}

/** The file first, then the transaction, and only then what we remember: a transaction that fails leaves everything. */
async function begin({ files, database, tables }: Parts, memory: Memory, intent: Intent): Promise<number> {
  const { source, claims, changes, starting, nowMs, notes = {} } = intent;
  const digest = fingerprint(claims);
  const current = tables.newestGeneration();
  const same = current?.digest === digest;
  const number = same ? current.number : (await latestNumber(files, memory, current)) + 1;
  if (!same) await writeGeneration(files, { number, source, createdMs: nowMs, claims });
  const started = new Set(starting);
  const entries = changes.map((change) => intended(change, memory.touched.get(change.id), started.has(change.id)));
  transaction(database, () => {
    if (same) {
      tables.setGenerationStatus(number, 'pending');
    } else {
      tables.addGeneration({ number, source, createdMs: nowMs, digest });
      for (const [claimant, resources] of Object.entries(claims)) tables.setClaims(claimant, resources);
    }
    for (const entry of entries) tables.setTouched(entry);
    for (const [key, value] of Object.entries(notes)) tables.setNote(key, value);
  });
  for (const entry of entries) memory.touched.set(entry.id, entry);
  return number;
}

/** Only where the table was lost do the files say it: one above the table's last was written, but never begun. */
async function latestNumber(files: Files, { touched }: Memory, current: Generation | undefined): Promise<number> {
  if (current) return current.number;
  return touched.size === 0 ? 0 : Math.max(0, ...(await generationNumbers(files)));
}

function marking(
  tables: Tables,
  memory: Memory,
): Pick<Journal, 'markDone' | 'markAdopted' | 'markRemoved' | 'markStarted' | 'markGeneration'> {
  const update = (id: ResourceId, change: (entry: Touched) => Touched): void => {
    const entry = memory.touched.get(id);
    if (!entry) return;
    const changed = change(entry);
    memory.touched.set(id, changed);
    memory.pending.push(() => tables.setTouched(changed));
  };
  return {
    markDone: (id) => update(id, (entry) => ({ ...entry, definitions: entry.definitions.slice(-1), done: true })),
    markAdopted: (id, source, resource) =>
      update(id, (entry) => ({ ...entry, source, definitions: [resource], done: true })),
    markRemoved(id) {
      memory.touched.delete(id);
      memory.pending.push(() => tables.deleteTouched(id));
    },
    markStarted: (id, startedWith) => update(id, (entry) => ({ ...entry, startedWith })),
    markGeneration: (number, status) => void memory.pending.push(() => tables.setGenerationStatus(number, status)),
  };
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
