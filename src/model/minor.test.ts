import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareMinors, isMinorOfVersion, minorOf, newestMinor } from './minor.ts';

for (const [text, minor] of [
  ['1.34', '1.34'],
  ['v1.34.3', '1.34'],
  ['1.30+', '1.30'],
  [' 1.31.0-rc.1 \n', '1.31'],
  ['1.031.2', '1.31'],
  ['v1.30.1+k3s1', '1.30'],
  ['12.345', '12.345'],
  ['1.123456789', '1.123456789'],
] as const) {
  test(`${JSON.stringify(text)} is ${minor}`, () => {
    assert.equal(minorOf(text), minor);
    assert.equal(isMinorOfVersion(text), true);
  });
}

for (const text of ['', '1', 'one.two', 'v1', '1.1234567890', '1234567890.1', '1.1w', 'v', '1..2']) {
  test(`${JSON.stringify(text)} has no major and minor number`, () => {
    assert.throws(() => minorOf(text), { code: 'NK_VERSION_INVALID' });
    assert.equal(isMinorOfVersion(text), false);
  });
}

test('minors compare as numbers', () => {
  assert.ok(compareMinors('1.9', '1.10') < 0);
  assert.ok(compareMinors('2.0', '1.99') > 0);
  assert.ok(compareMinors('1.10', '1.9') > 0);
  assert.equal(compareMinors('1.34', '1.34'), 0);
  assert.equal(newestMinor(['1.9', '1.31', '1.4']), '1.31');
  assert.equal(newestMinor([]), undefined);
});
