/**
 * Updates in place on a real cluster: two nodes of one pool go from one minor version of kubelet to the next, each once it
 * was drained; authorities are rotated; a kubelet newer than the server is refused. The agents act as themselves.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { agentUnit, grantAgents, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { kubeletPackage } from '../../lab/packages.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import type { Suite } from '../../lab/root.ts';

interface Node extends KubeObject {
  readonly spec: { readonly unschedulable?: boolean };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
    readonly nodeInfo: { readonly kubeletVersion: string };
  };
}
interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly { readonly containerID: string; readonly restartCount: number }[];
  };
}

const cases: readonly { readonly name: string; readonly suite: Suite; readonly podSubnet: string }[] = [
  { name: 'old', suite: 'bookworm', podSubnet: '10.88.1.0/24' },
  { name: 'new', suite: 'trixie', podSubnet: '10.88.2.0/24' },
];
const [before134, after134] = ['1.33.13', '1.34.4'];
const packages = '/opt/packages';
const label = 'nodekiln.dev/update';
const kubeletPem = '/var/lib/kubelet/pki/kubelet-client-current.pem';
const agentPem = '/var/lib/nodekiln/agent/client-current.pem';

const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const podPath = (name: string): string => `/api/v1/namespaces/default/pods/${name}`;
const conditionOf = ({ status }: Node, type: string) => status.conditions?.find((one) => one.type === type);
// Not all that is told of them: a container runs before it is told as started and ready.
const containersOf = ({ status }: Pod) =>
  status.containerStatuses?.map(({ containerID, restartCount }) => ({ containerID, restartCount }));
const wordOf = ({ metadata }: KubeObject): string | undefined => metadata.labels?.[label];

describe('updates in place', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  const hosts = new Map<string, LabHost>();
  const hostOf = (name: string): LabHost => hosts.get(name) ?? assert.fail(`there is no host ${name}`);

  const documentOf = (name: string, version: string, words: string, inPlaceUpdates: object = {}): string => {
    const { podSubnet = '' } = cases.find((one) => one.name === name) ?? {};
    return joinDocument(cluster, {
      podSubnet,
      version,
      spec: {
        takeover: true,
        files: [{ path: '/etc/words', content: words }],
        binaries: {
          tools: { kubectl: { version: '1.32.3' } },
          sources: { local: { type: 'deb', directory: packages } },
        },
        inPlaceUpdates,
      },
    });
  };
  const give = (name: string, ...rest: [version: string, words: string, inPlaceUpdates?: object]): Promise<void> =>
    putSecret(cluster, `pool-${name}`, { '10-node.yaml': documentOf(name, ...rest) });
  const wordsOn = (name: string): Promise<string> =>
    hostOf(name)
      .readFile('/etc/words')
      .catch(() => '');
  const node = (name: string): Promise<Node> => cluster.admin.get<Node>(nodePath(name));
  const until = async (name: string, holds: (object: Node) => boolean, what: string): Promise<Node> => {
    try {
      return await cluster.admin.until<Node>(nodePath(name), holds, what, 120_000);
    } catch (thrown) {
      const log = await hostOf(name).exec(['journalctl', '-u', agentUnit, '-n', '40', '-o', 'cat']);
      throw new Error(`${what}: the agent of ${name} says:\n${log.stdout}`, { cause: thrown });
    }
  };
  const podOf = (name: string): Promise<Pod> => cluster.admin.get<Pod>(podPath(name));
  const invocation = async (name: string, unit: string): Promise<string> =>
    (await hostOf(name).check(['systemctl', 'show', '-P', 'InvocationID', unit])).trim();
  const serialOf = async (name: string, pem: string): Promise<string> =>
    (await hostOf(name).check(['openssl', 'x509', '-noout', '-serial', '-in', pem])).trim();
  const drain = async (name: string): Promise<void> => {
    await cluster.kubectl(['cordon', name]);
    await cluster.kubectl(['drain', name, '--ignore-daemonsets', '--force', '--grace-period=1', '--timeout=60s']);
    await cluster.kubectl(['label', 'node', name, `${label}=ready`, '--overwrite']);
  };

  before(async () => {
    await installPrerequisites(console.error);
    for (const { suite } of cases) await bakedRoot(console.error, suite);
    const older = await kubeletPackage(`v${before134}` as 'v1.33.13', console.error);
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    for (const { name, suite, podSubnet } of cases) {
      const document = joinDocument(cluster, {
        token: await cluster.newToken(),
        podSubnet,
        version: before134,
        spec: {
          binaries: {
            tools: { kubectl: { version: '1.32.3' } },
            sources: { local: { type: 'deb', directory: packages } },
          },
        },
      });
      const files = { [`${packages}/kubelet.deb`]: older };
      hosts.set(name, await bakedNode(lab, { name, suite, network: true, document, files }));
    }
    await Promise.all([...hosts.values()].map((host) => host.start()));
    await Promise.all([...hosts.values()].map((host) => untilBooted(host)));
    const [host] = hosts.values();
    assert.ok(host);
    await grantAgents(cluster, host, Object.fromEntries(cases.map(({ name }) => [name, [`kube-system/pool-${name}`]])));
    await startApprover(cluster, host);
    for (const [name, one] of hosts) {
      await give(name, before134, 'first');
      await startAgent(cluster, one, { source: `secret:kube-system/pool-${name}`, restarts: { maxDelay: '0s' } });
    }
    for (const [name] of hosts)
      await until(
        name,
        ({ metadata }) => metadata.annotations?.['nodekiln.dev/applied'] !== undefined,
        'first documents',
      );
  });
  after(() => lab?.close());

  test('kubelet of another minor version waits on every node until it is drained', { timeout: 180_000 }, async () => {
    for (const { name } of cases)
      await cluster.kubectl(['apply', '-f', '-'], {
        input: JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, namespace: 'default' },
          spec: {
            nodeName: name,
            terminationGracePeriodSeconds: 1,
            containers: [{ name: 'web', image: 'lab.nodekiln.dev/web:1', imagePullPolicy: 'Never' }],
          },
        }),
      });
    for (const { name } of cases)
      await cluster.admin.until<Pod>(podPath(name), ({ status }) => status.phase === 'Running', `${name} runs`, 60_000);
    for (const { name } of cases) await give(name, after134, 'second');
    for (const { name } of cases) {
      const waiting = await until(name, (object) => wordOf(object) === 'wanted', `${name} asks to be drained`);
      assert.equal(waiting.status.nodeInfo.kubeletVersion, `v${before134}`);
    }
    await sleep(2000);
    for (const { name } of cases) {
      const waiting = await node(name);
      assert.deepEqual(
        [conditionOf(waiting, 'NodekilnUpdate')?.reason, waiting.status.nodeInfo.kubeletVersion, await wordsOn(name)],
        ['WaitsForDrain', `v${before134}`, 'first'],
      );
    }
  });

  test('the drained one is updated, the other one and its pod are left alone', { timeout: 240_000 }, async () => {
    const containersBefore = containersOf(await podOf('new'));
    const [kubelet, runtime] = [
      await invocation('new', 'kubelet.service'),
      await invocation('new', 'containerd.service'),
    ];
    await drain('old');
    await until('old', (object) => wordOf(object) === 'successful', 'old is updated');
    await until('old', (object) => conditionOf(object, 'NodekilnUpdate')?.reason === 'UpdateSuccessful', 'old says so');
    await until('old', ({ status }) => status.nodeInfo.kubeletVersion === `v${after134}`, 'old tells its new kubelet');
    await until('old', (object) => conditionOf(object, 'Ready')?.status === 'True', 'old is Ready');
    assert.equal(await wordsOn('old'), 'second');
    await cluster.kubectl(['uncordon', 'old']);
    assert.deepEqual(
      [await invocation('new', 'kubelet.service'), await invocation('new', 'containerd.service')],
      [kubelet, runtime],
    );
    assert.deepEqual(containersOf(await podOf('new')), containersBefore);
    assert.deepEqual([wordOf(await node('new')), await wordsOn('new')], ['wanted', 'first']);
    await drain('new');
    await until('new', (object) => wordOf(object) === 'successful', 'new is updated');
    await until('new', ({ status }) => status.nodeInfo.kubeletVersion === `v${after134}`, 'new tells its new kubelet');
    await cluster.kubectl(['uncordon', 'new']);
  });

  test('a kubelet newer than the API server is refused, and nothing restarts', { timeout: 120_000 }, async () => {
    const before = await invocation('old', 'kubelet.service');
    await give('old', '1.35.0', 'third');
    const messages = (): Promise<string> =>
      cluster.kubectl([
        'get',
        'events',
        '-o',
        'jsonpath={.items[*].message}',
        '--field-selector',
        'reason=DesiredStateFailed',
      ]);
    for (let waited = 0; waited < 30_000 && !(await messages()).includes('NK_KUBELET_TOO_NEW'); waited += 500)
      await sleep(500);
    assert.match(await messages(), /NK_KUBELET_TOO_NEW: kubelet 1\.35 is asked for, and the API server is of 1\.34/);
    await sleep(2000);
    assert.deepEqual([await invocation('old', 'kubelet.service'), await wordsOn('old')], [before, 'second']);
    await give('old', after134, 'third');
    for (let waited = 0; waited < 30_000 && (await wordsOn('old')) !== 'third'; waited += 100) await sleep(100);
    assert.equal(await wordsOn('old'), 'third');
    assert.equal(await invocation('old', 'kubelet.service'), before);
  });

  test(
    'rotated authorities give agent and kubelet new certificates once the node is drained',
    { timeout: 180_000 },
    async () => {
      const before = [await serialOf('new', kubeletPem), await serialOf('new', agentPem)];
      const other = await invocation('old', 'kubelet.service');
      await give('new', after134, 'second', { certificateAuthorities: '2026-11-01T00:00:00Z' });
      await until('new', (object) => wordOf(object) === 'wanted', 'new asks to be drained');
      assert.deepEqual([await serialOf('new', kubeletPem), await serialOf('new', agentPem)], before);
      await drain('new');
      await until('new', (object) => wordOf(object) === 'successful', 'new has rotated');
      const after = [await serialOf('new', kubeletPem), await serialOf('new', agentPem)];
      assert.notEqual(after[0], before[0]);
      assert.notEqual(after[1], before[1]);
      await cluster.kubectl(['uncordon', 'new']);
      await until('new', (object) => conditionOf(object, 'Ready')?.status === 'True', 'new is Ready');
      assert.equal(await invocation('old', 'kubelet.service'), other);
    },
  );
});
