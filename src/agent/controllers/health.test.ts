/** An agent that looks after containerd, kubelet and the units of its documents, on a machine in memory. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  playAgent,
  playPool,
  poolKey,
  secretOf,
  type PlayedAgent,
  type PlayOptions,
} from '../../../test/support/cluster-agent.ts';
import { createMemoryNode, healthz, nodeDocument, textFile } from '../../../test/support/memory-node.ts';
import type { NodeCondition } from '../cluster.ts';

let agent: PlayedAgent;
afterEach(() => agent.stop());

async function play(options: PlayOptions = {}, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
  agent = await playPool(secretOf({ '10-node.json': nodeDocument(spec) }), options);
  await agent.pass(3000);
}

const invocation = async (unit: string): Promise<string> => (await agent.machine.units.get(unit)).invocationId;
const notices = (): string[] =>
  agent.events.flatMap(({ event }) => (event.type === 'notice' ? [event.notice.reason] : []));

describe('kubelet', () => {
  /** Answers 500 instead of what kubelet answers. */
  const sicken = (): (() => void) => agent.machine.serve(healthz, () => ({ status: 500, body: 'no' }));

  it('that answers anything but 200 for a minute is restarted, and it is said (X12)', async () => {
    await play();
    const before = await invocation('kubelet.service');
    sicken();
    await agent.pass(50_000);
    assert.equal(await invocation('kubelet.service'), before);
    await agent.pass(40_000);
    assert.notEqual(await invocation('kubelet.service'), before);
    await agent.pass(20_000);
    assert.deepEqual(
      notices(),
      ['ComponentUnhealthy', 'ComponentRestart', 'ComponentHealthy'].slice(0, notices().length),
    );
    assert.ok(notices().includes('ComponentRestart'));
    assert.ok(agent.cluster.told.some((what) => what === 'create events/default'));
  });

  it('that comes back by itself is left alone', async () => {
    await play();
    const before = await invocation('kubelet.service');
    const heal = sicken();
    await agent.pass(40_000);
    heal();
    agent.machine.serve(healthz, () => ({ body: 'ok' }));
    await agent.pass(120_000);
    assert.equal(await invocation('kubelet.service'), before);
    assert.deepEqual(notices(), ['ComponentUnhealthy', 'ComponentHealthy']);
  });

  const nodeSays = (addresses: readonly object[], ready = 'True'): void => {
    const own = agent.cluster.get('nodes/node-1') ?? assert.fail();
    const status = { ...(own['status'] as object), addresses, conditions: [{ type: 'Ready', status: ready }] };
    agent.cluster.put('nodes/node-1', { ...own, status });
  };
  const address = { type: 'InternalIP', address: '10.0.0.1' };

  it('whose Node has lost its addresses for a minute is restarted, and never for not being Ready', async () => {
    await play();
    const before = await invocation('kubelet.service');
    nodeSays([{ type: 'Hostname', address: 'node-1' }]);
    await agent.pass(180_000);
    assert.equal(await invocation('kubelet.service'), before, 'it never had any');
    nodeSays([address]);
    await agent.pass(20_000);
    nodeSays([], 'False');
    await agent.pass(30_000);
    nodeSays([address], 'False');
    await agent.pass(300_000);
    assert.equal(await invocation('kubelet.service'), before, 'they came back in time');
    nodeSays([]);
    await agent.pass(100_000);
    assert.notEqual(await invocation('kubelet.service'), before);
    assert.match(JSON.stringify(agent.events), /its Node has lost its addresses/);
  });

  it('whose Node flaps is said, and left alone', async () => {
    await play();
    const before = await invocation('kubelet.service');
    for (let turn = 0; turn < 12; turn++) {
      nodeSays([address], turn % 2 === 0 ? 'True' : 'False');
      await agent.pass(20_000);
    }
    assert.deepEqual(notices(), ['NodeFlapping']);
    assert.equal(await invocation('kubelet.service'), before);
  });

  it('is not restarted for ever', async () => {
    const machine = await createMemoryNode();
    await play({ machine, spec: { health: { maxRestarts: 2 } } });
    machine.units.behave('kubelet.service', { startMs: 200 });
    sicken();
    const seen = new Set<string>();
    for (let minute = 0; minute < 40; minute++) {
      await agent.pass(60_000);
      seen.add(await invocation('kubelet.service'));
    }
    assert.ok(seen.size <= 4, `${seen.size} starts`);
    assert.equal(notices().filter((reason) => reason === 'ComponentGivenUp').length, 1);
  });
});

describe('containerd', () => {
  it('that is dead is brought back, also by an agent that starts while the API server is away (X20)', async () => {
    // Nothing else looks after it meanwhile.
    await play({ spec: { resync: '60m' } });
    await agent.stop();
    agent.cluster.stop();
    agent.start();
    await agent.pass(20_000);
    const before = await invocation('containerd.service');
    await agent.machine.units.kill('containerd.service', 'SIGKILL');
    await agent.pass(120_000);
    assert.notEqual(await invocation('containerd.service'), before);
    assert.equal((await agent.machine.units.get('containerd.service')).activeState, 'active');
  });
});

describe('the condition of units', () => {
  const condition = (): NodeCondition | undefined =>
    (agent.cluster.get('nodes/node-1')?.['status'] as { conditions?: NodeCondition[] } | undefined)?.conditions?.find(
      ({ type }) => type === 'SystemdUnitsReady',
    );
  const unit = { name: 'mine.service', content: '[Service]\nExecStart=/bin/mine\n', state: 'started' };

  it('says that all is well, and what is not, with the time of the change', async () => {
    await play({ spec: { resync: '30m' } }, { units: [unit] });
    await agent.pass(40_000);
    assert.deepEqual([condition()?.status, condition()?.reason], ['True', 'AllUnitsHealthy']);
    const since = condition()?.lastTransitionTime;
    await agent.pass(10 * 60_000);
    assert.equal(condition()?.lastTransitionTime, since);
    assert.notEqual(condition()?.lastHeartbeatTime, since);
    await agent.machine.units.kill('mine.service', 'SIGKILL');
    await agent.pass(40_000);
    assert.deepEqual(
      [condition()?.status, condition()?.reason, condition()?.message],
      ['False', 'UnhealthyUnits', 'mine.service has failed'],
    );
    assert.notEqual(condition()?.lastTransitionTime, since);
  });

  it('waits for what a run that is under way leaves, and not without end', async () => {
    const slow = { ...unit, name: 'slow.service', deadline: '20m' };
    const later = { ...unit, name: 'later.service', needs: ['unit:slow.service'] };
    const machine = await createMemoryNode();
    machine.units.behave('slow.service', { startMs: 8 * 60_000 });
    const warned = (): boolean => agent.cluster.told.some((what) => what === 'create events/default');
    await play({ machine }, { units: [slow, later] });
    await agent.pass(60_000);
    assert.deepEqual([condition()?.status, warned()], [undefined, false]);
    await agent.pass(5 * 60_000);
    assert.deepEqual([condition()?.reason, warned()], ['UnhealthyUnits', true]);
    await agent.pass(4 * 60_000);
    assert.equal(condition()?.status, 'True');
  });

  it('is told to a Node that was made again', async () => {
    await play({}, { units: [unit] });
    await agent.pass(40_000);
    agent.cluster.delete('nodes/node-1');
    await agent.pass(1000);
    agent.cluster.put('nodes/node-1', { metadata: {} });
    assert.equal(condition(), undefined);
    await agent.pass(1000);
    assert.equal(condition()?.status, 'True');
  });
});

describe('what the agent serves about itself', () => {
  const get = async (path: string, socketPath = '/run/nodekiln/agent.sock'): Promise<readonly [number, string]> => {
    const { net } = agent.machine.open();
    const { status, body } = await net.request({ url: `http://localhost${path}`, socketPath, timeoutMs: 1000 });
    return [status, new TextDecoder().decode(body)];
  };

  it('is that it runs, that it is ready once it has read and reconciled, and what it counts', async () => {
    await play({ prepare: (cluster) => cluster.delete(poolKey) });
    assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
    assert.equal((await get('/readyz'))[0], 503);
    agent.cluster.put(poolKey, secretOf({ '10-node.json': nodeDocument() }));
    await agent.pass(5000);
    assert.deepEqual(await get('/readyz'), [200, 'ok\n']);
    agent.cluster.delete(poolKey);
    await agent.pass(5000);
    assert.equal((await get('/readyz'))[0], 200, 'what was applied stays');
    const [status, metrics] = await get('/metrics');
    assert.equal(status, 200);
    assert.match(metrics, /^nodekiln_reconciliations_total\{controller="desired-state",outcome="done"\} [1-9]/m);
    assert.equal((await get('/other'))[0], 404);
    await agent.stop();
    await assert.rejects(get('/healthz'), { code: 'NK_SOURCE_UNAVAILABLE' });
  });

  it('is at another place, or nowhere, where the AgentConfig says so; what is taken is said, and holds up nothing', async () => {
    await play({ spec: { endpoint: '127.0.0.1:2752' } });
    const { net } = agent.machine.open();
    assert.equal((await net.request({ url: 'http://127.0.0.1:2752/healthz', timeoutMs: 1000 })).status, 200);
    await agent.stop();
    await play({ spec: { endpoint: 'none' } });
    await assert.rejects(get('/healthz'), { code: 'NK_SOURCE_UNAVAILABLE' });
    await agent.stop();
    await play({
      spec: { endpoint: '127.0.0.1:2752' },
      prepare: (_cluster, machine) => machine.serve('http://127.0.0.1:2752', () => ({ body: 'other' })),
    });
    const troubles = agent.events.flatMap(({ event }) => (event.type === 'trouble' ? [event.controller] : []));
    assert.ok(troubles.includes('endpoint'));
    assert.equal((await agent.machine.units.get('kubelet.service')).activeState, 'active');
  });
});

describe('the name of the host', () => {
  it('that has changed ends the agent, to begin anew (H3, H4)', async () => {
    const machine = await createMemoryNode();
    await machine.files.write([textFile('/proc/sys/kernel/hostname', 'Node-1\n')]);
    agent = await playAgent({ machine, spec: { nodeName: undefined } });
    await agent.pass(60_000);
    await machine.files.write([textFile('/proc/sys/kernel/hostname', 'node-2\n')]);
    await assert.rejects(agent.ended(), { code: 'NK_AGENT_RESTART', message: /called node-2 now, and was node-1/ });
  });
});
