/**
 * What the schemas say and ask beyond types, without the schema library: words for what is wrong, and checks. `tools/schemas`
 * writes schemas down as plain functions, which call these by their names: what a schema gives the library is exported here
 * or beside it, and what is made of arguments is made by `making`.
 */
import type { ParsePayload } from 'zod/v4/core';
import { isRegistry } from '../model/reference.ts';
import { isSubnet } from '../model/ip-address.ts';
import { hasNoTextCharacter } from '../model/printable.ts';
import { holdsSecret, looksSecret } from '../model/shown-address.ts';
import { parseVersion } from '../model/version.ts';
import { whyNoAddress, type AddressKind } from './address.ts';
import { isMap } from './paths.ts';
import { whyRefused } from './refused-paths.ts';
import { badPlaceholder, placeholders } from './template.ts';
import { unwritable } from './unwritable.ts';
import { addressInWords, alternatives, inWords, named } from './words.ts';

interface RawIssue {
  readonly input?: unknown;
  readonly code?: string | undefined;
  readonly keys?: readonly string[] | undefined;
}

/** What says what is wrong. */
type Words = (issue: RawIssue) => string;

/** Which exported function made a function, and of what. */
export interface Making {
  readonly by: unknown;
  readonly of: readonly unknown[];
}

export const makings = new WeakMap<object, Making>();

/** The function that makes others, which can be told from then on how they were made. */
export function making<Arguments extends unknown[], Made extends object>(
  make: (...of: Arguments) => Made,
): (...of: Arguments) => Made {
  const by = (...of: Arguments): Made => {
    const made = make(...of);
    makings.set(made, { by, of });
    return made;
  };
  return by;
}

// ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** For a schema that wants `what`. */
export const wants = making((what: string): Words => {
  return ({ input }) =>
    input === undefined ? `is missing: it must be ${what}` : `must be ${what}, is ${inWords(input)}`;
});

/** For what is made of others: a text in its place may be content that lost its key, so it is not quoted. */
export const wantsForm = making((what: string): Words => {
  const said = wants(what);
  return ({ input }) => (typeof input === 'string' && input !== '' ? `must be ${what}, is a string` : said({ input }));
});

/** The same for values that must not be shown. */
export const wantsSecret = making((what: string): Words => {
  return ({ input }) => (input === undefined ? `is missing: it must be ${what}` : `must be ${what}`);
});

/** The same for addresses: no user, password, query or fragment is shown. */
export const wantsAddress = making((what: string): Words => {
  return ({ input }) =>
    input === undefined ? `is missing: it must be ${what}` : `must be ${what}, is ${addressInWords(input)}`;
});

/** For a map: of a key that is unknown it says which are known, separated by spaces. */
export const wantsFields = making((known: string): Words => {
  return (issue) => (issue.code === 'unrecognized_keys' ? known : wantsForm('a map')(issue));
});

/** For a union of maps told apart by `key`. */
export const wantsOneOf = making((key: string, ...values: readonly string[]): Words => {
  const wanted = alternatives(values.map((value) => `"${value}"`));
  return ({ input }) => {
    if (!isMap(input)) return wantsForm(`a map with ${key}: ${wanted}`)({ input });
    return wants(wanted)({ input: input[key] });
  };
});

/** For text without control characters but those `allowed`. */
export const wantsText = making((allowed: string): Words => {
  return ({ input }) => {
    const { code, at } = hasNoTextCharacter(String(input), allowed) ?? { code: 'none', at: 0 };
    return `must be text without control characters, and character ${at} is ${code}: take it out`;
  };
});

/** For unit files. */
export function wantsUnitText({ input }: RawIssue): string {
  const at = String(input).search(lineEndsInUnits);
  const { code } = hasNoTextCharacter(String(input).slice(at)) ?? { code: 'none' };
  return `must have lines that end in U+000A alone, and character ${at + 1} is ${code}: take it out`;
}

/** For templates. */
export function wantsPlaceholders({ input }: RawIssue): string {
  const bad = holdsSecret(String(input)) ? 'something in braces' : badPlaceholder(String(input));
  return `has ${bad}, which is not a placeholder; known are ${placeholders.map((known) => `{${known}}`).join(', ')}`;
}

// ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The field that tells the items of a keyed list apart, by the list's check: the library copies schemas, but keeps their checks. */
export const keyedListChecks = new WeakMap<object, string>();

/** The checks of secret texts, by which a schema can be asked where its secrets are. */
export const secretChecks = new WeakSet<object>();

/** The checks of addresses, which may hold a password or a signature: by them a schema can be asked where its addresses are. */
export const addressChecks = new WeakSet<object>();

/** The same of maps whose values are for programs alone. */
export const secretMapChecks = new WeakSet<object>();

/** The same of maps in which secrets are known by their names. */
export const credentialMapChecks = new WeakSet<object>();

/** It checks nothing. */
export function marks(): void {
  // Who asks finds the check itself.
}

// ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Also when items are wrong in other ways, so that one run shows everything. */
export function always(): boolean {
  return true;
}

/** No two items of a list have the same `key`. */
export const distinct = making((key: string) => (payload: ParsePayload): void => {
  if (!Array.isArray(payload.value)) return;
  const seen = new Set<string>();
  for (const [index, entry] of payload.value.entries()) {
    const name: unknown = isMap(entry) ? entry[key] : undefined;
    if (typeof name !== 'string') continue;
    if (seen.has(name)) {
      const message = `names ${named(name)} a second time in this list`;
      payload.issues.push({ code: 'custom', message, path: [index, key], input: name });
    }
    seen.add(name);
  }
});

export const absolutePathPattern = /^(?!.*\/\.\.?(?:\/|$))(?!.*\/\/)\/[^\0\n]*$/;

/** Of a duration. */
export function isLongerThanNothing(value: string): boolean {
  return /[1-9]/.test(value);
}

export const hasText = making((allowed: string) => {
  return (value: string): boolean => hasNoTextCharacter(value, allowed) === undefined;
});

/** systemd ends a line at carriage return and NUL; the other two are ends of lines to editors. */
const lineEndsInUnits = /[\r\0\v\f]/;

export function isUnitText(value: string): boolean {
  return !lineEndsInUnits.test(value);
}

export const matches = making((pattern: RegExp) => {
  return (value: string): boolean => pattern.test(value);
});

/** `format`: of the file that it goes into. */
export const writable = making((format: 'json' | 'toml') => (payload: ParsePayload): void => {
  for (const { path, message } of unwritable(payload.value, format))
    payload.issues.push({ code: 'custom', message, path: [...path], input: undefined });
});

/** A place that a document may put something at. */
export function isOurs(payload: ParsePayload<string>): void {
  const why = whyRefused(payload.value);
  if (why === undefined) return;
  payload.issues.push({
    code: 'custom',
    message: `cannot be ${looksSecret(payload.value) ? 'this' : payload.value}: it ${why}`,
    input: payload.value,
  });
}

export function isHttpUrl(value: string): boolean {
  return /^https?:\/\/[^\s/]\S*$/.test(value) && URL.canParse(value);
}

/** Hosts, domains and subnets with commas or blanks between them. */
export function areHostsOrSubnets(value: string): boolean {
  return value.split(/[,\s]+/).every((entry) => !entry.includes('/') || isSubnet(entry));
}

export function isVersion(value: string): boolean {
  try {
    parseVersion(value);
    return true;
  } catch {
    return false;
  }
}

/** Or all others. */
export function isRegistryHost(value: string): boolean {
  return value === '_default' || isRegistry(value);
}

export function hasKnownPlaceholders(value: string): boolean {
  return badPlaceholder(value) === undefined;
}

/** A template that an address of this kind comes of. */
export const becomesAddress = making((kind: AddressKind) => (payload: ParsePayload<string>): void => {
  const isText = payload.value !== '' && hasKnownPlaceholders(payload.value);
  const why = isText ? whyNoAddress(payload.value, kind) : undefined;
  if (why !== undefined) payload.issues.push({ code: 'custom', message: why, input: payload.value });
});
