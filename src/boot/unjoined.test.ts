/** What a boot comes to whose kubelet runs and does not reach its cluster, on a machine in memory: never to success without a word. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { createMemoryNode, nodeDocument } from '../../test/support/memory-node.ts';
import { NetError } from '../host/port.ts';
import type { EndpointResponse } from '../host/memory/machine.ts';
import { textOf } from '../model/bytes.ts';
import { bootResultPath } from '../model/state-paths.ts';
import type { BootResult } from '../telemetry/result.ts';
import { bootHost } from './boot.ts';

const server = 'https://a.example.org:6443';
const cluster = { server, caBundle: exampleAuthority, bootstrapToken: 'abcdef.0123456789abcdef' };
const broken = (reason: 'refused' | 'no-name'): never => {
  throw new NetError('connection', { where: server, why: 'because', reason });
};

/** What the API server does with whatever it is asked. */
const servers: Readonly<Record<string, readonly [(() => EndpointResponse) | undefined, code: string]>> = {
  'nobody is at its address': [undefined, 'NK_CLUSTER_UNREACHABLE'],
  'it refuses connections': [() => broken('refused'), 'NK_CLUSTER_UNREACHABLE'],
  'its name has no address': [() => broken('no-name'), 'NK_CLUSTER_UNREACHABLE'],
  'it does not know the token': [() => ({ status: 401, body: '{}' }), 'NK_CLUSTER_TOKEN_REFUSED'],
  'it does not let the token ask': [() => ({ status: 403, body: '{}' }), 'NK_CLUSTER_TOKEN_FORBIDDEN'],
  'it is in trouble': [() => ({ status: 500, body: '{}' }), 'NK_CLUSTER_UNREACHABLE'],
  'it never answers': [() => ({ status: 200, body: '{}', durationMs: 3_600_000 }), 'NK_CLUSTER_UNREACHABLE'],
};

let [asked, askedEarly] = [0, 0];
beforeEach(() => {
  [asked, askedEarly] = [0, 0];
});

async function bootWith(
  answer: (() => EndpointResponse) | undefined,
  boot: Readonly<Record<string, unknown>>,
): Promise<BootResult> {
  const machine = await createMemoryNode({
    '10-node.json': nodeDocument({ cluster, kubelet: { nodeName: 'node-1' }, boot }),
  });
  if (answer)
    machine.serve(server, () => {
      // What is thrown here is a failed request to who asks: it is asserted when the boot has ended.
      asked += 1;
      if (!machine.effects.includes('start kubelet.service')) askedEarly += 1;
      return answer();
    });
  const result = await bootHost(machine.open());
  const published = JSON.parse(textOf((await machine.files.read(bootResultPath)) ?? new Uint8Array())) as BootResult;
  assert.deepEqual(published, JSON.parse(JSON.stringify(result)), 'what is published is what came of it');
  const { activeState, activeEnterUsec } = await machine.units.get('kubelet.service');
  assert.equal(activeState, 'active', 'kubelet runs all the same');
  assert.equal(askedEarly, 0, 'nothing is asked before kubelet starts');
  assert.equal(asked > 0, answer !== undefined, 'nothing but what follows the start of kubelet asks');
  assert.ok(machine.clock.monotonic() - activeEnterUsec / 1000 <= 10_000, 'it is said within ten seconds of that');
  return published;
}

const codeOf = (error: unknown): unknown => (error as { code?: string } | undefined)?.code;

describe('a boot whose kubelet does not reach its cluster', () => {
  for (const [what, [answer, code]] of Object.entries(servers)) {
    it(`is degraded and says why: ${what}`, async () => {
      const { outcome, join, error } = await bootWith(answer, {});
      assert.deepEqual(
        [outcome, join?.goal, join?.reached, codeOf(join?.obstacle), error],
        ['degraded', 'registered', undefined, code, undefined],
      );
    });

    it(`is failed where the document says so: ${what}`, async () => {
      const { outcome, join, error } = await bootWith(answer, { unjoined: 'failed', goal: 'ready' });
      assert.deepEqual([outcome, join?.goal, codeOf(join?.obstacle), codeOf(error)], ['failed', 'ready', code, code]);
    });
  }

  it('has converged where kubelet’s own health is all that was asked for', async () => {
    const { outcome, join } = await bootWith(undefined, { goal: 'healthz' });
    assert.deepEqual([outcome, join?.obstacle], ['converged', undefined]);
  });
});
