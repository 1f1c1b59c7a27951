/** Nodes that are made another agent one after the other: who fails keeps the others from it. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { playUnitAgent, playUnitAgentBeside, programPath, type UnitAgent } from '../../../test/support/agent-unit.ts';
import { poolKey, secretOf } from '../../../test/support/cluster-agent.ts';
import { nodeDocument } from '../../../test/support/memory-node.ts';

const leaseKey = 'leases/kube-system/pool-a';
const documentOf = (program?: string): object =>
  secretOf(
    {
      '10-node.json': nodeDocument({
        files: program === undefined ? [] : [{ path: programPath, content: program, mode: '0755' }],
      }),
    },
    { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' },
  );

let pool: readonly UnitAgent[];
beforeEach(async () => {
  const first = await playUnitAgent(documentOf());
  pool = [first, await playUnitAgentBeside(first)];
});
afterEach(async () => {
  for (const agent of pool) await agent.stop();
});

const ask = (program: string): void => pool[0]?.cluster.put(poolKey, documentOf(program));
const pass = async (ms: number): Promise<void> => pool[0]?.pass(ms);
const programs = (): Promise<(string | undefined)[]> => Promise.all(pool.map((agent) => agent.read(programPath)));
/** Nodes on which something was started since, by `playUnitAgent`'s first agent. */
const restarted = (): UnitAgent[] => pool.filter(({ processes }) => processes.length > 1);

describe('a pool whose agents become another one node after node', () => {
  it('begins with the second when the first is another one', async () => {
    ask('nodekiln 2');
    await pass(120_000);
    assert.deepEqual(await programs(), ['nodekiln 2', 'nodekiln 2']);
    const times = pool.map(({ processes }) => processes.slice(1).map(({ what, atMs }) => ({ what, atMs })));
    assert.deepEqual(
      times.map((all) => all.map(({ what }) => what)),
      [
        ['errand', 'agent nodekiln 2'],
        ['errand', 'agent nodekiln 2'],
      ],
    );
    const [earlier, later] = times.toSorted(([a], [b]) => (a?.atMs ?? 0) - (b?.atMs ?? 0));
    assert.ok((earlier?.[1]?.atMs ?? Infinity) < (later?.[0]?.atMs ?? 0), JSON.stringify(times));
    assert.deepEqual(
      pool.flatMap(({ wrongs }) => wrongs),
      [],
    );
  });

  it('never begins with the second while the first fails, and begins with another content', async () => {
    ask('bad');
    await pass(600_000);
    const failed = restarted();
    assert.equal(failed.length, 1, 'one node tried it');
    assert.deepEqual(await programs(), ['nodekiln 1', 'nodekiln 1'], 'and has back what it had');
    assert.match(failed[0]?.reports().at(-1) ?? '', /failed NK_AGENT_UPDATE_FAILED$/);
    const mark = pool[0]?.cluster.get(leaseKey)?.metadata.annotations?.['nodekiln.dev/serial-failed'];
    assert.match(String(mark), /"node":"node-[12]"/);
    ask('nodekiln 3');
    await pass(120_000);
    assert.deepEqual(await programs(), ['nodekiln 3', 'nodekiln 3']);
    assert.equal(restarted().length, 2);
  });
});
