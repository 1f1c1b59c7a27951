/** Of `node:sqlite` what the shared sources use. */
import { now } from '../crossing.ts';

type Value = string | number | bigint | Uint8Array | null;
type Row = Record<string, Value>;

interface Options {
  readonly readOnly?: boolean;
  readonly timeout?: number;
}

/** As Node says what SQLite refuses. */
function named<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (thrown) {
    const { code, message } = thrown as { code?: string; message: string };
    if (code === undefined || !/^\d+$/.test(code)) throw thrown;
    throw Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode: Number(code), errstr: message });
  }
}

export class DatabaseSync {
  readonly #id: number;
  constructor(at: string | URL, { readOnly = false, timeout = 0 }: Options = {}) {
    const path = typeof at === 'string' ? at : at.href;
    this.#id = named(() => now<number>('sqlOpen', path, readOnly, timeout));
  }
  get isTransaction(): boolean {
    return now('sqlInTransaction', this.#id);
  }
  exec(sql: string): void {
    named(() => now('sqlExec', this.#id, sql));
  }
  prepare(sql: string): StatementSync {
    named(() => now('sqlPrepare', this.#id, sql));
    return new StatementSync(this.#id, sql);
  }
  close(): void {
    named(() => now('sqlClose', this.#id));
  }
}

export class StatementSync {
  readonly #id: number;
  readonly #sql: string;
  #readsBigInts = false;
  constructor(id: number, sql: string) {
    this.#id = id;
    this.#sql = sql;
  }
  run(...values: readonly Value[]): void {
    this.#rows(values, 0);
  }
  get(...values: readonly Value[]): Row | undefined {
    return this.#rows(values, 1)[0];
  }
  all(...values: readonly Value[]): Row[] {
    return this.#rows(values, Number.MAX_SAFE_INTEGER);
  }
  setReadBigInts(yes: boolean): void {
    this.#readsBigInts = yes;
  }
  #rows(values: readonly Value[], most: number): Row[] {
    const sent = JSON.stringify(values.map(tagged));
    const told = named(() => now<string>('sqlRows', this.#id, this.#sql, sent, most));
    const [names, ...rows]: [string[], ...unknown[][]] = JSON.parse(told);
    return rows.map((row) => {
      const made: Row = Object.create(null);
      for (const [index, name] of names.entries()) made[name] = untagged(row[index], this.#readsBigInts);
      return made;
    });
  }
}

function tagged(value: Value): unknown {
  if (typeof value === 'bigint') return { i: String(value) };
  if (value instanceof Uint8Array) return { b: value.toBase64() };
  return typeof value === 'string' ? value.toWellFormed() : value;
}

function untagged(value: unknown, asBigInt: boolean): Value {
  if (typeof value !== 'object' || value === null) return value as Value;
  const { i, b = '' } = value as { i?: string; b?: string };
  if (i === undefined) return Uint8Array.fromBase64(b);
  if (asBigInt) return BigInt(i);
  const number = Number(i);
  if (Number.isSafeInteger(number)) return number;
  throw Object.assign(new RangeError(`Value is too large to be represented as a JavaScript number: ${i}`), {
    code: 'ERR_OUT_OF_RANGE',
  });
}
