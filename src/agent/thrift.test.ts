import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createThrift } from './thrift.ts';

/** What the program is told, with the time, when reconciliations end at these times. */
function told(endsMs: readonly number[]): string[] {
  const said: string[] = [];
  let nowMs = 0;
  const thrift = createThrift(
    { saveMemory: (yes) => void said.push(`${yes ? 'save' : 'spend'} ${nowMs}`) },
    { monotonic: () => nowMs },
  );
  for (const endMs of endsMs) {
    nowMs = endMs;
    thrift.worked();
  }
  return said;
}

const every = (stepMs: number, count: number, fromMs = 0): number[] =>
  Array.from({ length: count }, (_, index) => fromMs + index * stepMs);

describe('an agent that saves memory', () => {
  it('does not for changes that come with pauses', () => assert.deepEqual(told(every(2000, 500)), []));
  it('does not for the few that a start brings at once', () => assert.deepEqual(told(every(10, 20)), []));
  it('does while they follow one another', () => assert.deepEqual(told(every(100, 300)), ['save 2000']));
  it('no longer once there was a pause', () =>
    assert.deepEqual(told([...every(100, 300), ...every(2000, 10, 60_000)]), ['save 2000', 'spend 60000']));
  it('does again', () =>
    assert.deepEqual(told([...every(100, 30), 60_000, ...every(100, 30, 90_000)]), [
      'save 2000',
      'spend 60000',
      'save 92000',
    ]));
});
