import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { createGate } from './parallel.ts';

test('a gate lets so many in at a time, in order, also when some fail', async () => {
  const gate = createGate(2);
  let inside = 0;
  const most: number[] = [];
  const begun: number[] = [];
  const settled = await Promise.allSettled(
    Array.from({ length: 9 }, (_none, index) =>
      gate(async () => {
        begun.push(index);
        most.push((inside += 1));
        await setImmediate();
        inside -= 1;
        if (index % 3 === 0) throw new Error('failed');
        return index;
      }),
    ),
  );
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(Math.max(...most), 2);
  assert.deepEqual(
    settled.map(({ status }) => status === 'fulfilled'),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((index) => index % 3 !== 0),
  );
});
