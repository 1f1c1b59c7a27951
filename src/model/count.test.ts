import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count } from './count.ts';

for (const [number, noun, plural, text] of [
  [0, 'resource', undefined, '0 resources'],
  [1, 'resource', undefined, '1 resource'],
  [2, 'resource', undefined, '2 resources'],
  [1000, 'step', undefined, '1000 steps'],
  [0, 'binary', 'binaries', '0 binaries'],
  [1, 'binary', 'binaries', '1 binary'],
  [2, 'binary', 'binaries', '2 binaries'],
] as const)
  test(`is said: ${text}`, () => assert.equal(count(number, noun, plural), text));
