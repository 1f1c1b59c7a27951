/** When controllers are asked to look, on a machine in memory whose hours pass in milliseconds. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import type { Clock } from '../host/port.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { KubeApiError } from '../kube/error.ts';
import type { Controller, Input, ReconcileContext, Reconciled } from './controller.ts';
import { runControllers, runOnce } from './runtime.ts';

const done: Reconciled = { outcome: 'done' };
const failed: Reconciled = { outcome: 'failed', error: new NodekilnError('NK_UNIT_FAILED', 'it failed') };

/** An input that is told of changes by hand. */
function handInput(name = 'hand'): Input & { change(): void } {
  let wake: (() => void) | undefined;
  let changed = false;
  return {
    name,
    change() {
      changed = true;
      wake?.();
    },
    async *watch(signal) {
      const stop = (): void => wake?.();
      signal.addEventListener('abort', stop);
      while (!signal.aborted) {
        if (!changed) await new Promise<void>((resolve) => (wake = resolve));
        if (changed) yield;
        changed = false;
      }
      signal.removeEventListener('abort', stop);
    },
  };
}

interface Asked {
  readonly atMs: number;
  readonly reasons: readonly string[];
}

interface Play {
  readonly reconcile: (context: ReconcileContext, turn: number, clock: Clock) => Promise<Reconciled> | Reconciled;
  readonly untilMs: number;
  readonly about?: Partial<Controller>;
  readonly at?: Readonly<Record<number, () => void>>;
  readonly random?: number;
}

interface Played {
  readonly asked: readonly Asked[];
  readonly troubles: readonly NodekilnError[];
  readonly endedMs: number;
  readonly exposition: string;
  readonly listeners: readonly number[];
}

/** One controller, stopped at `untilMs`; what it was asked and when, on the machine's clock. */
async function play({ reconcile, untilMs, about = {}, at = {}, random = 0 }: Play): Promise<Played> {
  const machine = createMemoryMachine();
  const { clock } = machine;
  const startMs = clock.monotonic();
  const abort = new AbortController();
  const asked: Asked[] = [];
  const troubles: NodekilnError[] = [];
  const listeners: number[] = [];
  const metrics = createMetrics();
  for (const [ms, work] of Object.entries(at)) clock.after(Number(ms), work);
  clock.after(untilMs, () => abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped by the test')));
  await runControllers({
    host: machine.open(),
    signal: abort.signal,
    metrics,
    random: () => random,
    onTrouble: (_controller, error) => troubles.push(error),
    controllers: [
      {
        name: 'tested',
        inputs: [],
        outputs: ['something'],
        resyncMs: 60_000,
        deadlineMs: 1_000_000,
        reconcile: async (context) => {
          asked.push({ atMs: clock.monotonic() - startMs, reasons: context.reasons });
          listeners.push(getEventListeners(abort.signal, 'abort').length);
          return reconcile(context, asked.length, clock);
        },
        ...about,
      },
    ],
  });
  const endedMs = clock.monotonic() - startMs;
  return { asked, troubles, endedMs, exposition: metrics.exposition(), listeners };
}

const times = ({ asked }: Played): number[] => asked.map(({ atMs }) => atMs);

describe('the runtime of controllers', () => {
  it('again when it is due after it found nothing changed, and not at once', async () => {
    const { asked } = await play({
      reconcile: () => ({ outcome: 'unchanged' }),
      untilMs: 50_000,
      about: { resyncMs: 10_000 },
    });
    assert.deepEqual(
      asked.map(({ atMs }) => Math.round(atMs / 1000)),
      [0, 10, 20, 30, 40],
    );
  });

  it('asks at the start, and again so long after a success', async () => {
    const played = await play({ reconcile: () => done, untilMs: 150_000 });
    assert.deepEqual(played.asked, [
      { atMs: 0, reasons: ['start'] },
      { atMs: 60_000, reasons: ['resync'] },
      { atMs: 120_000, reasons: ['resync'] },
    ]);
    assert.match(played.exposition, /^nodekiln_reconciliations_total\{controller="tested",outcome="done"\} 3$/m);
  });

  it('tries again after a failure, less and less often, up to once a minute', async () => {
    const played = await play({ reconcile: () => failed, untilMs: 200_000 });
    assert.deepEqual(times(played), [0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000]);
    assert.deepEqual(played.asked[1]?.reasons, ['retry']);
    assert.match(played.exposition, /^nodekiln_reconciliation_failures\{controller="tested"\} 9$/m);
  });

  it('leaves an API server alone for as long as that asks, and not in step with others', async () => {
    const busy = (seconds: number): Reconciled => ({
      outcome: 'failed',
      error: new KubeApiError({
        where: 'https://api',
        method: 'GET',
        path: '/',
        status: 429,
        retryAfterMs: seconds * 1000,
      }),
    });
    const played = await play({
      reconcile: (_context, turn) => busy(turn === 1 ? 30 : 0),
      untilMs: 40_000,
      random: 0.4,
    });
    assert.deepEqual(times(played), [0, 33_000, 35_200, 39_600]);
    const endless = await play({ reconcile: () => busy(1e6), untilMs: 400_000 });
    assert.deepEqual(times(endless), [0, 300_000]);
  });

  it('begins anew with its patience after a success', async () => {
    const played = await play({ reconcile: (_context, turn) => (turn === 4 ? done : failed), untilMs: 70_000 });
    assert.deepEqual(times(played), [0, 1000, 3000, 7000, 67_000, 68_000]);
  });

  it('asks at once when an input changes, and begins anew with its patience', async () => {
    const input = handInput();
    const played = await play({
      reconcile: () => failed,
      about: { inputs: [input] },
      at: { 8000: () => input.change() },
      untilMs: 12_000,
    });
    assert.deepEqual(times(played), [0, 1000, 3000, 7000, 8000, 9000, 11_000]);
    assert.deepEqual(played.asked[4]?.reasons, ['change']);
  });

  it('asks once for all that changed while it was busy', async () => {
    const input = handInput();
    const change = (): void => input.change();
    const played = await play({
      reconcile: async (_context, turn, clock) => {
        if (turn === 2) await clock.sleep(1000);
        return done;
      },
      about: { inputs: [input] },
      at: { 100: change, 300: change, 500: change, 700: change },
      untilMs: 50_000,
    });
    assert.deepEqual(played.asked, [
      { atMs: 0, reasons: ['start'] },
      { atMs: 100, reasons: ['change'] },
      { atMs: 1100, reasons: ['change'] },
    ]);
  });

  it('leaves what is due where it is when a change says nothing new', async () => {
    const input = handInput();
    const played = await play({
      reconcile: ({ reasons }) => (reasons.includes('change') ? { outcome: 'unchanged' } : failed),
      about: { inputs: [input] },
      at: { 3500: () => input.change(), 4000: () => input.change() },
      untilMs: 16_000,
    });
    assert.deepEqual(times(played), [0, 1000, 3000, 3500, 4000, 7000, 15_000]);
  });

  it('looks at what becomes due while a change says nothing new', async () => {
    const input = handInput();
    const played = await play({
      reconcile: async ({ reasons }, turn, clock) => {
        if (!reasons.includes('change')) return turn === 1 ? { outcome: 'postponed', waitMs: 3000 } : done;
        await clock.sleep(500);
        return { outcome: 'unchanged' };
      },
      about: { inputs: [input] },
      at: { 2900: () => input.change() },
      untilMs: 10_000,
    });
    assert.deepEqual(
      played.asked.map(({ atMs, reasons }) => [atMs, ...reasons]),
      [
        [0, 'start'],
        [2900, 'change'],
        [3400, 'retry'],
      ],
    );
  });

  it('watches anew what could not be watched, and looks', async () => {
    let begun = 0;
    const input: Input = {
      name: 'broken',
      // oxlint-disable-next-line require-yield
      async *watch() {
        begun += 1;
        throw new NodekilnError('NK_UNSUPPORTED', 'no watches are left');
      },
    };
    const played = await play({ reconcile: () => done, about: { inputs: [input] }, untilMs: 8000 });
    assert.equal(begun, 4);
    assert.deepEqual(times(played), [0, 1000, 3000, 7000]);
    assert.equal(played.troubles[0]?.code, 'NK_UNSUPPORTED');
  });

  it('takes what a controller throws for a failure, and says it', async () => {
    const played = await play({
      reconcile: (_context, turn) => {
        if (turn === 1) throw new Error('a defect');
        return done;
      },
      untilMs: 2000,
    });
    assert.deepEqual(times(played), [0, 1000]);
    assert.deepEqual(
      played.troubles.map(({ code, message }) => [code, message]),
      [['NK_INTERNAL', 'a defect']],
    );
  });

  it('says a trouble once, until it is another or is over', async () => {
    const failing = (about: string): Reconciled => ({
      outcome: 'failed',
      error: new NodekilnError('NK_SOURCE_UNAVAILABLE', about),
    });
    const turns = [failing('one'), failing('one'), failing('two'), failing('two')];
    const reconcile = (_context: unknown, turn: number): Reconciled => turns[turn - 1] ?? { outcome: 'done' };
    const played = await play({ reconcile, untilMs: 16_000 });
    assert.deepEqual(
      played.troubles.map(({ message }) => message),
      ['one', 'two'],
    );
    assert.deepEqual((await play({ reconcile, about: { reportsItself: true }, untilMs: 16_000 })).troubles, []);
  });

  it('comes back to what was postponed when its turn is', async () => {
    const played = await play({
      reconcile: (_context, turn) => (turn === 1 ? { outcome: 'postponed', waitMs: 5000 } : { outcome: 'done' }),
      untilMs: 6000,
    });
    assert.deepEqual(times(played), [0, 5000]);
  });

  it('interrupts what takes longer than it may, with a timeout', async () => {
    const reasons: unknown[] = [];
    const played = await play({
      reconcile: async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        reasons.push(signal.reason);
        return { outcome: 'failed', error: signal.reason as NodekilnError };
      },
      about: { deadlineMs: 5000 },
      untilMs: 7000,
    });
    assert.deepEqual(times(played), [0, 6000]);
    assert.deepEqual(
      reasons.map((reason) => reason instanceof NodekilnError && reason.code),
      ['NK_TIMEOUT', 'NK_INTERRUPTED'],
    );
  });

  it('ends half a second after it was told to, even when a controller hears nothing', async () => {
    const played = await play({ reconcile: () => new Promise(() => undefined), untilMs: 3000 });
    assert.equal(played.endedMs, 3500);
  });

  it('ends at once when nothing runs', async () => {
    const input = handInput();
    const played = await play({ reconcile: () => done, about: { inputs: [input] }, untilMs: 3000 });
    assert.equal(played.endedMs, 3000);
  });

  it('leaves no listener behind, however often it waits', async () => {
    const input = handInput();
    const { listeners } = await play({
      reconcile: (_context, turn) => (turn % 2 === 0 ? done : failed),
      about: { inputs: [input] },
      at: Object.fromEntries(Array.from({ length: 50 }, (_, index) => [index * 500, () => input.change()])),
      untilMs: 600_000,
    });
    assert.ok(listeners.length > 50);
    assert.equal(listeners.at(-1), listeners[1]);
  });

  it('refuses two controllers of one name, and two that write the same', async () => {
    const controller = (name: string, outputs: string[]): Controller => ({
      name,
      inputs: [],
      outputs,
      resyncMs: 1,
      deadlineMs: 1,
      reconcile: async () => done,
    });
    const run = (...controllers: Controller[]): Promise<void> =>
      runControllers({
        host: createMemoryMachine().open(),
        signal: AbortSignal.abort(),
        metrics: createMetrics(),
        controllers,
      });
    await assert.rejects(run(controller('a', []), controller('a', [])), { code: 'NK_INTERNAL' });
    await assert.rejects(run(controller('a', ['file:/x']), controller('b', ['file:/x'])), {
      code: 'NK_INTERNAL',
      message: 'b and a both write file:/x',
    });
    await run(controller('a', ['file:/x']), controller('b', ['file:/y']));
  });

  it('once, throws what the controller failed with', async () => {
    const host = createMemoryMachine().open();
    const options = () => ({ host, signal: new AbortController().signal, metrics: createMetrics() });
    const controller = (reconciled: Reconciled): Controller => ({
      name: 'a',
      inputs: [],
      outputs: [],
      resyncMs: 1,
      deadlineMs: 1000,
      reconcile: async () => reconciled,
    });
    await runOnce(options(), controller(done));
    await assert.rejects(runOnce(options(), controller(failed)), { code: 'NK_UNIT_FAILED' });
  });
});
