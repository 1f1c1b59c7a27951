import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { createGate, inParallel } from './parallel.ts';

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
  assert.equal(inside, 0);
  // What was let out makes room for what comes later.
  assert.deepEqual(await Promise.all([gate(async () => 'a'), gate(async () => 'b'), gate(async () => 'c')]), [
    'a',
    'b',
    'c',
  ]);
  assert.ok(most.filter((count) => count === 2).length >= 7);
  assert.deepEqual(
    settled.map(({ status }) => status === 'fulfilled'),
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((index) => index % 3 !== 0),
  );
});

test('items are worked on so many at a time, and the results are in their order', async () => {
  let inside = 0;
  let most = 0;
  const results = await inParallel([30, 10, 20, 0], 2, async (item, index) => {
    most = Math.max(most, (inside += 1));
    for (let turn = 0; turn < item; turn += 1) await setImmediate();
    inside -= 1;
    return `${index}:${item}`;
  });
  assert.deepEqual(results, ['0:30', '1:10', '2:20', '3:0']);
  assert.equal(most, 2);
  assert.deepEqual(await inParallel([], 3, () => assert.fail('there is nothing to do')), []);
  assert.deepEqual(await inParallel([1], 3, (item) => Promise.resolve(item + 1)), [2]);
});

test('after a failure nothing more begins, and what had begun is waited for', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const failing = inParallel([0, 1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    if (item === 0) throw new Error('the first one');
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    ended.push(item);
    if (item === 1) throw new Error('the second one');
  });
  await assert.rejects(failing, { message: 'the first one' });
  assert.deepEqual(begun, [0, 1]);
  assert.deepEqual(ended, [1]);
});
