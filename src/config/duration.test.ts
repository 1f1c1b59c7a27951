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
    '2562047h': 9_223_369_200_000,
    '153722867m': 9_223_372_020_000,
    '9223372036s': 9_223_372_036_000,
    '9223372036854ms': 9_223_372_036_854,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDuration(text), ms, text);
});

test('what is not a duration', () => {
  const endless = ['h', 'm', 's', 'ms'].map((unit) => `${'9'.repeat(320)}${unit}`);
  for (const text of ['', '5', '5 m', '-5s', '1.5h', '5m1h', 'm', '5d', '5s\n', '99999999h', ...endless]) {
    assert.ok(!durationPattern.test(text), JSON.stringify(text));
    assert.throws(() => parseDuration(text), RangeError);
  }
});

test('the longest is an exact number, which JSON keeps', () => {
  const ms = parseDuration('9999999h999999999m9999999999s9999999999999ms');
  assert.ok(Number.isSafeInteger(ms));
  assert.equal(JSON.parse(JSON.stringify(ms)), ms);
});
