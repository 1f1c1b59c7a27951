import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { alternatives, editDistance, inWords, nearest } from './words.ts';

test('distances of known words', () => {
  assert.equal(editDistance('lables', 'labels'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('', 'abc'), 3);
});

test('distance is symmetric, zero only for equal words, and at most the longer word', () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance, editDistance(b, a));
      assert.equal(distance === 0, a === b);
      assert.ok(distance <= Math.max(a.length, b.length));
    }),
  );
});

test('suggests only what is near', () => {
  assert.equal(nearest('modle', ['mode', 'module', 'owner']), 'mode');
  assert.equal(nearest('initrd', ['modules', 'sysctls']), undefined);
});

test('says values in words and cuts long ones', () => {
  assert.equal(inWords(420), 'the number 420');
  assert.equal(inWords(null), 'empty (null)');
  assert.equal(inWords('x'.repeat(100)), `the string "${'x'.repeat(40)}…"`);
  assert.equal(alternatives(['a', 'b', 'c']), 'a, b or c');
});
