/** An agent that keeps routes to the pods of other nodes, on a machine in memory. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { agentStatePath, parseAgentState } from '../../telemetry/agent-state.ts';
import {
  contentOf,
  playPool,
  secretOf,
  type PlayedAgent,
  type PlayOptions,
} from '../../../test/support/cluster-agent.ts';
import { serveIp, type IpTable } from '../../../test/support/ip-program.ts';
import { createMemoryNode, nodeDocument } from '../../../test/support/memory-node.ts';
import { resetNode } from '../reset.ts';

let agent: PlayedAgent;
let table: IpTable;
afterEach(() => agent.stop());

const documents = secretOf({
  '10-node.json': nodeDocument({ kubelet: { configuration: { clusterDNS: ['10.96.0.10'] } } }),
});
const node = (podCIDR: string, address: string, about: object = {}): object => ({
  metadata: { creationTimestamp: '2030-01-02T00:00:00Z' },
  spec: { podCIDR, podCIDRs: [podCIDR] },
  status: {
    addresses: [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: 'x' },
    ],
  },
  ...about,
});

async function play({ prepare, ...options }: PlayOptions = {}): Promise<void> {
  const machine = options.machine ?? (await createMemoryNode());
  table = serveIp(machine, { lo: ['127.0.0.1/8'], eth0: ['10.77.0.2/24'], cni0: ['10.90.1.1/24'] });
  table.routes.push({ dst: 'default', dev: 'eth0', gateway: '10.77.0.1' });
  table.routes.push({ dst: '192.0.2.0/24', dev: 'eth0', gateway: '10.77.0.9' });
  agent = await playPool(documents, {
    ...options,
    machine,
    spec: { podRoutes: true, ...options.spec },
    prepare: async (cluster, machine) => {
      cluster.put('nodes/node-1', node('10.90.1.0/24', '10.77.0.2'));
      cluster.put('nodes/node-2', node('10.90.2.0/24', '10.77.0.3'));
      await prepare?.(cluster, machine);
    },
  });
}

const own = (): string[] =>
  table.routes.flatMap(({ dst, gateway, dev, protocol }) =>
    protocol === '107' ? [`${dst} via ${gateway} dev ${dev}`] : [],
  );
const foreign = (): object[] => table.routes.filter(({ protocol }) => protocol !== '107');
const toTwo = '10.90.2.0/24 via 10.77.0.3 dev eth0';
const toThree = '10.90.3.0/24 via 10.77.0.4 dev eth0';
const said = (): string[] =>
  agent.events.flatMap(({ event }) => (event.type === 'notice' ? [event.notice.message] : []));

describe('routes to pods', () => {
  it('come and go with Nodes, and change with them', async () => {
    await play();
    const before = foreign();
    assert.deepEqual(own(), [toTwo]);
    agent.cluster.put('nodes/node-3', node('10.90.3.0/24', '10.77.0.4'));
    await agent.pass(1000);
    assert.deepEqual(own(), [toTwo, toThree]);
    agent.cluster.put('nodes/node-2', node('10.90.2.0/24', '10.77.0.5'));
    await agent.pass(1000);
    assert.deepEqual(own(), [toThree, '10.90.2.0/24 via 10.77.0.5 dev eth0']);
    agent.cluster.delete('nodes/node-2');
    await agent.pass(1000);
    assert.deepEqual(own(), [toThree]);
    assert.deepEqual([foreign(), said()], [before, []]);
  });

  it('stay while the API server is away, also from the agent’s start, and are put back when somebody takes them', async () => {
    await play();
    agent.cluster.stop();
    table.routes = table.routes.filter(({ dst }) => dst !== '10.90.2.0/24');
    await agent.pass(61_000);
    assert.deepEqual(own(), [toTwo]);
    await agent.stop();
    agent.start();
    await agent.pass(600_000);
    assert.deepEqual(own(), [toTwo]);
    agent.cluster.delete('nodes/node-2');
    agent.cluster.start();
    await agent.pass(120_000);
    assert.deepEqual(own(), []);
  });

  it('are left alone by an agent that starts and finds them right', async () => {
    await play();
    await agent.stop();
    const before = table.routes;
    const [first] = table.routes.filter(({ protocol }) => protocol === '107');
    agent.start();
    await agent.pass(60_000);
    assert.equal(table.routes, before);
    assert.ok(first && table.routes.includes(first), 'the same route, not one like it');
  });

  it('are looked at when a Node’s pods or addresses change, not with each heartbeat of a kubelet', async () => {
    await play();
    const before = table.calls;
    for (let beat = 0; beat < 25; beat++) {
      const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: String(beat) }];
      const { status, ...rest } = node('10.90.2.0/24', '10.77.0.3') as { status: object };
      agent.cluster.put('nodes/node-2', { ...rest, status: { ...status, conditions } });
      await agent.pass(1000);
    }
    assert.ok(table.calls - before <= 1, `${table.calls - before} runs of ip in 25 s`);
  });

  it('that would take something from somebody are refused, said once, and all of one kind together', async () => {
    await play({
      prepare: (cluster) => {
        for (let count = 3; count < 12; count++) cluster.put(`nodes/node-${count}`, node('0.0.0.0/0', '10.77.0.4'));
        cluster.put('nodes/far', node('10.90.20.0/24', '198.51.100.7'));
      },
    });
    await agent.pass(300_000);
    assert.deepEqual(own(), [toTwo]);
    const [refused, indirect, ...more] = said();
    assert.match(
      refused ?? '',
      /^NK_POD_ROUTE_REFUSED: .*node-3: its podCIDR 0\.0\.0\.0\/0 is wider.*; and of 4 more$/,
    );
    assert.match(
      indirect ?? '',
      /^NK_POD_ROUTE_INDIRECT: .*far: its address 198\.51\.100\.7 is on no link of this host$/,
    );
    assert.deepEqual(more, []);
  });

  it('never take the API server’s addresses, nor those of the cluster’s DNS', async () => {
    await play({
      prepare: (cluster) => {
        cluster.put('nodes/node-3', node('10.0.0.0/24', '10.77.0.4'));
        cluster.put('nodes/node-4', node('10.96.0.0/24', '10.77.0.4'));
      },
    });
    assert.deepEqual(own(), [toTwo]);
    assert.match(said().join(), /has the address of the API server.*has the address of the DNS of the cluster/);
  });

  it('stay as they are while another machine has this Node, too', async () => {
    await play();
    const { metadata: _metadata, ...rest } = node('10.90.1.0/24', '10.77.0.2') as { metadata: object };
    agent.cluster.put('nodes/node-1', { ...rest, status: { nodeInfo: { machineID: 'f'.repeat(32) } } });
    agent.cluster.delete('nodes/node-2');
    await agent.pass(60_000);
    assert.deepEqual(own(), [toTwo]);
  });

  it('need a right that says so where it is missing, and what there is stays', async () => {
    await play({
      prepare: (cluster) => {
        cluster.instead = ({ verb, resource, name }) =>
          resource === 'nodes' && name === '' && verb === 'list'
            ? { status: 403, body: '{"kind":"Status"}' }
            : undefined;
      },
    });
    await agent.pass(10_000);
    assert.deepEqual(own(), []);
    const errors = agent.events.flatMap(({ event }) =>
      event.type === 'trouble' && event.controller === 'routes' ? [event.error] : [],
    );
    assert.equal(errors[0]?.code, 'NK_CLUSTER_FORBIDDEN');
    assert.match(errors[0].hint, /cluster rbac --pod-routes/);
    assert.equal(errors.length, 1, 'said once');
    const stated = async (): Promise<string[]> =>
      (parseAgentState(await contentOf(agent, agentStatePath))?.troubles ?? []).map(({ controller }) => controller);
    assert.deepEqual(await stated(), ['routes']);
    agent.cluster.instead = undefined;
    await agent.pass(180_000);
    assert.deepEqual(own(), [toTwo]);
    assert.deepEqual(await stated(), []);
    agent.cluster.instead = () => ({ status: 403, body: '{"kind":"Status"}' });
    agent.cluster.stop();
    agent.cluster.start();
    await agent.pass(30_000);
    assert.ok((await stated()).includes('routes'), 'it is taken away again');
    assert.deepEqual(own(), [toTwo]);
  });

  it('go when the AgentConfig wants none any more, and with a reset', async () => {
    await play();
    await agent.stop();
    const { machine } = agent;
    const again = { machine, spec: { podRoutes: false } };
    const before = foreign();
    const kept = table;
    assert.deepEqual((await resetNode(machine.open(), { dryRun: true })).routes, ['10.90.2.0/24']);
    assert.deepEqual(own(), [toTwo]);
    agent = await playPool(documents, again);
    assert.deepEqual([table, own(), foreign()], [kept, [], before]);
    await agent.stop();
    await play({ machine });
    assert.deepEqual(own(), [toTwo]);
    await agent.stop();
    assert.deepEqual((await resetNode(machine.open())).routes, ['10.90.2.0/24']);
    assert.deepEqual(own(), []);
    assert.deepEqual((await resetNode(machine.open())).routes, []);
  });

  it('are none of an agent that was not asked for them: it neither lists Nodes nor runs ip', async () => {
    await play({ spec: { podRoutes: false } });
    await agent.pass(60_000);
    assert.equal(table.calls, 0);
    assert.deepEqual(own(), []);
  });
});
