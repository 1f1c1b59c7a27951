/** Two machines of one name, as the agent of one of them sees their Node. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { playPool, poolKey, secretOf, contentOf, type PlayedAgent } from '../../../test/support/cluster-agent.ts';
import { nodeDocument, textFile } from '../../../test/support/memory-node.ts';
import { isSameMachine, otherMachine } from '../../host/machine-identity.ts';
import { agentStatePath, parseAgentState } from '../../telemetry/agent-state.ts';

const own = '0123456789abcdef'.repeat(2);
const other = 'fedcba9876543210'.repeat(2);
const minute = 60_000;

let agent: PlayedAgent;
afterEach(() => agent.stop());

const documents = (content: string): object =>
  secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content }] }) });
/** A kubelet writes its Node. */
const tell = (machineID: string, systemUUID = ''): void => {
  const node = agent.cluster.get('nodes/node-1');
  const nodeInfo = { machineID, systemUUID };
  agent.cluster.put('nodes/node-1', { ...node, status: { ...(node?.['status'] as object), nodeInfo } });
};
const said = (): string[] =>
  agent.events.flatMap(({ event }) => (event.type === 'notice' ? [event.notice.message] : []));
const troubles = (): string[] =>
  agent.events.flatMap(({ event }) => (event.type === 'trouble' ? [event.error.code] : []));
/** What `nodekiln status` knows of. */
const stated = async (): Promise<string[]> => {
  const { troubles: told } =
    parseAgentState(await contentOf(agent, agentStatePath)) ?? assert.fail('nothing is stated');
  return told.map(({ error }) => (error as { code: string }).code);
};
/** Of the Node, its status and its Lease. */
const writesWithin = async (ms: number): Promise<string[]> => {
  const before = agent.cluster.told.length;
  await agent.pass(ms);
  return agent.cluster.told
    .slice(before)
    .filter((what) => /^(?:patch|apply|update|create) (?:nodes|leases)/.test(what));
};

async function play(first: string): Promise<void> {
  agent = await playPool(documents('one'), {
    prepare: (cluster) => cluster.put('nodes/node-1', { metadata: {}, status: { nodeInfo: { machineID: first } } }),
  });
}

describe('a Node that two machines write', () => {
  it('is written by neither agent while that goes on, and said with the other machine', async () => {
    await play(own);
    tell(other);
    await agent.pass(1000);
    tell(own);
    await agent.pass(1000);
    agent.cluster.put(poolKey, documents('two'));
    assert.deepEqual(await writesWithin(9 * minute), []);
    assert.equal(await contentOf(agent, '/etc/a'), 'two', 'what is on the machine goes on');
    assert.deepEqual(
      said().filter((message) => message.startsWith('NK_CLUSTER_NAME_TAKEN')),
      [`NK_CLUSTER_NAME_TAKEN: the Node node-1 is another machine’s, too: its machine ID is ${other}`],
    );
    assert.ok(troubles().includes('NK_CLUSTER_NAME_TAKEN'));
    assert.deepEqual(await stated(), ['NK_CLUSTER_NAME_TAKEN']);
    assert.notDeepEqual(await writesWithin(5 * minute), [], 'once the other is gone');
    assert.deepEqual(await stated(), []);
    await agent.stop();
    assert.equal(await contentOf(agent, agentStatePath), undefined);
  });

  it('is left alone by an agent that starts while that goes on', async () => {
    await play(own);
    tell(other);
    await agent.pass(1000);
    tell(own);
    await agent.pass(1000);
    await agent.stop();
    agent.start();
    agent.cluster.put(poolKey, documents('two'));
    assert.deepEqual(await writesWithin(9 * minute), []);
    assert.notDeepEqual(await writesWithin(5 * minute), [], 'once the other is gone');
  });

  it('is named by its UUID where one machine is a copy of the other’s disk', async () => {
    await play(own);
    await agent.machine.files.write([textFile('/sys/class/dmi/id/product_uuid', 'A-1\n')]);
    await agent.stop();
    agent.start();
    tell(own, 'b-2');
    tell(own, 'a-1');
    await agent.pass(1000);
    tell(own, 'b-2');
    await agent.pass(1000);
    assert.match(said().join(), /its system UUID is b-2, with this machine’s machine ID/);
  });
});

describe('a Node that another machine has written, and this one’s kubelet not', () => {
  it('is left alone, and said after a while', async () => {
    await play(other);
    assert.deepEqual(await writesWithin(minute), []);
    assert.deepEqual([said(), troubles()], [[], []]);
    assert.deepEqual(await writesWithin(20 * minute), []);
    assert.deepEqual(said(), [
      `NK_CLUSTER_NAME_TAKEN: the Node node-1 is another machine’s, and the kubelet of this one has not written it: its machine ID is ${other}`,
    ]);
    assert.ok(troubles().includes('NK_CLUSTER_NAME_TAKEN'));
  });

  it('is this one’s as soon as it has: the other is gone', async () => {
    await play(other);
    await agent.pass(1000);
    tell(own);
    assert.notDeepEqual(await writesWithin(minute), []);
    assert.deepEqual(said(), []);
  });
});

describe('a machine', () => {
  const machine = { machineId: own, systemUuid: 'a-b' };
  for (const [name, told, same] of [
    ['is the same by both', { machineID: own, systemUUID: 'A-B' }, true],
    ['is another by its ID', { machineID: other, systemUUID: 'a-b' }, false],
    ['is another by its UUID: a copy of a disk', { machineID: own, systemUUID: 'c-d' }, false],
    ['may be the same while nothing is told', {}, true],
  ] as const)
    it(name, () => assert.equal(isSameMachine(told, machine), same));

  it('is shown as no more than an ID', () => {
    assert.equal(otherMachine({ machineID: `${other}\n` }, machine), 'its machine ID is none that a machine has');
  });
});
