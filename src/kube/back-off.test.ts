import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createVirtualClock } from '../host/memory/clock.ts';
import { createBackOff } from './back-off.ts';

const { signal } = new AbortController();

async function pauses(random: number, asked: readonly (number | 'reset' | undefined)[]): Promise<number[]> {
  const clock = createVirtualClock();
  const backOff = createBackOff({ clock, random: () => random, firstMs: 100, longestMs: 350 });
  const waited: number[] = [];
  for (const ask of asked) {
    if (ask === 'reset') {
      backOff.reset();
      continue;
    }
    const before = clock.monotonic();
    await backOff.wait(ask, signal);
    waited.push(clock.monotonic() - before);
  }
  return waited;
}

describe('back-off', () => {
  it('doubles to its longest, spread over the upper half, and begins anew', async () => {
    assert.deepEqual(
      await pauses(0, [undefined, undefined, undefined, undefined, 'reset', undefined]),
      [50, 100, 175, 175, 50],
    );
    assert.deepEqual(await pauses(0.5, [undefined, undefined, undefined]), [75, 150, 262.5]);
  });

  it('waits as long as it is asked to, up to a quarter more, but not for ever', async () => {
    assert.deepEqual(await pauses(0, [1000, 10, 1e12]), [1000, 100, 300_000]);
    assert.deepEqual(await pauses(0.5, [1000]), [1125]);
  });

  it('is interrupted', async () => {
    const clock = createVirtualClock();
    await assert.rejects(createBackOff({ clock }).wait(1000, AbortSignal.abort()), { code: 'NK_INTERRUPTED' });
    assert.equal(clock.monotonic(), createVirtualClock().monotonic());
  });
});
