/** One run of the engine: what is held, in which order, and what is given back whatever happens. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import { NodekilnError } from '../errors.ts';
import type { DesiredState, FileResource, Resource, ResourceId } from '../model/resources.ts';
import { generationsFolder } from '../model/state-paths.ts';
import { runWith, withHostLock, withHostState, type Ended, type RunRequest } from './run.ts';

function file(path: string): FileResource {
  return {
    kind: 'file',
    id: `file:${path}`,
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    path,
    entry: { type: 'file', content: { text: 'x' }, mode: '0644', uid: 0, gid: 0 },
  };
}

function desired(...resources: readonly Resource[]): DesiredState {
  return {
    resources: new Map<ResourceId, Resource>(resources.map((each) => [each.id, each])),
    goal: undefined,
    warnings: [],
  };
}

async function isFree(machine: MemoryMachine): Promise<boolean> {
  try {
    (await machine.open().locks.take('/var/lib/nodekiln', { waitMs: 0 })).release();
    return true;
  } catch {
    return false;
  }
}

type Request = Partial<RunRequest<Ended>>;

function run(host: Host, request: Request): Promise<Ended> {
  return withHostState(host, { waitMs: 0 }, (state) =>
    runWith(state, {
      source: 'boot',
      artifactBase: '/',
      ask: async () => ({ desired: desired(file('/etc/a')) }),
      publish: async (ended) => ended,
      ...request,
    }),
  );
}

describe('a run', () => {
  it('asks, prepares, applies and publishes with the lock held, in that order, and gives the lock back', async () => {
    const machine = createMemoryMachine();
    const order: string[] = [];
    const note = async (what: string): Promise<void> => {
      assert.equal(await isFree(machine), false, what);
      order.push(what);
    };
    const ended = await run(machine.open(), {
      ask: async () => {
        await note('ask');
        return { desired: desired(file('/etc/a')) };
      },
      onPrepared: () => note('prepared'),
      onEvent: ({ type }) => order.push(type),
      span: async (name, work) => {
        order.push(name);
        return work();
      },
      publish: async (result) => {
        await note('publish');
        return result;
      },
    });
    assert.deepEqual(order, ['ask', 'observe and plan', 'prepared', 'start', 'end', 'publish']);
    assert.equal(ended.type === 'applied' && ended.result.outcome, 'converged');
    assert.equal(await isFree(machine), true);
    assert.ok(await machine.files.stat('/etc/a'));
  });

  it('publishes once what stopped it, and throws only what publishing throws', async () => {
    const machine = createMemoryMachine();
    const wrong = new NodekilnError('NK_DOCUMENT_INVALID', 'it is wrong');
    const needy: FileResource = { ...file('/etc/a'), needs: ['file:/etc/nowhere'] };
    for (const [ask, code] of [
      [() => Promise.reject(wrong), 'NK_DOCUMENT_INVALID'],
      [async () => ({ desired: desired(needy) }), 'NK_DOCUMENT_INVALID'],
      [() => Promise.reject(new TypeError('a defect')), 'NK_INTERNAL'],
    ] as const) {
      let published = 0;
      const ended = await run(machine.open(), {
        ask,
        publish: async (result) => {
          published += 1;
          return result;
        },
      });
      assert.equal(ended.type === 'stopped' && ended.error.code, code);
      assert.equal(published, 1);
    }
    const refuse = (): never => {
      throw new NodekilnError('NK_INTERRUPTED', 'not wanted');
    };
    await run(machine.open(), { onPrepared: refuse });
    assert.deepEqual(await machine.files.list(generationsFolder), [], 'what was drafted goes');
    await assert.rejects(run(machine.open(), { publish: () => Promise.reject(wrong) }), wrong);
    assert.equal(await isFree(machine), true);
    assert.equal(await machine.files.stat('/etc/a').then((found) => found?.type), 'file');
  });

  it('is stopped by its budget, as a timeout', async () => {
    const machine = createMemoryMachine();
    machine.program('long', () => ({ durationMs: 50_000 }));
    const action: Resource = {
      kind: 'action',
      id: 'action:long',
      scope: 'node',
      deferrable: false,
      importance: 'required',
      needs: [],
      argv: ['long'],
      guard: { type: 'path', path: '/run/never' },
      timeoutMs: 60_000,
    };
    const startMs = machine.clock.monotonic();
    const ask = async (): Promise<{ desired: DesiredState; budgetMs: number }> => ({
      desired: desired(action),
      budgetMs: 3000,
    });
    const ended = await run(machine.open(), { ask });
    assert.equal(ended.type === 'stopped' && ended.error.code, 'NK_TIMEOUT');
    assert.equal(machine.clock.monotonic() - startMs, 3000);
    assert.equal(await isFree(machine), true);
  });
});

describe('a run that is asked to stop', () => {
  const action = (name: string): Resource => ({
    kind: 'action',
    id: `action:${name}`,
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    argv: [name],
    guard: { type: 'path', path: `/run/${name}` },
    timeoutMs: 60_000,
  });

  it('leaves to itself what hears nothing, where its process ends then', async () => {
    const machine = createMemoryMachine();
    const { clock } = machine;
    machine.program('deaf', async () => {
      await clock.sleep(30_000);
      return {};
    });
    const startMs = clock.monotonic();
    const result = await run(machine.open(), {
      leaveAfterMs: 500,
      ask: async () => ({ desired: desired(action('deaf')), budgetMs: 1000 }),
    });
    assert.equal(result.type === 'stopped' && result.error.code, 'NK_TIMEOUT');
    assert.equal(clock.monotonic() - startMs, 1500);
  });
});

describe('the host lock', () => {
  it('is waited for while other work goes on, until the signal', async () => {
    const machine = createMemoryMachine();
    const held = await machine.open().locks.take('/var/lib/nodekiln', { waitMs: 0 });
    const { clock } = machine;
    const startMs = clock.monotonic();
    const abort = new AbortController();
    const others: number[] = [];
    for (const ms of [100, 200]) clock.after(ms, () => others.push(clock.monotonic() - startMs));
    clock.after(300, () => abort.abort(new NodekilnError('NK_INTERRUPTED', 'stopped')));
    const waiting = withHostLock(machine.open(), { waitMs: 60_000, signal: abort.signal }, async () => 'had');
    await assert.rejects(waiting, { code: 'NK_INTERRUPTED' });
    assert.deepEqual(others, [100, 200]);
    assert.ok(clock.monotonic() - startMs < 400);
    held.release();
    assert.equal(await withHostLock(machine.open(), { waitMs: 0 }, async () => 'had'), 'had');
  });

  it('is given back when the work throws, and when the journal cannot be opened', async () => {
    const machine = createMemoryMachine();
    const defect = new Error('a defect');
    await assert.rejects(
      withHostState(machine.open(), { waitMs: 0 }, () => Promise.reject(defect)),
      defect,
    );
    assert.equal(await isFree(machine), true);
    const full = Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    const other = createMemoryMachine();
    other.breakEffect('commit to /var/lib/nodekiln/state.db', full);
    await assert.rejects(
      withHostState(other.open(), { waitMs: 0 }, async () => 'had'),
      { code: 'NK_STATE_UNUSABLE' },
    );
    assert.equal(await isFree(other), true);
  });
});
