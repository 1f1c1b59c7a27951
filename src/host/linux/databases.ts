/** SQLite by `node:sqlite`, which is loaded by the first database. */
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import type { PathResolver } from '../../disk/resolve.ts';
import { errnoOf } from '../../errors.ts';
import type { Database, Databases } from '../port.ts';

export function createLinuxDatabases(resolver: Pick<PathResolver, 'entry'>): Databases {
  return {
    open: async (path, { busyMs }) => {
      const { DatabaseSync } = await import('node:sqlite');
      const real = await resolver.entry(path);
      return named(() => {
        const database = new DatabaseSync(real, { timeout: busyMs });
        try {
          // Its companions (-wal, -shm) take the mode over.
          chmodSync(real, 0o600);
          return databaseOn(database);
        } catch (thrown) {
          database.close();
          throw thrown;
        }
      });
    },

    look: async (path, { busyMs }) => {
      const { DatabaseSync } = await import('node:sqlite');
      const real = await resolver.entry(path);
      const reading = (way: string | URL): Database =>
        named(() => {
          const database = new DatabaseSync(way, { readOnly: true, timeout: busyMs });
          try {
            database.prepare('PRAGMA schema_version').get();
            return databaseOn(database);
          } catch (thrown) {
            database.close();
            throw thrown;
          }
        });
      if (!existsSync(`${real}-wal`)) return reading(new URL(`${pathToFileURL(real).href}?immutable=1`));
      if (existsSync(`${real}-shm`)) return reading(real);
      // Nobody has it open, and to read the log its index has to be made: beside a copy.
      const folder = copied(real);
      try {
        return reading(join(folder, 'copy'));
      } finally {
        // What is open stays readable.
        rmSync(folder, { recursive: true });
      }
    },

    scratch: async () => {
      const { DatabaseSync } = await import('node:sqlite');
      return databaseOn(new DatabaseSync(':memory:'));
    },
  };
}

/** Into a folder of its own, wherever one can be: it is small, and gone at once. What the first place said, when none has room. */
function copied(real: string): string {
  let refusal: unknown;
  for (const place of [tmpdir(), '/dev/shm', '/run']) {
    let folder: string | undefined;
    try {
      folder = mkdtempSync(join(place, 'nodekiln-look-'));
      for (const suffix of ['', '-wal']) copyFileSync(real + suffix, join(folder, `copy${suffix}`));
      return folder;
    } catch (thrown) {
      refusal ??= thrown;
      if (folder !== undefined) rmSync(folder, { recursive: true });
    }
  }
  throw refusal;
}

/** What a connection does, with errors by SQLite's own names. `commit` ends a transaction. */
export function databaseOn(database: DatabaseSync, commit = (): void => database.exec('COMMIT')): Database {
  let closed = false;
  return {
    exec: (sql) => named(() => database.exec(sql)),
    prepare: (sql) => {
      const statement = named(() => database.prepare(sql));
      return {
        run: (...values) => void named(() => statement.run(...values)),
        get: (...values) =>
          named(() =>
            read(
              statement,
              () => statement.get(...values),
              (row) => row && inDigits(row),
            ),
          ),
        all: (...values) =>
          named(() =>
            read(
              statement,
              () => statement.all(...values),
              (rows) => rows.map(inDigits),
            ),
          ),
      };
    },
    transaction: (work) =>
      named(() => {
        database.exec('BEGIN IMMEDIATE');
        try {
          const result = work();
          commit();
          return result;
        } catch (thrown) {
          if (database.isTransaction) database.exec('ROLLBACK');
          throw thrown;
        }
      }),
    close: () => {
      if (closed) return;
      closed = true;
      database.close();
    },
  };
}

/** A row with an integer that no number holds is refused; it is read once more, and has that in its digits. */
function read<Result>(statement: StatementSync, work: () => Result, withDigits: (result: Result) => Result): Result {
  try {
    return work();
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ERR_OUT_OF_RANGE') throw thrown;
  }
  statement.setReadBigInts(true);
  try {
    return withDigits(work());
  } finally {
    statement.setReadBigInts(false);
  }
}

function inDigits(row: Record<string, SQLOutputValue>): Record<string, SQLOutputValue> {
  const values = Object.entries(row).map(([column, value]) => {
    if (typeof value !== 'bigint') return [column, value];
    return [column, Number.isSafeInteger(Number(value)) ? Number(value) : String(value)];
  });
  return Object.fromEntries(values) as Record<string, SQLOutputValue>;
}

/** Result codes (sqlite.org/rescode.html) that callers tell apart; the lowest byte is the primary one. */
const names: Readonly<Record<number, string>> = {
  5: 'SQLITE_BUSY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  26: 'SQLITE_NOTADB',
};

function named<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') throw thrown;
    const code = names[thrown.errcode & 0xff] ?? 'SQLITE_ERROR';
    throw Object.assign(new Error(`${code}: ${thrown.message}`, { cause: thrown }), { code });
  }
}
