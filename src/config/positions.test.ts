import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { scanJson } from './positions-json.ts';
import { lineStarts, positionAt, positionsOf } from './positions.ts';

test('lines and columns count from one', () => {
  const text = 'ab\n\ncd\n';
  const starts = lineStarts(text);
  assert.deepEqual(starts, [0, 3, 4, 7]);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 6, 7].map((offset) => positionAt(starts, offset)),
    [
      { line: 1, column: 1 },
      { line: 1, column: 2 },
      { line: 1, column: 3 },
      { line: 2, column: 1 },
      { line: 3, column: 1 },
      { line: 3, column: 3 },
      { line: 4, column: 1 },
    ],
  );
  assert.deepEqual(lineStarts(''), [0]);
});

test('every offset is found in its line', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', '\n', 'é'), { maxLength: 40 }), fc.nat(40), (characters, at) => {
      const text = characters.join('');
      const offset = Math.min(at, text.length);
      const before = text.slice(0, offset).split('\n');
      assert.deepEqual(positionAt(lineStarts(text), offset), {
        line: before.length,
        column: (before.at(-1) ?? '').length + 1,
      });
    }),
  );
});

const text = `{
  "a": [1, {"b\\"c": "x"}, true],
  "d" : -1.5e3,
  "e": {}, "f": [], "g": null
}`;
const positions = positionsOf(text, scanJson(text).root);

for (const [path, target, line, column] of [
  [[], 'value', 1, 1],
  [['a'], 'key', 2, 3],
  [['a'], 'value', 2, 8],
  [['a', 0], 'value', 2, 9],
  [['a', 0], 'key', 2, 9],
  [['a', 1], 'value', 2, 12],
  [['a', 1, 'b"c'], 'key', 2, 13],
  [['a', 1, 'b"c'], 'value', 2, 21],
  [['a', 2], 'value', 2, 27],
  [['d'], 'value', 3, 9],
  [['e'], 'value', 4, 8],
  [['f'], 'key', 4, 12],
  [['g'], 'value', 4, 26],
  // What is missing is reported at what lacks it.
  [['e', 'missing'], 'value', 4, 3],
  [['a', 7], 'value', 2, 3],
  [['a', 1, 'z', 'y'], 'value', 2, 12],
  [['missing'], 'value', 1, 1],
] as const) {
  test(`${JSON.stringify(path)} as ${target} stands at ${line}:${column}`, () => {
    assert.deepEqual(positions.locate(path, target), { line, column });
  });
}

test('keys that stand twice are found', () => {
  const twice = '{"a": 1, "b": [{"c": 1, "c": 2}], "a": 3, "a": 4}';
  assert.deepEqual(scanJson(twice).duplicates, [
    { path: ['b', 0, 'c'], offset: twice.indexOf('"c": 2') },
    { path: ['a'], offset: twice.indexOf('"a": 3') },
    { path: ['a'], offset: twice.indexOf('"a": 4') },
  ]);
  assert.deepEqual(scanJson('{"a": {"b": 1}, "b": 2}').duplicates, []);
});

test('every value of any JSON is found where it stands', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, 4), (value, indent) => {
      const json = JSON.stringify(value, undefined, indent);
      const lines = json.split('\n');
      const found = positionsOf(json, scanJson(json).root);
      const visit = (inner: unknown, path: (string | number)[]): void => {
        const { line, column } = found.locate(path, 'value');
        const [first] = JSON.stringify(inner);
        assert.equal(lines[line - 1]?.[column - 1], first, path.join());
        if (Array.isArray(inner)) for (const [index, item] of inner.entries()) visit(item, [...path, index]);
        else if (typeof inner === 'object' && inner !== null)
          for (const [key, item] of Object.entries(inner)) visit(item, [...path, key]);
      };
      visit(value, []);
    }),
  );
});
