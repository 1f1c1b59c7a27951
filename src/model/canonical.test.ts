import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from './canonical.ts';

test('keys are in one order all the way down, lists in their own, and undefined is absent', () => {
  const value = { b: [{ d: 1, c: null }, 2], a: undefined, B: { z: true, y: 'x' } };
  assert.equal(canonicalJson(value), '{"B":{"y":"x","z":true},"b":[{"c":null,"d":1},2]}');
  assert.equal(canonicalJson({ a: 1, c: 3, b: 2 }), canonicalJson({ c: 3, b: 2, a: 1 }));
});

test('scalars and lists are themselves', () => {
  for (const value of ['a', 1, true, null, [], [3, 1, 2], {}])
    assert.equal(canonicalJson(value), JSON.stringify(value));
});
