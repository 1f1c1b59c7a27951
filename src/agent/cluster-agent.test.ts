/** The agent that follows a Secret of a cluster: what it does while the API is away, and when a change has its turn. */
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
import { version } from '../model/program.ts';
import { ownDelay } from './turn.ts';

const documentOf = (content: string, spec: Readonly<Record<string, unknown>> = {}): object =>
  secretOf({ '10-node.json': nodeDocument({ files: [{ path: '/etc/a', content }], ...spec }) });

let agent: PlayedAgent;
afterEach(() => agent.stop());

async function play(options: PlayOptions = {}, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
  agent = await playPool(documentOf('one', spec), options);
}

const contentOf = (path: string): Promise<string | undefined> => contentIn(agent, path);

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

  it('keeps the last good state against drift while the API server is away, ten minutes each, also from its start', async () => {
    await play();
    agent.cluster.stop();
    const tenMinutes = async (): Promise<void> => {
      for (let minute = 0; minute < 10; minute += 1) {
        await agent.machine.files.write([textFile('/etc/a', 'drifted')]);
        await agent.pass(76_000);
        assert.equal(await contentOf('/etc/a'), 'one', `in minute ${minute}`);
      }
    };
    await tenMinutes();
    const said = agent.events.flatMap(({ event }) =>
      event.type === 'trouble' && event.controller === 'cluster' ? [event] : [],
    );
    assert.ok(said.length > 0 && said.length <= 6, `${said.length} messages, each once in ten minutes`);
    await agent.stop();
    agent.start();
    await tenMinutes();
    assert.match(agent.summary().at(-1) ?? '', /^failed NK_(?:SOURCE_UNAVAILABLE|TIMEOUT|CLUSTER)/);
    agent.cluster.put(poolKey, documentOf('two'));
    agent.cluster.start();
    const before = agent.summary().length;
    await agent.pass(76_000);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.deepEqual(agent.summary().slice(before).slice(0, 1), ['converged 1']);
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

describe('a cluster that is put back to an older copy', () => {
  it('under open connections is noticed by the next heartbeat, followed and said', async () => {
    await play();
    await agent.pass(20_000);
    const putBack = agent.cluster.save();
    agent.cluster.put(poolKey, documentOf('lost'));
    await agent.pass(40_000);
    assert.equal(await contentOf('/etc/a'), 'lost');
    putBack();
    await agent.pass(25_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    const said = agent.cluster.asked.filter(({ body }) => JSON.stringify(body ?? '').includes('ClusterPutBack'));
    assert.equal(said.length, 1);
    const watches = agent.cluster.told.filter((what) => what.startsWith('watch'));
    await agent.pass(200_000);
    assert.deepEqual(
      agent.cluster.told.filter((what) => what.startsWith('watch')),
      watches,
      'once',
    );
  });
});

describe('drift', () => {
  const reasons = (): string[] =>
    agent.events.flatMap(({ event }) =>
      event.type === 'notice' ? [`${event.notice.reason}: ${event.notice.message}`] : [],
    );

  it('is repaired, and said, with what it was', async () => {
    await play();
    await agent.machine.files.write([textFile('/etc/a', 'drifted', 0o644)]);
    await agent.pass(61_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    assert.deepEqual(reasons(), ['DriftRepaired: put back as documents ask: file:/etc/a (content)']);
  });

  it('is only reported where the AgentConfig says so, once, and a change of the document is applied all the same', async () => {
    await play({ spec: { drift: 'report' } });
    await agent.machine.files.write([textFile('/etc/a', 'drifted', 0o644)]);
    await agent.pass(300_000);
    assert.equal(await contentOf('/etc/a'), 'drifted');
    assert.deepEqual(reasons(), ['Drifted: not as documents ask, and left so: file:/etc/a (content)']);
    agent.cluster.put(poolKey, documentOf('two'));
    await agent.pass(1000);
    assert.equal(await contentOf('/etc/a'), 'two');
  });

  it('of what a change leaves alone is put back when its time has come, not with the change', async () => {
    await play({}, { files: [{ path: '/etc/b', content: 'kept' }] });
    await agent.machine.files.write([textFile('/etc/b', 'drifted')]);
    agent.cluster.put(
      poolKey,
      documentOf('two', {
        files: [
          { path: '/etc/a', content: 'two' },
          { path: '/etc/b', content: 'kept' },
        ],
      }),
    );
    await agent.pass(1000);
    assert.deepEqual([await contentOf('/etc/a'), await contentOf('/etc/b')], ['two', 'drifted']);
    await agent.pass(60_000);
    assert.equal(await contentOf('/etc/b'), 'kept');
    assert.ok(
      reasons().some((reason) => reason.includes('file:/etc/b')),
      reasons().join(),
    );
  });

  it('of what a change leaves alone is put back also while changes never end', async () => {
    await play({}, { files: [{ path: '/etc/b', content: 'kept' }] });
    await agent.machine.files.write([textFile('/etc/b', 'drifted')]);
    for (let turn = 0; turn < 40; turn += 1) {
      agent.cluster.put(
        poolKey,
        documentOf('', {
          files: [
            { path: '/etc/a', content: `${turn}` },
            { path: '/etc/b', content: 'kept' },
          ],
        }),
      );
      await agent.pass(2000);
    }
    assert.deepEqual([await contentOf('/etc/a'), await contentOf('/etc/b')], ['39', 'kept']);
  });

  it('of what reads what changes is seen with the change', async () => {
    const unit = (environment: string): Readonly<Record<string, unknown>> => ({
      files: [{ path: '/etc/a', content: environment }],
      units: [
        {
          name: 'reads.service',
          content: '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
          state: 'started',
          inputs: ['file:/etc/a'],
        },
      ],
    });
    await play({}, unit('one'));
    const before = (await agent.machine.units.get('reads.service')).invocationId;
    await agent.machine.files.remove(['/etc/systemd/system/reads.service']);
    agent.cluster.put(poolKey, documentOf('', unit('two')));
    await agent.pass(5000);
    assert.notEqual((await agent.machine.units.get('reads.service')).invocationId, before);
    assert.ok(await contentOf('/etc/systemd/system/reads.service'));
  });

  it('that is other drift is said again', async () => {
    await play({ spec: { drift: 'report' } });
    await agent.machine.files.write([textFile('/etc/a', 'one', 0o600)]);
    await agent.pass(61_000);
    await agent.machine.files.remove(['/etc/a']);
    await agent.pass(61_000);
    assert.equal(reasons().length, 2, reasons().join('\n'));
  });
});

describe('the Node of an agent', () => {
  const labelsOf = (): Readonly<Record<string, string>> => agent.cluster.get('nodes/node-1')?.metadata.labels ?? {};
  const annotationsOf = (): Readonly<Record<string, string>> =>
    agent.cluster.get('nodes/node-1')?.metadata.annotations ?? {};
  const taints = [{ key: 'a', value: 'b', effect: 'NoSchedule' }];
  const kubelet = { labels: { pool: 'a' }, annotations: { 'example.org/note': 'n' }, taints };
  const foreign = { key: 'theirs', effect: 'NoExecute' };
  const taintsOf = (): unknown => agent.cluster.get('nodes/node-1')?.['spec'] ?? {};

  it('holds what documents say of it, also after somebody changed it, until they no longer say so', async () => {
    await play({ spec: { restarts: { maxDelay: '0s' } } });
    assert.match(annotationsOf()['nodekiln.dev/applied'] ?? '', /^sha256:/);
    agent.cluster.put(poolKey, documentOf('two', { kubelet }));
    await agent.pass(5000);
    assert.equal(labelsOf()['pool'], 'a');
    assert.equal(annotationsOf()['example.org/note'], 'n');
    const { metadata } = agent.cluster.get('nodes/node-1') ?? assert.fail();
    assert.deepEqual(taintsOf(), { taints });
    agent.cluster.put('nodes/node-1', {
      metadata: { ...metadata, labels: { pool: 'b', theirs: 'x' } },
      spec: { taints: [foreign] },
    });
    await agent.pass(100);
    assert.deepEqual(labelsOf(), { pool: 'a', theirs: 'x' });
    assert.deepEqual(taintsOf(), { taints: [foreign, ...taints] });
    agent.cluster.put(poolKey, documentOf('three'));
    await agent.pass(5000);
    assert.deepEqual(labelsOf(), { theirs: 'x' });
    assert.deepEqual(taintsOf(), { taints: [foreign] });
    assert.equal(annotationsOf()['example.org/note'], undefined);
  });

  it('is told of in Events: what was applied, and what could not be, once', async () => {
    await play();
    agent.cluster.put(poolKey, secretOf({ '10-node.json': nodeDocument({ fils: [] }) }));
    await agent.pass(300_000);
    const said = agent.cluster.asked
      .filter(({ resource }) => resource === 'events')
      .map(({ body }) => body as { type: string; reason: string; message: string; involvedObject: { name: string } });
    assert.deepEqual(
      said.map(({ type, reason, involvedObject: { name } }) => [type, reason, name]),
      [
        ['Normal', 'DesiredStateApplied', 'node-1'],
        ['Warning', 'DesiredStateFailed', 'node-1'],
      ],
    );
    assert.match(said[1]?.message ?? '', /^secret:kube-system\/pool-a: NK_DOCUMENT_INVALID: /);
  });

  it('is written only when something is not as it should be, and its condition every five minutes', async () => {
    await play();
    const before = agent.cluster.told.length;
    await agent.pass(3_600_000);
    const asked = agent.cluster.told.slice(before);
    const writes = asked.filter((what) => !/^(?:watch|list|get|update leases)/.test(what));
    assert.deepEqual(new Set(writes), new Set(['apply nodes/status/node-1']));
    assert.ok(writes.length >= 11 && writes.length <= 13, String(writes.length));
    assert.ok(asked.length <= 400, `${asked.length} requests in an hour`);
  });

  type Condition = { readonly status: string; readonly reason: string; readonly message: string };
  const condition = (): Condition | undefined =>
    (
      agent.cluster.get('nodes/node-1')?.['status'] as
        | { conditions?: readonly (Condition & { readonly type: string })[] }
        | undefined
    )?.conditions?.find(({ type }) => type === 'DesiredStateApplied');
  const failing = { name: 'a.service', content: '[Service]\nExecStart=/bin/a\n', state: 'started' };

  for (const [what, bad, code] of [
    ['is emptied', secretOf({}), 'NK_DOCUMENT_MISSING'],
    ['makes no sense', secretOf({ '10-node.json': '{' }), 'NK_DOCUMENT_SYNTAX'],
    ['is refused', secretOf({ '10-node.json': nodeDocument({ fils: [] }) }), 'NK_DOCUMENT_INVALID'],
    ['names a unit that fails', documentOf('two', { units: [failing] }), 'NK_UNIT_FAILED'],
    ['is deleted', undefined, 'NK_DOCUMENT_MISSING'],
  ] as const)
    it(`has the code of it in a condition when its Secret ${what}, until all is well`, async () => {
      await play();
      assert.deepEqual([condition()?.status, condition()?.reason], ['True', 'Converged']);
      agent.machine.units.behave('a.service', { start: 'fail' });
      if (bad) agent.cluster.put(poolKey, bad);
      else agent.cluster.delete(poolKey);
      await agent.pass(5000);
      assert.deepEqual([condition()?.status, condition()?.reason], ['False', code]);
      assert.match(condition()?.message ?? '', /^secret:kube-system\/pool-a: /);
      agent.cluster.put(poolKey, documentOf('three'));
      await agent.pass(5000);
      assert.deepEqual([condition()?.status, condition()?.reason], ['True', 'Converged']);
    });

  it('has the condition also when it was made anew, and no unit is asked for', async () => {
    const osc = {
      apiVersion: 'extensions.gardener.cloud/v1alpha1',
      kind: 'OperatingSystemConfig',
      spec: { files: [] },
    };
    await play({ prepare: (cluster) => cluster.put(poolKey, secretOf({ 'osc.yaml': JSON.stringify(osc) })) });
    assert.equal(condition()?.reason, 'Converged');
    agent.cluster.delete('nodes/node-1');
    await agent.pass(1000);
    agent.cluster.put('nodes/node-1', { metadata: {} });
    await agent.pass(1000);
    assert.equal(condition()?.reason, 'Converged');
  });

  it('tells what is applied only once it is, and with a checksum what others wait for (B7)', async () => {
    const osc = (data: string): string =>
      JSON.stringify({
        apiVersion: 'extensions.gardener.cloud/v1alpha1',
        kind: 'OperatingSystemConfig',
        spec: { files: [{ path: '/etc/a', content: { inline: { data } } }] },
      });
    await play({
      prepare: (cluster) => {
        cluster.put('nodes/node-1', { metadata: {}, status: { nodeInfo: { kubeletVersion: 'v1.34.3' } } });
        cluster.put(poolKey, secretOf({ 'osc.yaml': osc('one') }));
      },
    });
    const first = annotationsOf()['checksum/cloud-config-data'];
    assert.match(first ?? '', /^[0-9a-f]{64}$/);
    assert.equal(labelsOf()['worker.gardener.cloud/kubernetes-version'], '1.34.3');
    assert.equal(labelsOf()['node-role.kubernetes.io/worker'], '');
    await putInTheWay(agent, '/etc/a');
    agent.cluster.put(poolKey, secretOf({ 'osc.yaml': osc('two') }));
    await agent.pass(100);
    assert.match(agent.summary().at(-1) ?? '', /^failed/);
    assert.equal(annotationsOf()['checksum/cloud-config-data'], first);
    await agent.machine.files.removeTree('/etc/a');
    await agent.pass(60_000);
    assert.notEqual(annotationsOf()['checksum/cloud-config-data'], first);
  });

  it('that comes later than the agent is told then', async () => {
    await play({ prepare: (cluster) => cluster.delete('nodes/node-1') });
    agent.cluster.put('nodes/node-1', { metadata: {} });
    await agent.pass(100);
    assert.match(annotationsOf()['nodekiln.dev/applied'] ?? '', /^sha256:/);
  });
});

describe('an annotation that asks for restarts', () => {
  const invocation = async (name: string): Promise<string> => (await agent.machine.units.get(name)).invocationId;
  const ask = (key: string, value: string): void => {
    const { metadata } = agent.cluster.get('nodes/node-1') ?? assert.fail();
    agent.cluster.put('nodes/node-1', {
      metadata: { ...metadata, annotations: { ...metadata.annotations, [key]: value } },
    });
  };
  const eventsSaid = (): unknown[] =>
    agent.cluster.asked
      .filter(({ resource, body }) => resource === 'events' && (body as { reason: string }).reason === 'UnitRestart')
      .map(({ body }) => (body as { message: string }).message);

  for (const key of ['nodekiln.dev/restart-units', 'worker.gardener.cloud/restart-systemd-services']) {
    it(`${key} restarts units once, goes, and says how it went (H8, H10)`, async () => {
      await play();
      const before = [await invocation('kubelet.service'), await invocation('containerd.service')];
      ask(key, 'kubelet, containerd.service ,,kubelet');
      await agent.pass(5000);
      const after = [await invocation('kubelet.service'), await invocation('containerd.service')];
      assert.ok(after.every((id, index) => id !== before[index]));
      assert.equal(agent.cluster.get('nodes/node-1')?.metadata.annotations?.[key], undefined);
      assert.deepEqual(eventsSaid(), [
        'kubelet.service was restarted, as an annotation asked',
        'containerd.service was restarted, as an annotation asked',
      ]);
      await agent.pass(600_000);
      assert.deepEqual([await invocation('kubelet.service'), await invocation('containerd.service')], after);
    });
  }

  it('restarts no unit that no document names', async () => {
    await play();
    ask('nodekiln.dev/restart-units', 'sshd.service,../x');
    await agent.pass(5000);
    assert.deepEqual(eventsSaid(), [
      'sshd.service is not restarted: no document of this node names it',
      '../x is not restarted: no document of this node names it',
    ]);
  });

  it('ends the agent when it names it, after the annotation is gone', async () => {
    await play();
    ask('nodekiln.dev/restart-units', 'nodekiln-agent');
    await assert.rejects(agent.ended(), { code: 'NK_AGENT_RESTART' });
    assert.equal(agent.cluster.get('nodes/node-1')?.metadata.annotations?.['nodekiln.dev/restart-units'], undefined);
  });
});

describe('a Node that names another Secret', () => {
  const label = 'worker.gardener.cloud/gardener-node-agent-secret-name';
  const name = (secret: string | undefined): void => {
    const own = agent.cluster.get('nodes/node-1') ?? assert.fail();
    const { [label]: _before, ...labels } = own.metadata.labels ?? {};
    agent.cluster.put('nodes/node-1', {
      ...own,
      metadata: { ...own.metadata, labels: { ...labels, ...(secret !== undefined && { [label]: secret }) } },
    });
  };

  it('is followed to it, over restarts, until it names yet another one; none and nonsense change nothing', async () => {
    await play();
    agent.cluster.put('secrets/kube-system/pool-b', documentOf('from b'));
    name('pool-b');
    await assert.rejects(agent.ended(), { code: 'NK_AGENT_RESTART' });
    agent.start();
    await agent.pass(1000);
    assert.equal(await contentOf('/etc/a'), 'from b');
    for (const nonsense of [undefined, '', '../pool-a', 'Pool_A']) {
      name(nonsense);
      await agent.pass(1000);
      await agent.stop();
      agent.start();
      await agent.pass(1000);
      assert.equal(await contentOf('/etc/a'), 'from b', String(nonsense));
    }
    agent.cluster.put('secrets/kube-system/pool-b', documentOf('other words'));
    await agent.pass(1000);
    assert.equal(await contentOf('/etc/a'), 'other words');
    name('pool-a');
    await assert.rejects(agent.ended(), { code: 'NK_AGENT_RESTART' });
    agent.start();
    await agent.pass(1000);
    assert.equal(await contentOf('/etc/a'), 'one');
  });

  it('that may not be read or is not there keeps what is in force', async () => {
    await play();
    name('pool-c');
    await assert.rejects(agent.ended(), { code: 'NK_AGENT_RESTART' });
    agent.start();
    await agent.pass(1000);
    assert.equal(await contentOf('/etc/a'), 'one');
    assert.match(agent.summary().at(-1) ?? '', /^failed NK_DOCUMENT_MISSING/);
  });
});

const newer = documentOf('two', { kubernetes: { version: '1.34.4' } });
const delayMs = ownDelay('node-1', 300_000);

describe('the Node tells of resources', () => {
  const status = (): unknown =>
    JSON.parse(agent.cluster.get('nodes/node-1')?.metadata.annotations?.['nodekiln.dev/status'] ?? '{}');
  const broken = {
    name: 'broken.service',
    content: '[Service]\nExecStart=/bin/x\n',
    state: 'started',
    importance: 'bestEffort',
  };

  it('that all are as documents ask, and writes it once', async () => {
    await play();
    const { resources, ...rest } = status() as { resources: number };
    assert.ok(resources > 1);
    assert.deepEqual(rest, { nodekiln: version, failed: [], pending: [], drifted: [] });
    const before = agent.cluster.told.length;
    await agent.pass(10 * 60_000);
    assert.deepEqual(
      agent.cluster.told.slice(before).filter((what) => what === 'apply nodes/node-1'),
      [],
    );
  });

  it('which of them failed, with the code, and that it is well again', async () => {
    await play({
      prepare: (_cluster, machine) => machine.units.behave('broken.service', { start: 'fail', startMs: 10 }),
    });
    agent.cluster.put(poolKey, documentOf('two', { units: [broken] }));
    await agent.pass(5000);
    assert.deepEqual((status() as { failed: unknown }).failed, ['unit:broken.service: NK_UNIT_FAILED']);
    agent.machine.units.behave('broken.service', { startMs: 10 });
    await agent.pass(120_000);
    assert.deepEqual((status() as { failed: unknown }).failed, []);
  });

  it('which of them wait, and which have drifted where that is only reported', async () => {
    await play({ spec: { drift: 'report' } });
    await agent.machine.files.write([textFile('/etc/a', 'drifted', 0o644)]);
    await agent.pass(61_000);
    assert.deepEqual((status() as { drifted: unknown }).drifted, ['file:/etc/a']);
    agent.cluster.put(poolKey, newer);
    await agent.pass(1000);
    const { pending, drifted } = status() as { pending: readonly string[]; drifted: unknown };
    assert.ok(pending.includes('unit:kubelet.service') && pending.includes('file:/etc/a'), pending.join());
    assert.deepEqual(drifted, []);
  });
});

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

  it('waits no longer because another one follows, or because the agent starts anew (X14)', async () => {
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

  for (const aheadMs of [3_600_000, -3_600_000])
    it(`has its turn when it was told, though the time of day is set by ${aheadMs / 60_000} minutes`, async () => {
      await play();
      const first = await startsOf();
      agent.cluster.put(poolKey, newer);
      await agent.pass(delayMs / 2);
      agent.machine.clock.setAhead(aheadMs);
      // Whatever comes makes it look again.
      agent.cluster.put(poolKey, documentOf('three', { kubernetes: { version: '1.34.4' } }));
      await agent.pass(delayMs / 4);
      await agent.stop();
      agent.start();
      await agent.pass(delayMs / 8);
      assert.equal(await startsOf(), first);
      await agent.pass(delayMs / 8 + 5000);
      assert.notEqual(await startsOf(), first);
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
