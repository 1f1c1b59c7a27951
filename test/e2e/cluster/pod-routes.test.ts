/**
 * Pods of two hosts in a real cluster, old and new Debian, reach each other: each bridge has the addresses that the cluster gave its
 * Node, and agents keep the routes; one document for both. The agents act as themselves; the administrator makes pods and
 * takes Nodes away.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { filledPath, filledTemplate, podNetworkTemplatePath } from '../../../src/desired/pod-network.ts';
import { agentUnit, grantAgents, nodekiln, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';

const suites = { old: 'bookworm', new: 'trixie' } as const;
type Name = keyof typeof suites;
const names = Object.keys(suites) as Name[];
const pairs = [
  ['old', 'new'],
  ['new', 'old'],
] as const;
const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const podsPath = '/api/v1/namespaces/default/pods';
const somebodys = '198.51.100.0/24';
/** As on hosts with systemd-resolved: a stub that only the host itself reaches, and beside it what pods are to use. */
const resolvers = {
  'etc/resolv.conf': 'nameserver 127.0.0.53\noptions edns0 trust-ad\n',
  'etc/tmpfiles.d/resolve.conf':
    'd /run/systemd/resolve\nf /run/systemd/resolve/resolv.conf 0644 root root - nameserver 192.0.2.53\\nsearch example.org\\n\n',
};

interface Node extends KubeObject {
  readonly spec: { readonly podCIDR?: string; readonly podCIDRs?: readonly string[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
interface Pod extends KubeObject {
  readonly status: { readonly phase: string; readonly podIP?: string };
}

describe('pods of hosts in a real cluster', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  const hosts = {} as Record<Name, LabHost>;

  const document = (about: Readonly<Record<string, unknown>> = {}): string =>
    joinDocument(cluster, { spec: { boot: { goal: 'ready' }, ...about } });
  const until = async (holds: () => Promise<boolean>, what: string, patienceMs = 60_000): Promise<void> => {
    for (const began = performance.now(); performance.now() - began < patienceMs;) {
      if (await holds()) return;
      await sleep(100);
    }
    const said = await Promise.all(names.map((name) => seenOn(hosts[name])));
    assert.fail([`not within ${patienceMs} ms: ${what}`, ...said].join('\n'));
  };
  const podCidr = async (name: Name): Promise<string> => {
    const { spec } = await cluster.admin.get<Node>(nodePath(name));
    return spec.podCIDR ?? '';
  };
  const routesOf = async (name: Name): Promise<string[]> =>
    (await hosts[name].check(['ip', 'route', 'show', 'proto', '107'])).split('\n').flatMap((line) => line.trim() || []);
  const routeTo = async (name: Name): Promise<string> => `${await podCidr(name)} via ${hosts[name].address} dev`;
  const untilRoutes = (name: Name, wanted: readonly string[]): Promise<void> =>
    until(
      async () => {
        const routes = await routesOf(name);
        return (
          routes.length === wanted.length && wanted.every((start) => routes.some((route) => route.startsWith(start)))
        );
      },
      `${name} has the routes ${wanted.join('; ')}`,
    );
  const runPod = async (pod: string, node: Name): Promise<string> => {
    await cluster.admin.create(podsPath, {
      metadata: { name: pod },
      spec: {
        nodeName: node,
        terminationGracePeriodSeconds: 1,
        dnsPolicy: 'Default',
        containers: [{ name: 'web', image: 'lab.nodekiln.dev/web:1', imagePullPolicy: 'Never' }],
      },
    });
    const { status } = await cluster.admin.until<Pod>(
      `${podsPath}/${pod}`,
      (one) => one.status.phase === 'Running' && one.status.podIP !== undefined,
      `${pod} runs`,
    );
    return status.podIP ?? '';
  };
  const fetched = async (from: string, address: string): Promise<string> => {
    const get = ['wget', '-q', '-T', '2', '-O', '-', `http://${address}:8080/`];
    return (await cluster.tryKubectl(['exec', from, '--', ...get])).stdout;
  };
  const addressOf = async (pod: string): Promise<string> =>
    (await cluster.admin.get<Pod>(`${podsPath}/${pod}`)).status.podIP ?? '';
  const untilFetched = (from: string, to: string): Promise<void> =>
    until(async () => (await fetched(from, await addressOf(to))) === 'nodekiln lab\n', `${from} fetches from ${to}`);
  const network = async (name: Name): Promise<{ readonly now: string; readonly wanted: string }> => {
    const template = await hosts[name].readFile(podNetworkTemplatePath);
    return {
      now: await hosts[name].readFile(filledPath(template)),
      wanted: filledTemplate(template, [await podCidr(name)]),
    };
  };
  const invocations = async (name: Name): Promise<string> =>
    hosts[name].check(['systemctl', 'show', '-P', 'InvocationID', 'kubelet.service', 'containerd.service']);

  before(async () => {
    await installPrerequisites(console.error);
    for (const suite of Object.values(suites)) await bakedRoot(console.error, suite);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    const folder = await mkdtemp(join(tmpdir(), 'nodekiln-resolvers-'));
    const files = Object.fromEntries(
      Object.entries(resolvers).map(([path], index) => [path, join(folder, `${index}`)]),
    );
    for (const [path, text] of Object.entries(resolvers)) await writeFile(files[path] ?? '', text);
    for (const name of names) {
      const own = joinDocument(cluster, { token: await cluster.newToken(), spec: { boot: { goal: 'ready' } } });
      hosts[name] = await bakedNode(lab, { name, suite: suites[name], network: true, document: own, files });
    }
    await rm(folder, { recursive: true });
    await Promise.all(names.map((name) => hosts[name].start()));
  });
  after(() => lab?.close());

  test(
    'have the addresses that the cluster gave their Nodes, as containerd makes it',
    { timeout: 120_000 },
    async (context) => {
      for (const name of names) {
        const { milestones } = await untilBooted(hosts[name]);
        context.diagnostic(`${name}: ${JSON.stringify(milestones)}`);
        const { now, wanted } = await network(name);
        assert.equal(now, wanted);
        const address = await runPod(`web-${name}`, name);
        const cidr = await podCidr(name);
        assert.match(cidr, /^10\.90\.\d+\.0\/24$/);
        assert.ok(address.startsWith(cidr.slice(0, cidr.lastIndexOf('.') + 1)), `${address} of ${cidr}`);
      }
      assert.notEqual(await podCidr('old'), await podCidr('new'));
      assert.equal(await fetched('web-old', await addressOf('web-new')), '', 'nobody made routes');
    },
  );

  test('ask the resolver that the host asks, not its stub', { timeout: 60_000 }, async () => {
    for (const name of names) {
      const seen = await cluster.kubectl(['exec', `web-${name}`, '--', 'cat', '/etc/resolv.conf']);
      assert.deepEqual(seen.trim().split('\n').sort(), ['nameserver 192.0.2.53', 'search example.org'], seen);
    }
  });

  test('reach each other once agents keep routes; nothing restarts for it', { timeout: 120_000 }, async () => {
    const [first] = names;
    assert.ok(first);
    const before = await Promise.all(names.map(invocations));
    for (const name of names)
      await hosts[name].check(['ip', 'route', 'add', somebodys, 'via', hosts[name].address.replace(/\d+$/, '254')]);
    await grantAgents(
      cluster,
      hosts[first],
      Object.fromEntries(names.map((name) => [name, ['kube-system/pool']])),
      [],
      ['--pod-routes'],
    );
    await startApprover(cluster, hosts[first]);
    await putSecret(cluster, 'pool', { '10-node.yaml': document({ takeover: true }) });
    for (const name of names)
      await startAgent(cluster, hosts[name], {
        source: 'secret:kube-system/pool',
        podRoutes: true,
        restarts: { maxDelay: '0s' },
        resync: '10s',
      });
    for (const [from, to] of pairs) await untilRoutes(from, [await routeTo(to)]);
    for (const [from, to] of pairs)
      assert.equal(await fetched(`web-${from}`, await addressOf(`web-${to}`)), 'nodekiln lab\n');
    for (const name of names)
      await cluster.admin.until<KubeObject>(
        nodePath(name),
        ({ metadata }) => metadata.annotations?.['nodekiln.dev/applied'] !== undefined,
        `${name} reports what is applied`,
        30_000,
      );
    assert.deepEqual(await Promise.all(names.map(invocations)), before);
  });

  test(
    'keep their routes over a restart of the agent, and get them back when somebody takes them',
    { timeout: 120_000 },
    async () => {
      const host = hosts.new;
      const monitor = (): Promise<string> => host.readFile('/run/monitor').catch(() => '');
      await host.check(['systemd-run', '--unit=monitor', 'sh', '-c', 'exec ip monitor route > /run/monitor']);
      await host.check(['systemctl', 'restart', agentUnit]);
      const journal = ['journalctl', '-u', agentUnit, '-o', 'cat', '-n', '30'];
      await until(
        async () => (await host.check(journal)).split('\nwatching ').at(-1)?.includes('known after') === true,
        'the agent has looked',
      );
      await sleep(5_000);
      assert.doesNotMatch(await monitor(), /proto 107/);
      const [route = ''] = await routesOf('new');
      await host.check(['ip', 'route', 'del', ...route.split(' ')]);
      await untilRoutes('new', [await routeTo('old')]);
      assert.match(await monitor(), /Deleted.*proto 107/);
      assert.match(await host.check(['ip', 'route', 'show', somebodys]), /via/);
    },
  );

  test('are not led astray by a Node that says what cannot be, and that is said', { timeout: 90_000 }, async () => {
    const evil = (name: string, podCIDR: string): Promise<unknown> =>
      cluster.admin.create('/api/v1/nodes', { metadata: { name }, spec: { podCIDR, podCIDRs: [podCIDR] } });
    await evil('evil-link', '10.77.0.128/25');
    await evil('evil-half', '0.0.0.0/1');
    const status = { addresses: [{ type: 'InternalIP', address: hosts.new.address }] };
    for (const name of ['evil-link', 'evil-half'])
      await cluster.admin.request('PATCH', `${nodePath(name)}/status`, { status }, 'application/merge-patch+json');
    const events = (): Promise<string> =>
      cluster.kubectl([
        'get',
        'events',
        '-o',
        'jsonpath={.items[*].message}',
        '--field-selector',
        'reason=PodRouteRefused',
      ]);
    await until(async () => /evil-link/.test(await events()) && /evil-half/.test(await events()), 'it is said');
    assert.match(await events(), /NK_POD_ROUTE_REFUSED: no route to the pods of/);
    for (const [from, to] of pairs) await untilRoutes(from, [await routeTo(to)]);
    assert.match((await hosts.old.exec([nodekiln, 'status'])).stdout, /NK_POD_ROUTE_REFUSED/);
    for (const name of ['evil-link', 'evil-half']) await cluster.admin.request('DELETE', nodePath(name));
  });

  test(
    'reach each other while the API server is away, also after a restart of the agent',
    { timeout: 120_000 },
    async () => {
      const wanted = await routeTo('old');
      const address = await addressOf('web-old');
      await cluster.servers['kube-apiserver'].stop();
      await hosts.new.check(['systemctl', 'restart', agentUnit]);
      await sleep(10_000);
      await untilRoutes('new', [wanted]);
      const sandbox = (await hosts.new.check(['sh', '-c', 'ctr -n k8s.io task ls | grep RUNNING | head -n 1'])).split(
        /\s+/,
      )[1];
      const get = [
        'nsenter',
        '-t',
        sandbox ?? '',
        '-n',
        'bash',
        '-c',
        `exec 3<>/dev/tcp/${address}/8080; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3`,
      ];
      assert.match(await hosts.new.check(get), /nodekiln lab/);
      await cluster.startApiServer();
    },
  );

  test(
    'of a Node that was deleted have no route, and those of one made anew have its addresses',
    { timeout: 180_000 },
    async () => {
      const before = await podCidr('new');
      await cluster.admin.request('DELETE', nodePath('new'));
      await untilRoutes('old', []);
      assert.match(await hosts.old.check(['ip', 'route', 'show', somebodys]), /via/);
      await hosts.new.check(['systemctl', 'restart', 'kubelet.service']);
      await cluster.admin.until<Node>(
        nodePath('new'),
        ({ spec }) => spec.podCIDR !== undefined,
        'new has a podCIDR',
        60_000,
      );
      assert.notEqual(await podCidr('new'), before);
      await until(async () => {
        const { now, wanted } = await network('new');
        return now === wanted;
      }, 'the network of pods has the new podCIDR');
      await untilRoutes('old', [await routeTo('new')]);
      await untilRoutes('new', [await routeTo('old')]);
      await cluster.admin.until<Node>(
        nodePath('new'),
        ({ status }) => status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
        'new is Ready',
        60_000,
      );
      const cidr = await podCidr('new');
      const address = await runPod('web-anew', 'new');
      assert.ok(address.startsWith(cidr.slice(0, cidr.lastIndexOf('.') + 1)), `${address} of ${cidr}`);
      await untilFetched('web-old', 'web-anew');
      await untilFetched('web-anew', 'web-old');
      assert.match(
        await cluster.kubectl([
          'get',
          'events',
          '-o',
          'jsonpath={.items[*].message}',
          '--field-selector',
          'reason=PodCidrChanged',
        ]),
        /pods get addresses of/,
      );
    },
  );

  test('have no routes to others on a host that is reset', { timeout: 60_000 }, async () => {
    assert.match(await hosts.new.check([nodekiln, 'reset', '--yes']), /route to 10\.90\./);
    assert.deepEqual(await routesOf('new'), []);
    assert.match(await hosts.new.check(['ip', 'route', 'show', somebodys]), /via/);
  });
});

async function seenOn(host: LabHost): Promise<string> {
  const script = `ip route; journalctl -u ${agentUnit} -u approver -n 30 -o cat --no-pager; cat /run/nodekiln-cni/*/*`;
  return `${host.name}:\n${(await host.exec(['sh', '-c', script])).stdout}`;
}
