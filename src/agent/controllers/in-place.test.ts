/** Updates in place: what waits until a Node is drained, what is made then, and what the Node says of it. */
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
import { exampleAuthority } from '../../../test/support/authority.ts';
import { clusterAddress } from '../../../test/support/kube-cluster.ts';
import { healthz, nodeDocument, textFile } from '../../../test/support/memory-node.ts';
import { certificateFor, deny, requestsIn, sign } from '../../../test/support/signer.ts';
import { visibleLine } from '../../model/printable.ts';
import type { NodeCondition } from '../cluster.ts';

const nodeKey = 'nodes/node-1';
const label = 'nodekiln.dev/update';
const reasonKey = 'nodekiln.dev/update-failed-reason';
const minute = 60_000;
const cpuState = '/var/lib/kubelet/cpu_manager_state';
const bootId = '/proc/sys/kernel/random/boot_id';

let agent: PlayedAgent;
afterEach(() => agent.stop());

const documents = (inPlaceUpdates: object | undefined, configuration: object = {}, content = 'one'): object =>
  secretOf({
    '10-node.json': nodeDocument({
      files: [{ path: '/etc/a', content }],
      kubelet: { configuration },
      ...(inPlaceUpdates && { inPlaceUpdates }),
    }),
  });

async function play(options: PlayOptions = {}, inPlaceUpdates: object = {}): Promise<void> {
  agent = await playPool(documents(inPlaceUpdates), options);
  await agent.pass(3000);
}

const contentOf = (path: string): Promise<string | undefined> => contentIn(agent, path);
const invocation = async (): Promise<string> => (await agent.machine.units.get('kubelet.service')).invocationId;
const node = () => agent.cluster.get(nodeKey) ?? assert.fail('there is no Node');
const word = (): string | undefined => node().metadata.labels?.[label];
const condition = (): string => {
  const { conditions = [] } = (node()['status'] ?? {}) as { conditions?: NodeCondition[] };
  const found = conditions.find(({ type }) => type === 'NodekilnUpdate');
  return found ? `${found.status} ${found.reason ?? ''}` : 'none';
};
const putNode = (metadata: object, status: object = {}): void => {
  const before = node();
  agent.cluster.put(nodeKey, {
    ...before,
    metadata: { ...before.metadata, ...metadata },
    status: { ...(before['status'] as object | undefined), ...status },
  });
};
const say = (value: string): void => putNode({ labels: { ...node().metadata.labels, [label]: value } });
/** Changes of the Node’s metadata within so much time. */
const writesWithin = async (ms: number): Promise<number> => {
  const before = agent.cluster.told.length;
  await agent.pass(ms);
  return agent.cluster.told.slice(before).filter((what) => what.startsWith('patch nodes')).length;
};
/** A change that disturbs pods, beside one that does not. */
const disturbing = documents({}, { cpuManagerPolicy: 'static' }, 'two');

describe('a change that disturbs pods', () => {
  it('waits whole until the Node is drained, and asks for that (D17, D29)', async () => {
    await play();
    const before = await invocation();
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(10 * minute);
    assert.deepEqual([word(), condition()], ['wanted', 'True WaitsForDrain']);
    assert.deepEqual([await invocation(), await contentOf('/etc/a')], [before, 'one']);
    assert.equal(await writesWithin(30 * minute), 0, 'it is said once');
    await agent.machine.files.write([textFile(cpuState, 'none')]);
    say('ready');
    await agent.pass(10_000);
    assert.notEqual(await invocation(), before);
    assert.equal(await contentOf(cpuState), undefined, 'kubelet would not start with it');
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.deepEqual([word(), condition()], ['successful', 'False UpdateSuccessful']);
    const after = await invocation();
    assert.equal(await writesWithin(30 * minute), 0);
    assert.equal(await invocation(), after);
  });

  it('waits over a restart of the agent, and is made once (D20)', async () => {
    await play();
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(5000);
    await agent.stop();
    agent.start();
    await agent.pass(10_000);
    assert.equal(await contentOf('/etc/a'), 'one');
    say('ready');
    await agent.pass(10_000);
    assert.equal(word(), 'successful');
    agent.cluster.put(poolKey, documents({}, { cpuManagerPolicy: 'none' }, 'three'));
    await agent.pass(10_000);
    assert.deepEqual([word(), await contentOf('/etc/a')], ['wanted', 'two']);
  });

  it('is taken back before anybody drained', async () => {
    await play();
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(5000);
    agent.cluster.put(poolKey, documents({}, {}, 'three'));
    await agent.pass(10_000);
    assert.equal(await contentOf('/etc/a'), 'three');
  });

  it('waits for nobody where the documents say so, or say nothing of updates', async () => {
    for (const updates of [{ drain: false }, undefined]) {
      agent = await playPool(documents(updates));
      const before = await invocation();
      await agent.pass(3000);
      agent.cluster.put(poolKey, documents(updates, { cpuManagerPolicy: 'static' }, 'two'));
      await agent.pass(6 * minute);
      assert.equal(await contentOf('/etc/a'), 'two');
      assert.notEqual(await invocation(), before);
      await agent.stop();
    }
  });

  it('that disturbs none waits for nobody (D11)', async () => {
    await play();
    agent.cluster.put(poolKey, documents({}, { maxPods: 50 }, 'two'));
    await agent.pass(6 * minute);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.deepEqual([word(), condition()], [undefined, 'none']);
  });

  it('waits for Gardener’s machine controller, and tells it (D13)', async () => {
    await play();
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(5000);
    const ready = { type: 'InPlaceUpdate', status: 'True', reason: 'ReadyForUpdate' };
    const { conditions = [] } = node()['status'] as { conditions?: object[] };
    putNode({}, { conditions: [...conditions, ready] });
    await agent.pass(10_000);
    assert.equal(node().metadata.labels?.['node.machine.sapcloud.io/update-result'], 'successful');
    assert.equal(await contentOf('/etc/a'), 'two');
  });

  it('asks for no pod, and touches none: whoever drains deletes them (D1, D13)', async () => {
    await play();
    agent.cluster.put('pods/default/left', { metadata: {}, spec: { nodeName: 'node-1' } });
    const of = ({ resource }: { readonly resource: string }): boolean => resource.startsWith('pods');
    for (const ready of [{ [label]: 'ready' }, undefined]) {
      agent.cluster.put(poolKey, ready ? disturbing : documents({}, { cpuManagerPolicy: 'none' }, 'three'));
      await agent.pass(5000);
      assert.equal(word(), 'wanted', 'nothing is begun while pods may be there');
      if (ready) putNode({ labels: { ...node().metadata.labels, ...ready } });
      else putNode({}, { conditions: [{ type: 'InPlaceUpdate', status: 'True', reason: 'ReadyForUpdate' }] });
      await agent.pass(30_000);
    }
    assert.equal(await contentOf('/etc/a'), 'three');
    assert.deepEqual(agent.cluster.asked.filter(of), []);
    assert.ok(agent.cluster.get('pods/default/left'));
  });

  it('waits for nobody where there is no Node, and writes none (D8)', async () => {
    await play();
    agent.cluster.delete(nodeKey);
    await agent.pass(5000);
    const before = agent.cluster.told.length;
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(2 * minute);
    assert.equal(await contentOf('/etc/a'), 'two');
    assert.match(agent.summary().at(-1) ?? '', /^converged/);
    const writes = agent.cluster.told.slice(before).filter((what) => /^(?!get|list|watch).* nodes/.test(what));
    assert.deepEqual(writes, []);
    assert.equal(agent.cluster.get(nodeKey), undefined);
  });

  it('after which kubelet does not answer is said with its reason (D16)', async () => {
    await play();
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(5000);
    agent.machine.units.behave('kubelet.service', {
      startMs: 50,
      onActive: () => void agent.machine.serve(healthz, () => ({ status: 500, body: 'no' })),
    });
    say('ready');
    await agent.pass(10 * minute);
    assert.deepEqual([word(), condition()], ['failed', 'True UpdateFailed']);
    assert.match(node().metadata.annotations?.[reasonKey] ?? '', /kubelet\.service/);
  });

  it('that fails is said with its reason, and goes on by itself when it can (D26)', async () => {
    await play();
    agent.cluster.put(poolKey, disturbing);
    await agent.pass(5000);
    agent.machine.units.behave('kubelet.service', { start: 'fail', startMs: 50 });
    say('ready');
    await agent.pass(2 * minute);
    assert.deepEqual([word(), condition()], ['failed', 'True UpdateFailed']);
    assert.match(node().metadata.annotations?.[reasonKey] ?? '', /^NK_UNIT_/);
    agent.machine.units.behave('kubelet.service', {
      startMs: 50,
      onActive: () => void agent.machine.serve(healthz, () => ({ body: 'ok' })),
    });
    await agent.pass(5 * minute);
    assert.deepEqual([word(), condition()], ['successful', 'False UpdateSuccessful']);
    assert.equal(node().metadata.annotations?.[reasonKey] ?? null, null);
  });
});

describe('the operating system', () => {
  const system = { operatingSystem: { version: '2.0', command: ['/usr/bin/update-os', '--to', '2.0'] } };
  const release = (version: string) => textFile('/etc/os-release', `PRETTY_NAME="Garden Linux ${version}"\n`, 0o644);
  const runs = (): number =>
    agent.machine.effects.filter((effect) => effect.startsWith('exec /usr/bin/update-os')).length;

  async function drained(result: object = {}, by: 'operator' | 'gardener' = 'operator'): Promise<void> {
    await play({
      prepare: async (_cluster, machine) => {
        await machine.files.write([release('1.0')]);
        machine.program('/usr/bin/update-os', () => result);
      },
    });
    agent.cluster.put(poolKey, documents(system));
    await agent.pass(5000);
    assert.deepEqual([word(), runs()], ['wanted', 0]);
    if (by === 'operator') return say('ready');
    putNode({}, { conditions: [{ type: 'InPlaceUpdate', status: 'True', reason: 'ReadyForUpdate' }] });
  }

  /** It starts anew, with such a system. */
  async function reboot(version: string): Promise<void> {
    await agent.stop();
    await agent.machine.files.write([release(version), textFile(bootId, 'another\n', 0o444)]);
    agent.start();
    await agent.pass(10_000);
  }

  it('is updated by the command once the Node is drained, and is done when it runs', async () => {
    await drained();
    await agent.pass(5000);
    assert.deepEqual([word(), condition(), runs()], ['ready', 'True Updating', 1]);
    await agent.stop();
    agent.start();
    await agent.pass(30 * minute);
    assert.deepEqual([word(), runs()], ['ready', 1], 'only the start of the new system is missing');
    await reboot('2.0');
    assert.deepEqual([word(), condition(), runs()], ['successful', 'False UpdateSuccessful', 1]);
  });

  it('that was rolled back is said, and not tried again until somebody says so (D9)', async () => {
    await drained();
    await agent.pass(5000);
    await reboot('1.0');
    assert.deepEqual([word(), condition()], ['failed', 'True UpdateFailed']);
    assert.match(node().metadata.annotations?.[reasonKey] ?? '', /2\.0 is wanted.*1\.0 → 2\.0.*rolled back/);
    assert.equal(await writesWithin(30 * minute), 0);
    assert.equal(runs(), 1);
    say('ready');
    await agent.pass(5000);
    assert.deepEqual([condition(), runs()], ['True Updating', 2]);
    await reboot('2.0');
    assert.equal(word(), 'successful');
  });

  it('is asked again each half minute for five minutes while the network does not answer (D6)', async () => {
    await drained({ status: 1, stderr: 'network problems: no route' });
    await agent.pass(2 * minute);
    assert.ok(runs() >= 4, `${runs()} times`);
    assert.equal(word(), 'ready');
    await agent.pass(10 * minute);
    assert.ok(runs() <= 11, `${runs()} times`);
    assert.equal(word(), 'failed');
    const { labels, annotations } = node().metadata;
    assert.equal(labels?.[label], 'failed');
    const { [reasonKey]: reason = '', ...others } = annotations ?? {};
    assert.match(reason, /^NK_UPDATE_FAILED: .*network problems: no route/);
    assert.deepEqual(
      Object.keys(others).filter((key) => /update|updating/.test(key)),
      [],
      'what runs is told by the machine',
    );
    assert.equal(condition(), 'True UpdateFailed');
  });

  for (const [by, end] of [
    ['operator', ''],
    ['operator', 'x'],
    ['gardener', ''],
  ] as const)
    it(`whose program writes what is no text is told the ${by} with that made visible${end}`, async () => {
      const wild = '\u001b]0;x\u0007 \r \u009b2J \u202eabc \u200b \u2028 \u0000';
      // Cut off in the middle of a character, at one of the ends.
      const stderr = `${'😀'.repeat(200)}${wild}${end}`;
      await drained({ status: 3, stderr }, by);
      await agent.pass(minute);
      const { annotations = {} } = node().metadata;
      const { conditions = [] } = (node()['status'] ?? {}) as { conditions?: NodeCondition[] };
      const told = [
        annotations[by === 'gardener' ? 'node.machine.sapcloud.io/update-failed-reason' : reasonKey] ?? '',
        conditions.find(({ type }) => type === 'NodekilnUpdate')?.message ?? '',
      ];
      for (const text of told) {
        assert.match(text, /^NK_UPDATE_FAILED: /);
        assert.equal(text, visibleLine(text));
        assert.ok(text.isWellFormed(), text);
      }
      assert.equal(await writesWithin(10 * minute), 0);
    });

  it('whose network does not answer is told Gardener, with the version that is kept (D6)', async () => {
    await drained({ status: 1, stderr: 'network problems: no route' }, 'gardener');
    await agent.pass(12 * minute);
    const { labels, annotations } = node().metadata;
    assert.equal(labels?.['node.machine.sapcloud.io/update-result'], 'failed');
    assert.match(annotations?.['node.machine.sapcloud.io/update-failed-reason'] ?? '', /network problems: no route/);
    assert.equal(annotations?.['node-agent.gardener.cloud/updating-operating-system-version'], '2.0');
    assert.equal(labels?.[label], 'wanted', 'our own word is whoever waits for it’s');
  });

  for (const [name, result] of [
    ['invalid arguments', { status: 2, stdout: 'invalid arguments' }],
    ['a failure of the system', { status: 1, stdout: 'System failure after network problems' }],
    ['anything else', { status: 3 }],
  ] as const)
    it(`fails at once with ${name}`, async () => {
      await drained(result);
      await agent.pass(20 * minute);
      assert.deepEqual([word(), runs()], ['failed', 1]);
    });

  it('without a command is somebody else’s to update, and that is said (D4)', async () => {
    await play({ prepare: (_cluster, machine) => machine.files.write([release('1.0')]) });
    agent.cluster.put(poolKey, documents({ operatingSystem: { version: '2.0' } }));
    await agent.pass(5000);
    say('ready');
    await agent.pass(5000);
    assert.match(node().metadata.annotations?.[reasonKey] ?? '', /no command is given/);
  });

  it('updated by somebody else is no update (D2)', async () => {
    await play({ prepare: (_cluster, machine) => machine.files.write([release('2.0')]) });
    agent.cluster.put(poolKey, documents(system, {}, 'two'));
    await agent.pass(5000);
    assert.deepEqual([word(), await contentOf('/etc/a')], [undefined, 'two']);
  });
});

describe('a rotation', () => {
  const tokenFile = '/etc/nodekiln/bootstrap-token';
  const tokens = [{ secret: 'kube-system/one', path: '/var/lib/one/token' }];
  const current = '/var/lib/kubelet/pki/kubelet-client-current.pem';

  async function playOwn(): Promise<void> {
    agent = await playPool(documents({ drain: false }), {
      spec: {
        cluster: { server: clusterAddress, caBundle: exampleAuthority, bootstrapTokenFile: tokenFile },
        tokens,
        tokensPeriod: '1h',
      },
      prepare: async (cluster, machine) => {
        await machine.files.write([textFile(tokenFile, 'abcdef.0123456789abcdef\n')]);
        cluster.put('secrets/kube-system/one', secretOf({ token: 'first' }));
      },
    });
    signAll();
    await agent.pass(20_000);
  }
  /** Every request that has no answer yet. */
  function signAll(): void {
    const now = agent.machine.clock.now();
    for (const name of new Set(requestsIn(agent.cluster)))
      if (agent.cluster.get(`certificatesigningrequests/${name}`)?.['status'] === undefined)
        sign(agent.cluster, { name, notBefore: now, notAfter: now + 30 * 24 * 60 * minute });
  }
  const agentPem = (): Promise<string | undefined> => contentOf('/var/lib/nodekiln/agent/client-current.pem');

  /** kubelet joined by itself; what it shows is the agent's to renew. */
  async function joinKubelet(): Promise<void> {
    const now = agent.machine.clock.now();
    const pem = certificateFor({
      commonName: 'system:node:node-1',
      organization: 'system:nodes',
      notBefore: now,
      notAfter: now + 24 * 60 * minute,
    });
    const first = '/var/lib/kubelet/pki/kubelet-client-first.pem';
    const kubeconfig = {
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        {
          name: 'c',
          cluster: {
            server: clusterAddress,
            'certificate-authority-data': Buffer.from(exampleAuthority).toString('base64'),
          },
        },
      ],
      users: [{ name: 'u', user: { 'client-certificate': current, 'client-key': current } }],
    };
    await agent.machine.files.write([
      textFile(first, pem),
      { type: 'symlink', path: current, target: first },
      textFile('/var/lib/kubelet/pki/kubelet-server-current.pem', 'old'),
      textFile('/var/lib/kubelet/kubeconfig', JSON.stringify(kubeconfig)),
    ]);
  }

  it('of authorities gives agent and kubelet new certificates, and kubelet starts with its own (D22, D28)', async () => {
    await playOwn();
    await joinKubelet();
    const before = [await agentPem(), await invocation(), await contentOf(current)];
    agent.cluster.put(poolKey, documents({ drain: false, certificateAuthorities: 'now' }));
    await agent.pass(5000);
    assert.equal(await contentOf(current), before[2], 'the old one stays until there is another');
    signAll();
    await agent.pass(10_000);
    signAll();
    await agent.pass(10_000);
    assert.notEqual(await agentPem(), before[0]);
    assert.notEqual(await invocation(), before[1]);
    assert.match((await contentOf(current)) ?? '', /CERTIFICATE[^]*PRIVATE KEY/);
    assert.equal((await agent.machine.files.stat(current))?.type, 'symlink');
    assert.equal(await contentOf('/var/lib/kubelet/pki/kubelet-server-current.pem'), undefined);
    assert.deepEqual([word(), condition()], ['successful', 'False UpdateSuccessful']);
    const after = [await invocation(), new Set(requestsIn(agent.cluster)).size];
    await agent.pass(30 * minute);
    assert.deepEqual([await invocation(), new Set(requestsIn(agent.cluster)).size], after, 'once');
  });

  it('that the cluster denies is said, and leaves what there is', async () => {
    await playOwn();
    await joinKubelet();
    const before = await contentOf(current);
    agent.cluster.put(poolKey, documents({ drain: false, certificateAuthorities: 'now' }));
    await agent.pass(5000);
    signAll();
    await agent.pass(10_000);
    deny(agent.cluster, requestsIn(agent.cluster).at(-1) ?? '');
    await agent.pass(10_000);
    assert.deepEqual([word(), condition()], ['failed', 'True UpdateFailed']);
    assert.equal(await contentOf(current), before);
    assert.equal(await writesWithin(30 * minute), 0);
  });

  it('of authorities is said to be impossible where nothing shows kubelet’s certificate, which stays (D24)', async () => {
    await playOwn();
    await joinKubelet();
    const before = [await contentOf(current), await invocation()];
    await agent.machine.files.remove(['/var/lib/kubelet/kubeconfig']);
    agent.cluster.put(poolKey, documents({ drain: false, certificateAuthorities: 'now' }));
    await agent.pass(5000);
    signAll();
    await agent.pass(20_000);
    assert.deepEqual([word(), condition()], ['failed', 'True UpdateFailed']);
    assert.match(node().metadata.annotations?.[reasonKey] ?? '', /^NK_CLUSTER_CREDENTIAL_MISSING: /);
    assert.deepEqual([await contentOf(current), await invocation()], before);
  });

  it('of the key of service accounts syncs tokens at once (D27, H16)', async () => {
    await playOwn();
    agent.cluster.put('secrets/kube-system/one', secretOf({ token: 'second' }));
    await agent.pass(minute);
    assert.equal(await contentOf('/var/lib/one/token'), 'first');
    agent.cluster.put(poolKey, documents({ drain: false, serviceAccountKey: 'now' }));
    await agent.pass(5000);
    assert.equal(await contentOf('/var/lib/one/token'), 'second');
    assert.equal(word(), 'successful');
  });
});

describe('a kubelet newer than its API server', () => {
  it('is refused, with nothing else of the document applied, until the server is as new', async () => {
    agent = await playPool(documents(undefined), { prepare: (cluster) => (cluster.version = 'v1.33.9') });
    await agent.pass(3000);
    assert.deepEqual(agent.summary().slice(0, 1), ['failed NK_KUBELET_TOO_NEW']);
    assert.equal(await contentOf('/etc/a'), undefined);
    agent.cluster.version = 'v1.34.0';
    await agent.pass(2 * minute);
    assert.equal(await contentOf('/etc/a'), 'one');
  });

  it('is not refused while nobody says of which version the server is', async () => {
    agent = await playPool(documents(undefined), { prepare: (cluster) => (cluster.version = '') });
    await agent.pass(3000);
    assert.equal(await contentOf('/etc/a'), 'one');
  });
});
