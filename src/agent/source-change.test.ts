/** An agent that is told to follow another source: what is whose, over starts of the agent. */
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
import { nodeDocument, textFile } from '../../test/support/memory-node.ts';

const folder = '/etc/nodekiln/desired';
const serial = { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' };

/** Files by path, and units that run. */
function documentOf(files: Readonly<Record<string, string>>, ...units: readonly string[]): string {
  return nodeDocument({
    files: Object.entries(files).map(([path, content]) => ({ path, content })),
    units: units.map((name) => ({
      name,
      content: '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
      state: 'started',
    })),
  });
}

const one = documentOf({ '/etc/one': 'one', '/etc/both': 'same' }, 'one.service', 'both.service');
const two = documentOf({ '/etc/two': 'two', '/etc/both': 'same' }, 'two.service', 'both.service');

let agent: PlayedAgent;
afterEach(() => agent.stop());

const play = async (text: string, options: PlayOptions = {}, annotations = {}): Promise<void> => {
  agent = await playPool(secretOf({ '10-node.json': text }, annotations), options);
  await agent.pass(10_000);
};

/** Starts the agent anew with another source. */
async function follow(source: string): Promise<void> {
  await agent.stop();
  const { files } = agent.machine;
  const config = JSON.parse((await contentIn(agent, '/etc/nodekiln/agent.yaml')) ?? '') as { spec: object };
  await files.write([
    textFile('/etc/nodekiln/agent.yaml', JSON.stringify({ ...config, spec: { ...config.spec, source } })),
  ]);
  agent.start();
  await agent.pass(10_000);
}

async function present(): Promise<string[]> {
  const found: string[] = [];
  for (const path of ['/etc/one', '/etc/two', '/etc/both']) if (await agent.machine.files.stat(path)) found.push(path);
  for (const name of ['one.service', 'two.service', 'both.service'])
    if ((await agent.machine.units.get(name)).activeState === 'active') found.push(name);
  return found;
}

const ofOne = ['/etc/one', '/etc/both', 'one.service', 'both.service'];
const ofTwo = ['/etc/two', '/etc/both', 'two.service', 'both.service'];
const last = (): string | undefined => agent.summary().at(-1);

describe('another source', () => {
  for (const [what, source, prepare] of [
    [
      'Secret',
      'secret:kube-system/pool-b',
      () => agent.cluster.put('secrets/kube-system/pool-b', secretOf({ '10-node.json': two })),
    ],
    [
      'Secret of the same name in another namespace',
      'secret:other/pool-a',
      () => agent.cluster.put('secrets/other/pool-a', secretOf({ '10-node.json': two })),
    ],
    ['folder', `dir:${folder}`, () => agent.machine.files.write([textFile(`${folder}/10-node.json`, two)])],
  ] as const)
    it(`, a ${what}, takes away what only the one before brought, and leaves alone what both bring`, async () => {
      await play(one);
      assert.deepEqual(await present(), ofOne);
      const { invocationId } = await agent.machine.units.get('both.service');
      await prepare();
      const effects = agent.machine.effects.length;
      await follow(source);
      assert.deepEqual(await present(), ofTwo);
      assert.equal((await agent.machine.units.get('both.service')).invocationId, invocationId);
      const touched = agent.machine.effects.slice(effects).filter((effect) => effect.includes('both'));
      assert.deepEqual(touched, []);
      await follow('secret:kube-system/pool-a');
      assert.deepEqual(await present(), ofOne);
      assert.equal((await agent.machine.units.get('both.service')).invocationId, invocationId);
    });

  it('that says the same changes nothing', async () => {
    await play(one);
    agent.cluster.put('secrets/other/pool-a', secretOf({ '10-node.json': one }));
    await follow('secret:other/pool-a');
    assert.equal(last(), 'converged 0');
    assert.deepEqual(await present(), ofOne);
  });

  it('that is away, or not there, takes nothing away, however often the agent starts', async () => {
    await play(one);
    for (const source of ['secret:other/pool-a', `dir:${folder}`]) {
      await follow(source);
      await follow(source);
      assert.equal(last(), 'failed NK_DOCUMENT_MISSING', source);
      assert.deepEqual(await present(), ofOne, source);
    }
    agent.cluster.put('secrets/other/pool-a', secretOf({ '10-node.json': two }));
    agent.cluster.stop();
    await follow('secret:other/pool-a');
    await agent.machine.files.write([textFile('/etc/one', 'drifted')]);
    await agent.pass(120_000);
    assert.equal(await contentIn(agent, '/etc/one'), 'one');
    agent.cluster.start();
    await agent.pass(90_000);
    assert.deepEqual(await present(), ofTwo);
  });

  it('is no longer followed to the name that a Node gave for the one before', async () => {
    await play(one);
    agent.cluster.put('secrets/kube-system/pool-b', secretOf({ '10-node.json': two }));
    agent.cluster.put('secrets/other/pool-a', secretOf({ '10-node.json': one }));
    const label = 'worker.gardener.cloud/gardener-node-agent-secret-name';
    const node = agent.cluster.get('nodes/node-1');
    agent.cluster.put('nodes/node-1', { ...node, metadata: { ...node?.metadata, labels: { [label]: 'pool-b' } } });
    await agent.ended().catch(() => undefined);
    agent.start();
    await agent.pass(10_000);
    assert.deepEqual(await present(), ofTwo);
    // The label would lead to `other/pool-b`.
    agent.cluster.put('nodes/node-1', { ...agent.cluster.get('nodes/node-1'), metadata: { labels: {} } });
    await follow('secret:other/pool-a');
    assert.deepEqual(await present(), ofOne);
  });

  it('frees the line of the one before, which this node holds or has marked', async () => {
    const key = 'leases/kube-system/pool-a';
    const mark = 'nodekiln.dev/serial-failed';
    await play(documentOf({ '/etc/one': 'one' }), {}, serial);
    await putInTheWay(agent, '/etc/one');
    agent.cluster.put(poolKey, secretOf({ '10-node.json': documentOf({ '/etc/one': 'changed' }) }, serial));
    await agent.pass(10_000);
    assert.match(agent.cluster.get(key)?.metadata.annotations?.[mark] ?? '', /node-1/);
    await agent.machine.files.removeTree('/etc/one');
    agent.cluster.put('secrets/other/pool-a', secretOf({ '10-node.json': two }, serial));
    await follow('secret:other/pool-a');
    assert.equal(agent.cluster.get(key)?.metadata.annotations?.[mark], undefined);
    assert.deepEqual((await present()).includes('/etc/two'), true);
    const lease = (where: string): unknown =>
      (agent.cluster.get(where) as { spec?: { holderIdentity?: unknown } } | undefined)?.spec?.holderIdentity ??
      undefined;
    assert.deepEqual([lease(key), lease('leases/other/pool-a')], [undefined, undefined]);
  });
});
