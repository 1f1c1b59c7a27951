/**
 * The fields of a schema, for what must hold for all of them alike: which lists merge by a key, where secrets are, which
 * field has an effect.
 */
import type { $ZodType, $ZodTypes } from 'zod/v4/core';
import { keyedListChecks, secretChecks } from '../../src/config/schema-checks.ts';
import { isMap } from '../../src/config/paths.ts';

export interface SchemaField {
  /** Keys; `*` for any item of a list, `{}` for any value of a map, `<apt>` for a form that is chosen by a constant or by its first key. */
  readonly path: readonly string[];
  readonly schema: $ZodTypes;
  /** Of a keyed list. */
  readonly key: string | undefined;
  readonly secret: boolean;
}

/** Every field, depth first, a union's forms one after the other. The schema itself is the first. */
export function* schemaFields(schema: $ZodType, path: readonly string[] = []): Generator<SchemaField> {
  const known = bare(schema);
  const checks: readonly object[] = known._zod.def.checks ?? [];
  const key = checks.map((check) => keyedListChecks.get(check)).find((found) => found !== undefined);
  yield { path, schema: known, key, secret: checks.some((check) => secretChecks.has(check)) };
  for (const [name, inner] of innerSchemas(known))
    yield* schemaFields(inner, name === undefined ? path : [...path, name]);
}

function innerSchemas(schema: $ZodTypes): (readonly [name: string | undefined, inner: $ZodType])[] {
  const { def } = schema._zod;
  if (def.type === 'object') return Object.entries(def.shape);
  if (def.type === 'array') return [['*', def.element]];
  if (def.type === 'record') return [['{}', def.valueType]];
  if (def.type === 'union') return def.options.map((option) => [formOf(option), option]);
  return [];
}

/** Without what only says that it may be missing. */
export function bare(schema: $ZodType): $ZodTypes {
  const known = schema as $ZodTypes;
  const { def } = known._zod;
  return def.type === 'optional' || def.type === 'nullable' ? bare(def.innerType) : known;
}

function formOf(option: $ZodType): string | undefined {
  const { def } = bare(option)._zod;
  if (def.type !== 'object') return undefined;
  const constant = Object.values(def.shape)
    .map((field) => bare(field)._zod.def)
    .find((inner) => inner.type === 'literal');
  return `<${String(constant?.type === 'literal' ? constant.values[0] : Object.keys(def.shape)[0])}>`;
}

/** A document with nothing in it but a value at a field, and the constants beside it that say what it is. */
export function documentAround(schema: $ZodType, path: readonly string[], value: unknown): unknown {
  const { def } = bare(schema)._zod;
  const [name, ...rest] = path;
  if (name === undefined) return value;
  if (def.type === 'array') return [documentAround(def.element, rest, value)];
  if (def.type === 'record') return { a: documentAround(def.valueType, rest, value) };
  if (def.type === 'union') {
    const option = def.options.find((one) => formOf(one) === name) ?? def.options.find((one) => holds(one, name));
    return option && documentAround(option, name.startsWith('<') ? rest : path, value);
  }
  if (def.type !== 'object') return value;
  const constants = Object.entries(def.shape).flatMap(([key, field]): [string, unknown][] => {
    const inner = bare(field)._zod.def;
    return inner.type === 'literal' && inner.values.every((one) => typeof one === 'string') && inner.values.length === 1
      ? [[key, inner.values[0]]]
      : [];
  });
  const inner = def.shape[name];
  return { ...Object.fromEntries(constants), [name]: inner ? documentAround(inner, rest, value) : value };
}

function holds(schema: $ZodType, name: string): boolean {
  const { def } = bare(schema)._zod;
  if (def.type === 'object') return Object.hasOwn(def.shape, name);
  return (def.type === 'array' && name === '*') || (def.type === 'record' && name === '{}');
}

/** Path of every keyed list (joined with dots) and the field that tells its items apart. */
export function keyedLists(schema: $ZodType): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  for (const { path, key } of schemaFields(schema)) if (key !== undefined) keys.set(path.join('.'), key);
  return keys;
}

/** A value of a document with the field it belongs to. */
export interface Occurrence {
  /** In the document. */
  readonly at: readonly (string | number)[];
  readonly field: SchemaField;
  readonly value: unknown;
}

/** Every value of a document that a schema accepts, with its field. */
export function* occurrences(
  schema: $ZodType,
  value: unknown,
  { at = [], path = [] }: { at?: readonly (string | number)[]; path?: readonly string[] } = {},
): Generator<Occurrence> {
  const known = bare(schema);
  if (value === undefined) return;
  const [field] = schemaFields(known, path);
  if (!field) return;
  yield { at, field, value };
  const { def } = known._zod;
  if (def.type === 'object' && isMap(value)) {
    for (const [name, inner] of Object.entries(def.shape))
      yield* occurrences(inner, value[name], { at: [...at, name], path: [...path, name] });
  } else if (def.type === 'array' && Array.isArray(value)) {
    for (const [index, item] of value.entries())
      yield* occurrences(def.element, item, { at: [...at, index], path: [...path, '*'] });
  } else if (def.type === 'record' && isMap(value)) {
    for (const [name, item] of Object.entries(value))
      yield* occurrences(def.valueType, item, { at: [...at, name], path: [...path, '{}'] });
  } else if (def.type === 'union') {
    const option = def.options.find((one) => accepts(one, value));
    const form = option && formOf(option);
    if (option) yield* occurrences(option, value, { at, path: form === undefined ? path : [...path, form] });
  }
}

function accepts(schema: $ZodType, value: unknown): boolean {
  const result = schema._zod.run({ value, issues: [] }, {});
  return !(result instanceof Promise) && result.issues.length === 0;
}

/** Other values of the same field, the more harmless first; without a promise that the schema accepts them. */
export function* otherValues({ field, value }: Occurrence): Generator<unknown> {
  const { def } = field.schema._zod;
  if (def.type === 'boolean') yield value !== true;
  if (def.type === 'number') yield Number(value) + 1;
  if (def.type === 'enum') yield* Object.values(def.entries).filter((choice) => choice !== value);
  if (def.type === 'string') yield* otherTexts(String(value));
  if (def.type === 'unknown') yield* otherTexts(JSON.stringify(value));
  if (def.type === 'record' && isMap(value)) yield* otherMaps(value);
  if (def.type === 'array' && Array.isArray(value) && value.length > 0) yield value.slice(0, -1);
}

function* otherTexts(text: string): Generator<string> {
  yield text.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
  yield `${text}1`;
  yield `${text}x`;
  yield `x${text}`;
  // Inside a certificate.
  yield text.replace(/\n(?!-)/, '\nA');
  yield text.replace(/[a-z](?=[^a-z]*$)/, (letter) => (letter === 'b' ? 'c' : 'b'));
}

function* otherMaps(map: Readonly<Record<string, unknown>>): Generator<Record<string, unknown>> {
  yield { ...map, added: 'x' };
  const [first] = Object.keys(map);
  if (first === undefined) return;
  const { [first]: _dropped, ...rest } = map;
  yield rest;
}

/** The tree with another value at a place; undefined takes the place away. */
export function withValue(tree: unknown, at: readonly (string | number)[], value: unknown): unknown {
  const [key, ...rest] = at;
  if (key === undefined) return value;
  if (Array.isArray(tree))
    return tree
      .map((item: unknown, index) => (index === key ? withValue(item, rest, value) : item))
      .filter((item) => item !== undefined);
  if (!isMap(tree)) return tree;
  const inner = withValue(tree[key], rest, value);
  const { [key]: _before, ...others } = tree;
  return inner === undefined ? others : { ...tree, [key]: inner };
}
