/**
 * What an agent of a real cluster makes of bad Secrets, a Node that was deleted, a certificate that expired while it was off, a
 * cluster that was put back to an older copy, another machine of its name, and its own death at any effect of a change: nothing
 * is lost, nothing restarts that did not change, one message says what it is. It acts as itself.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { agentUnit, grantAgents, nodekiln, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import type { NodeCondition } from '../../../src/agent/cluster.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted, untilBootEnded } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';
import { createChance } from '../../support/chance.ts';
import { sampled, sampleOf, sampleSeed } from '../../support/sample.ts';
import { effectsOf, killed } from '../crash/machine.ts';

const name = 'new';
const secret = 'pool-new';
const key = '10-node.yaml';
const podSubnet = '10.88.2.0/24';
const nodePath = `/api/v1/nodes/${name}`;
const secretPath = `/api/v1/namespaces/kube-system/secrets/${secret}`;
const leasePath = (lease: string): string => `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${lease}`;
const agentPem = '/var/lib/nodekiln/agent/client-current.pem';
const agentSpec = { source: `secret:kube-system/${secret}`, restarts: { maxDelay: '0s' } };
const serial = { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' };
/** Killed at so many places of a change in a sample, and at every one without. */
const pointsOfSample = 6;

interface Lease extends KubeObject {
  readonly spec?: { readonly holderIdentity?: string | null };
}
interface Node extends KubeObject {
  readonly status?: { readonly conditions?: readonly Pick<NodeCondition, 'type' | 'status' | 'reason'>[] };
}

describe('an agent of a real cluster', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  let host: LabHost;
  let scratch: string;

  const documentOf = (words: string, more: readonly object[] = []): string =>
    joinDocument(cluster, {
      podSubnet,
      nodeName: name,
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
          ...more,
        ],
      },
    });
  const give = (words: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> =>
    putSecret(cluster, secret, { [key]: documentOf(`WORDS=${words}\n`) }, annotations);
  const words = async (): Promise<string> => (await host.readFile('/etc/words').catch(() => '')).slice(6).trim();
  const until = async (holds: () => Promise<boolean>, what: string, patienceMs = 60_000, on = host): Promise<void> => {
    for (const began = performance.now(); performance.now() - began < patienceMs;) {
      if (await holds()) return;
      await sleep(100);
    }
    const log = await on.exec(['journalctl', '-u', agentUnit, '-u', 'approver', '-n', '40', '-o', 'cat']);
    const said = `${log.stdout}\nnodekiln status says:\n${await status(on)}`;
    assert.fail(`not within ${patienceMs} ms: ${what}; the agent says:\n${said}`);
  };
  /** And until it was reported: a run goes on for a while after its last file. */
  const untilWords = async (wanted: string): Promise<void> => {
    await until(async () => (await words()) === wanted, `words ${wanted}`);
    const placedMs = Number(await host.check(['stat', '--format=%.3Z', '/etc/words'])) * 1000;
    await until(async () => {
      const [, reported = ''] = /^agent +\w+, (\S+Z)/m.exec(await status()) ?? [];
      return Date.parse(reported) >= placedMs;
    }, 'it is reported');
  };
  const invocations = async (): Promise<string[]> => {
    const units = ['words.service', 'kubelet.service', 'containerd.service'];
    return (await host.check(['systemctl', 'show', '-P', 'InvocationID', ...units])).trim().split(/\s+/);
  };
  const environment = async (): Promise<string> => {
    const pid = (await host.check(['systemctl', 'show', '-P', 'MainPID', 'words.service'])).trim();
    return host.check(['cat', `/proc/${pid}/environ`]);
  };
  const messages = (reason: string): Promise<string> =>
    cluster.kubectl(['get', 'events', '-o', 'jsonpath={.items[*].message}', '--field-selector', `reason=${reason}`]);
  const status = async (of = host): Promise<string> => (await of.exec([nodekiln, 'status'])).stdout;
  const untilCondition = (wanted: string, code: string): Promise<Node> =>
    cluster.admin.until<Node>(
      nodePath,
      (node) =>
        node.status?.conditions?.some(
          ({ type, status: now, reason = '' }) =>
            type === 'DesiredStateApplied' && now === wanted && reason.startsWith(code),
        ) === true,
      `the condition says ${code}`,
      30_000,
    );
  const applied = (node: KubeObject): string | undefined => node.metadata.annotations?.['nodekiln.dev/applied'];
  const serialOfAgent = async (): Promise<string> =>
    (await host.check(['openssl', 'x509', '-noout', '-serial', '-in', agentPem])).trim();

  before(async () => {
    await installPrerequisites(console.error);
    await bakedRoot(console.error);
    scratch = await mkdtemp(join(tmpdir(), 'nodekiln-faults-'));
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet, nodeName: name });
    host = await bakedNode(lab, { name, network: true, document });
    await host.start();
    await untilBooted(host);
    await grantAgents(cluster, host, { [name]: [`kube-system/${secret}`] });
    await startApprover(cluster, host);
    await give('first');
    await startAgent(cluster, host, agentSpec);
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
  const torn = { 'osc.yaml': 'apiVersion: extensions.gardener.cloud/v1alpha1\nkind: OperatingSystemConfig\nspec: {un' };
  for (const [what, data, code, annotations = {}] of [
    [
      'is torn',
      torn,
      'NK_DOCUMENT_CHECKSUM',
      { 'checksum/data-script': createHash('sha256').update('the whole').digest('hex') },
    ],
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
      await putSecret(cluster, secret, data, annotations);
      // A key that is no longer named would stay by server-side apply.
      if (Object.keys(data).length === 0)
        await cluster.admin.request('PATCH', secretPath, { data: null }, 'application/merge-patch+json');
      await until(async () => (await messages('DesiredStateFailed')).includes(code), `an Event with ${code}`);
      assert.ok((await status()).includes(code), `nodekiln status names ${code}`);
      await untilCondition('False', code);
      assert.deepEqual([await words(), await invocations()], [good, before]);
      await give(`after-${what.length}`);
      await untilWords(`after-${what.length}`);
      await untilCondition('True', 'Converged');
      assert.deepEqual((await invocations()).slice(1), before.slice(1));
    });

  test('keeps it when its Secret is deleted, and applies one of nearly a mebibyte', { timeout: 90_000 }, async () => {
    const [good, before] = [await words(), await invocations()];
    await cluster.kubectl(['-n', 'kube-system', 'delete', 'secret', secret]);
    await until(async () => (await messages('DesiredStateFailed')).includes('does not exist'), 'it is said');
    assert.match(await status(), /NK_DOCUMENT_MISSING the Secret kube-system\/pool-new does not exist/);
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
    const documents = /documents (sha256:[0-9a-f]+)/.exec(await status())?.[1] ?? assert.fail('no documents');
    const isTold = (node: Node): boolean => applied(node)?.startsWith(documents) === true;
    const told = await cluster.admin.until<Node>(nodePath, isTold, 'it reports', 30_000);
    const [wordsBefore, , runtimeBefore] = await invocations();
    const agentBefore = await host.check(['systemctl', 'show', '-P', 'InvocationID', agentUnit]);
    await cluster.kubectl(['delete', 'node', name]);
    // kubelet registers when it starts.
    await host.check(['systemctl', 'restart', 'kubelet.service']);
    const again = await cluster.admin.until<Node>(
      nodePath,
      (node) =>
        node.metadata.uid !== told.metadata.uid &&
        isTold(node) &&
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
    const [wordsAfter, , runtimeAfter] = await invocations();
    assert.deepEqual([wordsAfter, runtimeAfter], [wordsBefore, runtimeBefore]);
    assert.equal(await host.check(['systemctl', 'show', '-P', 'InvocationID', agentUnit]), agentBefore);
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

  for (const storeAlone of [false, true]) {
    const what = storeAlone ? 'a cluster whose store was put back under its API server' : 'a cluster that was put back';
    test(`follows ${what} to an older copy`, { timeout: 180_000 }, async () => {
      // Said once in five minutes by one process, and an earlier one's Event would be taken for it.
      await host.check(['systemctl', 'restart', agentUnit]);
      await cluster.kubectl(['delete', 'events', '--all']);
      await give('copied');
      await untilWords('copied');
      const copy = await cluster.saveEtcd();
      await give('lost');
      await untilWords('lost');
      const before = await invocations();
      await cluster.restoreEtcd(copy, { storeAlone });
      if (storeAlone) {
        // Lists and watches come out of the API server's cache, which knows nothing of it until it starts again.
        await sleep(5000);
        assert.deepEqual((await invocations()).slice(1), before.slice(1));
        await cluster.servers['kube-apiserver'].stop();
        await cluster.startApiServer();
      }
      await untilWords('copied');
      assert.deepEqual((await invocations()).slice(1), before.slice(1));
      await until(async () => (await messages('ClusterPutBack')).includes('an earlier state'), 'it is said');
      assert.match(await status(), /warning .*the cluster is at an earlier state than it was/);
      await give('on');
      await untilWords('on');
    });
  }

  test(
    'trusts no API server of another authority, says so, and goes on with the right one',
    { timeout: 150_000 },
    async () => {
      const before = await invocations();
      const other = await makeAuthority(scratch, 'other-ca');
      const served = await issueCertificate(scratch, 'other-server', other, {
        subject: '/CN=kube-apiserver',
        names: ['IP:10.77.0.254'],
      });
      const apiServer = cluster.servers['kube-apiserver'];
      await apiServer.stop('SIGKILL');
      await apiServer.start([`--tls-cert-file=${served.certificate}`, `--tls-private-key-file=${served.key}`]);
      try {
        await until(async () => /trouble .*NK_CLUSTER_AUTHORITY/.test(await status()), 'nodekiln status names it');
      } finally {
        await apiServer.stop('SIGKILL');
        await cluster.startApiServer();
        // What it could not trust, a controller leaves alone for half a minute: it would sign nothing meanwhile.
        const controllers = cluster.servers['kube-controller-manager'];
        await controllers.stop('SIGKILL');
        await controllers.start();
      }
      await give('trusted');
      await untilWords('trusted');
      await until(async () => !(await status()).includes('NK_CLUSTER_AUTHORITY'), 'it is over');
      assert.deepEqual((await invocations()).slice(1), before.slice(1));
    },
  );

  test(
    'without any credential that is taken goes on with what it has, and says which',
    { timeout: 120_000 },
    async () => {
      const before = await invocations();
      await host.check(['systemctl', 'stop', agentUnit]);
      await host.check(['mv', agentPem, '/root/agent.pem']);
      // Nor may it be who kubelet is.
      const dropIn = `/etc/systemd/system/${agentUnit}.d/50-alone.conf`;
      await host.writeFile(dropIn, '[Service]\nInaccessiblePaths=/var/lib/kubelet/pki\n');
      const tokenFile = '/etc/nodekiln/bootstrap-token';
      await host.writeFile(tokenFile, `${await cluster.newToken({ ttlMs: -3_600_000 })}\n`, { mode: 0o600 });
      const { server, caBundle } = cluster;
      await startAgent(cluster, host, { ...agentSpec, cluster: { server, caBundle, bootstrapTokenFile: tokenFile } });
      await until(async () => /trouble .*NK_CLUSTER_TOKEN_REFUSED/.test(await status()), 'nodekiln status names it');
      const good = await words();
      await give('later');
      await host.writeFile('/etc/words', 'WORDS=drifted\n');
      await until(async () => (await words()) === good, 'drift is repaired meanwhile', 90_000);
      // Who is the Node asks for the agent's certificate; a token is not approved any more where there is a Node.
      await host.check(['rm', dropIn]);
      await host.check(['systemctl', 'stop', agentUnit]);
      await startAgent(cluster, host, agentSpec);
      await untilWords('later');
      await until(async () => !(await status()).includes('NK_CLUSTER_TOKEN_REFUSED'), 'it is over');
      assert.deepEqual((await invocations()).slice(1), before.slice(1));
    },
  );

  test('killed again and again by systemd’s leave takes up each change', { timeout: 120_000 }, async (context) => {
    const before = await invocations();
    const chance = createChance(context);
    const restarts = async (): Promise<number> =>
      Number(await host.check(['systemctl', 'show', '-P', 'NRestarts', agentUnit]));
    const restartsBefore = await restarts();
    for (let turn = 0; turn < 4; turn += 1) {
      await until(async () => (await host.exec(['systemctl', 'is-active', agentUnit])).status === 0, 'it runs');
      await give(`taken-up-${turn}`);
      await sleep(chance.next() * 150);
      await host.check(['systemctl', 'kill', '--signal=SIGKILL', agentUnit]);
      await untilWords(`taken-up-${turn}`);
      const restarted = await invocations();
      await until(async () => (await environment()).includes(`WORDS=taken-up-${turn}`), 'the unit has its new words');
      assert.deepEqual(restarted.slice(1), before.slice(1));
    }
    await until(async () => (await restarts()) - restartsBefore === 4, 'it was started again each time');
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
    const points = sampled ? [...sampleOf(all, { count: pointsOfSample, seed: sampleSeed })] : all;
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
      assert.ok((await environment()).includes(`WORDS=${wanted}`), about);
      const { spec } = await cluster.admin.get<Lease>(leasePath(secret));
      assert.ok((spec?.holderIdentity ?? '') === '', `${about}: the Lease is held by ${spec?.holderIdentity}`);
    }
    assert.deepEqual((await invocations()).slice(1), others);
    context.diagnostic(`${points.length} of ${all.length} points (seed ${sampleSeed})`);
    await host.check(['systemctl', 'start', agentUnit]);
  });

  const ends = [
    ['rebooted', () => host.reboot(60_000)],
    ['without power', () => host.kill().then(() => host.start())],
  ] as const;
  // In a sample the one today, the other tomorrow.
  for (const [what, end] of sampled ? ends.slice(sampleSeed % 2).slice(0, 1) : ends)
    test(`${what} in the middle of a change converges after its boot`, { timeout: 150_000 }, async () => {
      await host.check(['systemctl', 'enable', agentUnit]);
      const slow = {
        name: 'slow.service',
        content:
          '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/sleep 5\n[Install]\nWantedBy=multi-user.target\n',
        state: 'started',
        inputs: ['file:/etc/words'],
      };
      const wanted = what.replaceAll(' ', '-');
      await putSecret(cluster, secret, { [key]: documentOf(`WORDS=${wanted}\n`, [slow]) });
      const state = async (): Promise<string> =>
        (await host.exec(['systemctl', 'is-active', 'slow.service'])).stdout.trim();
      await until(async () => (await state()) === 'activating', 'it is in the middle of it');
      const told = applied(await cluster.admin.get<Node>(nodePath));
      await end();
      await until(async () => (await state()) === 'active', 'the rest is done');
      const isTold = (node: Node): boolean => applied(node) !== undefined && applied(node) !== told;
      await cluster.admin.until<Node>(nodePath, isTold, 'it reports', 60_000);
      assert.equal(await words(), wanted);
      assert.ok((await environment()).includes(`WORDS=${wanted}`));
      const isReady = ({ status: now }: Node): boolean =>
        now?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
      await cluster.admin.until<Node>(nodePath, isReady, 'it is Ready', 60_000);
      // It ended with the machine.
      await startApprover(cluster, host);
      await give(`after-${wanted}`);
      await untilWords(`after-${wanted}`);
      await until(async () => (await host.exec(['systemctl', 'cat', 'slow.service'])).status !== 0, 'it is gone');
    });

  test('writes nothing to its Node while another machine does, and both say so', { timeout: 150_000 }, async () => {
    await give('alone');
    await untilWords('alone');
    await cluster.admin.until<Node>(nodePath, (node) => applied(node) !== undefined, 'it reports', 30_000);
    const token = await cluster.newToken();
    const document = joinDocument(cluster, { token, podSubnet: '10.88.3.0/24', nodeName: name });
    const twin = await bakedNode(lab, { name: 'twin', network: true, document });
    await twin.start();
    assert.match(JSON.stringify((await untilBootEnded(twin)).join?.obstacle), /NK_CLUSTER_NAME_TAKEN/);
    // A copy of who the agent is.
    await twin.writeFile(agentPem, await host.readFile(agentPem), { mode: 0o600 });
    await startAgent(cluster, twin, { ...agentSpec, nodeName: name });
    const idOf = async (machine: LabHost): Promise<string> => (await machine.readFile('/etc/machine-id')).trim();
    for (const [one, other] of [
      [host, twin],
      [twin, host],
    ] as const) {
      const message = `NK_CLUSTER_NAME_TAKEN the Node ${name} is another machine’s, too: its machine ID is ${await idOf(other)}`;
      await until(async () => (await status(one)).includes(message), `${one.name} says: ${message}`, 60_000, one);
    }
    assert.match(await messages('NodeNameTaken'), /NK_CLUSTER_NAME_TAKEN: the Node new is another machine’s, too/);
    await cluster.kubectl(['label', 'node', name, 'example.org/pool=other', '--overwrite']);
    await give('contested');
    await untilWords('contested');
    // An agent that starts now, too.
    await host.check(['systemctl', 'restart', agentUnit]);
    await give('contested-still');
    await untilWords('contested-still');
    await sleep(3000);
    const node = await cluster.admin.get<Node>(nodePath);
    assert.equal(node.metadata.labels?.['example.org/pool'], 'other', 'nobody put it back');
  });
});
