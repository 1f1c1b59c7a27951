import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inThisStart, type Moment } from './since.ts';

const hour = 3_600_000;
const now: Moment = { atMs: 100 * hour, uptime: { bootId: 'this', ms: 10 * hour } };
const agoMs = (since: Parameters<typeof inThisStart>[0]): number => now.uptime.ms - inThisStart(since, now).uptime.ms;

describe('a moment that was kept', () => {
  it('is as long ago as the machine ran since then, whatever the time of day was set to', () => {
    for (const atMs of [now.atMs, 0, 200 * hour])
      assert.equal(agoMs({ atMs, uptime: { bootId: 'this', ms: 9 * hour } }), hour);
  });

  it('of another start of the machine, or of an older nodekiln, is told by the time of day, and not to come', () => {
    for (const uptime of [undefined, { bootId: 'another', ms: 50 * hour }]) {
      assert.equal(agoMs({ atMs: 98 * hour, uptime }), 2 * hour);
      assert.equal(agoMs({ atMs: 101 * hour, uptime }), 0);
      const kept = inThisStart({ atMs: 101 * hour, uptime }, now);
      assert.deepEqual(inThisStart(kept, { atMs: 500 * hour, uptime: { bootId: 'this', ms: 11 * hour } }), kept);
    }
  });
});
