import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressInWords, alternatives, editDistance, inWords, named, nearest } from './words.ts';

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

test('says of an address where it leads, and nothing that may be secret', () => {
  const more = 'with more that may be secret (not shown)';
  for (const [address, words] of [
    ['https://user:hunter2@example.org/a', `the string "https://example.org/a" ${more}`],
    ['//user:hunter2@example.org:5000/a', `the string "//example.org:5000/a" ${more}`],
    ['user:hunter2@example.org', `the string "example.org/" ${more}`],
    ['https://example.org/a?sig=hunter2', `the string "https://example.org/a?…" ${more}`],
    ['https://user:p/hunter2@example.org', 'a string that may hold a password (not shown)'],
    ['https://example.org/a', 'the string "https://example.org/a"'],
    ['', 'an empty string'],
  ] as const)
    assert.deepEqual([inWords(address), addressInWords(address)], [words, words]);
  // Known to be an address.
  assert.equal(addressInWords('hunter2@example.org'), `the string "example.org/" ${more}`);
  assert.equal(addressInWords(5000), 'the number 5000');
  assert.equal(named('https://user:hunter2@example.org'), 'what may be secret (not shown)');
  assert.equal(named('/etc/motd'), '"/etc/motd"');
});
