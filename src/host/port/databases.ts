/**
 * The port's databases: SQLite, for state that must not be lost. Calls return when the database has done them: a journal is
 * small, and an order of effects is easier to keep when nothing overlaps.
 *
 * What SQLite refuses is thrown with its own name as the `code`: `SQLITE_NOTADB` and `SQLITE_CORRUPT` for a damaged file,
 * `SQLITE_BUSY` while another process holds it, `SQLITE_ERROR` and others for the rest. An integer that no number holds is read
 * in its digits.
 */

export type SqlValue = string | number | bigint | Uint8Array | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface SqlStatement {
  run(...values: readonly SqlValue[]): void;
  /** The first row. */
  get(...values: readonly SqlValue[]): SqlRow | undefined;
  all(...values: readonly SqlValue[]): SqlRow[];
}

export interface Database {
  /** Statements without values and results. */
  exec(sql: string): void;
  prepare(sql: string): SqlStatement;
  /** Does the work in one transaction (`BEGIN IMMEDIATE`): all of it is there when this returns, nothing when it throws. */
  transaction<Result>(work: () => Result): Result;
  /** Idempotent. */
  close(): void;
}

export interface Databases {
  /**
   * Opens or makes the database at a host path, whose folder is there; only its owner can read it. `busyMs` is how long a
   * call waits for another process.
   */
  open(path: string, options: { readonly busyMs: number }): Promise<Database>;
  /**
   * Opens the database that is at a host path for reading, which changes nothing on the disk, read-only ones included.
   * SQLITE_CANTOPEN when there is none.
   */
  look(path: string, options: { readonly busyMs: number }): Promise<Database>;
  /** A new one that is on no disk, and gone when it is closed. */
  scratch(): Promise<Database>;
}
