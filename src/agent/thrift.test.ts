import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createThrift } from './thrift.ts';

interface Work {
  /** Milliseconds from the start of one to the start of the next. */
  readonly everyMs: number;
  readonly takesMs: number;
  readonly times: number;
}

/** What the program is told, with the time, when reconciliations come like this, one kind after the other. */
function told(works: readonly Work[]): string[] {
  const said: string[] = [];
  let nowMs = 0;
  const thrift = createThrift(
    { saveMemory: (yes) => void said.push(`${yes ? 'save' : 'spend'} ${nowMs}`) },
    { monotonic: () => nowMs },
  );
  let beganMs = 0;
  for (const { everyMs, takesMs, times } of works)
    for (let count = 0; count < times; count++) {
      nowMs = beganMs + takesMs;
      thrift.worked(beganMs);
      beganMs += everyMs;
    }
  return said;
}

const calm: Work = { everyMs: 2000, takesMs: 100, times: 500 };
const many: Work = { everyMs: 100, takesMs: 20, times: 500 };
const restless: Work = { everyMs: 100, takesMs: 80, times: 100 };

describe('an agent that saves memory', () => {
  it('does not for changes that come with pauses', () => assert.deepEqual(told([calm]), []));
  it('does not for many small ones', () => assert.deepEqual(told([many]), []));
  it('does not for what a start brings at once', () => assert.deepEqual(told([{ ...restless, times: 30 }]), []));
  it('does while they follow one another, until there was a pause', () =>
    assert.deepEqual(told([restless, calm]), ['save 3180', 'spend 14100']));
  it('does for one that takes long', () =>
    assert.deepEqual(told([{ everyMs: 60_000, takesMs: 30_000, times: 1 }, calm]), ['save 30000', 'spend 60100']));
  it('does again', () =>
    assert.deepEqual(told([restless, { ...calm, times: 5 }, restless]), ['save 3180', 'spend 14100', 'save 23180']));
});
