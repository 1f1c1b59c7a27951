import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { orAborted, untilAborted, withDeadline } from './deadline.ts';
import { createVirtualClock } from './memory/clock.ts';

const stopped = new NodekilnError('NK_INTERRUPTED', 'stopped');

/** Until the signal fires; then it throws the reason, or something of its own. */
const obeying =
  (own?: Error) =>
  (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(own ?? (signal.reason as Error)), { once: true }),
    );

describe('work with a deadline', () => {
  it('is done in time, and leaves nothing behind', async () => {
    const clock = createVirtualClock();
    const outer = new AbortController();
    const options = { clock, ms: 1000, about: 'it', signal: outer.signal };
    assert.equal(await withDeadline(options, () => clock.sleep(10).then(() => 'done')), 'done');
    assert.equal(getEventListeners(outer.signal, 'abort').length, 0);
  });

  it('is a timeout when it is not, with its own error as the cause', async () => {
    const clock = createVirtualClock();
    const startMs = clock.monotonic();
    const own = new Error('torn away');
    const late = { code: 'NK_TIMEOUT', message: 'it was not done within 1000 ms' };
    await assert.rejects(withDeadline({ clock, ms: 1000, about: 'it' }, obeying()), late);
    assert.equal(clock.monotonic() - startMs, 1000);
    await assert.rejects(withDeadline({ clock, ms: 1000, about: 'it' }, obeying(own)), { ...late, cause: own });
  });

  it('ends with the outer signal, for its reason', async () => {
    const clock = createVirtualClock();
    const outer = new AbortController();
    clock.after(10, () => outer.abort(stopped));
    await assert.rejects(withDeadline({ clock, ms: 1000, about: 'it', signal: outer.signal }, obeying()), stopped);
    await assert.rejects(
      withDeadline({ clock, ms: undefined, about: 'it', signal: outer.signal }, async (signal) =>
        signal.throwIfAborted(),
      ),
      stopped,
    );
  });
});

describe('work that hears no signal', () => {
  const deaf = new Promise<never>(() => undefined);

  it('is left so long after it', async () => {
    const clock = createVirtualClock();
    const startMs = clock.monotonic();
    const abort = new AbortController();
    clock.after(100, () => abort.abort());
    await assert.rejects(untilAborted({ clock, signal: abort.signal, graceMs: 500 }, deaf), { code: 'NK_INTERRUPTED' });
    assert.equal(clock.monotonic() - startMs, 600);
    await assert.rejects(untilAborted({ clock, signal: abort.signal, graceMs: 500 }, deaf), { code: 'NK_INTERRUPTED' });
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  });

  it('has that time to end by itself', async () => {
    const clock = createVirtualClock();
    const abort = new AbortController();
    clock.after(100, () => abort.abort());
    const work = clock.sleep(400).then(() => 'done');
    assert.equal(await untilAborted({ clock, signal: abort.signal, graceMs: 500 }, work), 'done');
  });

  it('is left at once where it changes nothing', async () => {
    const abort = new AbortController();
    const waiting = orAborted(abort.signal, deaf);
    abort.abort(stopped);
    await assert.rejects(waiting, stopped);
    await assert.rejects(orAborted(abort.signal, deaf), stopped);
    assert.equal(await orAborted(undefined, Promise.resolve('done')), 'done');
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  });
});
