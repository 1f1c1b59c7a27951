/**
 * Agents of two nodes in a real cluster, old and new Debian: each gets a certificate of its own, follows a Secret as nobody but
 * itself, reports on its Node, and goes on while the API server is away. With the roles that `nodekiln cluster rbac` prints
 * and the approver, nothing else; the administrator only writes Secrets.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text as readText } from 'node:stream/consumers';
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
import type { Suite } from '../../lab/root.ts';

const cases: readonly { readonly name: string; readonly suite: Suite; readonly podSubnet: string }[] = [
  { name: 'old', suite: 'bookworm', podSubnet: '10.88.1.0/24' },
  { name: 'new', suite: 'trixie', podSubnet: '10.88.2.0/24' },
];
const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const secretPath = (name: string): string => `/api/v1/namespaces/kube-system/secrets/${name}`;
const leasePath = (name: string): string => `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${name}`;

interface Lease extends KubeObject {
  readonly spec: { readonly renewTime: string; readonly holderIdentity: string };
}

describe('agents of a real cluster', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  const hosts = new Map<string, LabHost>();

  /** What the agent of a host is to make of it; the same for a host each time but for `words`. */
  const documentOf = (name: string, words: string, spec: Readonly<Record<string, unknown>> = {}): string => {
    const { podSubnet = '' } = cases.find((one) => one.name === name) ?? {};
    return joinDocument(cluster, {
      podSubnet,
      labels: { 'example.org/pool': 'a' },
      spec: {
        takeover: true,
        files: [{ path: '/etc/words', content: words }],
        units: [
          {
            name: 'words.service',
            content: '[Service]\nType=exec\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
            state: 'started',
            inputs: ['file:/etc/words'],
          },
        ],
        ...spec,
      },
    });
  };
  const give = async (name: string, words: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> => {
    await putSecret(cluster, `pool-${name}`, { '10-node.yaml': documentOf(name, words, spec) });
  };
  const invocation = async (host: LabHost, unit: string): Promise<string> =>
    (await host.check(['systemctl', 'show', '-P', 'InvocationID', unit])).trim();
  const untilWords = async (host: LabHost, words: string): Promise<void> => {
    for (let waited = 0; waited < 60_000; waited += 50) {
      if ((await host.readFile('/etc/words').catch(() => '')) === words) return;
      await sleep(50);
    }
    const log = await host.exec(['journalctl', '-u', agentUnit, '-n', '40', '-o', 'cat']);
    assert.fail(`${host.name} has other words after 60 s; its agent says:\n${log.stdout}`);
  };
  /** An API server that has just started does not know its roles yet. Milliseconds since 1970. */
  const away = { from: 0, to: 0 };
  const annotationsOf = (node: KubeObject): Readonly<Record<string, string>> => node.metadata.annotations ?? {};

  before(async () => {
    await installPrerequisites(console.error);
    for (const { suite } of cases) await bakedRoot(console.error, suite);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error, audit: true });
    for (const { name, suite, podSubnet } of cases) {
      const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet });
      hosts.set(name, await bakedNode(lab, { name, suite, network: true, document }));
    }
    await Promise.all([...hosts.values()].map((host) => host.start()));
    await Promise.all([...hosts.values()].map((host) => untilBooted(host)));
    const [host] = hosts.values();
    assert.ok(host);
    const secrets = cases.map(({ name }) => [
      name,
      [`kube-system/pool-${name}`, 'kube-system/pool-both', `kube-system/token-${name}`],
    ]);
    await grantAgents(cluster, host, Object.fromEntries(secrets) as Record<string, string[]>);
    await startApprover(cluster, host);
  });
  after(() => lab?.close());

  test(
    'get a certificate of their own with kubelet’s, and follow their Secrets with it',
    { timeout: 120_000 },
    async () => {
      for (const [name, host] of hosts) {
        await give(name, 'first\n');
        await cluster.kubectl([
          '-n',
          'kube-system',
          'create',
          'secret',
          'generic',
          `token-${name}`,
          '--from-literal=token=hunter2',
        ]);
        await startAgent(cluster, host, {
          source: `secret:kube-system/pool-${name}`,
          tokens: [{ secret: `kube-system/token-${name}`, path: '/var/lib/collector/token' }],
          restarts: { maxDelay: '2s' },
        });
      }
      for (const [name, host] of hosts) {
        await untilWords(host, 'first\n');
        const node = await cluster.admin.until<KubeObject>(
          nodePath(name),
          (object) => annotationsOf(object)['nodekiln.dev/applied'] !== undefined,
          `${name} reports what is applied`,
          30_000,
        );
        assert.equal(node.metadata.labels?.['example.org/pool'], 'a');
        assert.equal(await host.readFile('/var/lib/collector/token'), 'hunter2');
        assert.equal((await host.check(['stat', '-c', '%a', '/var/lib/collector/token'])).trim(), '600');
        const lease = await cluster.admin.get<Lease>(leasePath(`nodekiln-agent-${name}`));
        assert.equal(lease.spec.holderIdentity, `nodekiln-agent-${name}`);
        assert.ok(Date.now() - Date.parse(lease.spec.renewTime) < 40_000);
        const subject = await host.check([
          'openssl',
          'x509',
          '-noout',
          '-subject',
          '-in',
          '/var/lib/nodekiln/agent/client-current.pem',
        ]);
        assert.match(subject, new RegExp(`nodekiln:node-agents.*nodekiln:node-agent:${name}`));
      }
    },
  );

  test('tell of themselves on a socket that is root’s alone', async () => {
    const socket = '/run/nodekiln/agent.sock';
    for (const host of hosts.values()) {
      const told = ['/healthz', '/readyz', '/metrics'].map(async (path): Promise<unknown> => {
        const { status, text } = await askSocket(await host.path(socket), path);
        return [path, status, /boot_milestone_seconds.*registered/.test(text)];
      });
      assert.deepEqual(await Promise.all(told), [
        ['/healthz', 200, false],
        ['/readyz', 200, false],
        ['/metrics', 200, true],
      ]);
      assert.equal((await host.check(['stat', '-c', '%F %U %a', socket])).trim(), 'socket root 600');
    }
  });

  test('a change restarts the unit that reads it, and no other', { timeout: 120_000 }, async () => {
    for (const [name, host] of hosts) {
      const units = ['words.service', 'kubelet.service', 'containerd.service'];
      const before = await Promise.all(units.map((unit) => invocation(host, unit)));
      await give(name, 'second\n');
      await untilWords(host, 'second\n');
      for (let waited = 0; waited < 20_000 && (await invocation(host, 'words.service')) === before[0]; waited += 100)
        await sleep(100);
      const now = await Promise.all(units.map((unit) => invocation(host, unit)));
      assert.notEqual(now[0], before[0]);
      assert.deepEqual(now.slice(1), before.slice(1));
    }
  });

  test('labels are kept on the Node as the document says', { timeout: 60_000 }, async () => {
    const [name = ''] = hosts.keys();
    await cluster.kubectl(['label', 'node', name, 'example.org/pool=b', 'example.org/other=x', '--overwrite']);
    const node = await cluster.admin.until<KubeObject>(
      nodePath(name),
      ({ metadata }) => metadata.labels?.['example.org/pool'] === 'a',
      'the label is back',
      20_000,
    );
    assert.equal(node.metadata.labels?.['example.org/other'], 'x');
  });

  test('an annotation of the Node restarts a unit, goes, and an Event says so', { timeout: 60_000 }, async () => {
    const [[name, host]] = [...hosts] as [[string, LabHost]];
    const before = await invocation(host, 'words.service');
    await cluster.kubectl(['annotate', 'node', name, 'nodekiln.dev/restart-units=words,ssh.service']);
    for (let waited = 0; waited < 20_000 && (await invocation(host, 'words.service')) === before; waited += 100)
      await sleep(100);
    assert.notEqual(await invocation(host, 'words.service'), before);
    await cluster.admin.until<{ readonly items: readonly { readonly message: string }[] }>(
      `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D${name},reason%3DUnitRestart`,
      ({ items }) =>
        ['words.service was restarted', 'ssh.service is not restarted'].every((words) =>
          items.some(({ message }) => message.startsWith(words)),
        ),
      'Events of both units',
      20_000,
    );
    const node = await cluster.admin.get<KubeObject>(nodePath(name));
    assert.equal(annotationsOf(node)['nodekiln.dev/restart-units'], undefined);
  });

  test(
    'the last good state is kept while the API server is away, also by an agent that starts then',
    { timeout: 240_000 },
    async () => {
      const [[name, host]] = [...hosts] as [[string, LabHost]];
      away.from = Date.now();
      await cluster.servers['kube-apiserver'].stop();
      try {
        await host.check(['systemctl', 'restart', agentUnit]);
        await host.writeFile('/etc/words', 'drifted\n');
        const began = Date.now();
        await untilWords(host, 'second\n');
        assert.ok(Date.now() - began < 60_000);
      } finally {
        await cluster.startApiServer();
        away.to = Date.now() + 5000;
      }
      await give(name, 'third\n');
      await untilWords(host, 'third\n');
    },
  );

  test('a Secret that is deleted or makes no sense changes nothing, and is said', { timeout: 60_000 }, async () => {
    const [[name, host]] = [...hosts] as [[string, LabHost]];
    await cluster.admin.request('DELETE', secretPath(`pool-${name}`));
    const said = async (code: string): Promise<void> => {
      for (let waited = 0; waited < 20_000; waited += 200) {
        const { stdout } = await host.exec(['journalctl', '-u', agentUnit, '-o', 'cat', '-n', '60']);
        if (stdout.includes(code)) return;
        await sleep(200);
      }
      assert.fail(`the agent does not say ${code}`);
    };
    await said('NK_DOCUMENT_MISSING');
    // By its priority, too: warnings are told from the rest.
    assert.match(
      await host.check(['journalctl', '-u', agentUnit, '-p', 'warning', '-o', 'cat']),
      /NK_DOCUMENT_MISSING/,
    );
    assert.doesNotMatch(await host.check(['journalctl', '-u', agentUnit, '-p', 'warning', '-o', 'cat']), /^converged/m);
    const byCode = ['journalctl', '-u', agentUnit, '-n', '1', '-o', 'json', 'NODEKILN_CODE=NK_DOCUMENT_MISSING'];
    const entry = JSON.parse(await host.check(byCode)) as Readonly<Record<string, string>>;
    assert.deepEqual(
      ['PRIORITY', 'SYSLOG_IDENTIFIER', 'NODEKILN_CONTROLLER'].map((field) => entry[field]),
      ['4', 'nodekiln', 'desired-state'],
    );
    assert.match(entry['MESSAGE'] ?? '', /NK_DOCUMENT_MISSING:? .*does not exist[^]*hint: /);
    assert.equal(await host.readFile('/etc/words'), 'third\n');
    await give(name, 'fourth\n', { filez: [] });
    await said('NK_DOCUMENT_INVALID');
    assert.equal(await host.readFile('/etc/words'), 'third\n');
    await give(name, 'fifth\n');
    await untilWords(host, 'fifth\n');
  });

  test(
    'node after node: the second begins when the first is done, and never when it failed',
    { timeout: 180_000 },
    async () => {
      const both = (words: string): Promise<void> =>
        putSecret(
          cluster,
          'pool-both',
          { '10-node.yaml': documentOf('old', words) },
          { 'reconciliation.osc.node-agent.gardener.cloud/serial': 'true' },
        );
      const [old, young] = [...hosts.values()];
      assert.ok(old && young);
      await both('both\n');
      // As Gardener says that a pool is made anew: each agent starts anew with the other Secret.
      const label = 'worker.gardener.cloud/gardener-node-agent-secret-name';
      for (const node of hosts.keys())
        await cluster.admin.request('PATCH', nodePath(node), { metadata: { labels: { [label]: 'pool-both' } } });
      await Promise.all([...hosts.values()].map((host) => untilWords(host, 'both\n')));
      const untilFree = (): Promise<Lease> =>
        cluster.admin.until<Lease>(
          leasePath('pool-both'),
          ({ metadata, spec }) =>
            (spec.holderIdentity ?? '') === '' && metadata.annotations?.['nodekiln.dev/serial-failed'] === undefined,
          'the Lease is free',
          30_000,
        );
      await untilFree();
      // The first one cannot write its file.
      await young.check(['systemctl', 'stop', agentUnit]);
      await old.check(['sh', '-c', 'rm /etc/words && mkdir -p /etc/words/in-the-way']);
      await both('stopped\n');
      const lease = await cluster.admin.until<Lease>(
        leasePath('pool-both'),
        (object) => annotationsOf(object)['nodekiln.dev/serial-failed'] !== undefined,
        'the first node failed',
        60_000,
      );
      assert.match(annotationsOf(lease)['nodekiln.dev/serial-failed'] ?? '', /"node":"old"/);
      await young.check(['systemctl', 'start', agentUnit]);
      await sleep(8000);
      assert.equal(await young.readFile('/etc/words'), 'both\n');
      await old.check(['rm', '-r', '/etc/words']);
      await both('onwards\n');
      await Promise.all([...hosts.values()].map((host) => untilWords(host, 'onwards\n')));
      await untilFree();
    },
  );

  test('kubelet that hangs is restarted by the agent, and an Event says so', { timeout: 180_000 }, async () => {
    const [[name, host]] = [...hosts] as [[string, LabHost]];
    const before = await invocation(host, 'kubelet.service');
    await host.check(['systemctl', 'kill', '--signal=SIGSTOP', 'kubelet.service']);
    for (let waited = 0; waited < 150_000 && (await invocation(host, 'kubelet.service')) === before; waited += 500)
      await sleep(500);
    assert.notEqual(await invocation(host, 'kubelet.service'), before);
    await cluster.admin.until<{ readonly items: readonly { readonly message: string }[] }>(
      `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D${name},reason%3DComponentRestart`,
      ({ items }) => items.some(({ message }) => message.startsWith('kubelet.service is restarted')),
      'an Event of the restart',
      30_000,
    );
    const node = await cluster.admin.get<{
      readonly status: { readonly conditions: readonly { readonly type: string }[] };
    }>(nodePath(name));
    assert.ok(node.status.conditions.some(({ type }) => type === 'SystemdUnitsReady'));
  });

  test('ask as themselves alone, with two watches each and few requests', async () => {
    const events = await cluster.audit();
    const asked = events.filter(({ userAgent }) => userAgent === 'nodekiln');
    const identities = new Set(asked.map(({ user }) => user.username));
    const known = [
      ...cases.flatMap(({ name }) => [`nodekiln:node-agent:${name}`, `system:node:${name}`]),
      'system:serviceaccount:kube-system:nodekiln-approver',
    ];
    const others = [...identities].filter((name) => !known.includes(name) && !name.startsWith('system:bootstrap:'));
    assert.deepEqual(others, [], 'boots, agents and the approver are nobody else');
    for (const { name } of cases) {
      const own = asked.filter(({ user }) => user.username === `nodekiln:node-agent:${name}`);
      assert.ok(own.length > 0);
      const wasAway = (time: string): boolean => Date.parse(time) >= away.from && Date.parse(time) <= away.to;
      const refused = own.filter(
        ({ responseStatus, requestReceivedTimestamp }) =>
          responseStatus?.code === 403 && !wasAway(requestReceivedTimestamp),
      );
      assert.deepEqual(
        refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
        [],
      );
      const watched = new Set(own.filter(({ verb }) => verb === 'watch').map(({ objectRef }) => objectRef?.resource));
      assert.deepEqual(watched, new Set(['secrets', 'nodes']));
    }
  });

  test('a node that is reset is nobody, and becomes a node again with a new token', { timeout: 120_000 }, async () => {
    const host = hosts.get('new');
    assert.ok(host);
    assert.match(await host.check([nodekiln, 'reset', '--dry-run']), /nothing was changed/);
    assert.equal(await host.readFile('/etc/words'), 'onwards\n');
    const refused = await host.exec([nodekiln, 'reset']);
    assert.equal(refused.status, 64, refused.stderr);
    await host.check([nodekiln, 'reset', '--yes']);
    const gone = ['/etc/words', '/etc/systemd/system/words.service', '/var/lib/kubelet/pki', '/var/lib/nodekiln/agent'];
    for (const path of gone) assert.notEqual((await host.exec(['test', '-e', path])).status, 0, path);
    for (const unit of ['words.service', 'kubelet.service', agentUnit])
      assert.notEqual((await host.exec(['systemctl', 'is-active', '--quiet', unit])).status, 0, unit);
    assert.match(await host.check([nodekiln, 'reset', '--yes']), /nothing to do/);
    const { podSubnet = '' } = cases.find(({ name }) => name === 'new') ?? {};
    const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet });
    await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', document, { mode: 0o600 });
    assert.match(await host.check([nodekiln, 'boot']), /converged.* registered after/);
  });
});

/** From this machine: a socket has its place in the file system alone. */
async function askSocket(
  socketPath: string,
  path: string,
): Promise<{ readonly status?: number; readonly text: string }> {
  const [answer] = (await once(get({ socketPath, path }), 'response')) as [IncomingMessage];
  return { ...(answer.statusCode !== undefined && { status: answer.statusCode }), text: await readText(answer) };
}
