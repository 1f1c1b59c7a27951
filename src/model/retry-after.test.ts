import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { retryAfterMs } from './retry-after.ts';

const now = Date.UTC(2026, 0, 1);

describe('retryAfterMs', () => {
  it('reads seconds and dates and ignores the rest', () => {
    assert.deepEqual(
      ['120', 'Thu, 01 Jan 2026 00:00:05 GMT', 'Wed, 31 Dec 2025 00:00:00 GMT', 'soon'].map((header) =>
        retryAfterMs({ 'retry-after': header }, now),
      ),
      [120_000, 5_000, 0, undefined],
    );
    assert.equal(retryAfterMs({}, now), undefined);
  });

  it('counts a date from the server’s own time', () => {
    const headers = { 'retry-after': 'Thu, 01 Jan 2026 01:00:05 GMT', date: 'Thu, 01 Jan 2026 01:00:00 GMT' };
    assert.equal(retryAfterMs(headers, now), 5_000);
    assert.equal(retryAfterMs({ ...headers, date: 'now' }, now), 3_605_000);
  });
});
