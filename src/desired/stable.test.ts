import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeMaps, stable, stableJson } from './stable.ts';

test('maps are sorted all the way down, lists keep their order, null and undefined mean absent', () => {
  const value = { b: [{ z: 1, y: null }, 2, null], a: undefined, B: { d: { f: 1, e: 2 } } };
  assert.equal(JSON.stringify(stable(value)), '{"B":{"d":{"e":2,"f":1}},"b":[{"z":1},2,null]}');
  for (const scalar of ['a', 0, false, null]) assert.equal(stable(scalar), scalar);
});

test('text is indented by two, with a newline at its end', () => {
  assert.equal(stableJson({ b: 1, a: [] }), '{\n  "a": [],\n  "b": 1\n}\n');
});

test('maps merge, lists and scalars replace, and neither map is changed', () => {
  const base = { a: { x: 1, y: 1 }, list: [1, 2], map: { a: 1 }, scalar: 1 };
  const over = { a: { y: 2, z: null }, list: [3], map: 'text', scalar: { b: 2 }, more: [] };
  const before = JSON.stringify([base, over]);
  assert.deepEqual(mergeMaps(base, over), {
    a: { x: 1, y: 2, z: null },
    list: [3],
    map: 'text',
    scalar: { b: 2 },
    more: [],
  });
  assert.equal(JSON.stringify([base, over]), before);
  assert.deepEqual(mergeMaps({ a: [1] }, { a: { b: 1 } }), { a: { b: 1 } });
  assert.deepEqual(mergeMaps({ a: { b: 1 } }, { a: null }), { a: null });
});
