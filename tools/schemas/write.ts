/**
 * Writes the schemas of what hosts read down as plain functions: no zod is left in what runs there, and nothing is made at
 * a start. Every schema of every schema module (`src/…/schema.ts`, `src/…/schema-*.ts`) comes into one module,
 * `dist/schemas.mjs`; equal ones once. zod's schemas stay what is written by hand, and what types, pages and JSON Schemas
 * come from; `schemas.test.ts` compares both on documents without end.
 *
 * What a schema module exports beside schemas are constants. What its schemas ask of values must be exported by a module
 * that it imports, directly or through others, or made by such a function (`making` in `src/config/schema-checks.ts`).
 */
import { glob, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { $ZodCheck, $ZodChecks, $ZodType, $ZodTypes } from 'zod/v4/core';
import * as schemaChecks from '../../src/config/schema-checks.ts';
import * as runtime from './runtime.ts';

const { makings, marks } = schemaChecks;
/** What a schema may be marked as; by its name. */
const markings = Object.entries(schemaChecks).filter(
  (entry): entry is [string, WeakSet<object>] => entry[1] instanceof WeakSet,
);
const root = join(import.meta.dirname, '..', '..');
export const writtenSchemas = join(root, 'dist', 'schemas.mjs');

/** Not schemas, but what they are made with. */
export const builders = 'src/config/schema-builders.ts';
/** Of these somebody asks on hosts what their values are. */
const asked: readonly string[] = ['nodeSpec', 'nodeConfigDocument'];

/** A module of schemas, and what stands in its place. */
export interface SchemaModule {
  /** Relative to the repository. */
  readonly file: string;
  readonly schemas: ReadonlyMap<string, $ZodType>;
  readonly text: string;
}

/** All of them, in the order of their names; `dist/schemas.mjs` is written. */
export async function writeSchemas(): Promise<readonly SchemaModule[]> {
  const files = await schemaFiles();
  const writer = new Writer(await exportedFunctions(files));
  const modules: SchemaModule[] = [];
  for (const file of files) {
    const schemas = new Map<string, $ZodType>();
    const lines: string[] = [];
    for (const [name, value] of Object.entries(await load(file))) {
      if (isSchema(value)) {
        schemas.set(name, value);
        lines.push(`export { ${writer.exported(name, value)} as ${name} } from ${JSON.stringify(writtenSchemas)};`);
      } else if (typeof value === 'string') lines.push(`export const ${name} = ${JSON.stringify(value)};`);
      else throw new Error(`${file} exports ${name}, which is neither a schema nor a text: move it to another module`);
    }
    modules.push({ file, schemas, text: `${lines.join('\n')}\n` });
  }
  await mkdir(dirname(writtenSchemas), { recursive: true });
  const temporary = `${writtenSchemas}.${process.pid}`;
  await writeFile(temporary, writer.text());
  await rename(temporary, writtenSchemas);
  return modules;
}

async function schemaFiles(): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob(['src/**/schema.ts', 'src/**/schema-*.ts'], { cwd: root }))
    if (file !== builders && /^import \{[^}]*\} from 'zod\/mini'/m.test(await text(file))) files.push(file);
  return files.sort();
}

function text(file: string): Promise<string> {
  return readFile(join(root, file), 'utf8');
}

async function load(file: string): Promise<Record<string, unknown>> {
  return (await import(join(root, file))) as Record<string, unknown>;
}

function isSchema(value: unknown): value is $ZodType {
  return typeof value === 'object' && value !== null && '_zod' in value;
}

/** By themselves: of every module that these files import, directly or through others, but no schema module. */
async function exportedFunctions(files: readonly string[]): Promise<Map<unknown, Exported>> {
  const found = new Map<unknown, Exported>();
  const seen = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const isOfSchemas = files.includes(file) || file === builders;
    for (const [name, value] of isOfSchemas ? [] : Object.entries(await load(file)))
      if (typeof value === 'function' && !found.has(value)) found.set(value, { file, name });
    for (const [, path = ''] of (await text(file)).matchAll(/^(?:import|\}|export).* from '(\.[^']*\.ts)';$/gm))
      await visit(relative(root, join(root, dirname(file), path)));
  };
  for (const file of files) await visit(file);
  return found;
}

interface Exported {
  readonly file: string;
  readonly name: string;
}

class Writer {
  readonly #functions: ReadonlyMap<unknown, Exported>;
  readonly #imports = new Map<string, string>();
  /** Names by what they stand for, in the order of writing. */
  readonly #names = new Map<string, string>();
  readonly #checks = new Map<$ZodType, string>();
  readonly #types = new Map<string, string>();
  readonly #exports: string[] = [];

  constructor(functions: ReadonlyMap<unknown, Exported>) {
    this.#functions = functions;
  }

  /** The name of the schema. */
  exported(name: string, schema: $ZodType): string {
    const as = `${name}${this.#exports.length}`;
    const types = asked.includes(name) ? `, () => ${this.#type(schema)}` : '';
    this.#exports.push(`export const ${as} = schema(${this.#check(schema)}${types});`);
    return as;
  }

  text(): string {
    const types = [...this.#types].map(([what, name]) => `const ${name} = () => (${what});`);
    return `${[
      `import { ${Object.keys(runtime).join(', ')} } from ${JSON.stringify(join(import.meta.dirname, 'runtime.ts'))};`,
      ...[...this.#imports].map(([key, as]) => {
        const [file = '', name = ''] = key.split('#');
        return `import { ${name} as ${as} } from ${JSON.stringify(join(root, file))};`;
      }),
      ...[...this.#names].map(([what, name]) =>
        name.startsWith('c') ? `function ${name}(value, issues) {\n${what}}` : `const ${name} = ${what};`,
      ),
      `const marked = (marks) => { const mark = {}; marks.add(mark); return mark; };`,
      ...types,
      ...this.#exports,
    ].join('\n')}\n`;
  }

  // ── what a value is judged by ──────────────────────────────────────────────────────────────────────────────────

  /** The name of the function. */
  #check(schema: $ZodType): string {
    const known = this.#checks.get(schema);
    if (known !== undefined) return known;
    const { parse, ends } = this.#parse(schema as $ZodTypes);
    const checks = checksOf(schema as $ZodTypes);
    const name =
      checks.length === 0 && parse.startsWith('same ')
        ? parse.slice('same '.length)
        : this.#named('c', this.#body(schema as $ZodTypes, { parse, ends, checks }));
    this.#checks.set(schema, name);
    return name;
  }

  /** `ends`: how to know that nothing was wrong that ends the checks. */
  #body(
    schema: $ZodTypes,
    { parse, ends, checks }: { parse: string; ends: string; checks: readonly $ZodCheck[] },
  ): string {
    const same = parse.startsWith('same ') ? `value = ${parse.slice('same '.length)}(value, issues);\n` : parse;
    if (checks.length === 0) return `${same}return value;\n`;
    const written = checks.map((check) => this.#written(check as $ZodChecks, schema));
    return `const from = issues.length;\n${same}let ok = ${ends};\n${written.join('')}return value;\n`;
  }

  /** Statements that set `value` to what it is parsed to; `same NAME`: just that function. */
  #parse(schema: $ZodTypes): { readonly parse: string; readonly ends: string } {
    const { def } = schema._zod;
    const words = this.#words(def.error);
    const nothing = 'issues.length === from';
    const unless = (condition: string, type: string): { parse: string; ends: string } => ({
      parse: `if (!(${condition})) wrongType('${type}', value, issues, ${words});\n`,
      ends: nothing,
    });
    const oneOf = (values: readonly unknown[]): { parse: string; ends: string } => {
      const [is, all] = [values.map((one) => `value === ${JSON.stringify(one)}`), JSON.stringify(values)];
      return { parse: `if (!(${is.join(' || ')})) wrongValue(${all}, value, issues, ${words});\n`, ends: nothing };
    };
    const whole = (condition: string, type: string, rest: string): { parse: string; ends: string } => ({
      parse: `if (!(${condition})) wrongType('${type}', value, issues, ${words});\nelse {\n${rest}}\n`,
      ends: '!aborted(issues, from)',
    });
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others end the build
    switch (def.type) {
      case 'string':
        return unless(`typeof value === 'string'`, 'string');
      case 'boolean':
        return unless(`typeof value === 'boolean'`, 'boolean');
      case 'number':
        return unless(`typeof value === 'number' && Number.isFinite(value)`, 'number');
      case 'unknown':
        return { parse: '', ends: nothing };
      case 'literal':
        return oneOf(def.values);
      case 'enum':
        return oneOf(Object.values(def.entries));
      case 'optional': {
        const inner = this.#check(def.innerType);
        if (isExact(schema)) return { parse: `same ${inner}`, ends: '!aborted(issues, from)' };
        return {
          parse: `if (value !== undefined) value = ${inner}(value, issues);\n`,
          ends: '!aborted(issues, from)',
        };
      }
      case 'nullable':
        return {
          parse: `if (value !== null) value = ${this.#check(def.innerType)}(value, issues);\n`,
          ends: '!aborted(issues, from)',
        };
      case 'array':
        return whole('Array.isArray(value)', 'array', `value = arrayOf(value, issues, ${this.#check(def.element)});\n`);
      case 'record': {
        if ((def.keyType as $ZodTypes)._zod.def.type !== 'string') throw notKnown('a record whose keys are no texts');
        const [key, item] = [this.#check(def.keyType), this.#check(def.valueType)];
        return whole(
          'isRecord(value)',
          'record',
          `value = recordOf(value, issues, { key: ${key}, item: ${item}, words: () => ${words} });\n`,
        );
      }
      case 'object': {
        const keys = this.#named('k', `new Set(${JSON.stringify(Object.keys(def.shape))})`);
        const rest = (def.catchall as $ZodTypes | undefined)?._zod.def.type;
        if (rest !== undefined && rest !== 'never' && rest !== 'unknown')
          throw notKnown(`other fields of type ${rest}`);
        const fields = Object.entries(def.shape).map(([key, field]) => this.#field(key, field as $ZodTypes));
        const others =
          rest === 'unknown'
            ? `otherFields(${keys}, at);\n`
            : rest === 'never'
              ? `const keys = unknownKeys(at.value, ${keys});\nif (keys.length > 0) fail(issues, { code: 'unrecognized_keys', keys }, { input: at.value, words: ${words}, goesOn: true });\n`
              : '';
        return whole(
          'isObject(value)',
          'object',
          `const at = { value, out: {}, issues };\n${fields.join('')}${others}value = at.out;\n`,
        );
      }
      case 'union': {
        if ('discriminator' in def) return this.#discriminated(schema, words);
        const options = def.options.map((option) => this.#check(option));
        if (options.length === 1) throw notKnown('a union of one');
        return {
          parse: `value = unionOf(value, issues, { options: [${options.join(', ')}], words: () => ${words} });\n`,
          ends: '!aborted(issues, from)',
        };
      }
      default:
        throw notKnown(`the type ${def.type}`);
    }
  }

  #field(key: string, field: $ZodTypes): string {
    const { optin, optout } = field._zod;
    if (key === '__proto__') throw notKnown('a field __proto__');
    if (optin === undefined) return `field(${JSON.stringify(key)}, ${this.#check(field)}, at);\n`;
    if (optin !== 'optional' || optout !== 'optional') throw notKnown(`the field ${key}, which is filled in`);
    const { def } = field._zod;
    const isPlain = def.type === 'optional' && !isExact(field) && checksOf(field).length === 0;
    return isPlain
      ? `optionalField(${JSON.stringify(key)}, ${this.#check(def.innerType)}, at);\n`
      : `exactField(${JSON.stringify(key)}, ${this.#check(field)}, at);\n`;
  }

  #discriminated(schema: $ZodTypes, words: string): { readonly parse: string; readonly ends: string } {
    const def = schema._zod.def as unknown as { discriminator: string; options: readonly $ZodTypes[] };
    const key = JSON.stringify(def.discriminator);
    const cases = def.options.flatMap((option) =>
      [...(option._zod.propValues?.[def.discriminator] ?? [])].map((value) => ({ value, option })),
    );
    if (new Set(cases.map(({ value }) => value)).size < cases.length) throw notKnown('a constant of two forms');
    const values = JSON.stringify(cases.map(({ value }) => value));
    return {
      parse: `if (!isObject(value)) fail(issues, { code: 'invalid_type', expected: 'object' }, { input: value, words: ${words} });
else switch (value[${key}]) {
${cases.map(({ value, option }) => `case ${JSON.stringify(value)}: value = ${this.#check(option)}(value, issues); break;\n`).join('')}default: fail(issues, { code: 'invalid_union', errors: [], note: 'No matching discriminator', discriminator: ${key}, options: ${values}, path: [${key}] }, { input: value, words: ${words} });
}
`,
      ends: '!aborted(issues, from)',
    };
  }

  /** Statements that go on from `ok`: nothing ended the checks yet. */
  #written(check: $ZodChecks, owner: $ZodTypes): string {
    const { def } = check._zod;
    const words = this.#words(def.error ?? owner._zod.def.error);
    const goesOn = def.abort !== true;
    const unless = (condition: string, issue: string): string =>
      `if (ok && !(${condition})) {\nfail(issues, { ${issue} }, { input: value, words: ${words}, goesOn: ${goesOn} });\nok = ${goesOn};\n}\n`;
    // Lengths are asked of whatever has one.
    const unlessLength = (condition: string, issue: string): string =>
      `if ((ok || !stopped(issues, from)) && hasLength(value) && !(${condition})) {\nfail(issues, { origin: kindOfLength(value), ${issue}, inclusive: true }, { input: value, words: ${words}, goesOn: ${goesOn} });\nok &&= ${goesOn};\n}\n`;
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others end the build
    switch (def.check) {
      case 'number_format':
        if (def.format !== 'safeint') throw notKnown(`the format ${def.format}`);
        return `if (ok && !Number.isInteger(value)) {
fail(issues, { expected: 'int', format: 'safeint', code: 'invalid_type' }, { input: value, words: ${words}, goesOn: false });
ok = false;
} else if (ok && !Number.isSafeInteger(value)) {
fail(issues, { ...(value > 0 ? { code: 'too_big', maximum: Number.MAX_SAFE_INTEGER } : { code: 'too_small', minimum: Number.MIN_SAFE_INTEGER }), note: 'Integers must be within the safe integer range.', origin: 'int', inclusive: true }, { input: value, words: ${words}, goesOn: ${goesOn} });
ok = ${goesOn};
}
`;
      case 'greater_than':
        return unless(
          `value ${def.inclusive ? '>=' : '>'} ${Number(def.value)}`,
          `origin: 'number', code: 'too_small', minimum: ${Number(def.value)}, inclusive: ${def.inclusive}`,
        );
      case 'less_than':
        return unless(
          `value ${def.inclusive ? '<=' : '<'} ${Number(def.value)}`,
          `origin: 'number', code: 'too_big', maximum: ${Number(def.value)}, inclusive: ${def.inclusive}`,
        );
      case 'min_length':
        return unlessLength(`lengthOf(value) >= ${def.minimum}`, `code: 'too_small', minimum: ${def.minimum}`);
      case 'max_length':
        return unlessLength(`lengthOf(value) <= ${def.maximum}`, `code: 'too_big', maximum: ${def.maximum}`);
      case 'string_format': {
        const { pattern } = def;
        if (def.format !== 'regex' || !pattern || pattern.global || pattern.sticky)
          throw notKnown(`the format ${def.format}`);
        const literal = this.#named('p', String(pattern));
        return `if (ok && !${literal}.test(value)) ok = noMatch(${literal}, value, issues, { words: ${words}, goesOn: ${goesOn} });\n`;
      }
      default:
        if ((def.check as string) === 'custom') return this.#custom(check, `${words}, ${goesOn}`);
        throw notKnown(`the check ${def.check}`);
    }
  }

  #custom(check: $ZodChecks, then: string): string {
    const def = check._zod.def as { fn?: unknown; when?: unknown; path?: readonly unknown[]; params?: unknown };
    if (def.fn !== undefined) {
      if (def.when !== undefined || def.params !== undefined || (def.path ?? []).length > 0)
        throw notKnown('a refinement with options');
      return `if (ok && !${this.#kept(def.fn)}(value)) ok = wrong(value, issues, ${then});\n`;
    }
    const run = `const found = issues.length;\n${this.#kept(bodyOf(check))}({ value, issues });\nif (aborted(issues, found)) ok = false;\n`;
    if (def.when === undefined) return `if (ok) {\n${run}}\n`;
    return `if (!stopped(issues, from) && ${this.#kept(def.when)}({ value, issues })) {\n${run}}\n`;
  }

  /** An expression for what says what is wrong. */
  #words(error: unknown): string {
    if (typeof error !== 'function') return 'undefined';
    // What was given as a text.
    const isText = error.length === 0 && !makings.has(error) && !this.#functions.has(error);
    const words = isText ? `() => ${JSON.stringify((error as () => string)())}` : this.#reference(error);
    return /^\w+$/.test(words) ? words : `${this.#named('w', `() => ${words}`)}()`;
  }

  /** An expression for a function or what one is made of. */
  #reference(value: unknown): string {
    if (value instanceof RegExp) return String(value);
    if (typeof value !== 'function') return JSON.stringify(value);
    const exported = this.#functions.get(value);
    if (exported) {
      const key = `${exported.file}#${exported.name}`;
      const as = this.#imports.get(key) ?? `${exported.name}_${this.#imports.size}`;
      this.#imports.set(key, as);
      return as;
    }
    const making = makings.get(value);
    if (!making) throw notKnown(`a function that nobody exports or makes: ${String(value)}`);
    return `${this.#reference(making.by)}(${making.of.map((one) => this.#reference(one)).join(', ')})`;
  }

  /** One that is made is made once. */
  #kept(value: unknown): string {
    const reference = this.#reference(value);
    return makings.has(value as object) ? this.#named('p', reference) : reference;
  }

  #named(prefix: string, what: string): string {
    const name = this.#names.get(what) ?? `${prefix}${this.#names.size}`;
    this.#names.set(what, name);
    return name;
  }

  // ── what a value is ────────────────────────────────────────────────────────────────────────────────────────────

  /** A call that gives as much of a schema as `src/config/typed.ts` asks. */
  #type(schema: $ZodType): string {
    const { def } = (schema as $ZodTypes)._zod;
    if (def.type === 'optional' || def.type === 'nullable') return this.#type(def.innerType);
    const found = markings.filter(([, set]) => def.checks?.some((check) => set.has(check)));
    const checks = found.map(([name]) => {
      const file = 'src/config/schema-checks.ts';
      const as = this.#imports.get(`${file}#${name}`) ?? name;
      this.#imports.set(`${file}#${name}`, as);
      return `marked(${as})`;
    });
    const inner =
      def.type === 'object'
        ? `, shape: { ${Object.entries(def.shape)
            .map(([key, field]) => `${JSON.stringify(key)}: ${this.#type(field)}`)
            .join(', ')} }`
        : def.type === 'array'
          ? `, element: ${this.#type(def.element)}`
          : def.type === 'record'
            ? `, valueType: ${this.#type(def.valueType)}`
            : def.type === 'union'
              ? `, options: [${def.options.map((option) => this.#type(option)).join(', ')}]`
              : '';
    const what = `{ _zod: { def: { type: '${def.type}'${inner}, checks: [${checks.join(', ')}] } } }`;
    const name = this.#types.get(what) ?? `t${this.#types.size}`;
    this.#types.set(what, name);
    return `${name}()`;
  }
}

/** A schema may be a check of itself, as whole numbers are. What only describes or marks is left out. */
function checksOf(schema: $ZodTypes): readonly $ZodCheck[] {
  const own = schema._zod.traits.has('$ZodCheck') ? [schema as unknown as $ZodCheck] : [];
  return [...own, ...(schema._zod.def.checks ?? [])].filter(
    (check) => check._zod.def.check !== 'describe' && bodyOf(check) !== marks,
  );
}

function isExact(schema: $ZodTypes): boolean {
  return schema._zod.traits.has('$ZodExactOptional');
}

function bodyOf({ _zod }: $ZodCheck): unknown {
  return (_zod as { readonly check: unknown }).check;
}

function notKnown(what: string): Error {
  return new Error(`schemas cannot be written down: ${what} is not known to tools/schemas`);
}
