/**
 * What written-down schemas are made of. A check gives what a value is parsed to and adds what is wrong with it, in zod's
 * words and order: `continue` says whether further checks of the same value are made, and leaves with `final`.
 */
import type { Issue as Told } from '../../src/config/problems.ts';

interface Found {
  readonly code?: string | undefined;
  readonly message?: string;
  path?: PropertyKey[];
  readonly continue?: boolean | undefined;
}

type Issues = Found[];
type Check = (value: unknown, issues: Issues) => unknown;
type Words = (issue: { readonly code?: string; readonly input?: unknown }) => string;
type Fields = Readonly<Record<PropertyKey, unknown>>;

/** `goesOn`: false and undefined end the checks of this value; false also those that look at what is of a wrong type. */
export function fail(
  issues: Issues,
  issue: Readonly<Record<string, unknown>> & { readonly code: string; readonly path?: PropertyKey[] },
  { input, words, goesOn }: { input?: unknown; words?: Words | undefined; goesOn?: boolean },
): void {
  issues.push({ path: [], ...issue, message: words?.({ ...issue, input }) ?? 'Invalid input', continue: goesOn });
}

export function wrongType(expected: string, value: unknown, issues: Issues, words: Words | undefined): void {
  const received = typeof value === 'number' && expected === 'number' ? { received: String(value) } : {};
  fail(issues, { expected, code: 'invalid_type', ...received }, { input: value, words });
}

export function wrongValue(values: readonly unknown[], value: unknown, issues: Issues, words: Words | undefined): void {
  fail(issues, { code: 'invalid_value', values }, { input: value, words });
}

/** Something of our own; it gives whether further checks are made. */
export function wrong(value: unknown, issues: Issues, words: Words | undefined, goesOn: boolean): boolean {
  fail(issues, { code: 'custom' }, { input: value, words, goesOn });
  return goesOn;
}

export function noMatch(
  pattern: RegExp,
  value: unknown,
  issues: Issues,
  { words, goesOn }: { words: Words | undefined; goesOn: boolean },
): boolean {
  const issue = { origin: 'string', code: 'invalid_format', format: 'regex', pattern: String(pattern) };
  fail(issues, issue, { input: value, words, goesOn });
  return goesOn;
}

/** Something is wrong that ends the checks of a value. */
export function aborted(issues: Issues, from: number): boolean {
  for (let i = from; i < issues.length; i++) if (issues[i]?.continue !== true) return true;
  return false;
}

/** It ends even those that look at any value. */
export function stopped(issues: Issues, from: number): boolean {
  for (let i = from; i < issues.length; i++) if (issues[i]?.continue === false) return true;
  return false;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isRecord(value: unknown): value is Fields {
  if (!isObject(value)) return false;
  const made: unknown = value['constructor'];
  if (typeof made !== 'function') return true;
  const prototype: unknown = made.prototype;
  return isObject(prototype) && Object.hasOwn(prototype, 'isPrototypeOf');
}

export function hasLength(value: unknown): value is { readonly length: number } {
  return value !== null && value !== undefined && (value as { length?: unknown }).length !== undefined;
}

/** Of a text in characters. */
export function lengthOf(value: { readonly length: number }): number {
  return typeof value === 'string' ? Array.from(value).length : value.length;
}

export function kindOfLength(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value === 'string' ? 'string' : 'unknown';
}

function inside(key: PropertyKey, issues: Issues, from: number): void {
  for (let i = from; i < issues.length; i++) {
    const issue = issues[i];
    if (issue) issue.path = [key, ...(issue.path ?? [])];
  }
}

export function field(key: string, check: Check, { value, out, issues }: At): void {
  const from = issues.length;
  const parsed = check(value[key], issues);
  inside(key, issues, from);
  if (key in value) out[key] = parsed;
  else if (issues.length === from) fail(issues, { code: 'invalid_type', expected: 'nonoptional', path: [key] }, {});
}

interface At {
  readonly value: Fields;
  readonly out: Record<PropertyKey, unknown>;
  readonly issues: Issues;
}

export function optionalField(key: string, check: Check, at: At): void {
  if (at.value[key] !== undefined) return exactField(key, check, at);
  if (key in at.value) at.out[key] = undefined;
}

/** One that may be absent, but not undefined. */
export function exactField(key: string, check: Check, { value, out, issues }: At): void {
  if (!(key in value)) return;
  const from = issues.length;
  out[key] = check(value[key], issues);
  inside(key, issues, from);
}

export function unknownKeys(value: Fields, known: ReadonlySet<string>): string[] {
  const keys: string[] = [];
  for (const key in value) if (!known.has(key)) keys.push(key);
  return keys;
}

export function otherFields(known: ReadonlySet<string>, { value, out }: At): void {
  for (const key in value) if (!known.has(key) && key !== '__proto__') out[key] = value[key];
}

export function arrayOf(value: readonly unknown[], issues: Issues, item: Check): unknown[] {
  const out: unknown[] = [];
  for (let i = 0; i < value.length; i++) {
    const from = issues.length;
    out.push(item(value[i], issues));
    inside(i, issues, from);
  }
  return out;
}

export function recordOf(
  value: Fields,
  issues: Issues,
  { key, item, words }: { key: Check; item: Check; words: () => Words | undefined },
): Record<PropertyKey, unknown> {
  const out: Record<PropertyKey, unknown> = {};
  for (const name of Reflect.ownKeys(value)) {
    if (name === '__proto__' || !Object.prototype.propertyIsEnumerable.call(value, name)) continue;
    const wrong: Issues = [];
    key(name, wrong);
    if (wrong.length > 0) {
      const issue = { code: 'invalid_key', origin: 'record', issues: final(wrong), path: [name] };
      fail(issues, issue, { input: name, words: words() });
      continue;
    }
    const from = issues.length;
    out[name] = item(value[name], issues);
    inside(name, issues, from);
  }
  return out;
}

/** The first option that takes the value; else the only one in which nothing ends the checks. */
export function unionOf(
  value: unknown,
  issues: Issues,
  { options, words }: { options: readonly Check[]; words: () => Words | undefined },
): unknown {
  const tried: { readonly parsed: unknown; readonly found: Issues }[] = [];
  for (const option of options) {
    const found: Issues = [];
    const parsed = option(value, found);
    if (found.length === 0) return parsed;
    tried.push({ parsed, found });
  }
  const [only, ...others] = tried.filter(({ found }) => !aborted(found, 0));
  if (only && others.length === 0) {
    issues.push(...only.found);
    return only.parsed;
  }
  const errors = tried.map(({ found }) => final(found));
  fail(issues, { code: 'invalid_union', errors }, { input: value, words: words() });
  return value;
}

function final(issues: Issues): Told[] {
  return issues.map((issue) => {
    const { continue: _goesOn, input: _input, path = [], message = '', ...rest } = issue as Found & { input?: unknown };
    return { ...rest, path, message };
  });
}

/** What is left of a zod schema for who uses it. `types`: for who asks what its values are. */
export function schema(check: Check, types?: () => { readonly _zod: unknown }) {
  let known: unknown;
  return {
    safeParse(value: unknown) {
      const issues: Issues = [];
      const data = check(value, issues);
      return issues.length === 0 ? { success: true, data } : { success: false, error: { issues: final(issues) } };
    },
    parse(value: unknown): unknown {
      const issues: Issues = [];
      const data = check(value, issues);
      if (issues.length === 0) return data;
      throw Object.assign(new Error(JSON.stringify(final(issues))), { issues: final(issues) });
    },
    get _zod() {
      return (known ??= types?.()._zod);
    },
  };
}
