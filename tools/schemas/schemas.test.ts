/**
 * The written schemas beside zod's: for each document the same result, to the order of keys, and the same issues in the same
 * order. And only who prints JSON Schemas has zod.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { $ZodType } from 'zod/v4/core';
import { createChance } from '../../test/support/chance.ts';
import { hasCredentials, inside, isAddress, isSecret, isSecretMap, known, type Known } from '../../src/config/typed.ts';
import { buildBundle } from '../build.ts';
import { Documents } from './documents.ts';
import { writeSchemas, writtenSchemas } from './write.ts';

/** Whole documents; what else hosts read is smaller. */
const kinds = {
  AgentConfig: ['src/config/schema-agent.ts', 'agentConfig'],
  ImageManifest: ['src/config/schema-image.ts', 'imageManifest'],
  Inventory: ['src/config/schema-inventory.ts', 'inventoryDocument'],
  NodeAgentConfiguration: ['src/documents/kinds/schema-node-agent.ts', 'nodeAgentConfigurationSchema'],
  NodeConfig: ['src/config/schema-node.ts', 'nodeConfigDocument'],
  OperatingSystemConfig: ['src/documents/kinds/operating-system-config/schema.ts', 'operatingSystemConfigSchema'],
} as const;
const perKind = 10_000;
const perPart = 1000;

interface Parsing {
  safeParse(value: unknown): { success: boolean; data?: unknown; error?: { issues: readonly unknown[] } };
}

process.env['NODEKILN_SEED'] ??= '1134';
const modules = await writeSchemas();
const written = (await import(pathToFileURL(writtenSchemas).href)) as Record<string, Parsing>;
const zods = modules.flatMap(({ file, schemas, text }) =>
  [...schemas].map(([name, zod]) => {
    const as = new RegExp(`export \\{ (\\S+) as ${name} \\}`).exec(text)?.[1] ?? '';
    return { file, name, zod, plain: written[as] };
  }),
);

for (const [kind, [file, name]] of Object.entries(kinds))
  test(`${perKind} documents like ${kind} are judged as by zod`, (t) => {
    const right = compare(t, { file, name }, perKind);
    assert.ok(right > perKind / 10, `only ${right} of them were right`);
  });

test(`${perPart} documents like each of the others are judged as by zod`, async (t) => {
  const others = zods.filter(
    (one) => !Object.values(kinds).some(([file, name]) => one.file === file && one.name === name),
  );
  assert.ok(others.length > 30, `only ${others.length}`);
  for (const { file, name } of others)
    await t.test(`${file} ${name}`, (inner) => {
      assert.ok(compare(inner, { file, name }, perPart) > perPart / 20);
    });
});

for (const name of ['nodeSpec', 'nodeConfigDocument'])
  test(`what is secret in a ${name} is known as with zod`, () => {
    const found = zods.find((one) => one.name === name);
    assert.ok(found?.plain);
    const told = meanings(known(found.plain as unknown as $ZodType), known(found.zod));
    for (const meaning of ['secret', 'address', 'secret map', 'credentials'])
      assert.ok(
        told.some((line) => line.endsWith(` ${meaning}`)),
        `there is no ${meaning}`,
      );
  });

test('zod is in the program for JSON Schemas alone', async () => {
  await buildBundle();
  const { inputs } = JSON.parse(await readFile(new URL('../../dist/nodekiln.meta.json', import.meta.url), 'utf8')) as {
    inputs: Record<string, { imports: { path: string }[] }>;
  };
  const isZod = (path: string): boolean => /node_modules\/zod|^original:/.test(path);
  const users = (isIt: (path: string) => boolean): string[] =>
    Object.keys(inputs).filter((path) => !isIt(path) && inputs[path]?.imports.some((used) => isIt(used.path)));
  assert.deepEqual(users(isZod), ['src/config/json-schema.ts']);
  assert.deepEqual(
    users((path) => path === 'src/config/json-schema.ts'),
    ['src/cli/schema.ts'],
  );
  assert.ok('dist/schemas.mjs' in inputs);
});

/** What the places below are, a line for each; by both alike. */
function meanings(plain: Known, zod: Known, path = ''): readonly string[] {
  const is = { secret: isSecret, address: isAddress, 'secret map': isSecretMap, credentials: hasCredentials };
  const told = (of: Known): string[] =>
    Object.entries(is).flatMap(([meaning, ask]) => (ask(of) ? [`${path} ${meaning}`] : []));
  assert.deepEqual(told(plain), told(zod), path);
  const keys = zod.flatMap(({ _zod: { def } }): readonly (string | number)[] =>
    def.type === 'object'
      ? Object.keys(def.shape)
      : def.type === 'array'
        ? [0]
        : def.type === 'record'
          ? ['any', 'password']
          : [],
  );
  // What is below credentials is as they are, without end.
  const below = /\.(?:any|password)$/.test(path) && hasCredentials(zod) ? [] : keys;
  return [...told(plain), ...below.flatMap((key) => meanings(inside(plain, key), inside(zod, key), `${path}.${key}`))];
}

/** How many zod took. */
function compare(
  t: { diagnostic(message: string): void },
  { file, name }: { file: string; name: string },
  count: number,
): number {
  const found = zods.find((one) => one.file === file && one.name === name);
  assert.ok(found?.plain, `${file} has no ${name}`);
  const zod = found.zod as $ZodType & Parsing;
  const documents = new Documents(
    createChance(t),
    zods.map((one) => one.zod),
  );
  let right = 0;
  for (let i = 0; i < count; i++) {
    const document = documents.like(zod);
    const judged = i % 3 === 0 ? document : documents.spoil(document);
    const wanted: ReturnType<Parsing['safeParse']> = zod.safeParse(judged);
    if (wanted.success) right++;
    const plain: string = shown(found.plain.safeParse(judged));
    const byZod: string = shown(wanted);
    if (plain !== byZod)
      assert.equal(plain, byZod, `the ${i}th document like ${name}: ${shown(judged).slice(0, 2000)}`);
  }
  return right;
}

/** With everything that tells values apart; keys of issues in the order of their names. */
function shown(value: unknown): string {
  return JSON.stringify(
    value instanceof Object && 'error' in value ? resultOf(value) : value,
    (_key, inner: unknown) => {
      if (inner === undefined) return '(undefined)';
      if (typeof inner === 'number' && !Number.isFinite(inner)) return `(${inner})`;
      if (!(inner instanceof Object) || Array.isArray(inner) || !('code' in inner && 'message' in inner)) return inner;
      return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
    },
  );
}

function resultOf(result: { readonly error?: unknown }): unknown {
  const { success, data, error } = result as ReturnType<Parsing['safeParse']>;
  return { success, data, issues: error?.issues };
}
