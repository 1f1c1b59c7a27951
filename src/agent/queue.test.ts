import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createVirtualClock } from '../host/memory/clock.ts';
import { createQueue } from './queue.ts';

interface Entry {
  readonly key: string;
  readonly reasons: readonly string[];
  readonly atMs: number;
}

/** A queue whose work takes `workMs`, and what it was given, until the clock has reached `untilMs`. */
async function observed(
  { workMs, untilMs }: { workMs: number; untilMs: number },
  play: (queue: ReturnType<typeof createQueue<string>>, clock: ReturnType<typeof createVirtualClock>) => void,
): Promise<{ worked: Entry[]; most: number }> {
  const clock = createVirtualClock();
  const startMs = clock.monotonic();
  const abort = new AbortController();
  const worked: Entry[] = [];
  const atOnce = new Map<string, number>();
  let most = 0;
  const queue = createQueue<string>({
    clock,
    signal: abort.signal,
    work: async (key, reasons) => {
      worked.push({ key, reasons, atMs: clock.monotonic() - startMs });
      atOnce.set(key, (atOnce.get(key) ?? 0) + 1);
      most = Math.max(most, atOnce.get(key) ?? 0);
      await clock.sleep(workMs);
      atOnce.set(key, (atOnce.get(key) ?? 0) - 1);
    },
  });
  play(queue, clock);
  clock.after(untilMs, () => abort.abort());
  await queue.ended;
  return { worked, most };
}

describe('the queue', () => {
  it('works at once on what is added, and once on what is added meanwhile', async () => {
    const { worked, most } = await observed({ workMs: 10, untilMs: 100 }, (queue, clock) => {
      queue.add('a', 'start');
      clock.after(2, () => queue.add('a', 'change'));
      clock.after(4, () => queue.add('a', 'change'));
      clock.after(5, () => queue.add('a', 'retry'));
    });
    assert.deepEqual(worked, [
      { key: 'a', reasons: ['start'], atMs: 0 },
      { key: 'a', reasons: ['change', 'retry'], atMs: 10 },
    ]);
    assert.equal(most, 1, 'never twice at once');
  });

  it('works on different keys beside each other', async () => {
    const { worked } = await observed({ workMs: 10, untilMs: 100 }, (queue) => {
      queue.add('a', 'start');
      queue.add('b', 'start');
    });
    assert.deepEqual(
      worked.map(({ key, atMs }) => [key, atMs]),
      [
        ['a', 0],
        ['b', 0],
      ],
    );
  });

  it('keeps one appointment of a key, which earlier work takes the place of', async () => {
    const { worked } = await observed({ workMs: 1, untilMs: 500 }, (queue, clock) => {
      queue.addLater('a', 50, 'retry');
      queue.addLater('a', 80, 'retry');
      queue.addLater('b', 200, 'retry');
      clock.after(100, () => queue.add('b', 'change'));
    });
    assert.deepEqual(worked, [
      { key: 'a', reasons: ['retry'], atMs: 80 },
      { key: 'b', reasons: ['change'], atMs: 100 },
    ]);
  });

  it('begins nothing after the signal, and ends when what runs has ended', async () => {
    const clock = createVirtualClock();
    const startMs = clock.monotonic();
    const abort = new AbortController();
    const worked: string[] = [];
    const queue = createQueue<string>({
      clock,
      signal: abort.signal,
      work: async (key) => {
        worked.push(key);
        await clock.sleep(30);
      },
    });
    queue.add('a', 'start');
    queue.addLater('b', 20, 'retry');
    clock.after(10, () => {
      abort.abort();
      queue.add('a', 'change');
      queue.addLater('c', 1, 'change');
    });
    await queue.ended;
    assert.equal(clock.monotonic() - startMs, 30);
    assert.deepEqual(worked, ['a']);
  });
});
