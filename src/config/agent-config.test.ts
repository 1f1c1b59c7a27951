/** What an AgentConfig comes to, and what it contradicts itself in. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { NodekilnError } from '../errors.ts';
import { completeAgentConfig, defaultAgentSpec, type AgentSpec } from './agent-config.ts';
import { refuseExposed } from './inspect.ts';
import { parseDocument } from './load.ts';

const server = 'https://a:6443';

async function load(spec: Readonly<Record<string, unknown>>, mode = 0o600): Promise<AgentSpec> {
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'AgentConfig', spec });
  const loaded = await parseDocument({ file: 'agent.yaml', text }, 'AgentConfig');
  refuseExposed(loaded, mode);
  return completeAgentConfig(loaded);
}

async function complaints(spec: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
  const thrown = await load(spec).then(
    () => assert.fail('taken'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof NodekilnError && thrown.code === 'NK_DOCUMENT_INVALID', String(thrown));
  for (const { place } of thrown.problems) assert.equal(place?.line, 1);
  return thrown.problems.map(({ message }) => message);
}

describe('an AgentConfig', () => {
  it('that says nothing is what there is without one', async () => {
    assert.deepEqual(await load({}), defaultAgentSpec());
    assert.deepEqual(defaultAgentSpec(), {
      tokens: [],
      tokensPeriod: 3_600_000,
      heartbeat: { enabled: true, lease: 'nodekiln-agent-{node}', duration: 40_000, period: 20_000 },
      podRoutes: false,
      restarts: {},
      health: { stuckAfter: 300_000, restartAfter: 60_000, maxRestarts: 5 },
      drift: 'repair',
      resync: 60_000,
      endpoint: 'unix:/run/nodekiln/agent.sock',
    });
  });

  it('has its secrets wrapped, durations in milliseconds, and one list of servers', async () => {
    const { cluster, heartbeat, restarts } = await load({
      source: 'secret:a/b',
      cluster: { server, caBundle: exampleAuthority, bootstrapToken: 'abcdef.0123456789abcdef' },
      heartbeat: { period: '10s' },
      restarts: { maxDelay: '1m30s' },
    });
    assert.deepEqual(cluster, {
      servers: [server],
      caBundle: exampleAuthority,
      bootstrapToken: { sensitive: 'abcdef.0123456789abcdef' },
    });
    assert.equal(heartbeat.period, 10_000);
    assert.equal(restarts.maxDelay, 90_000);
    const servers = [server, 'https://b'];
    assert.deepEqual((await load({ cluster: { servers } })).cluster?.servers, servers);
  });

  it('that contradicts itself is told all of it, with places', async () => {
    assert.deepEqual(
      await complaints({
        source: 'secret:a/b',
        tokens: [{ secret: 'a/b', path: '/a' }],
        tokensPeriod: '1s',
        resync: '1s',
        heartbeat: { period: '40s' },
      }),
      [
        'spec.source is a Secret, and there is no cluster to read it from: give spec.cluster',
        'spec.tokens come from Secrets, and there is no cluster to read them from: give spec.cluster',
        'spec.tokensPeriod must be at least 15s',
        'spec.heartbeat.period must be shorter than duration: between two renewals the Lease would run out',
        'spec.resync must be at least 10s',
      ],
    );
    for (const period of ['0s', '1ms', '999ms'])
      assert.deepEqual(await complaints({ heartbeat: { period } }), ['spec.heartbeat.period must be at least 1s']);
    for (const duration of ['596524h', '9999999h', '9999999999s'])
      assert.deepEqual(await complaints({ heartbeat: { duration } }), [
        'spec.heartbeat.duration must be at most 596523h: a Lease holds no larger number of seconds',
      ]);
    assert.equal((await load({ heartbeat: { duration: '596523h', period: '1s' } })).heartbeat.period, 1000);
    const pairs = {
      server,
      servers: [server],
      caBundle: exampleAuthority,
      caFile: '/a',
      bootstrapToken: 'abcdef.0123456789abcdef',
      bootstrapTokenFile: '/b',
    };
    assert.deepEqual(await complaints({ cluster: pairs }), [
      'spec.cluster has both server and servers',
      'spec.cluster has both caBundle and caFile',
      'spec.cluster has both bootstrapToken and bootstrapTokenFile',
    ]);
    assert.deepEqual(await complaints({ cluster: { kubeconfig: '/a', server } }), [
      'spec.cluster has both kubeconfig and server: the kubeconfig says all that',
    ]);
    for (const cluster of [{}, { servers: [] }])
      assert.deepEqual(await complaints({ cluster }), ['spec.cluster has neither a server nor a kubeconfig']);
  });

  it('with a token is refused when others can read it', async () => {
    const cluster = { server, bootstrapToken: 'abcdef.0123456789abcdef' };
    await assert.rejects(load({ cluster }, 0o640), { code: 'NK_DOCUMENT_EXPOSED' });
    await load({ cluster }, 0o600);
    await load({ cluster: { server } }, 0o644);
  });
});
