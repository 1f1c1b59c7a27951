/** An agent's own certificate, its heartbeat and the tokens it syncs, against an API server in memory. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  contentOf as contentIn,
  playPool,
  poolKey,
  secretOf,
  type PlayedAgent,
  type PlayOptions,
} from '../../../test/support/cluster-agent.ts';
import { clusterAddress } from '../../../test/support/kube-cluster.ts';
import { nodeDocument, textFile } from '../../../test/support/memory-node.ts';
import { certificateFor, deny, requestsIn, sign } from '../../../test/support/signer.ts';
import { exampleAuthority } from '../../../test/support/authority.ts';

const certificatePath = '/var/lib/nodekiln/agent/client-current.pem';
const minute = 60_000;
const day = 24 * 60 * minute;

let agent: PlayedAgent;
afterEach(() => agent.stop());

const documents = secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content: 'one' }] }) });

async function play(options: PlayOptions = {}): Promise<void> {
  agent = await playPool(documents, options);
}

const contentOf = (path: string): Promise<string | undefined> => contentIn(agent, path);
const troubles = (): string[] =>
  agent.events.flatMap(({ event }) => (event.type === 'trouble' ? [event.error.code] : []));

const anotherKey = (): Promise<string> => agent.machine.open().signatures.newKey();
const certificateOfAnother = (): string => {
  const now = agent.machine.clock.now();
  const [commonName, organization] = ['nodekiln:node-agent:node-2', 'nodekiln:node-agents'];
  return certificateFor({ commonName, organization, notBefore: now, notAfter: now + 30 * day });
};

describe('the certificate of an agent', () => {
  const tokenFile = '/etc/nodekiln/bootstrap-token';
  const own = (cluster: Readonly<Record<string, unknown>> = { bootstrapTokenFile: tokenFile }): PlayOptions => ({
    spec: { cluster: { server: clusterAddress, caBundle: exampleAuthority, ...cluster } },
    prepare: (_cluster, machine) => machine.files.write([textFile(tokenFile, 'abcdef.0123456789abcdef\n')]),
  });
  const signLast = (validMs: number, commonName?: string): void => {
    const now = agent.machine.clock.now();
    const name = requestsIn(agent.cluster).at(-1) ?? assert.fail('nothing was asked for');
    sign(agent.cluster, {
      name,
      notBefore: now,
      notAfter: now + validMs,
      ...(commonName !== undefined && { commonName }),
    });
  };
  const asked = (): number => new Set(requestsIn(agent.cluster)).size;
  const bearers = (): (string | undefined)[] => [
    ...new Set(agent.cluster.asked.map(({ headers }) => headers['authorization'])),
  ];

  it('is asked for with the bootstrap token, which goes then; before it nobody else asks anything (H21)', async () => {
    await play(own());
    const [name = ''] = requestsIn(agent.cluster);
    assert.match(name, /^nodekiln-agent-[0-9a-f]{40}$/);
    const { spec } = agent.cluster.get(`certificatesigningrequests/${name}`) as unknown as {
      spec: Record<string, unknown>;
    };
    assert.equal(spec['signerName'], 'kubernetes.io/kube-apiserver-client');
    assert.deepEqual(spec['usages'], ['digital signature', 'client auth']);
    assert.ok(
      agent.cluster.told.every((what) => what.includes('certificatesigningrequests')),
      agent.cluster.told.join(),
    );
    assert.deepEqual(bearers(), ['Bearer abcdef.0123456789abcdef']);
    assert.equal(await contentOf('/etc/a'), undefined);
    signLast(30 * day);
    await agent.pass(10_000);
    const stat = await agent.machine.files.stat(certificatePath);
    assert.equal(stat?.mode, 0o600);
    assert.match(
      (await contentOf(certificatePath)) ?? '',
      /^-----BEGIN CERTIFICATE-----[^]*-----BEGIN PRIVATE KEY-----/,
    );
    assert.equal(await contentOf(tokenFile), undefined);
    assert.equal(await contentOf('/var/lib/nodekiln/agent/client-next.key'), undefined);
    assert.equal(await contentOf('/etc/a'), 'one');
  });

  it('is asked for with a token of systemd’s credentials, which goes with them and not by us', async () => {
    const credential = '/run/credentials/@system/nodekiln-token';
    await play({
      ...own({ bootstrapTokenFile: credential }),
      prepare: (_cluster, machine) => machine.files.write([textFile(credential, 'abcdef.0123456789abcdef\n', 0o400)]),
    });
    assert.deepEqual(bearers(), ['Bearer abcdef.0123456789abcdef']);
    signLast(30 * day);
    await agent.pass(10_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    assert.equal(await contentOf(credential), 'abcdef.0123456789abcdef\n');
  });

  for (const silent of [1, 2])
    it(`is asked for at each server in turn, ${silent} of which ${silent === 1 ? 'does' : 'do'} not answer`, async () => {
      const servers = ['https://10.9.0.1:6443', 'https://10.9.0.2:6443'].slice(0, silent);
      await play(own({ server: undefined, servers: [...servers, clusterAddress], bootstrapTokenFile: tokenFile }));
      assert.equal(asked(), 1, 'at once');
      assert.ok(!troubles().includes('NK_CLUSTER_UNREACHABLE'), troubles().join());
      signLast(30 * day);
      await agent.pass(10_000);
      assert.equal(await contentOf('/etc/a'), 'one');
    });

  for (const [what, change] of [
    ['whose key is another one', async (pem: string) => pem.replace(/-----BEGIN PRIVATE[^]*/, await anotherKey())],
    ['without a key', async (pem: string) => pem.replace(/-----BEGIN PRIVATE[^]*/, '')],
    ['of another node', async () => `${certificateOfAnother()}${await anotherKey()}`],
  ] as const)
    it(`${what} is none: another one is asked for`, async () => {
      await play(own({ bootstrapToken: 'abcdef.0123456789abcdef' }));
      signLast(30 * day);
      await agent.pass(10_000);
      await agent.stop();
      await agent.machine.files.write([
        textFile(certificatePath, await change((await contentOf(certificatePath)) ?? '')),
      ]);
      agent.start();
      await agent.pass(10_000);
      assert.equal(asked(), 2);
    });

  it('is asked for again with the same key by an agent that was stopped meanwhile', async () => {
    await play(own());
    await agent.stop();
    agent.start();
    await agent.pass(10_000);
    const names = requestsIn(agent.cluster);
    assert.ok(names.length >= 2 && new Set(names).size === 1, names.join());
  });

  it('is renewed with itself between seven and nine tenths of its time, with another key', async () => {
    await play(own());
    signLast(20 * minute);
    await agent.pass(10_000);
    const first = await contentOf(certificatePath);
    await agent.pass(13.5 * minute);
    assert.equal(asked(), 1);
    await agent.pass(5 * minute);
    assert.equal(asked(), 2);
    assert.equal(await contentOf(certificatePath), first, 'the old one holds until then');
    signLast(20 * minute);
    await agent.pass(10_000);
    assert.notEqual(await contentOf(certificatePath), first);
  });

  it('that has expired is asked for with a token again, and without one that is said', async () => {
    await play(own());
    signLast(10 * minute);
    await agent.pass(10_000);
    agent.cluster.stop();
    await agent.pass(15 * minute);
    agent.cluster.start();
    await agent.pass(2 * minute);
    assert.equal(asked(), 1);
    const said = agent.events.flatMap(({ event }) => (event.type === 'trouble' ? [event.error.message] : []));
    assert.ok(said.includes('the agent’s certificate has expired, and there is no bootstrap token'), said.join());
    await agent.machine.files.write([textFile(tokenFile, 'ghijkl.0123456789abcdef\n')]);
    await agent.pass(2 * minute);
    assert.equal(asked(), 2);
    signLast(30 * day);
    await agent.pass(10_000);
    assert.equal(await contentOf(tokenFile), undefined);
  });

  for (const [status, code] of [
    [401, 'NK_CLUSTER_TOKEN_REFUSED'],
    [403, 'NK_CLUSTER_TOKEN_FORBIDDEN'],
  ] as const)
    it(`is not had with a token that is answered ${status}, which is said, until it is another`, async () => {
      await play({
        ...own(),
        prepare: async (cluster, machine) => {
          await machine.files.write([textFile(tokenFile, 'abcdef.0123456789abcdef\n')]);
          cluster.instead = () => ({ status });
        },
      });
      await agent.pass(2 * minute);
      assert.deepEqual(
        troubles().filter((said) => said !== 'NK_CLUSTER_CREDENTIAL_MISSING'),
        [code],
      );
      assert.equal(await contentOf(tokenFile), 'abcdef.0123456789abcdef\n');
      agent.cluster.instead = undefined;
      await agent.machine.files.write([textFile(tokenFile, 'ghijkl.0123456789abcdef\n')]);
      await agent.pass(2 * minute);
      signLast(30 * day);
      await agent.pass(10_000);
      assert.equal(await contentOf('/etc/a'), 'one');
    });

  it('is not asked for again because the clock is set by an hour', async () => {
    await play(own());
    signLast(30 * day);
    await agent.pass(10_000);
    const before = troubles();
    for (const ahead of [60, -60, 0]) {
      agent.machine.clock.setAhead(ahead * minute);
      await agent.pass(20 * minute);
    }
    assert.deepEqual([asked(), troubles()], [1, before]);
  });

  it('is not taken from a cluster that issues one for somebody else, or denies it (H22)', async () => {
    await play(own());
    signLast(30 * day, 'system:node:other');
    await agent.pass(10_000);
    assert.equal(await contentOf(certificatePath), undefined);
    await agent.stop();
    await play(own());
    deny(agent.cluster, requestsIn(agent.cluster).at(-1) ?? '');
    await agent.pass(10_000);
    assert.equal(await contentOf(certificatePath), undefined);
    assert.ok(troubles().includes('NK_CLUSTER_REQUEST_DENIED'), troubles().join());
  });
});

describe('an agent whose clock is set by an hour', () => {
  for (const [where, ahead] of [
    ['ahead', 60 * minute],
    ['back', -60 * minute],
  ] as const)
    it(`${where} goes on: documents, heartbeat, what is tried again`, async () => {
      const restarts = { maxDelay: '5m' };
      await play({ spec: { restarts, heartbeat: { period: '20s' } } });
      const put = (content: string): void =>
        agent.cluster.put(
          poolKey,
          secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content }] }) }),
        );
      const renewalsWithin = async (ms: number): Promise<number> => {
        const before = agent.cluster.told.length;
        await agent.pass(ms);
        return agent.cluster.told.slice(before).filter((what) => /^(?:update|patch|apply) leases/.test(what)).length;
      };
      const usual = await renewalsWithin(5 * minute);
      agent.machine.clock.setAhead(ahead);
      put('two');
      await agent.pass(2000);
      assert.equal(await contentOf('/etc/a'), 'two');
      const after = await renewalsWithin(5 * minute);
      assert.ok(usual >= 14 && Math.abs(after - usual) <= 1, `${usual} renewals before, ${after} after`);
      agent.cluster.stop();
      await agent.pass(3 * minute);
      agent.machine.clock.setAhead(0);
      put('three');
      agent.cluster.start();
      await agent.pass(75_000);
      assert.equal(await contentOf('/etc/a'), 'three', 'the pause after a failure is not longer');
      const changes = agent.events.flatMap(({ event }) => (event.type === 'reconciled' ? [event.report.changes] : []));
      assert.deepEqual(changes.filter(Boolean).slice(1), [1, 1], 'nothing else was put in place again');
    });
});

describe('the heartbeat', () => {
  const lease = (): Record<string, unknown> =>
    (agent.cluster.get('leases/kube-system/nodekiln-agent-node-1')?.['spec'] ?? {}) as Record<string, unknown>;

  it('is renewed every twenty seconds, and is the Node’s (H5, H6)', async () => {
    await play();
    await agent.pass(1000);
    const first = lease()['renewTime'];
    assert.match(String(first), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.equal(lease()['leaseDurationSeconds'], 40);
    assert.equal(lease()['holderIdentity'], 'nodekiln-agent-node-1');
    const { metadata } = agent.cluster.get('leases/kube-system/nodekiln-agent-node-1') ?? assert.fail();
    const uid = agent.cluster.get('nodes/node-1')?.metadata.uid;
    assert.match(uid ?? '', /./);
    // Nobody who may not finalize Nodes can block what removes one.
    const owners = [{ apiVersion: 'v1', kind: 'Node', name: 'node-1', uid }];
    assert.deepEqual((metadata as { ownerReferences?: unknown }).ownerReferences, owners);
    const before = agent.cluster.told.length;
    await agent.pass(600_000);
    const renewals = agent.cluster.told.slice(before).filter((what) => what.startsWith('update leases'));
    assert.ok(renewals.length >= 29 && renewals.length <= 31, String(renewals.length));
    const reads = agent.cluster.told.slice(before).filter((what) => what.startsWith('get leases'));
    assert.deepEqual(reads, [], 'nobody else writes it: it need not be read');
    assert.ok(String(lease()['renewTime']) > String(first));
    const later = agent.cluster.get('leases/kube-system/nodekiln-agent-node-1')?.metadata;
    assert.deepEqual((later as { ownerReferences?: unknown } | undefined)?.ownerReferences, owners);
  });

  it('goes on when another wrote the Lease, or it was removed', async () => {
    await play();
    await agent.pass(1000);
    agent.cluster.put('leases/kube-system/nodekiln-agent-node-1', { metadata: {}, spec: { holderIdentity: 'x' } });
    await agent.pass(21_000);
    assert.equal(lease()['holderIdentity'], 'nodekiln-agent-node-1');
    agent.cluster.delete('leases/kube-system/nodekiln-agent-node-1');
    await agent.pass(21_000);
    assert.equal(lease()['holderIdentity'], 'nodekiln-agent-node-1');
  });

  it('stops with the Node, and begins with it', async () => {
    await play({ prepare: (cluster) => cluster.delete('nodes/node-1') });
    await agent.pass(60_000);
    assert.deepEqual(lease(), {});
    agent.cluster.put('nodes/node-1', { metadata: {} });
    await agent.pass(1000);
    assert.equal(lease()['holderIdentity'], 'nodekiln-agent-node-1');
    agent.cluster.delete('nodes/node-1');
    agent.cluster.delete('leases/kube-system/nodekiln-agent-node-1');
    await agent.pass(60_000);
    assert.deepEqual(lease(), {});
  });

  it('has another name and other times where the AgentConfig says so, or is none', async () => {
    await play({ spec: { heartbeat: { lease: 'gardener-node-agent-{node}', period: '10s' } } });
    await agent.pass(60_000);
    assert.ok(agent.cluster.get('leases/kube-system/gardener-node-agent-node-1'));
    assert.ok(agent.cluster.told.filter((what) => what.startsWith('update leases')).length >= 5);
    await agent.stop();
    await play({ spec: { heartbeat: { enabled: false } } });
    await agent.pass(60_000);
    assert.ok(!agent.cluster.told.some((what) => what.includes('leases')));
  });
});

describe('tokens', () => {
  const tokens = [
    { secret: 'kube-system/one', path: '/var/lib/one/token' },
    { secret: 'kube-system/two', key: 'key', path: '/etc/two', mode: '0640' },
  ];

  it('are asked for by time, and not more often', async () => {
    agent = await playPool(documents, {
      spec: { tokens, tokensPeriod: '2m' },
      prepare: (cluster) => {
        cluster.put('secrets/kube-system/one', secretOf({ token: 'first' }));
        cluster.put('secrets/kube-system/two', secretOf({ key: 'second' }));
      },
    });
    await agent.pass(10_000);
    const before = agent.cluster.told.length;
    await agent.pass(60 * minute);
    const asked = agent.cluster.told.slice(before).filter((what) => what === 'get secrets/kube-system/one');
    assert.ok(asked.length >= 29 && asked.length <= 31, `${asked.length} times`);
  });

  it('are in files of their own mode, and follow their Secrets by time (H12, H13)', async () => {
    await play({
      spec: { tokens, tokensPeriod: '2m' },
      prepare: (cluster) => {
        cluster.put('secrets/kube-system/one', secretOf({ token: 'first' }));
        cluster.put('secrets/kube-system/two', secretOf({ key: 'second' }));
      },
    });
    assert.deepEqual([await contentOf('/var/lib/one/token'), await contentOf('/etc/two')], ['first', 'second']);
    const stats = await Promise.all(['/var/lib/one/token', '/etc/two'].map((path) => agent.machine.files.stat(path)));
    assert.deepEqual(
      stats.map((stat) => stat?.mode),
      [0o600, 0o640],
    );
    agent.cluster.put('secrets/kube-system/one', secretOf({ token: 'renewed' }));
    await agent.machine.files.write([textFile('/etc/two', 'second', 0o644)]);
    await agent.pass(121_000);
    assert.equal(await contentOf('/var/lib/one/token'), 'renewed');
    assert.equal((await agent.machine.files.stat('/etc/two'))?.mode, 0o640);
  });

  it('that are away leave their file as it is, and hold up no other', async () => {
    await play({
      spec: { tokens, tokensPeriod: '2m' },
      prepare: (cluster) => cluster.put('secrets/kube-system/two', secretOf({ key: 'second' })),
    });
    assert.equal(await contentOf('/etc/two'), 'second');
    const said = agent.events.flatMap(({ event }) => (event.type === 'trouble' ? [event.error.message] : []));
    assert.deepEqual(said[0], '/var/lib/one/token is not synced: there is no Secret kube-system/one');
    agent.cluster.put('secrets/kube-system/one', secretOf({ token: 'late' }));
    await agent.pass(70_000);
    assert.equal(await contentOf('/var/lib/one/token'), 'late');
    agent.cluster.put('secrets/kube-system/one', secretOf({ token: '' }));
    await agent.pass(121_000);
    assert.equal(await contentOf('/var/lib/one/token'), 'late');
  });

  it('are there before the units of the documents start, as far as they can be', async () => {
    let seen: (string | undefined)[] = [];
    const unit = { name: 'mine.service', content: '[Service]\nExecStart=/bin/mine\n', state: 'started' };
    const document = secretOf({ '10-node.json': nodeDocument({ units: [unit] }) });
    const startedWith = async (prepare: PlayOptions['prepare']): Promise<unknown> => {
      seen = [];
      await play({
        spec: { tokens },
        prepare: async (cluster, machine) => {
          cluster.put(poolKey, document);
          machine.units.behave('mine.service', {
            onActive: () => void contentIn({ machine }, '/var/lib/one/token').then((text) => seen.push(text)),
          });
          await prepare?.(cluster, machine);
        },
      });
      await agent.pass(20_000);
      await agent.stop();
      return seen;
    };
    // Slower than the documents.
    const slowly = (cluster: PlayedAgent['cluster']): void => {
      cluster.put('secrets/kube-system/one', secretOf({ token: 'first' }));
      cluster.instead = ({ verb, name }) =>
        verb === 'get' && name === 'one'
          ? { body: JSON.stringify(cluster.get('secrets/kube-system/one')), durationMs: 3000 }
          : undefined;
    };
    assert.deepEqual(await startedWith(slowly), ['first']);
    assert.deepEqual(await startedWith(() => undefined), [undefined], 'one that is missing holds up nothing');
  });

  it('never appear in what the agent says', async () => {
    await play({
      spec: { tokens, tokensPeriod: '2m' },
      prepare: (cluster) => cluster.put('secrets/kube-system/one', secretOf({ token: 'hunter2' })),
    });
    assert.doesNotMatch(JSON.stringify(agent.events), /hunter2|aHVudGVyMg/);
  });
});
