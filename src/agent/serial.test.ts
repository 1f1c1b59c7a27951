/** One node after the other: who may begin, and what a node leaves behind. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  contentOf as contentIn,
  playPool,
  poolKey,
  putInTheWay,
  secretOf,
  type PlayedAgent,
  type PlayOptions,
} from '../../test/support/cluster-agent.ts';
import { clusterAddress, createKubeCluster } from '../../test/support/kube-cluster.ts';
import { createMemoryNode, nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import { createKubeApi } from '../kube/api.ts';
import { createKubeClient } from '../kube/client.ts';
import { microTime, type Lease } from '../kube/lease.ts';
import { createSerial, judgeTurn } from './serial.ts';

const key = 'leases/kube-system/pool-a';
const mark = 'nodekiln.dev/serial-failed';

describe('the turn of a node', () => {
  const lease = (spec: Lease['spec'], failed?: object): Lease => ({
    metadata: { name: 'a', ...(failed && { annotations: { [mark]: JSON.stringify(failed) } }) },
    ...(spec && { spec }),
  });
  const judge = (one: Lease | undefined, unchangedMs = 0): unknown =>
    judgeTurn(one, { nodeName: 'n', checksum: 'c', unchangedMs });
  const heldBy = (holderIdentity: string, leaseDurationSeconds = 180, renewTime = microTime(0)): Lease['spec'] => ({
    holderIdentity,
    renewTime,
    leaseDurationSeconds,
  });

  it('is when nobody holds the Lease, it ran out, or it is its own', () => {
    for (const one of [
      undefined,
      lease(undefined),
      lease({}),
      lease({ holderIdentity: null }),
      lease({ holderIdentity: '' }),
      lease(heldBy('n')),
      lease(heldBy('other', 0)),
      lease(heldBy('other', -5)),
      lease({ holderIdentity: 'other' }),
    ])
      assert.equal(judge(one), undefined, JSON.stringify(one));
    assert.equal(judge(lease(heldBy('other')), 180_000), undefined);
  });

  it('is not while another holds it; it is looked at again soon, and no later than it runs out', () => {
    for (const time of [microTime(0), microTime(Date.UTC(2100, 0)), 'soon'])
      assert.deepEqual(judge(lease(heldBy('other', 180, time))), { waitMs: 15_000, why: 'other is at it' });
    assert.deepEqual(judge(lease(heldBy('other')), 175_000), { waitMs: 5000, why: 'other is at it' });
  });

  it('never is for what another node failed with; another content, and its own failure, begin', () => {
    const failed = (node: string, checksum: string): Lease => lease({ holderIdentity: null }, { node, checksum });
    assert.match(JSON.stringify(judge(failed('other', 'c'))), /other failed with it/);
    assert.equal(judge(failed('other', 'd')), undefined);
    assert.equal(judge(failed('n', 'c')), undefined);
    for (const nonsense of ['{', '7', '{"node":7}'])
      assert.equal(judge({ metadata: { name: 'a', annotations: { [mark]: nonsense } } }), undefined);
  });
});

describe('a node that leaves the line', () => {
  const failed = { node: 'n', checksum: 'c' };
  for (const [name, holder, kept] of [
    ['gives back what it holds, with its mark', 'n', null],
    ['takes its mark from what another holds, and no more', 'other', 'other'],
  ] as const)
    it(name, async () => {
      const machine = createMemoryMachine();
      const cluster = createKubeCluster(machine);
      cluster.put(key, {
        metadata: { annotations: { [mark]: JSON.stringify(failed) } },
        spec: { holderIdentity: holder, leaseDurationSeconds: 180, renewTime: microTime(0) },
      });
      const { net, clock, program } = machine.open();
      const api = createKubeApi(createKubeClient({ net, clock, program }, { server: clusterAddress }), clock);
      const target = { namespace: 'kube-system', name: 'pool-a', checksum: 'd' };
      await createSerial({ api, nodeName: 'n' }, clock).leave(target, false, new AbortController().signal);
      const left = cluster.get(key);
      assert.equal((left?.['spec'] as Lease['spec'])?.holderIdentity, kept);
      assert.equal(left?.metadata.annotations?.[mark], undefined);
    });
});

let agent: PlayedAgent;

const serial = { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' };
const documentOf = (content: string, spec: Readonly<Record<string, unknown>> = {}): object =>
  secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content }], ...spec }) }, serial);
const contentOf = (path: string): Promise<string | undefined> => contentIn(agent, path);
const lease = (): Lease['spec'] => agent.cluster.get(key)?.['spec'] as Lease['spec'];
const takenBy = (holderIdentity: string, aheadMs = 0): void =>
  agent.cluster.put(key, {
    metadata: agent.cluster.get(key)?.metadata ?? {},
    spec: { holderIdentity, leaseDurationSeconds: 180, renewTime: microTime(agent.machine.clock.now() + aheadMs) },
  });
const markNow = (): unknown => agent.cluster.get(key)?.metadata.annotations?.[mark];

async function play(options: PlayOptions = {}): Promise<void> {
  agent = await playPool(documentOf('one'), options);
}

describe('an agent whose Secret is applied node after node', () => {
  afterEach(() => agent.stop());

  it('holds the Lease while it applies, and gives it back', async () => {
    await play();
    assert.equal(await contentOf('/etc/a'), 'one');
    assert.ok(agent.cluster.told.includes('create leases/kube-system') || agent.cluster.told.includes('create leases'));
    assert.equal(lease()?.holderIdentity, null);
    assert.equal(markNow(), undefined);
  });

  it('waits while another is at it, however long the change would not wait otherwise, and then follows (F20)', async () => {
    await play();
    takenBy('node-0');
    agent.cluster.put(poolKey, documentOf('two', { kubernetes: { version: '1.34.4' } }));
    await agent.pass(100_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    const said = agent.events.flatMap(({ event }) => (event.type === 'postponed' ? [event.postponed.why] : []));
    assert.deepEqual(said, ['node-0 is at it'], 'said once');
    agent.cluster.put(key, { metadata: {}, spec: { holderIdentity: null } });
    await agent.pass(20_000);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.equal(lease()?.holderIdentity, null);
  });

  it('repairs what drifted without asking anybody, also while the API server is away', async () => {
    await play();
    await agent.machine.files.write([textFile('/etc/a', 'drifted', 0o644)]);
    takenBy('node-0');
    await agent.pass(61_000);
    assert.equal(await contentOf('/etc/a'), 'one', 'another is at it');
    agent.cluster.stop();
    await agent.machine.files.write([textFile('/etc/a', 'drifted', 0o644)]);
    await agent.pass(121_000);
    assert.equal(await contentOf('/etc/a'), 'one', 'the API server is away');
  });

  it('goes on when the Lease of one that died has run out', async () => {
    await play();
    takenBy('node-0');
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(170_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    await agent.pass(30_000);
    assert.equal(await contentOf('/etc/a'), 'two');
  });

  for (const [clocks, hours] of [
    ['behind', -1],
    ['ahead', 1],
  ] as const)
    it(`waits for a holder whose clock is ${clocks}, as long as that renews, and no longer`, async () => {
      await play();
      const renewed = (): void => takenBy('node-0', hours * 3_600_000);
      renewed();
      agent.cluster.put(poolKey, documentOf('two'));
      for (let minute = 0; minute < 5; minute++) {
        await agent.pass(60_000);
        renewed();
        assert.equal(await contentOf('/etc/a'), 'one');
      }
      await agent.pass(170_000);
      assert.equal(await contentOf('/etc/a'), 'one');
      await agent.pass(45_000);
      assert.equal(await contentOf('/etc/a'), 'two');
    });

  it('that fails stops the line, and clears it when it succeeds after all', async () => {
    await play();
    await putInTheWay(agent, '/etc/a');
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(1000);
    assert.match(String(markNow()), /"node":"node-1"/);
    assert.equal(lease()?.holderIdentity, null);
    await agent.machine.files.removeTree('/etc/a');
    await agent.pass(120_000);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.equal(markNow(), undefined);
  });

  it('does not begin with what another failed with, until it is another', async () => {
    await play();
    await putInTheWay(agent, '/etc/a');
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(1000);
    // As another node would have left it.
    const { metadata } = agent.cluster.get(key) ?? assert.fail();
    const failed = JSON.stringify({ ...(JSON.parse(String(markNow())) as object), node: 'node-0' });
    agent.cluster.put(key, {
      metadata: { ...metadata, annotations: { [mark]: failed } },
      spec: { holderIdentity: null },
    });
    await agent.machine.files.removeTree('/etc/a');
    await agent.pass(600_000);
    assert.equal(await contentOf('/etc/a'), undefined);
    agent.cluster.put(poolKey, documentOf('three'));
    await agent.pass(1000);
    assert.equal(await contentOf('/etc/a'), 'three');
    assert.equal(markNow(), undefined);
  });

  it('gives the Lease back that it held when it died, though nothing is left to do', async () => {
    await play();
    takenBy('node-1');
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(10);
    assert.equal(lease()?.holderIdentity, null);
  });

  it('renews the Lease while it is at it', async () => {
    const machine = await createMemoryNode();
    machine.units.behave('slow.service', { startMs: 150_000 });
    await play({ machine });
    const unit = {
      name: 'slow.service',
      content: '[Service]\nType=notify\nExecStart=/bin/slow\n',
      state: 'started',
      deadline: '10m',
    };
    agent.cluster.put(poolKey, documentOf('two', { units: [unit] }));
    await agent.pass(140_000);
    assert.equal(lease()?.holderIdentity, 'node-1');
    const age = agent.machine.clock.now() - Date.parse(lease()?.renewTime ?? '');
    assert.ok(age < 70_000, `${age} ms old`);
    await agent.pass(60_000);
    assert.equal(lease()?.holderIdentity, null);
  });
});
