/**
 * The journal: what each source asks for, what we touched and whether it is done. A SQLite database (WAL,
 * synchronous=FULL) in `/var/lib/nodekiln/state.db`.
 *
 * One durable transaction (`begin`) records all intents of a plan before its first effect. Done marks follow in batches
 * and may be lost: everything they say can be observed again, or is done again. Each generation is a file as well; when
 * the database is damaged it is set aside and what we touched is rebuilt as the union of the generation files. Of what was
 * rebuilt it is not known whether it was done: the source that asks for it looks, the others leave it alone.
 *
 * Times are milliseconds since the epoch. Errors: NK_STATE_UNUSABLE; NK_FILE_WRITE for a generation file.
 */
import { isMap } from '../config/paths.ts';
import { errnoOf, NodekilnError } from '../errors.ts';
import { fingerprint } from '../host/digest.ts';
import type { Database, Files, Host } from '../host/port.ts';
import { keepsOriginal } from '../kinds/planners.ts';
import { canonicalJson } from '../model/canonical.ts';
import { visibleLine } from '../model/printable.ts';
import type { FileSeal, RecordedArtifact } from '../model/records.ts';
import type { ClaimSource, Resource, ResourceId } from '../model/resources.ts';
import { databaseName, generationsFolder } from '../model/state-paths.ts';
import type { Change, Touched } from '../model/steps.ts';
import type { Claims } from '../plan/claims.ts';
import {
  dropGeneration,
  generationNumbers,
  pruneGenerations,
  readGeneration,
  rebuildFromGenerations,
  writeGeneration,
} from './journal/generations.ts';
import { requireOwnState } from './own-state.ts';
import { databaseFile, lookAtDatabase, makeStateFolders, noting, openDatabase, type Opened } from './journal/open.ts';
import {
  keysOf,
  schemaVersion,
  setVersion,
  versionOf,
  type DamagedRow,
  type Generation,
  type GenerationStatus,
  type Tables,
} from './journal/tables.ts';

export type { Generation, GenerationStatus } from './journal/tables.ts';

export interface Drafted {
  readonly source: ClaimSource;
  /** All claims of all sources after this document. */
  readonly claims: Claims;
  readonly nowMs: number;
}

export interface Intent extends Drafted {
  readonly changes: readonly Change[];
  /** Resources of units that the plan starts, restarts or reloads. */
  readonly starting: readonly ResourceId[];
  /** Written with it. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

export interface Journal {
  /** What was damaged and set aside, and what of it can be had from the generation files is rebuilt: until another generation begins. */
  readonly damage: readonly string[];
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
   * Starts to write the generation's file, while it is still found out what has to change. Nothing is recorded by it: what
   * it meets is thrown by `begin`, and a file that nobody begins goes with `dropDraft` or a later `prune`.
   */
  draft(generation: Drafted): Promise<void>;
  /** There will be no `begin`. */
  dropDraft(): Promise<void>;
  /**
   * Records the generation and all intents durably. Returns its number; the present one when nothing about it changed.
   * When it throws, nothing is recorded.
   */
  begin(intent: Intent): Promise<number>;
  /** The definition in force is in place. */
  markDone(id: ResourceId): void;
  /** What was done has not held. */
  markUndone(id: ResourceId): void;
  /** What is in place is what this source now asks for, though nothing had to change. */
  markAdopted(id: ResourceId, source: ClaimSource, resource: Resource): void;
  /** Another agent put these in place, and they are ours from now on. One durable transaction; what we touched stays as it is. */
  takeOver(source: ClaimSource, resources: readonly Resource[], notes: Readonly<Record<string, unknown>>): void;
  /** Nothing of the resource is left. */
  markRemoved(id: ResourceId): void;
  /** The unit's process was started with this fingerprint. */
  markStarted(id: ResourceId, startedWith: string): void;
  markGeneration(number: number, status: GenerationStatus): void;
  /** The boot in which a oneshot last did its work. */
  lastRun(unit: string): string | undefined;
  setLastRun(unit: string, bootId: string): void;
  seal(path: string): FileSeal | undefined;
  setSeal(path: string, seal: FileSeal): void;
  /** Stands no later than the mark that the resource is done: what is done has its record. */
  setArtifact(id: ResourceId, artifact: RecordedArtifact): void;
  artifact(id: ResourceId): RecordedArtifact | undefined;
  /**
   * Free notes by key (the agent's status, the last report), JSON; also one that is still pending. Undefined, too, where it is
   * damaged or not such a thing.
   */
  note(key: string, isSuch?: (value: unknown) => boolean): unknown;
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
  return readJournal(host.files, await openDatabase(host));
}

/** The journal without making one: undefined where nodekiln never ran. */
export async function openExistingJournal(host: Host): Promise<Journal | undefined> {
  return (await wasHere(host)) ? openJournal(host) : undefined;
}

/** The same for who only looks: nothing on the disk changes, also where the journal is damaged or the disk read-only. */
export async function lookAtJournal(host: Host): Promise<Journal | undefined> {
  if (!(await wasHere(host))) return undefined;
  await requireOwnState(host);
  const opened = await lookAtDatabase(host);
  const journal = await readJournal(host.files, opened);
  return Object.assign(journal, { flush: () => undefined, close: () => opened.database.close() });
}

/** The journal of a host for who needs it again and again. */
export interface KeptJournal {
  /** As `openJournal`. One at a time, with the host's lock. */
  open(): Promise<Journal>;
  close(): void;
}

/**
 * Leaves the database open in between: to open and to close it takes longer than what most runs write. It is opened anew, with
 * all that opening looks for, when another file is in its place, and when anything failed on it.
 */
export function keepJournal(host: Host): KeptJournal {
  let kept: { readonly opened: Opened; readonly file: string | undefined } | undefined;
  let failed = false;
  const databases: Host['databases'] = {
    ...host.databases,
    open: async (path, options) => noting(await host.databases.open(path, options), () => (failed = true)),
  };
  const close = (): void => {
    kept?.opened.database.close();
    kept = undefined;
  };
  const inPlace = async (): Promise<Opened> => {
    if (kept && !failed && kept.file === (await databaseFile(host))) return { ...kept.opened, damaged: false };
    close();
    const opened = await openDatabase({ ...host, databases });
    failed = false;
    kept = { opened, file: await databaseFile(host) };
    return opened;
  };
  return {
    open: async () => {
      await makeStateFolders(host);
      const opened = await inPlace();
      try {
        return await readJournal(host.files, { ...opened, database: { ...opened.database, close: () => undefined } });
      } catch (thrown) {
        failed = true;
        throw thrown;
      }
    },
    close,
  };
}

async function wasHere({ files }: Host): Promise<boolean> {
  const folder = await files.stat(generationsFolder).catch(() => undefined);
  return folder?.type === 'directory';
}

async function readJournal(files: Files, opened: Opened): Promise<Journal> {
  const { database, tables } = opened;
  try {
    const isLost = versionOf(database) < schemaVersion && (await fillNew(files, database, tables));
    const read = { touched: tables.touched(), claims: tables.claims() };
    const { damage, ...ownership } = await withoutDamage(files, { ...opened, isLost }, read);
    return journalOn({ files, database, tables, ...ownership }, () => [
      ...new Set([...damage, ...descriptions(opened)]),
    ]);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/**
 * A new database beside generation files takes the place of a lost one. In one transaction with the version: an older
 * database that is empty beside such a file never began that generation, so nothing of it was touched. True when there was
 * something to rebuild.
 */
async function fillNew(files: Files, database: Database, tables: Tables): Promise<boolean> {
  const rebuilt = await rebuildFromGenerations(files);
  transaction(database, () => {
    if (versionOf(database) >= schemaVersion) return;
    for (const entry of rebuilt.touched) tables.setTouched(entry);
    for (const [source, resources] of Object.entries(rebuilt.claims)) tables.setClaims(source, resources);
    setVersion(database);
  });
  return rebuilt.touched.length > 0;
}

interface Ownership {
  readonly touched: readonly Touched[];
  readonly claims: Claims;
}

/**
 * What is damaged is kept in a note, and what can be had of it from the generation files takes its place; everything else
 * stays as it is. Of a newer journal rows may be what we do not know yet: they are passed over.
 */
async function withoutDamage(
  files: Files,
  opened: Opened & { readonly isLost: boolean },
  read: Ownership,
): Promise<Ownership & { readonly damage: readonly string[] }> {
  const { database, tables, damagedRows, damaged, isLost, readOnly } = opened;
  const before = damageNoteIn(tables);
  if (versionOf(database) > schemaVersion) damagedRows.splice(0);
  if (!damaged && !isLost && damagedRows.length === 0) return { ...read, damage: before?.what ?? [] };
  const numbers = await generationNumbers(files);
  const since = tables.newestGeneration()?.number ?? numbers.at(-1) ?? 0;
  const rebuilt = await rebuildFromGenerations(files);
  // What is told of twice is one row.
  const said = descriptions(opened);
  const rows = damagedRows.splice(0).filter((row, index, all) => index === all.findIndex((each) => isSame(each, row)));
  const lost = new Set(rows.flatMap(({ table, row }) => (table === 'touched' ? [row['id']] : [])));
  const touched = rebuilt.touched.filter(({ id }) => lost.has(id));
  const askedFor = rows.some(({ table }) => table === 'claims') ? (await readGeneration(files, since))?.claims : {};
  const what = [
    ...(damaged ? [`${databaseName} cannot be read; it lies beside as ${databaseName}.damaged`] : []),
    ...(isLost && !damaged ? [`${databaseName} is gone`] : []),
    ...said,
  ];
  const note: DamageNote = {
    since,
    what: [...new Set([...(before?.what ?? []), ...what])],
    rows: [...(before?.rows ?? []), ...rows.map(({ table, row }) => ({ table, row: { ...row } }))],
  };
  if (!readOnly)
    transaction(database, () => {
      for (const row of rows) tables.deleteRow(row);
      for (const entry of touched) tables.setTouched(entry);
      for (const [source, resources] of Object.entries(askedFor ?? {})) tables.setClaims(source, resources);
      // One too many does no harm.
      if (rows.some(({ table, row }) => table === 'notes' && row['key'] === reloadNote))
        tables.setNote(reloadNote, true);
      tables.setNote(damageNote, note);
    });
  return { touched: [...read.touched, ...touched], claims: { ...read.claims, ...askedFor }, damage: note.what };
}

/** Rows of which somebody was told since they were last set aside. */
function descriptions({ damagedRows, database }: Pick<Opened, 'damagedRows' | 'database'>): string[] {
  if (damagedRows.length === 0 || versionOf(database) > schemaVersion) return [];
  const said = damagedRows.map((damaged) => `a row of ${damaged.table} cannot be read: ${nameOfRow(damaged)}`);
  return [...new Set(said)];
}

function nameOfRow({ table, row }: DamagedRow): string {
  return visibleLine(String(row[keysOf[table].at(-1) ?? ''] ?? '?'));
}

function isSame(left: DamagedRow, right: DamagedRow): boolean {
  return left.table === right.table && keysOf[left.table].every((column) => left.row[column] === right.row[column]);
}

const damageNote = 'damage';

/** True while units' files have changed and systemd was not told. */
export const reloadNote = 'reload owed';

interface DamageNote {
  /** The generation that was the newest then. */
  readonly since: number;
  readonly what: readonly string[];
  readonly rows: readonly DamagedRow[];
}

/** The note while it is to be told. */
function damageNoteIn(tables: Tables): DamageNote | undefined {
  const note = tables.note(damageNote, isDamageNote) as DamageNote | undefined;
  return note && (tables.newestGeneration()?.number ?? 0) <= note.since + 1 ? note : undefined;
}

function isDamageNote(value: unknown): boolean {
  return isMap(value) && typeof value['since'] === 'number' && isTexts(value['what']) && Array.isArray(value['rows']);
}

function isRecord(value: unknown): boolean {
  return isMap(value) && typeof value['location'] === 'string' && typeof value['digest'] === 'string';
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

interface Parts extends Ownership {
  readonly files: Files;
  readonly database: Database;
  readonly tables: Tables;
}

/** Marks on their way to the database, and what is touched, marks included. */
interface Memory {
  readonly touched: Map<ResourceId, Touched>;
  pending: (() => void)[];
  draft: Draft | undefined;
}

/** The file of a generation that has not begun. */
interface Draft extends Pick<Generation, 'number' | 'source' | 'createdMs' | 'digest'> {
  readonly written: Promise<{ readonly failure?: unknown }>;
}

function journalOn(parts: Parts, damage: () => readonly string[]): Journal {
  const { files, database, tables, touched } = parts;
  /** As read when it was opened, until something else is asked for. */
  let claims: Claims | undefined = parts.claims;
  const memory: Memory = { touched: new Map(touched.map((entry) => [entry.id, entry])), pending: [], draft: undefined };
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
  const note: Journal['note'] = (key, isSuch) => readBack(`note ${key}`, () => tables.note(key, isSuch));
  const setNote: Journal['setNote'] = (key, value) => {
    unwritten.set(`note ${key}`, JSON.stringify(value));
    memory.pending.push(() => tables.setNote(key, value));
  };
  return {
    get damage() {
      return damage();
    },
    isNewer: versionOf(database) > schemaVersion,
    claims: () => (claims ??= tables.claims()),
    claimsOf: async (number) => (await readGeneration(files, number))?.claims,
    touched: () => new Map(memory.touched),
    currentGeneration: () => tables.newestGeneration(),
    generations: () => tables.generations(),
    prune: async () => {
      const newest = tables.newestGeneration();
      if (newest) await pruneGenerations(files, { newest: newest.number, applied: tables.lastApplied() });
    },
    draft: async (generation) => {
      memory.draft = await drafted(parts, memory, generation);
    },
    dropDraft: async () => {
      const { draft } = memory;
      memory.draft = undefined;
      await draft?.written;
      // What cannot be removed now goes with a later run's.
      if (draft) await dropGeneration(files, draft.number).catch(() => undefined);
    },
    begin: (intent) => {
      flush();
      claims = undefined;
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
    lastRun: (unit) => note(`ran ${unit}`, (value) => typeof value === 'string') as string | undefined,
    setLastRun: (unit, bootId) => setNote(`ran ${unit}`, bootId),
    setArtifact: (id, artifact) => setNote(`artifact ${id}`, artifact),
    artifact: (id) => note(`artifact ${id}`, isRecord) as RecordedArtifact | undefined,
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

/** Undefined when it is the present generation. */
async function drafted(
  { files, tables }: Parts,
  memory: Memory,
  { source, claims, nowMs }: Drafted,
): Promise<Draft | undefined> {
  const digest = fingerprint(claims);
  const current = tables.newestGeneration();
  if (current?.digest === digest) return undefined;
  const number = (await latestNumber(files, memory, current)) + 1;
  const written = writeGeneration(files, { number, source, createdMs: nowMs, claims }).then(
    () => ({}),
    (failure: unknown) => ({ failure }),
  );
  return { number, source, createdMs: nowMs, digest, written };
}

/** The file first, then the transaction, and only then what we remember: a transaction that fails leaves everything. */
async function begin(parts: Parts, memory: Memory, intent: Intent): Promise<number> {
  const { database, tables } = parts;
  const { claims, changes, starting, notes = {} } = intent;
  const generation = await draftOf(parts, memory, intent);
  const number = generation?.number ?? tables.newestGeneration()?.number ?? 0;
  const started = new Set(starting);
  const entries = changes.map((change) => intended(change, memory.touched.get(change.id), started.has(change.id)));
  transaction(database, () => {
    if (generation) {
      tables.addGeneration(generation);
      for (const [claimant, resources] of Object.entries(claims)) tables.setClaims(claimant, resources);
    } else {
      tables.setGenerationStatus(number, 'pending');
    }
    for (const entry of entries) tables.setTouched(entry);
    for (const [key, value] of Object.entries(notes)) tables.setNote(key, value);
  });
  for (const entry of entries) memory.touched.set(entry.id, entry);
  return number;
}

/** The one that is under way, if it is this one, or another one; written. Undefined when it is the present generation. */
async function draftOf(parts: Parts, memory: Memory, generation: Drafted): Promise<Draft | undefined> {
  const { draft } = memory;
  memory.draft = undefined;
  await draft?.written;
  const isIt = draft?.source === generation.source && draft.digest === fingerprint(generation.claims);
  const its = isIt ? draft : await drafted(parts, memory, generation);
  const result = await its?.written;
  if (result && 'failure' in result) throw result.failure;
  return its;
}

/** Only where the table was lost do the files say it: one above the table's last was written, but never begun. */
async function latestNumber(files: Files, { touched }: Memory, current: Generation | undefined): Promise<number> {
  if (current) return current.number;
  return touched.size === 0 ? 0 : Math.max(0, ...(await generationNumbers(files)));
}

function marking(
  tables: Tables,
  memory: Memory,
): Pick<Journal, 'markDone' | 'markUndone' | 'markAdopted' | 'markRemoved' | 'markStarted' | 'markGeneration'> {
  const update = (id: ResourceId, change: (entry: Touched) => Touched): void => {
    const entry = memory.touched.get(id);
    if (!entry) return;
    const changed = change(entry);
    memory.touched.set(id, changed);
    memory.pending.push(() => tables.setTouched(changed));
  };
  return {
    markDone: (id) => update(id, (entry) => ({ ...sure(entry), definitions: entry.definitions.slice(-1), done: true })),
    markUndone: (id) => update(id, (entry) => ({ ...entry, done: false })),
    markAdopted: (id, source, resource) =>
      update(id, (entry) => ({ ...sure(entry), source, definitions: [resource], done: true })),
    markRemoved(id) {
      memory.touched.delete(id);
      memory.pending.push(() => tables.deleteTouched(id));
    },
    markStarted: (id, startedWith) => update(id, (entry) => ({ ...entry, startedWith })),
    markGeneration: (number, status) => void memory.pending.push(() => tables.setGenerationStatus(number, status)),
  };
}

function sure({ unsure: _unsure, ...entry }: Touched): Touched {
  return entry;
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
