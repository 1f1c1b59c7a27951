/** The agent that follows a Secret of a cluster: what it does while the API is away, and when a change has its turn. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { playAgent, poolKey, secretOf, type PlayedAgent, type PlayOptions } from '../../test/support/cluster-agent.ts';
import { nodeDocument, textFile } from '../../test/support/memory-node.ts';
import { textOf } from '../model/bytes.ts';
import { ownDelay } from './turn.ts';

const documentOf = (content: string, spec: Readonly<Record<string, unknown>> = {}): object =>
  secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content }], ...spec }) });

let agent: PlayedAgent;
afterEach(() => agent.stop());

async function play(options: PlayOptions = {}): Promise<void> {
  agent = await playAgent({
    ...options,
    prepare: (cluster, machine) => {
      cluster.put('nodes/node-1', { metadata: {} });
      cluster.put(poolKey, documentOf('one'));
      return options.prepare?.(cluster, machine);
    },
  });
  await agent.pass(2000);
}

const contentOf = async (path: string): Promise<string | undefined> => {
  const content = await agent.machine.files.read(path);
  return content && textOf(content);
};

describe('an agent of a cluster', () => {
  it('applies what its Secret says, and each change of it', async () => {
    await play();
    assert.equal(await contentOf('/etc/a'), 'one');
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(10);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.match(agent.summary()[0] ?? '', /^converged/);
    assert.deepEqual(agent.summary().slice(1), ['converged 1']);
  });

  it('keeps two watches and asks for nothing while nothing changes', async () => {
    await play();
    const before = agent.cluster.told.length;
    await agent.pass(3_600_000);
    const asked = agent.cluster.told
      .slice(before)
      .filter((what) => what.startsWith('watch') || what.startsWith('list'));
    assert.ok(asked.length <= 30, asked.join(', '));
    assert.ok(
      asked.every((what) => what.startsWith('watch')),
      'a watch is gone on from, not listed anew',
    );
  });

  it('keeps the last good state against drift while the API server is away, also from its start', async () => {
    await play();
    agent.cluster.stop();
    await agent.machine.files.write([textFile('/etc/a', 'drifted')]);
    await agent.pass(61_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    await agent.stop();
    await agent.machine.files.write([textFile('/etc/a', 'drifted')]);
    agent.start();
    await agent.pass(60_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    assert.match(agent.summary().at(-1) ?? '', /^failed NK_(?:SOURCE_UNAVAILABLE|TIMEOUT|CLUSTER)/);
    agent.cluster.put(poolKey, documentOf('two'));
    agent.cluster.start();
    await agent.pass(60_000);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.equal(agent.summary().at(-1), 'converged 1');
  });

  for (const [name, bad] of [
    ['is deleted', undefined],
    ['is emptied', secretOf({})],
    ['makes no sense', secretOf({ '10-node.json': '{' })],
    ['is refused', secretOf({ '10-node.json': nodeDocument({ fils: [] }) })],
  ] as const) {
    it(`keeps the last good state when its Secret ${name}`, async () => {
      await play();
      if (bad) agent.cluster.put(poolKey, bad);
      else agent.cluster.delete(poolKey);
      await agent.pass(10);
      assert.match(agent.summary().at(-1) ?? '', /^failed NK_DOCUMENT_/);
      await agent.machine.files.write([textFile('/etc/a', 'drifted')]);
      await agent.pass(121_000);
      assert.equal(await contentOf('/etc/a'), 'one');
      assert.match(agent.summary().at(-1) ?? '', /^failed NK_DOCUMENT_/);
      agent.cluster.put(poolKey, documentOf('two'));
      await agent.pass(10);
      assert.equal(await contentOf('/etc/a'), 'two');
    });
  }
});

const newer = documentOf('two', { kubernetes: { version: '1.34.4' } });
const delayMs = ownDelay('node-1', 300_000);

describe('a change that restarts kubelet', () => {
  const startsOf = async (): Promise<string> => (await agent.machine.units.get('kubelet.service')).invocationId ?? '';
  const postponed = (): unknown[] =>
    agent.events.flatMap(({ event }) => (event.type === 'postponed' ? [event.postponed.why] : []));

  it('waits for the turn of its node, is said once, and then applied whole', async () => {
    await play();
    const first = await startsOf();
    agent.cluster.put(poolKey, newer);
    await agent.pass(delayMs - 1000);
    assert.equal(await startsOf(), first);
    assert.equal(await contentOf('/etc/a'), 'one', 'the other half of the change waits, too');
    assert.deepEqual(postponed(), ['it restarts kubelet.service, which nodes do at different times']);
    await agent.pass(5000);
    assert.notEqual(await startsOf(), first);
    assert.equal(await contentOf('/etc/a'), 'two');
  });

  it('waits no longer because another one follows, or because the agent starts anew', async () => {
    await play();
    const first = await startsOf();
    agent.cluster.put(poolKey, newer);
    await agent.pass(delayMs / 2);
    agent.cluster.put(poolKey, documentOf('three', { kubernetes: { version: '1.34.4' } }));
    await agent.pass(delayMs / 4);
    await agent.stop();
    agent.start();
    await agent.pass(delayMs / 8);
    assert.equal(await startsOf(), first, 'and not shorter');
    await agent.pass(delayMs / 8 + 5000);
    assert.notEqual(await startsOf(), first);
    assert.equal(await contentOf('/etc/a'), 'three');
  });

  it('has its turn when an annotation of the Node says so, also while it waits', async () => {
    await play();
    const first = await startsOf();
    agent.cluster.put(poolKey, newer);
    await agent.pass(1000);
    assert.equal(await startsOf(), first);
    agent.cluster.put('nodes/node-1', { metadata: { annotations: { 'nodekiln.dev/restart-delay': '0s' } } });
    await agent.pass(5000);
    assert.notEqual(await startsOf(), first);
  });

  it('does not wait where the AgentConfig says so', async () => {
    await play({ spec: { restarts: { maxDelay: '0s' } } });
    const first = await startsOf();
    agent.cluster.put(poolKey, newer);
    await agent.pass(5000);
    assert.notEqual(await startsOf(), first);
  });

  it('back to what is applied waits for nothing', async () => {
    await play();
    const first = await startsOf();
    agent.cluster.put(poolKey, newer);
    await agent.pass(1000);
    agent.cluster.put(poolKey, documentOf('one'));
    await agent.pass(600_000);
    assert.equal(await startsOf(), first);
    assert.match(agent.summary().at(-1) ?? '', /^converged 0/);
  });
});
