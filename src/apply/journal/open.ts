/**
 * The journal's database, opened so that what it has committed survives power loss (WAL, synchronous=FULL). One that is
 * damaged is set aside and a new one made. Errors: NK_STATE_UNUSABLE.
 */
import { asNodekilnError, errnoOf, NodekilnError } from '../../errors.ts';
import type { Database, Host } from '../../host/port.ts';
import { isRegular } from '../../model/files.ts';
import { join } from '../../model/path.ts';
import { databaseName, generationsFolder, stateFolder } from '../../model/state-paths.ts';
import { makeTables, openTables, versionOf, type DamagedRow, type Tables } from './tables.ts';

/** Another process that looks only reads, and is done soon. */
const busyMs = 5000;

/** Which file is in the place of the database; undefined when none is. */
export async function databaseFile({ files }: Host): Promise<string | undefined> {
  const found = await files.stat(join(stateFolder, databaseName));
  return found && `${found.device} ${found.inode}`;
}

/** Says when anything fails on a database. */
export function noting(database: Database, onFailure: () => void): Database {
  const noted = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (thrown) {
      onFailure();
      throw thrown;
    }
  };
  return {
    exec: (sql) => noted(() => database.exec(sql)),
    prepare: (sql) => {
      const statement = noted(() => database.prepare(sql));
      return {
        run: (...values) => noted(() => statement.run(...values)),
        get: (...values) => noted(() => statement.get(...values)),
        all: (...values) => noted(() => statement.all(...values)),
      };
    },
    transaction: (work) => noted(() => database.transaction(work)),
    close: () => database.close(),
  };
}

/** Of the host's state, root's alone. */
export async function makeStateFolders({ files }: Host): Promise<void> {
  try {
    for (const path of [stateFolder, generationsFolder]) {
      const found = await files.stat(path);
      if (found?.type === 'directory' && (path !== stateFolder || found.mode === 0o700)) continue;
      await files.write([{ type: 'directory', path, mode: 0o700, uid: 0, gid: 0 }]);
    }
  } catch (cause) {
    throw unusable(`cannot make ${stateFolder}`, cause);
  }
}

export interface Opened {
  readonly database: Database;
  readonly tables: Tables;
  /** Rows that turn out not to be readable, as they are read. */
  readonly damagedRows: DamagedRow[];
  /** The database before this one cannot be read. */
  readonly damaged: boolean;
  /** Whatever is written to it is lost. */
  readonly readOnly: boolean;
}

export async function openDatabase(host: Host): Promise<Opened> {
  const path = join(stateFolder, databaseName);
  try {
    return { ...(await prepare(host, path)), damaged: false, readOnly: false };
  } catch (cause) {
    if (!isDamage(cause)) throw unusable(`cannot open ${path}`, cause);
  }
  try {
    await setAside(host, path);
    return { ...(await prepare(host, path)), damaged: true, readOnly: false };
  } catch (cause) {
    throw unusable(`cannot set ${path} aside`, cause);
  }
}

/** For who only looks: nothing on the disk changes. What cannot be read is as if it were not there. */
export async function lookAtDatabase(host: Pick<Host, 'databases' | 'files'>): Promise<Opened> {
  const { databases } = host;
  const path = join(stateFolder, databaseName);
  let damaged = false;
  try {
    await requireFiles(host, path);
    const database = await databases.look(path, { busyMs });
    try {
      if (versionOf(database) > 0) return { ...withTables(database), damaged, readOnly: true };
    } catch (thrown) {
      database.close();
      throw thrown;
    }
    database.close();
  } catch (cause) {
    damaged = isDamage(cause);
    if (!damaged && errnoOf(cause) !== 'SQLITE_CANTOPEN') throw unusable(`cannot look at ${path}`, cause);
  }
  const database = await databases.scratch();
  makeTables(database);
  return { ...withTables(database), damaged, readOnly: false };
}

type Tabled = Pick<Opened, 'database' | 'tables' | 'damagedRows'>;

function withTables(database: Database): Tabled {
  const damagedRows: DamagedRow[] = [];
  const tables = openTables(database, (row) => damagedRows.push(row));
  tables.lookThrough();
  return { database, damagedRows, tables };
}

/** The database and what SQLite puts beside it, or looks for there. */
const parts = ['', '-wal', '-shm', '-journal'];

async function setAside({ files }: Host, path: string): Promise<void> {
  for (const suffix of parts) {
    if (!(await files.stat(path + suffix))) continue;
    const aside = `${path}${suffix}.damaged`;
    await files.removeTree(aside);
    await files.move(path + suffix, aside);
  }
}

/** A FIFO would be waited for, and a link leads to what is not ours. */
async function requireFiles({ files }: Pick<Host, 'files'>, path: string): Promise<void> {
  for (const suffix of parts) {
    const found = await files.stat(path + suffix);
    if (found && !isRegular(found))
      throw Object.assign(new Error(`${path}${suffix} is a ${found.type}`), { code: 'SQLITE_NOTADB' });
  }
}

/** Looked through once by each process: what breaks under it later shows when it is read. */
const checked = new WeakSet<Host['databases']>();

async function prepare(host: Host, path: string): Promise<Tabled> {
  const { databases } = host;
  await requireFiles(host, path);
  const database = await databases.open(path, { busyMs });
  try {
    database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;');
    if (
      !checked.has(databases) &&
      versionOf(database) > 0 &&
      database.prepare('PRAGMA quick_check').get()?.['quick_check'] !== 'ok'
    )
      throw Object.assign(new Error('database disk image is malformed'), { code: 'SQLITE_CORRUPT' });
    makeTables(database);
    checked.add(databases);
    return withTables(database);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** What the system refused has its own remedy. */
function unusable(what: string, cause: unknown): NodekilnError {
  const { code, message, hint } = asNodekilnError(cause);
  const remedy = code === 'NK_SYSTEM' || code === 'NK_FILE_WRITE' || code === 'NK_PATH_UNSAFE' ? { hint } : {};
  return new NodekilnError('NK_STATE_UNUSABLE', `${what}: ${message}`, { ...remedy, cause });
}

function isDamage(cause: unknown): boolean {
  const code = errnoOf(cause) ?? '';
  // A version without its tables, or with others under their names, is damage, too.
  const otherTables = /no such table|no such column|has no column named|does not match any PRIMARY KEY/;
  return code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT' || otherTables.test(messageOf(cause));
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
