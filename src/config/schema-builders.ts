/**
 * Building blocks of the document schemas: zod schemas whose messages say in words what is wanted and what is there.
 *
 * Two conventions with `problems.ts`: a message made here is complete (`must be …, is …`), and the message of an
 * unknown key carries the keys that are known, separated by spaces.
 */
import {
  array,
  boolean,
  check,
  describe,
  int,
  maximum,
  minimum,
  minLength,
  literal,
  enum as oneOfStrings,
  optional,
  record,
  refine,
  regex,
  strictObject,
  string,
  union,
  unknown,
} from 'zod/mini';
import type { ZodMiniArray, ZodMiniObject, ZodMiniOptional, ZodMiniType } from 'zod/mini';
import type { $strict } from 'zod/v4/core';
import { resourceKinds } from '../model/resources.ts';
import { addressForms, type AddressKind } from './address.ts';
import { durationPattern } from './duration.ts';
import {
  credentialMapChecks,
  absolutePathPattern,
  addressChecks,
  always,
  areHostsOrSubnets,
  becomesAddress,
  distinct,
  hasKnownPlaceholders,
  hasText,
  isHttpUrl,
  isLongerThanNothing,
  isOurs,
  isRegistryHost,
  isUnitText,
  isVersion,
  keyedListChecks,
  marks,
  matches,
  secretChecks,
  secretMapChecks,
  wants,
  wantsAddress,
  wantsFields,
  wantsForm,
  wantsPlaceholders,
  wantsSecret,
  wantsText,
  wantsUnitText,
  writable,
} from './schema-checks.ts';
import { sizePattern } from './size.ts';
import { alternatives } from './words.ts';

/** A strict object. */
export function fields<Shape extends Record<string, ZodMiniType>>(shape: Shape): ZodMiniObject<Shape, $strict> {
  return strictObject(shape, { error: wantsFields(Object.keys(shape).join(' ')) });
}

/** Adds the description that `nodekiln schema` prints. */
export function doc<Schema extends ZodMiniType>(description: string, schema: Schema): Schema {
  return schema.check(describe(description));
}

/** An optional field with its description. */
export function opt<Schema extends ZodMiniType>(description: string, schema: Schema): ZodMiniOptional<Schema> {
  return optional(doc(description, schema));
}

export function list<Item extends ZodMiniType>(item: Item): ZodMiniArray<Item> {
  return array(item, { error: wantsForm('a list') });
}

/** A list whose items are told apart by one field; sources merge such lists item by item. */
export function keyedList<Item extends ZodMiniType<Record<string, unknown>>>(
  key: string,
  item: Item,
): ZodMiniArray<Item> {
  const isDistinct = check<unknown>(distinct(key), { when: always });
  keyedListChecks.set(isDistinct, key);
  return list(item).check(isDistinct);
}

/**
 * What every file, argument and variable that a value may stand in takes as a part of it: no control characters but those
 * named. Without it a value could end the line it stands in and begin another. Never quotes the value: it may be a secret.
 */
function textOnly(allowed = '') {
  return refine<string>(hasText(allowed), { abort: true, error: wantsText(allowed) });
}

/** Strings of one line. `what` completes "must be …". */
export function text(what = 'a string') {
  return string({ error: wants(what) }).check(textOnly(), minLength(1, { error: wants('a string that is not empty') }));
}

/** Strings of one line that may be empty; blanks in them may be tabs. */
export function anyLine() {
  return string({ error: wants('a string') }).check(textOnly('\t'));
}

/** Strings that may be empty and have several lines. */
export function anyText() {
  return string({ error: wants('a string') }).check(textOnly('\t\n'));
}

/** The same for what others may have written with their ends of lines, and nobody reads by lines: keys, remarks. */
export function anyLines() {
  return string({ error: wants('a string') }).check(textOnly('\t\r\n'));
}

/** Keys in PEM form or armoured, or where they are. */
export function keyText() {
  return anyLines().check(minLength(1, { error: wants('a string that is not empty') }));
}

/** Strings that name a place in a network, whatever the form: `https://host/path`, `host:port`, `registry/repository:tag`. */
export function asAddress<Schema extends ZodMiniType<string>>(schema: Schema): Schema {
  return schema.check(marked<string>(addressChecks));
}

function marked<Value>(marked: WeakSet<object>) {
  const mark = check<Value>(marks);
  marked.add(mark);
  return mark;
}

/** Addresses of one shape; `what` says which, with an example. */
export function matchingAddress(pattern: RegExp, what: string) {
  return checkedAddress(matches(pattern), what);
}

/** Addresses that something tells right from wrong; `what` says what is right. */
export function checkedAddress(isRight: (value: string) => boolean, what: string) {
  const error = wantsAddress(what);
  return asAddress(string({ error }).check(refine(isRight, { error, abort: true }), textOnly()));
}

/** Addresses whose form nobody looks at. */
export function anyAddress() {
  return asAddress(anyText());
}

/** The environment of a program. Its values may be secrets, and are never shown. */
export function environment() {
  return record(variableName, anyText(), { error: wants('a map') }).check(
    marked<Record<string, string>>(secretMapChecks),
  );
}

/** Strings that must never be shown, not even in a message about them. */
export function secretText(what = 'a string (a secret: not shown)') {
  const notEmpty = minLength(1, { error: wantsSecret('a string that is not empty') });
  secretChecks.add(notEmpty);
  return string({ error: wantsSecret(what) }).check(textOnly(), notEmpty);
}

/** File contents: may be secret (`sensitive: true`), so never shown. */
export function contentText() {
  return string({ error: wantsSecret('a string') });
}

/** The same when they are always secret, and not empty. */
export function secretContent() {
  const what = 'a string that is not empty';
  const notEmpty = minLength(1, { error: wantsSecret(what) });
  secretChecks.add(notEmpty);
  return string({ error: wantsSecret(what) }).check(notEmpty);
}

/** Whole unit files and drop-ins: what systemd reads as the lines that are seen. May be secret. */
export function unitFileCheck() {
  return refine<string>(isUnitText, { error: wantsUnitText });
}

/** Strings of one shape; `what` says which, with an example. */
export function matching(pattern: RegExp, what: string) {
  return string({ error: wants(what) }).check(regex(pattern, { error: wants(what), abort: true }), textOnly());
}

/** Strings that something tells right from wrong; `what` says what is right. */
export function checked(isRight: (value: string) => boolean, what: string) {
  return string({ error: wants(what) }).check(refine(isRight, { error: wants(what), abort: true }), textOnly());
}

export function oneOf<const Values extends readonly [string, ...string[]]>(...values: Values) {
  return oneOfStrings(values, { error: wants(alternatives(values.map((value) => `"${value}"`))) });
}

/** One of two types. */
export function oneOfTypes<First extends ZodMiniType, Second extends ZodMiniType>(
  first: First,
  second: Second,
  what: string,
) {
  return union([first, second], { error: wants(what) });
}

export function flag() {
  return boolean({ error: wants('true or false') });
}

export function wholeNumber() {
  return int({ error: wants('a whole number') });
}

/** A whole number in a range, both ends in it. */
export function numberFrom(least: number, most: number) {
  const error = `must be a whole number from ${least} to ${most}`;
  return int({ error: wants('a whole number') }).check(minimum(least, { error }), maximum(most, { error }));
}

/** The last of 32 bits is chown(2)'s word for "as it is". */
const largestId = 2 ** 32 - 2;

/** A user or group as a document writes it. */
export function accountId(what: string) {
  const id = numberFrom(0, largestId);
  return union([id, literal('root')], { error: wants(`"root" or a numeric ${what} id from 0 to ${largestId}`) });
}

/** A map whose values belong to somebody else's schema. `format`: of the file that it goes into. */
export function freeMap(format: 'json' | 'toml' = 'json') {
  return record(string(), unknown(), { error: wantsForm('a map') }).check(check<unknown>(writable(format)));
}

/** Settings of containerd, in which registries may have credentials. */
export function containerdSettings() {
  return freeMap('toml').check(marked<Record<string, unknown>>(credentialMapChecks));
}

/** Name of an environment variable. */
export const variableName = matching(/^[^=\s]+$/, 'the name of a variable, like "HTTP_PROXY"');

export const mode = matching(/^0[0-7]{3,4}$/, 'a string like "0644"');
const aDuration = 'a duration like "90s", "5m" or "1h30m"';
export const duration = matching(durationPattern, aDuration);
/** What ends at once when it is nothing. */
export const timespan = string({ error: wants(aDuration) }).check(
  regex(durationPattern, { error: wants(aDuration), abort: true }),
  refine(isLongerThanNothing, { error: 'must be longer than nothing' }),
  textOnly(),
);
export const size = matching(sizePattern, 'a size like "2GiB"');
export const digest = matching(/^sha256:[0-9a-f]{64}$/, 'a digest like "sha256:" and 64 hexadecimal digits');
export const absolutePath = matching(
  absolutePathPattern,
  'an absolute path without "." and ".." parts, like "/etc/motd"',
);
/** Where a document may put something. */
export const targetPath = absolutePath.check(check<string>(isOurs));
const urlForm = 'a URL like "https://example.org/path"';
export const url = checkedAddress(isHttpUrl, urlForm);
/** One, or several with commas or blanks between them. */
export const withoutProxy = asAddress(
  text().check(refine(areHostsOrSubnets, { error: wantsAddress('a host, a domain or a subnet') })),
);
export const unitName = matching(
  /^[A-Za-z0-9:_.\\@-]+\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/,
  'the name of a systemd unit with its type, like "kubelet.service"',
);
export const kubernetesVersion = matching(
  /^v?\d+\.\d+\.\d+(?:[-+.~][0-9A-Za-z.+~-]*)?$/,
  'a full Kubernetes version like "1.34.3"',
);
export const versionText = checked(isVersion, 'a version like "1.34.3"');
export const name = matching(
  /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/,
  'a name of letters, digits, ".", "_" and "-"',
);
export const resourceId = matching(
  new RegExp(`^(?:${resourceKinds.join('|')}):\\S.*$`),
  'a resource like "unit:containerd.service" or "file:/etc/motd"',
);

/** The same for where an artifact is. */
export function addressTemplate(kind: AddressKind) {
  return asAddress(template(addressForms[kind]).check(check<string>(becomesAddress(kind))));
}

/** Which registry is meant, or all others. */
export const registryHost = checkedAddress(
  isRegistryHost,
  'a registry’s host like "registry.example.org:5000", without a scheme or path',
);

/** A string with placeholders in braces. */
export function template(what: string) {
  return text(what).check(refine(hasKnownPlaceholders, { error: wantsPlaceholders }));
}
