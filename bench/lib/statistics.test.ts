import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { quantile, ratioOfMedians, summarize } from './statistics.ts';

describe('statistics', () => {
  it('takes quantiles between neighbours, whatever the order', () => {
    assert.equal(quantile([3, 1, 2], 0.5), 2);
    assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
    assert.equal(quantile([10, 20], 0.9), 19);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });

  it('summarizes', () => {
    const values = Array.from({ length: 11 }, (_, index) => index);
    assert.deepEqual(summarize(values), { n: 11, median: 5, p10: 1, p90: 9, min: 0, max: 10 });
  });

  it('puts the ratio of medians into its interval, and is sure where the numbers are', () => {
    const spread = ratioOfMedians([11, 12, 13, 12, 11, 14], [10, 9, 11, 10, 12, 10]);
    assert.ok(spread.low < spread.ratio && spread.ratio < spread.high);
    assert.equal(spread.ratio, 12 / 10);
    assert.deepEqual(ratioOfMedians([20, 20, 20], [10, 10, 10]), { ratio: 2, low: 2, high: 2 });
    assert.deepEqual(ratioOfMedians([11, 12, 13], [9, 10, 11]), ratioOfMedians([11, 12, 13], [9, 10, 11]));
  });
});
