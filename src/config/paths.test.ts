import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forbiddenKey, formatPath, isMap, valueAt, type Path } from './paths.ts';

for (const [path, text] of [
  [[], ''],
  [['spec'], 'spec'],
  [['spec', 'files', 2, 'mode'], 'spec.files[2].mode'],
  [['spec', 'labels', 'example.org/zone'], 'spec.labels["example.org/zone"]'],
  [['a-b', '_c', 'D9'], 'a-b._c.D9'],
  [['9a'], '["9a"]'],
  [['say "x"'], '["say \\"x\\""]'],
  [['-a', ''], '["-a"][""]'],
  [[0, 'a'], '[0].a'],
  [['spec', 'https://user:hunter2@example.org', 'a'], 'spec[…].a'],
  [['user:hunter2@example.org'], '[…]'],
] as const satisfies readonly (readonly [Path, string])[]) {
  test(`${JSON.stringify(path)} is written ${text || 'as nothing'}`, () => {
    assert.equal(formatPath(path), text);
  });
}

test('values are found along their own keys only', () => {
  const tree = { a: [{ b: 1 }, null], c: 'text' };
  assert.equal(valueAt(tree, ['a', 0, 'b']), 1);
  assert.equal(valueAt(tree, ['a', 1]), null);
  assert.equal(valueAt(tree, []), tree);
  for (const path of [['a', 2], ['a', '0'], ['a', 'length'], ['constructor'], ['c', 'length'], ['c', 0], ['a', 1, 'b']])
    assert.equal(valueAt(tree, path), undefined, String(path));
});

test('maps are objects that are no lists', () => {
  assert.ok(isMap({}));
  for (const value of [null, [], 'a', 1, undefined, true]) assert.ok(!isMap(value));
});

test('a key that would reach the prototype is found wherever it stands', () => {
  const hidden: unknown = JSON.parse('{"a": [1, {"b": {"__proto__": {"x": 1}}}]}');
  assert.deepEqual(forbiddenKey(hidden), ['a', 1, 'b', '__proto__']);
  assert.deepEqual(forbiddenKey(JSON.parse('[{}, {"__proto__": 1}]')), [1, '__proto__']);
  for (const fine of [{ a: [{ b: 'c' }] }, [], {}, null, '__proto__', { proto: 1 }, [['__proto__']]])
    assert.equal(forbiddenKey(fine), undefined);
});
