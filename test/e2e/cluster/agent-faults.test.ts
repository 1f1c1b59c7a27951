/**
 * What an agent of a real cluster makes of bad Secrets, a Node that was deleted, a certificate that expired while it was off, a
 * cluster that was put back to an older copy, another machine of its name, and its own death at any effect of a change: nothing
 * is lost, nothing restarts that did not change, one message says what it is. It acts as itself.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { agentUnit, grantAgents, nodekiln, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { issueCertificate } from '../../servers/certificates.ts';
import { sampled, sampleOf } from '../../support/sample.ts';
import { effectsOf, killed } from '../crash/machine.ts';

const name = 'new';
const secret = 'pool-new';
const key = '10-node.yaml';
const podSubnet = '10.88.2.0/24';
const nodePath = `/api/v1/nodes/${name}`;
const secretPath = `/api/v1/namespaces/kube-system/secrets/${secret}`;
const leasePath = (lease: string): string => `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${lease}`;
const agentPem = '/var/lib/nodekiln/agent/client-current.pem';
const serial = { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' };
/** Killed at so many places of a change in a sample, and at every one without. */
const pointsOfSample = 6;

interface Lease extends KubeObject {
  readonly spec?: { readonly holderIdentity?: string | null };
}
interface Node extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

describe('an agent of a real cluster', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  let host: LabHost;
  let scratch: string;

  const documentOf = (words: string): string =>
    joinDocument(cluster, {
      podSubnet,
      labels: { 'example.org/pool': 'a' },
      spec: {
        takeover: true,
        files: [{ path: '/etc/words', content: words }],
        units: [
          {
            name: 'words.service',
            content:
              '[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\nEnvironmentFile=/etc/words\n[Install]\nWantedBy=multi-user.target\n',
            state: 'started',
            inputs: ['file:/etc/words'],
          },
        ],
      },
    });
  const give = (words: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> =>
    putSecret(cluster, secret, { [key]: documentOf(`WORDS=${words}\n`) }, annotations);
  const words = async (): Promise<string> => (await host.readFile('/etc/words').catch(() => '')).slice(6).trim();
  const until = async (holds: () => Promise<boolean>, what: string, patienceMs = 60_000): Promise<void> => {
    for (let waited = 0; waited < patienceMs; waited += 100) {
      if (await holds()) return;
      await sleep(100);
    }
    const log = await host.exec(['journalctl', '-u', agentUnit, '-n', '30', '-o', 'cat']);
    assert.fail(`not within ${patienceMs} ms: ${what}; the agent says:\n${log.stdout}`);
  };
  const untilWords = (wanted: string): Promise<void> =>
    until(async () => (await words()) === wanted, `words ${wanted}`);
  const invocations = async (): Promise<string[]> => {
    const units = ['words.service', 'kubelet.service', 'containerd.service'];
    return (await host.check(['systemctl', 'show', '-P', 'InvocationID', ...units])).trim().split(/\s+/);
  };
  const messages = (reason: string): Promise<string> =>
    cluster.kubectl(['get', 'events', '-o', 'jsonpath={.items[*].message}', '--field-selector', `reason=${reason}`]);
  const applied = (node: KubeObject): string | undefined => node.metadata.annotations?.['nodekiln.dev/applied'];
  const serialOfAgent = async (): Promise<string> =>
    (await host.check(['openssl', 'x509', '-noout', '-serial', '-in', agentPem])).trim();

  before(async () => {
    await installPrerequisites(console.error);
    await bakedRoot(console.error);
    scratch = await mkdtemp(join(tmpdir(), 'nodekiln-faults-'));
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet });
    host = await bakedNode(lab, { name, network: true, document });
    await host.start();
    await untilBooted(host);
    await grantAgents(cluster, host, { [name]: [`kube-system/${secret}`] });
    await startApprover(cluster, host);
    await give('first');
    await startAgent(cluster, host, { source: `secret:kube-system/${secret}`, restarts: { maxDelay: '0s' } });
    await untilWords('first');
    await cluster.admin.until<Node>(nodePath, (node) => applied(node) !== undefined, 'it reports', 30_000);
  });
  after(async () => {
    await lab?.close();
    await rm(scratch, { recursive: true, force: true });
  });

  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefghi'
      .split('')
      .map((letter, at) => `${letter}: &${letter} [${Array.from({ length: 9 }, () => `*${'abcdefghi'[at]}`).join()}]`),
  ];
  for (const [what, data, code] of [
    ['makes no sense', { [key]: '{' }, 'NK_DOCUMENT_SYNTAX'],
    ['is a bomb of aliases', { [key]: bomb.join('\n') }, 'NK_DOCUMENT_'],
    ['is emptied', {}, 'NK_DOCUMENT_'],
    [
      'asks for what is no field',
      { [key]: 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: {fils: []}\n' },
      'NK_DOCUMENT_INVALID',
    ],
  ] as const)
    test(`keeps the last good state while its Secret ${what}, says so, and goes on`, { timeout: 90_000 }, async () => {
      const [good, before] = [await words(), await invocations()];
      await putSecret(cluster, secret, data);
      // A key that is no longer named would stay by server-side apply.
      if (Object.keys(data).length === 0)
        await cluster.admin.request('PATCH', secretPath, { data: null }, 'application/merge-patch+json');
      await until(async () => (await messages('DesiredStateFailed')).includes(code), `an Event with ${code}`);
      const status = await host.exec([nodekiln, 'status', '--json']);
      assert.ok(status.stdout.includes(code), `nodekiln status names ${code}`);
      assert.deepEqual([await words(), await invocations()], [good, before]);
      await give(`after-${what.length}`);
      await untilWords(`after-${what.length}`);
      assert.deepEqual((await invocations()).slice(1), before.slice(1));
    });

  test('keeps it when its Secret is deleted, and applies one of nearly a mebibyte', { timeout: 90_000 }, async () => {
    const [good, before] = [await words(), await invocations()];
    await cluster.kubectl(['-n', 'kube-system', 'delete', 'secret', secret]);
    await until(async () => (await messages('DesiredStateFailed')).includes('does not exist'), 'it is said');
    assert.deepEqual([await words(), await invocations()], [good, before]);
    await cluster.kubectl(['create', '-f', '-'], {
      input: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: secret, namespace: 'kube-system' },
        data: {
          [key]: Buffer.from(documentOf(`WORDS=large\n${'#'.repeat(900 * 1024)}\n`)).toString('base64'),
        },
      }),
    });
    await until(
      async () => (await host.check(['head', '-n1', '/etc/words'])).trim() === 'WORDS=large',
      'the large one',
    );
    assert.deepEqual((await invocations()).slice(1), before.slice(1));
    await cluster.kubectl(['-n', 'kube-system', 'delete', 'secret', secret]);
    await give('small');
    await untilWords('small');
  });

  test('tells a Node that was deleted and made again all it told the one before', { timeout: 120_000 }, async () => {
    const told = await cluster.admin.get<Node>(nodePath);
    await cluster.kubectl(['delete', 'node', name]);
    // kubelet registers when it starts.
    await host.check(['systemctl', 'restart', 'kubelet.service']);
    const again = await cluster.admin.until<Node>(
      nodePath,
      (node) =>
        node.metadata.uid !== told.metadata.uid &&
        applied(node) === applied(told) &&
        node.metadata.labels?.['example.org/pool'] === 'a' &&
        node.status?.conditions?.some(({ type }) => type === 'SystemdUnitsReady') === true,
      'the new Node says what the old one said',
      90_000,
    );
    await until(async () => {
      const lease = await cluster.admin.get<Lease>(leasePath(`nodekiln-agent-${name}`));
      const [owner] = (lease.metadata as { ownerReferences?: readonly { uid: string }[] }).ownerReferences ?? [];
      return owner?.uid === again.metadata.uid;
    }, 'the Lease is the new Node’s');
  });

  test('gets another certificate when its own expired while it was off', { timeout: 90_000 }, async () => {
    const before = await invocations();
    await host.check(['systemctl', 'stop', agentUnit]);
    const hour = 3_600_000;
    const issued = await issueCertificate(scratch, 'expired', cluster.authority, {
      subject: `/O=nodekiln:node-agents/CN=nodekiln:node-agent:${name}`,
      notBefore: new Date(Date.now() - 2 * hour),
      notAfter: new Date(Date.now() - hour),
    });
    const pem = [await readFile(issued.certificate, 'utf8'), await readFile(issued.key, 'utf8')].join('');
    await host.writeFile(agentPem, pem, { mode: 0o600 });
    const expired = await serialOfAgent();
    await give('renewed');
    await host.check(['systemctl', 'start', agentUnit]);
    await untilWords('renewed');
    assert.notEqual(await serialOfAgent(), expired);
    assert.deepEqual((await invocations()).slice(1), before.slice(1));
  });

  test('follows a cluster that was put back to an older copy', { timeout: 120_000 }, async () => {
    await give('copied');
    await untilWords('copied');
    const copy = await cluster.saveEtcd();
    await give('lost');
    await untilWords('lost');
    const before = await invocations();
    await cluster.restoreEtcd(copy);
    await untilWords('copied');
    assert.deepEqual((await invocations()).slice(1), before.slice(1));
    await give('on');
    await untilWords('on');
  });

  test('killed at any effect of a change converges, and gives its turn back', { timeout: 400_000 }, async (context) => {
    await host.check(['systemctl', 'stop', agentUnit]);
    const once = ['agent', '--once'];
    const run = (): Promise<string> => host.check([nodekiln, ...once], { timeoutMs: 60_000 });
    await give('one', serial);
    await run();
    await give('two', serial);
    const effects = await effectsOf(host, once);
    const others = (await invocations()).slice(1);
    const all = effects.flatMap((_effect, index) => [`before:${index + 1}`, `after:${index + 1}`]);
    const seed = Math.floor(Date.now() / 86_400_000);
    const points = sampled ? [...sampleOf(all, { count: pointsOfSample, seed })] : all;
    for (const [turn, fault] of points.entries()) {
      const wanted = `killed-${turn}`;
      const before = await invocations();
      await give(wanted, serial);
      await killed(host, once, fault);
      await run();
      const about = `${fault} of ${effects.length} (${effects[Number(fault.split(':')[1]) - 1]})`;
      assert.equal(await words(), wanted, about);
      const after = await invocations();
      assert.notEqual(after[0], before[0], `${about}: the unit has its new words`);
      const pid = (await host.check(['systemctl', 'show', '-P', 'MainPID', 'words.service'])).trim();
      assert.ok((await host.check(['cat', `/proc/${pid}/environ`])).includes(`WORDS=${wanted}`), about);
      const { spec } = await cluster.admin.get<Lease>(leasePath(secret));
      assert.ok((spec?.holderIdentity ?? '') === '', `${about}: the Lease is held by ${spec?.holderIdentity}`);
    }
    assert.deepEqual((await invocations()).slice(1), others);
    context.diagnostic(`${points.length} of ${all.length} points`);
    await host.check(['systemctl', 'start', agentUnit]);
  });

  test('writes nothing to its Node while another machine does, and says so', { timeout: 120_000 }, async () => {
    await give('alone');
    await untilWords('alone');
    await cluster.admin.until<Node>(nodePath, (node) => applied(node) !== undefined, 'it reports', 30_000);
    // As the kubelet of another machine would.
    const other = 'fedcba9876543210'.repeat(2);
    await cluster.admin.request(
      'PATCH',
      `${nodePath}/status`,
      { status: { nodeInfo: { machineID: other } } },
      'application/merge-patch+json',
    );
    await until(
      async () =>
        (await messages('NodeNameTaken')).includes(
          `NK_CLUSTER_NAME_TAKEN: the Node ${name} is another machine’s, too: its machine ID is ${other}`,
        ),
      'it is said',
    );
    await cluster.kubectl(['label', 'node', name, 'example.org/pool=other', '--overwrite']);
    await give('contested');
    await untilWords('contested');
    await sleep(3000);
    const node = await cluster.admin.get<Node>(nodePath);
    assert.equal(node.metadata.labels?.['example.org/pool'], 'other', 'nobody put it back');
  });
});
