/**
 * Hosts with nodekiln in a real cluster, old and new Debian: they join with a bootstrap token, run pods that the scheduler
 * gives them, and serve the API server what it asks kubelets for. And what the lab's control plane promises to tests: who
 * is who, servers that go away and come back, a past that can be restored. One control plane for all of it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { startApprover } from '../../demo/agents.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { Credentials, KubeList, KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import type { Suite } from '../../lab/root.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';

interface Node extends KubeObject {
  readonly spec: { readonly taints?: readonly { readonly key: string }[] };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly nodeInfo: {
      readonly machineID: string;
      readonly kubeletVersion: string;
      readonly osImage: string;
      readonly containerRuntimeVersion: string;
    };
  };
}

interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly { readonly containerID: string; readonly restartCount: number }[];
  };
}

interface Lease extends KubeObject {
  readonly spec: { readonly renewTime: string };
}

interface NodeCase {
  readonly name: string;
  readonly suite: Suite;
  readonly systemd: string;
  readonly osImage: RegExp;
  readonly podSubnet: string;
}

const cases: readonly NodeCase[] = [
  { name: 'old', suite: 'bookworm', systemd: '252', osImage: /12 \(bookworm\)/, podSubnet: '10.88.1.0/24' },
  { name: 'new', suite: 'trixie', systemd: '257', osImage: /13 \(trixie\)/, podSubnet: '10.88.2.0/24' },
];
const placeLabel = 'nodekiln.dev/place';

const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const podPath = (name: string): string => `/api/v1/namespaces/default/pods/${name}`;
const leasePath = (name: string): string => `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`;
const requestsPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

const isReady = ({ status }: Node): boolean =>
  status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;

describe('hosts in a real cluster', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  const hosts = new Map<string, LabHost>();
  const hostOf = (name: string): LabHost => {
    const host = hosts.get(name);
    assert.ok(host, `there is a host ${name}`);
    return host;
  };

  before(async () => {
    await installPrerequisites(console.error);
    for (const { suite } of cases) await bakedRoot(console.error, suite);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error, checkKubelets: true, audit: true });
  });
  after(() => lab?.close());

  test(
    'join by bootstrap token and become Ready, each with its labels and a bridge network',
    { timeout: 120_000 },
    async (context) => {
      const nodes = await cluster.admin.watch<Node>('/api/v1/nodes');
      for (const { name, suite, podSubnet } of cases) {
        const document = joinDocument(cluster, {
          token: await cluster.newToken(),
          podSubnet,
          labels: { [placeLabel]: name },
          // The API server of this suite checks serving certificates, which kubelet then has to ask for.
          kubeletConfiguration: { serverTLSBootstrap: true },
        });
        hosts.set(name, await bakedNode(lab, { name, suite, network: true, document }));
      }
      await Promise.all(cases.map(({ name }) => hostOf(name).start()));
      for (const { name, osImage, systemd } of cases) {
        const host = hostOf(name);
        await untilBooted(host);
        const ready = await nodes.until(
          ({ type, object }) => type !== 'DELETED' && object.metadata.name === name && isReady(object),
          `${name} Ready`,
          90_000,
        );
        const { metadata, status } = ready.object;
        assert.equal(metadata.labels?.[placeLabel], name);
        assert.equal(status.nodeInfo.kubeletVersion, 'v1.34.3');
        assert.equal(status.nodeInfo.machineID, host.machineId);
        assert.match(status.nodeInfo.osImage, osImage);
        assert.ok(status.addresses?.some((each) => each.type === 'InternalIP' && each.address === host.address));
        assert.match(await host.check(['systemctl', '--version']), new RegExp(`^systemd ${systemd} `));
        const afterMs = ready.atMs - (host.timestamps?.pid1Ms ?? Number.NaN);
        context.diagnostic(
          `${name} (systemd ${systemd}, ${status.nodeInfo.containerRuntimeVersion}): Ready ${afterMs.toFixed(0)} ms after PID 1`,
        );
      }
      nodes.close();
    },
  );

  test('the certificate was asked for with the token, approved by a controller, and used from then on', async () => {
    const events = await cluster.audit();
    const ofRequests = events.filter(({ objectRef }) => objectRef?.resource === 'certificatesigningrequests');
    const creators = ofRequests.filter(({ verb }) => verb === 'create').map(({ user }) => user.username);
    assert.equal(creators.filter((name) => name.startsWith('system:bootstrap:')).length, cases.length);
    const approvals = ofRequests.filter(({ requestURI }) => requestURI.includes('/approval'));
    assert.ok(approvals.length > 0);
    for (const { user } of approvals)
      assert.equal(user.username, 'system:serviceaccount:kube-system:certificate-controller');
    const registrations = events.filter(
      ({ verb, objectRef, responseStatus }) =>
        verb === 'create' && objectRef?.resource === 'nodes' && responseStatus?.code === 201,
    );
    assert.deepEqual(
      registrations.map(({ user }) => user.username).sort(),
      cases.map(({ name }) => `system:node:${name}`).sort(),
    );
  });

  test('pods are scheduled by label and run from the images of the bake', { timeout: 90_000 }, async () => {
    for (const { name } of cases)
      await cluster.admin.create('/api/v1/namespaces/default/pods', {
        metadata: { name: `web-${name}` },
        spec: {
          nodeSelector: { [placeLabel]: name },
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'web', image: 'lab.nodekiln.dev/web:1', imagePullPolicy: 'Never' }],
        },
      });
    for (const { name, podSubnet } of cases) {
      const pod = await cluster.admin.until<Pod>(
        podPath(`web-${name}`),
        (pod) => pod.status.phase === 'Running',
        'Running',
      );
      assert.equal(pod.spec.nodeName, name);
      assert.ok(pod.status.podIP?.startsWith(podSubnet.slice(0, podSubnet.lastIndexOf('.') + 1)), pod.status.podIP);
    }
  });

  test(
    'a kubelet serves the API server as soon as its certificate is approved, and not before',
    { timeout: 120_000 },
    async () => {
      for (const { name } of cases) {
        const early = await cluster.tryKubectl(['logs', `web-${name}`]);
        assert.notEqual(early.status, 0, early.stdout);
        assert.match(early.stderr, /tls/i);
      }
      const [host] = hosts.values();
      assert.ok(host);
      await startApprover(cluster, host, ['--kubelet-serving']);
      for (const { name } of cases) {
        // kubelet looks for its certificate now and then.
        const deadline = performance.now() + 60_000;
        let logs = await cluster.tryKubectl(['logs', `web-${name}`]);
        while (logs.status !== 0 && performance.now() < deadline)
          logs = await cluster.tryKubectl(['logs', `web-${name}`]);
        assert.equal(logs.stdout, 'serving on 8080\n', logs.stderr);
        assert.equal(await cluster.kubectl(['exec', `web-${name}`, '--', 'hostname']), `web-${name}\n`);
        assert.equal(await forwarded(cluster, `web-${name}`, 8080), 'nodekiln lab\n');
      }
    },
  );

  test('pods of two hosts reach each other where the hosts have routes', { timeout: 60_000 }, async () => {
    const [near, far] = cases;
    assert.ok(near && far);
    const address = (await cluster.admin.get<Pod>(podPath(`web-${far.name}`))).status.podIP ?? '';
    const fetched = (): Promise<{ status: number; stdout: string }> =>
      cluster.tryKubectl([
        'exec',
        `web-${near.name}`,
        '--',
        'wget',
        '-q',
        '-T',
        '2',
        '-O',
        '-',
        `http://${address}:8080/`,
      ]);
    assert.notEqual((await fetched()).status, 0, 'nobody made routes');
    // By hand: no agent runs here (pod-routes.test.ts).
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const)
      await hostOf(from.name).check(['ip', 'route', 'add', to.podSubnet, 'via', hostOf(to.name).address]);
    assert.equal((await fetched()).stdout, 'nodekiln lab\n');
  });

  test('a kubelet may change its own Node and no other', async () => {
    const [own, other] = cases;
    assert.ok(own && other);
    const pair = await hostOf(own.name).readFile('/var/lib/kubelet/pki/kubelet-client-current.pem');
    const kubelet = cluster.as({ cert: pair, key: pair });
    const patch = { metadata: { annotations: { 'nodekiln.dev/example': 'mine' } } };
    assert.equal((await kubelet.request('PATCH', nodePath(own.name), patch)).status, 200);
    const refused = await kubelet.request<{ message: string }>('PATCH', nodePath(other.name), patch);
    assert.equal(refused.status, 403);
    assert.match(refused.body.message, /node "old" is not allowed to modify node "new"/);
    kubelet.close();
  });

  test(
    'the API server tells tokens and certificates that are good from those that are not',
    { timeout: 60_000 },
    async () => {
      const folder = join(cluster.folder, 'certificates');
      const subject = '/O=lab/CN=visitor';
      const day = 24 * 60 * 60 * 1000;
      const from = (days: number): Date => new Date(Date.now() + days * day);
      const stranger = await makeAuthority(folder, 'stranger');
      const pairs = {
        good: await issueCertificate(folder, 'good', cluster.authority, { subject }),
        expired: await issueCertificate(folder, 'expired', cluster.authority, {
          subject,
          notBefore: from(-2),
          notAfter: from(-1),
        }),
        early: await issueCertificate(folder, 'early', cluster.authority, { subject, notBefore: from(1) }),
        foreign: await issueCertificate(folder, 'foreign', stranger, { subject }),
      };
      const answerTo = async (credentials: Credentials, path = nodePath('old')): Promise<number> => {
        const client = cluster.as(credentials);
        try {
          return (await client.request('GET', path)).status;
        } finally {
          client.close();
        }
      };
      const withPair = async ({ certificate, key }: { certificate: string; key: string }): Promise<number> =>
        answerTo({ cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') });
      assert.equal(await withPair(pairs.good), 403, 'known, and without rights');
      for (const name of ['expired', 'early', 'foreign'] as const) assert.equal(await withPair(pairs[name]), 401, name);

      const token = await cluster.newToken();
      assert.equal(await answerTo({ token }, requestsPath), 200);
      assert.equal(await answerTo({ token }, '/api/v1/namespaces/kube-system/secrets'), 403);
      const useless = {
        expired: await cluster.newToken({ ttlMs: -60_000 }),
        disabled: await cluster.newToken({ usages: ['signing'] }),
        unknown: 'abcdef.0123456789abcdef',
      };
      for (const [name, token] of Object.entries(useless)) assert.equal(await answerTo({ token }), 401, name);
    },
  );

  test('the API server goes away and comes back: pods go on, kubelets report again', { timeout: 90_000 }, async () => {
    const before = await containers(cluster);
    await cluster.servers['kube-apiserver'].stop();
    assert.notEqual((await cluster.tryKubectl(['get', 'nodes'])).status, 0);
    await cluster.startApiServer();
    await untilLeasesRenewed(cluster);
    assert.deepEqual(await containers(cluster), before);
  });

  test(
    'etcd goes back to an earlier copy: what came later is gone, nodes and pods go on',
    { timeout: 120_000 },
    async () => {
      const before = await containers(cluster);
      const maps = '/api/v1/namespaces/default/configmaps';
      await cluster.admin.create(maps, { metadata: { name: 'earlier' } });
      const copy = await cluster.saveEtcd();
      await cluster.admin.create(maps, { metadata: { name: 'later' } });
      await cluster.restoreEtcd(copy);
      const { items } = await cluster.admin.get<KubeList<KubeObject>>(maps);
      const names = items.map(({ metadata }) => metadata.name);
      assert.ok(names.includes('earlier') && !names.includes('later'), names.join());
      await untilLeasesRenewed(cluster);
      assert.deepEqual(await containers(cluster), before);
    },
  );
});

/** Containers and their restarts by pod. */
async function containers(cluster: Cluster): Promise<unknown> {
  const pods = await cluster.admin.get<KubeList<Pod>>('/api/v1/namespaces/default/pods');
  return pods.items.map(({ metadata, status }) => [
    metadata.name,
    status.containerStatuses?.map(({ containerID, restartCount }) => ({ containerID, restartCount })),
  ]);
}

/** Until every kubelet has said again that it lives. */
async function untilLeasesRenewed(cluster: Cluster): Promise<void> {
  const since = new Date().toISOString();
  for (const { name } of cases)
    await cluster.admin.until<Lease>(leasePath(name), ({ spec }) => spec.renewTime > since, 'renewed');
}

/** What a pod answers to GET / through a port that kubectl forwards. */
async function forwarded(cluster: Cluster, pod: string, port: number): Promise<string> {
  const argv = [...cluster.kubectlCommand, 'port-forward', `pod/${pod}`, `:${port}`];
  const kubectl = cluster.lab.spawnInNetwork(argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    assert.ok(kubectl.stdout);
    const [line] = (await once(createInterface({ input: kubectl.stdout }), 'line', {
      signal: AbortSignal.timeout(30_000),
    })) as [string];
    const local = /127\.0\.0\.1:(\d+) ->/.exec(line)?.[1];
    assert.ok(local, line);
    const program = `fetch('http://127.0.0.1:${local}/').then((it) => it.text()).then((it) => process.stdout.write(it))`;
    const { stdout, stderr } = await cluster.lab.execInNetwork([process.execPath, '--eval', program], {
      timeoutMs: 30_000,
    });
    assert.equal(stderr, '');
    return stdout;
  } finally {
    kubectl.kill();
  }
}
