import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationPattern, parseDuration } from './duration.ts';

test('durations in milliseconds', () => {
  const table = {
    '500ms': 500,
    '90s': 90_000,
    '5m': 300_000,
    '1h30m': 5_400_000,
    '1m1ms': 60_001,
    '0s': 0,
    '2h5s': 7_205_000,
    '10h20m30s40ms': 37_230_040,
    '100s200ms': 100_200,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDuration(text), ms, text);
});

test('what is not a duration', () => {
  for (const text of ['', '5', '5 m', '-5s', '1.5h', '5m1h', 'm', '5d', '5s\n']) {
    assert.ok(!durationPattern.test(text), JSON.stringify(text));
    assert.throws(() => parseDuration(text), RangeError);
  }
});
