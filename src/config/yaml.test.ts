import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { formatProblem } from './invalid.ts';
import { parseText } from './load.ts';
import { positionsOf } from './positions.ts';
import { mostTokens, parseYaml } from './yaml.ts';

async function refused(text: string): Promise<NodekilnError> {
  try {
    await parseYaml('a.yaml', text);
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError);
    assert.equal(thrown.code, 'NK_DOCUMENT_SYNTAX');
    return thrown;
  }
  return assert.fail('it was taken');
}

/** Each text, and what is said of it: never a part of it. */
const malformed: readonly (readonly [text: string, ...problems: readonly string[]])[] = [
  ['a:\n\tb: 1\n', 'a.yaml:2:1: a tab is used for indentation; use spaces'],
  ['a: 1\na: 2\n', 'a.yaml:2:1: this key stands a second time in its map'],
  ['a: !secret x\n', 'a.yaml:1:4: this tag is not known'],
  ['a: 1\n---\nb: 2\n', 'a.yaml:2:1: a second document begins here; one file holds one document'],
  ['a: 1\n--- !secret x\n', 'a.yaml:2:1: a second document begins here; one file holds one document'],
  [
    'a: 1\na: 2\n---\n',
    'a.yaml:2:1: this key stands a second time in its map',
    'a.yaml:3:1: a second document begins here; one file holds one document',
  ],
  [
    '{"a":1}\n{"b":"hunter2"}\n',
    'a.yaml:2:1: what stands before this is complete: nothing may follow here; one file holds one document',
  ],
  [
    '[all]\nhunter2\n',
    'a.yaml:2:1: what stands before this is complete: nothing may follow here; one file holds one document',
  ],
  ['a: hunter2: b\n', 'a.yaml:1:4: Nested mappings are not allowed in compact mappings'],
  ['a: "hunter2\n', 'a.yaml:2:1: Missing closing "quote'],
  ['a: [hunter2\n', 'a.yaml:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ['b: {<<: hunter2}\n', 'a.yaml:1:5: `<<` takes a map, or a list of maps'],
  ['a: &a [1]\nb:\n  x: 1\n  <<: *a\n', 'a.yaml:4:3: `<<` takes a map, or a list of maps'],
  ['a: &a {x: 1}\nb: {<<: *a, <<: *a}\n', 'a.yaml:2:13: this key stands a second time in its map'],
  ['a: *hunter\n', 'a.yaml:1:1: Unresolved alias (the anchor must be set before the alias)'],
];

for (const [text, ...problems] of malformed) {
  test(`refused: ${JSON.stringify(text)}`, async () => {
    const error = await refused(text);
    assert.deepEqual(error.problems.map(formatProblem), problems);
    const [first] = error.problems;
    assert.equal(error.message, `a.yaml is not well-formed: ${first?.message}`);
    assert.deepEqual(error.place, first?.place);
  });
}

/** So many lines have more words and marks than are read. */
const enough = mostTokens / 2 + 1;
for (const [what, line] of [
  ['a list', '- 1\n'],
  ['a map', 'k: v\n'],
  ['lists in a list', '- [1,2,3]\n'],
  ['remarks', '# x\n'],
  ['texts', '- |\n  x\n'],
  ['the keys of a list', '- {a: 1}\n'],
] as const)
  test(`is too long for YAML: ${what} without end`, async () => {
    const endless = line.repeat(enough);
    const error = await refused(endless);
    assert.match(error.message, /^a\.yaml is too long for YAML: here it has more than 800000 words and marks$/);
    assert.match(error.hint ?? '', /JSON/);
    const at = error.place?.line ?? 0;
    assert.ok(at > 1000 && at < endless.split('\n').length, `${at}`);
  });

test('a long text of few words is read', async () => {
  const { value } = await parseYaml('a', `a: |\n${`  ${'word '.repeat(800)}\n`.repeat(1000)}`);
  assert.equal((value as { a: string }).a.length, 4_001_000);
});

test('nothing, and nothing but a remark, is no value', async () => {
  for (const text of ['', '\n', '# a\n']) {
    const { value, root } = await parseYaml('a', text);
    assert.equal(value, null);
    assert.deepEqual(positionsOf(text, root).locate(['a'], 'value'), { line: 1, column: 1 });
  }
});

test('values are those of YAML 1.2, and a warning of the parser is a problem', async () => {
  const { value } = await parseYaml('a', 'a: yes\nb: 010\nc: 0x10\nd: ~\n1: [x, {y: z}]\n');
  assert.deepEqual(value, { a: 'yes', b: 10, c: 16, d: null, 1: ['x', { y: 'z' }] });
});

/** Texts with merge keys, and what they say. */
for (const [text, value] of [
  ['a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n', { a: { x: 1, y: 2 }, b: { x: 1, y: 3 } }],
  ['a: &a {x: 1}\nb: {x: 3, <<: *a}\n', { a: { x: 1 }, b: { x: 3 } }],
  ['a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n', { a: { x: 1 }, b: { x: 2, y: 2 }, c: { x: 1, y: 2 } }],
  ['a: {<<: {x: 1}, y: 2}\n', { a: { x: 1, y: 2 } }],
  [
    'a: &a {x: {y: 1}}\nb: &b {<<: *a}\nc: {<<: *b, z: 1}\n',
    { a: { x: { y: 1 } }, b: { x: { y: 1 } }, c: { x: { y: 1 }, z: 1 } },
  ],
  ['a: {"<<": 1}\n', { a: { '<<': 1 } }],
  ['a: [<<]\n', { a: ['<<'] }],
] as const)
  test(`merged: ${JSON.stringify(text)}`, async () => {
    assert.deepEqual((await parseYaml('a', text)).value, value);
  });

test('what is merged stands where it was written, and what is said itself at its own place', async () => {
  const merged = 'a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n';
  const { root } = await parseYaml('a', merged);
  const positions = positionsOf(merged, root);
  assert.deepEqual(
    [positions.locate(['b', 'x'], 'value'), positions.locate(['b', 'y'], 'value')],
    [
      { line: 2, column: 6 },
      { line: 6, column: 6 },
    ],
  );
});

const text = 'a: &x\n  b: [1, 2]\nc: *x\n? d\n: 3\n7: e\nf:\n';

for (const [path, target, line, column] of [
  [[], 'value', 1, 1],
  [['a'], 'key', 1, 1],
  [['a', 'b'], 'key', 2, 3],
  [['a', 'b'], 'value', 2, 6],
  [['a', 'b', 1], 'value', 2, 10],
  [['a', 'b', 1], 'key', 2, 10],
  // An alias stands at its own place, what is in it where it is written.
  [['c'], 'value', 3, 4],
  [['c'], 'key', 3, 1],
  [['c', 'b'], 'value', 2, 6],
  [['d'], 'key', 4, 3],
  [['d'], 'value', 5, 3],
  [['7'], 'key', 6, 1],
  [['7'], 'value', 6, 4],
  [['f'], 'key', 7, 1],
] as const) {
  test(`${JSON.stringify(path)} as ${target} stands at ${line}:${column}`, async () => {
    const { root } = await parseYaml('a', text);
    assert.deepEqual(positionsOf(text, root).locate(path, target), { line, column });
  });
}

test('a hundred aliases are fine, thousands of one another are not', async () => {
  await parseYaml('a', `a: &x [1]\nb: [${Array.from({ length: 90 }, () => '*x').join(', ')}]\n`);
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x,x]',
    'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]',
    'c: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]',
  ];
  assert.deepEqual((await refused(bomb.join('\n'))).problems.map(formatProblem), [
    'a.yaml:1:1: Excessive alias count indicates a resource exhaustion attack',
  ]);
});

describe('a document that is made to be hard to read', () => {
  const deep = (open: string, close: string, depth: number): string => `${open.repeat(depth)}1${close.repeat(depth)}`;
  const cases: Record<string, { text: string; message: RegExp }> = {
    'lists in JSON': { text: deep('[', ']', 100_000), message: /more than 200 deep$/ },
    'maps in JSON': { text: deep('{"a":', '}', 100_000), message: /more than 200 deep$/ },
    'lists in YAML': { text: deep('[', ' ]', 20_000).replace('1', 'a'), message: /more than 200 deep$/ },
    'blocks in YAML': {
      text: Array.from({ length: 400 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join(''),
      message: /more than 200 deep$/,
    },
    'a map that holds itself': { text: 'a: &x\n  b: *x\n', message: /this alias refers to what it stands in itself$/ },
    'a list that holds itself': { text: '&x [ *x ]\n', message: /this alias refers to what it stands in itself$/ },
    'maps that hold each other': {
      text: 'a: &x\n  b: &y\n    c: *x\n',
      message: /this alias refers to what it stands in itself$/,
    },
  };
  for (const [name, { text, message }] of Object.entries(cases))
    it(`(${name}) is refused, with its place`, async () => {
      await assert.rejects(parseText({ file: 'x.yaml', text }), (thrown) => {
        assert.ok(thrown instanceof NodekilnError, String(thrown));
        assert.equal(thrown.code, 'NK_DOCUMENT_SYNTAX');
        assert.match(thrown.message, message);
        assert.equal(thrown.place?.file, 'x.yaml');
        return true;
      });
    });

  it('takes time in proportion to its length: ten times as many keys are no hundred times as long', async () => {
    const took = async (keys: number): Promise<number> => {
      const text = Array.from({ length: keys }, (_, index) => `key${index}: value\n`).join('');
      const { user } = process.cpuUsage();
      await parseText({ file: 'x.yaml', text });
      return process.cpuUsage().user - user;
    };
    await took(2000);
    const [few, many] = [await took(4000), await took(40_000)];
    assert.ok(many < few * 40, `${few} µs, ${many} µs`);
  });
});
