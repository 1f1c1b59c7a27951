import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDuration } from '../../config/duration.ts';
import { createLinuxClock } from './clock.ts';
import { createLinuxExec } from './exec.ts';
import { longestTimerMs, timerMs } from './timers.ts';

describe('a time that is longer than a timer can last', () => {
  for (const text of ['597h', '600h', '1193h', '1200h', '87600h', '2562047h'])
    it(`(${text}) is not over at once`, async () => {
      const ms = parseDuration(text);
      assert.ok(timerMs(ms) <= longestTimerMs && timerMs(ms) > 2_000_000_000, `${timerMs(ms)}`);
      const stop = new AbortController();
      const ended = createLinuxClock()
        .sleep(ms, stop.signal)
        .then(
          () => 'slept',
          () => 'interrupted',
        );
      assert.equal(
        await Promise.race([
          ended,
          createLinuxClock()
            .sleep(30)
            .then(() => 'still'),
        ]),
        'still',
      );
      stop.abort();
      assert.equal(await ended, 'interrupted');
      const { status } = await createLinuxExec().run(['sleep', '0.05'], { timeoutMs: ms });
      assert.equal(status, 0);
    });

  it('is at least a millisecond for one timer', () => {
    assert.deepEqual([timerMs(-5), timerMs(0.2), timerMs(7.1)], [1, 1, 8]);
  });
});
