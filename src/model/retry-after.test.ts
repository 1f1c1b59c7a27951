import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { retryAfterMs } from './retry-after.ts';

describe('retryAfterMs', () => {
  it('reads seconds and dates and ignores the rest', () => {
    const now = Date.UTC(2026, 0, 1);
    assert.deepEqual(
      ['120', 'Thu, 01 Jan 2026 00:00:05 GMT', 'Wed, 31 Dec 2025 00:00:00 GMT', 'soon', undefined].map((header) =>
        retryAfterMs(header, now),
      ),
      [120_000, 5_000, 0, undefined, undefined],
    );
  });
});
