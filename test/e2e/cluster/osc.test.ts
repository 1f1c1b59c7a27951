/**
 * OperatingSystemConfigs in Secrets, on two hosts of a real cluster. One, of old Debian, was booted by us. The other was tended by
 * gardener-node-agent and is taken over as it runs. Both then follow a document with all that Gardener renders: files of every
 * kind, units with extensions, containerd with a mirror, a static pod that comes, changes and goes. The agents act as themselves.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import { agentUnit as agentUnitText } from '../../../src/desired/own-units.ts';
import { agentUnit, grantAgents, nodekiln, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import { bakedRoot } from '../../demo/baked.ts';
import { bakedNode, untilBooted } from '../../demo/nodes.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { joinDocument } from '../../lab/join.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { artifacts } from '../../lab/packages.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { image, startRegistry, type TestRegistry } from '../../servers/registry.ts';
import { inlineFile, oscOf, type Json } from '../../support/osc.ts';
import { tar } from '../../support/tar.ts';
import { base, criConfig, gardenerNode, gardenerSpec, itsConfig, itsUnit } from './gardener-node.ts';
import { imageIn, serveInLab, type LabRegistry } from './registry.ts';

interface Node extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
    readonly nodeInfo: { readonly kubeletVersion: string };
  };
}
interface Pod extends KubeObject {
  readonly spec: { readonly containers: readonly { readonly env?: readonly { readonly value: string }[] }[] };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly { readonly containerID: string; readonly restartCount: number }[];
  };
}

// Not all that is told of them: a container runs before it is told as started and ready.
const containersOf = ({ status }: Pod) =>
  status.containerStatuses?.map(({ containerID, restartCount }) => ({ containerID, restartCount }));

const names = ['old', 'new'] as const;
const registryCa = '/etc/registry-ca.pem';
const upstream = 'mirrored.example.org';
const manifest = '/etc/kubernetes/manifests/web.yaml';
const unitOf = (program: string): string =>
  `[Service]\nType=exec\nExecStart=${program}\n[Install]\nWantedBy=multi-user.target\n`;
const sleeping = unitOf('/usr/bin/sleep infinity');
const gone = { name: 'gone.service', content: sleeping };
const kept = {
  name: 'kept.service',
  content: sleeping,
  dropIns: [{ name: '10-more.conf', content: '[Service]\nNice=5\n' }],
  filePaths: ['/etc/kept'],
};
const keptFile = inlineFile('/etc/kept', 'kept\n', { permissions: 0o644 });

const nodePath = (name: string): string => `/api/v1/nodes/${name}`;
const podPath = (name: string): string => `/api/v1/namespaces/default/pods/web-${name}`;
const checksumOf = (text: string): string => createHash('sha256').update(text).digest('hex');
/** Of the mirrored image, in the network of its host, so that no network of pods is needed. */
const podOf = (words: string, withImage = `${upstream}/web:1`): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      hostNetwork: true,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'web',
          image: withImage,
          env: [
            { name: 'PORT', value: '8099' },
            { name: 'WORDS', value: words },
          ],
        },
      ],
    },
  });

describe('an OperatingSystemConfig in a Secret', { concurrency: 1 }, () => {
  let lab: Lab;
  let cluster: Cluster;
  let onLoopback: TestRegistry;
  let registry: LabRegistry;
  let registryPem: string;
  let tools: string;
  const hosts = new Map<string, LabHost>();
  const hostOf = (name: string): LabHost => hosts.get(name) ?? assert.fail(`there is no host ${name}`);

  /** What Gardener renders of a node by itself, where that is whose it was. */
  const commonOf = (name: string): { files: Json[]; units: Json[] } =>
    name === 'new' ? gardenerSpec({ name, cluster, secret: `pool-${name}` }) : { files: [], units: [] };
  const wholeOf = (name: string, pod?: string): Json => {
    const common = commonOf(name);
    const mirror = {
      upstream,
      readinessProbe: true,
      hosts: [{ url: `https://${registry.host}`, capabilities: ['pull', 'resolve'], caCerts: [registryCa] }],
    };
    return oscOf(
      {
        type: 'any',
        purpose: 'reconcile',
        ...criConfig([mirror], { max_concurrent_downloads: 5, max_container_log_line_size: 4096 }),
        files: [
          ...common.files,
          keptFile,
          inlineFile(registryCa, registryPem, { permissions: 0o644 }),
          inlineFile('/etc/words', 'WORDS=one\n', { permissions: 0o644 }),
          { path: '/etc/bytes', permissions: 0o640, content: { inline: { encoding: 'b64', data: '/wD+' } } },
          { path: '/etc/from-secret', content: { secretRef: { name: 'extra', dataKey: 'word' } } },
          {
            path: '/opt/tools/tool',
            permissions: 0o755,
            content: { imageRef: { image: `${upstream}/tools@${tools}`, filePathInImage: '/usr/bin/tool' } },
          },
          inlineFile('/etc/this-host', 'here', { hostName: name }),
          inlineFile('/etc/other-host', 'there', { hostName: 'elsewhere' }),
          ...(pod === undefined ? [] : [inlineFile(manifest, pod, { permissions: 0o644 })]),
        ],
        units: [
          ...common.units,
          kept,
          {
            name: 'words.service',
            content: sleeping,
            dropIns: [{ name: '10-words.conf', content: '[Service]\nEnvironmentFile=/etc/words\n' }],
            filePaths: ['/etc/words'],
          },
        ],
      },
      {
        extensionFiles: [inlineFile('/etc/extension', 'of the extension', { permissions: 0o600 })],
        extensionUnits: [
          {
            name: 'words.service',
            dropIns: [{ name: '20-extension.conf', content: '[Service]\nEnvironment=MORE=more\n' }],
          },
          { name: 'tool.service', content: unitOf('/opt/tools/tool infinity'), filePaths: ['/opt/tools/tool'] },
        ],
      },
    );
  };
  const give = async (name: string, document: Json): Promise<string> => {
    const text = stringify(document);
    await putSecret(cluster, `pool-${name}`, { 'osc.yaml': text }, { 'checksum/data-script': checksumOf(text) });
    return checksumOf(text);
  };
  /** The Node once it tells that the document is in force. */
  const untilApplied = async (name: string, checksum: string): Promise<Node> => {
    try {
      return await cluster.admin.until<Node>(
        nodePath(name),
        ({ metadata }) => metadata.annotations?.['checksum/cloud-config-data'] === checksum,
        'the checksum is told',
        120_000,
      );
    } catch (thrown) {
      const log = await hostOf(name).exec(['journalctl', '-u', agentUnit, '-u', 'containerd', '-n', '60', '-o', 'cat']);
      throw new Error(`the agent of ${name} says:\n${log.stdout}`, { cause: thrown });
    }
  };
  const onBoth = async (work: (name: string, host: LabHost) => Promise<void>): Promise<void> => {
    await Promise.all(names.map((name) => work(name, hostOf(name))));
  };
  const property = async (host: LabHost, property: string, units: readonly string[]): Promise<string[]> =>
    (await host.check(['systemctl', 'show', '-P', property, ...units])).trim().split(/\s+/);
  const isThere = async (host: LabHost, path: string): Promise<boolean> =>
    (await host.exec(['test', '-e', path])).status === 0;
  /** Images, what holds them, and what was unpacked of them, in every namespace of containerd. */
  const storeOf = async (host: LabHost): Promise<string> => {
    const lists = ['images', 'leases', 'snapshots', 'content'].map(
      (what) => `ctr -n "$namespace" ${what} list -q | sort`,
    );
    const all = `for namespace in $(ctr namespaces list -q); do echo "$namespace"; ${lists.join('; ')}; done`;
    return host.check(['sh', '-euc', all]);
  };

  before(async () => {
    await installPrerequisites(console.error);
    const { dir, images } = await artifacts(console.error);
    for (const suite of ['bookworm', 'trixie'] as const) await bakedRoot(console.error, suite);
    onLoopback = await startRegistry();
    lab = await openLab();
    cluster = await openCluster(lab, { progress: console.error });
    registry = await serveInLab(lab, onLoopback);
    registryPem = await readFile(registry.authority, 'utf8');
    await onLoopback.push({ repository: 'web', tag: '1', ...(await imageIn(join(dir, images.web.file), lab)) });
    // The upper layer takes one file of the lower away and brings the link that leads to the other.
    const lower = gzipSync(
      tar([
        { name: 'usr/lib/tool', content: '#!/bin/sh\nexec sleep "$@"\n' },
        { name: 'usr/bin/tool', content: 'older' },
      ]),
    );
    const upper = gzipSync(
      tar([{ name: 'usr/bin/.wh.tool' }, { name: 'usr/bin/tool', type: '2', target: '/usr/lib/tool' }]),
    );
    tools = await onLoopback.push({ repository: 'tools', ...image([lower, upper]) });
    const document = joinDocument(cluster, { token: await cluster.newToken(), podSubnet: '10.88.1.0/24' });
    const old = await bakedNode(lab, { name: 'old', suite: 'bookworm', network: true, document });
    hosts.set('old', old);
    const spec = {
      files: [
        keptFile,
        inlineFile('/etc/gone', 'gone'),
        inlineFile(manifest, podOf('before', 'lab.nodekiln.dev/web:1'), { permissions: 0o644 }),
      ],
      units: [kept, gone],
    };
    const [young] = await Promise.all([
      gardenerNode(lab, { name: 'new', cluster, secret: 'pool-new', spec }),
      old.start().then(() => untilBooted(old)),
    ]);
    hosts.set('new', young);
    await grantAgents(cluster, old, { old: ['kube-system/pool-old', 'kube-system/extra'] });
    await grantAgents(cluster, old, { new: ['kube-system/pool-new', 'kube-system/extra', 'kube-system/token-new'] }, [
      '--lease',
      'gardener-node-agent-{node}',
    ]);
    await startApprover(cluster, old);
    for (const [name, literal] of [
      ['extra', 'word=from another Secret'],
      ['token-new', 'token=hunter2'],
    ] as const)
      await cluster.kubectl(['-n', 'kube-system', 'create', 'secret', 'generic', name, `--from-literal=${literal}`]);
  });
  after(async () => {
    await lab?.close();
    await onLoopback?.close();
  });

  test('takes a node of gardener-node-agent over as it runs', { timeout: 180_000 }, async () => {
    const host = hostOf('new');
    const units = ['kubelet.service', 'kept.service'];
    const pod = await cluster.admin.until<Pod>(podPath('new'), ({ status }) => status.phase === 'Running', 'it runs');
    // It ended in the middle of a change that nobody asks for any more.
    await host.writeFile('/etc/half', 'half', { mode: 0o600 });
    await host.writeFile('/etc/systemd/system/half.service', sleeping, { mode: 0o600 });
    await host.check(['systemctl', 'daemon-reload']);
    await host.check(['systemctl', 'start', 'half.service']);
    const half = {
      operatingSystemConfigChecksum: '0'.repeat(64),
      files: { changed: [inlineFile('/etc/half', 'half')] },
      units: { changed: [{ name: 'half.service', content: sleeping, dropInsChanges: {} }] },
      containerd: { configFileChanged: false, registries: {} },
    };
    await host.writeFile(`${base}/last-computed-osc-changes.yaml`, stringify(half), { mode: 0o600 });
    const before = await property(host, 'MainPID', units);
    const common = commonOf('new');
    const files = [
      ...common.files,
      keptFile,
      inlineFile(manifest, podOf('before', 'lab.nodekiln.dev/web:1'), { permissions: 0o644 }),
    ];
    const next = { type: 'any', purpose: 'reconcile', files, units: [...common.units, kept], ...criConfig([]) };
    const checksum = await give('new', oscOf(next));

    await host.writeFile(`/etc/systemd/system/${agentUnit}`, agentUnitText(undefined));
    await host.writeFile(
      `/etc/systemd/system/${agentUnit}.d/10-config.conf`,
      `[Service]\nExecStart=\nExecStart=${nodekiln} agent --config ${itsConfig}\n`,
    );
    await host.check(['systemctl', 'daemon-reload']);
    await host.check(['systemctl', 'enable', '--now', agentUnit]);
    await untilApplied('new', checksum);

    assert.deepEqual(await property(host, 'MainPID', units), before, 'what did not change runs on');
    const states = await host.exec(['systemctl', 'is-active', itsUnit, 'gone.service', 'half.service']);
    assert.deepEqual(states.stdout.trim().split('\n'), ['inactive', 'inactive', 'inactive']);
    assert.equal((await host.exec(['systemctl', 'is-enabled', itsUnit])).stdout.trim(), 'disabled');
    for (const path of [
      '/etc/gone',
      '/etc/half',
      '/etc/systemd/system/gone.service',
      '/etc/systemd/system/half.service',
    ])
      assert.equal(await isThere(host, path), false, path);
    const now = await cluster.admin.get<Pod>(podPath('new'));
    assert.deepEqual(containersOf(now), containersOf(pod), 'its pods run on');
    // Its own certificate, by the one of kubelet; the one of the agent before stays where it was, and is nobody’s.
    const subject = await host.check(
      'openssl x509 -noout -subject -in /var/lib/nodekiln/agent/client-current.pem'.split(' '),
    );
    assert.match(subject, /nodekiln:node-agents.*nodekiln:node-agent:new/);
    assert.equal(await isThere(host, `${base}/credentials/kubeconfig`), true);
    assert.equal(await host.readFile(`${base}/machine-name`), 'machine-new\n');
    assert.equal((await host.check(['stat', '-c', '%a', '/var/lib/valitail/auth-token'])).trim(), '640');
    const lease = await cluster.admin.get<KubeObject & { spec: { holderIdentity: string } }>(
      '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/gardener-node-agent-new',
    );
    assert.equal(lease.spec.holderIdentity, 'gardener-node-agent-new');
    const events = await cluster.kubectl([
      'get',
      'events',
      '-o',
      'jsonpath={.items[*].message}',
      '--field-selector',
      'reason=NodeTakenOver',
    ]);
    assert.match(events, /what gardener-node-agent put in place is taken over: \d+ resources/);
  });

  test(
    'puts files, units and containerd as it says, and leaves nothing in containerd’s store',
    { timeout: 180_000 },
    async () => {
      const source = 'secret:kube-system/pool-old';
      await startAgent(cluster, hostOf('old'), { source, restarts: { maxDelay: '0s' } });
      await cluster.kubectl(['annotate', 'node', 'new', 'nodekiln.dev/restart-delay=0s']);
      await onBoth(async (name, host) => {
        const [store, before] = [await storeOf(host), await property(host, 'MainPID', ['kubelet.service'])];
        const node = await untilApplied(
          name,
          await give(name, wholeOf(name, name === 'new' ? podOf('before', 'lab.nodekiln.dev/web:1') : undefined)),
        );
        assert.equal(
          node.metadata.labels?.['worker.gardener.cloud/kubernetes-version'],
          node.status?.nodeInfo.kubeletVersion.slice(1),
        );
        assert.equal(node.metadata.labels?.['node-role.kubernetes.io/worker'], '');
        const digest = async (path: string): Promise<string> =>
          (await host.check(['sh', '-c', `stat -c %a ${path}; od -An -tx1 -N4 ${path}`]))
            .replaceAll(/\s+/g, ' ')
            .trim();
        assert.equal(await digest('/etc/bytes'), '640 ff 00 fe');
        assert.equal(await host.readFile('/etc/from-secret'), 'from another Secret');
        assert.equal(
          (await host.check(['stat', '-c', '%a', '/etc/from-secret', '/etc/extension', '/opt/tools/tool'])).trim(),
          '600\n600\n755',
        );
        assert.equal(await host.readFile('/opt/tools/tool'), '#!/bin/sh\nexec sleep "$@"\n');
        assert.deepEqual(
          [await isThere(host, '/etc/this-host'), await isThere(host, '/etc/other-host')],
          [true, false],
        );
        assert.equal(
          (await host.exec(['systemctl', 'is-active', 'words.service', 'tool.service'])).stdout,
          'active\nactive\n',
        );
        const [pid] = await property(host, 'MainPID', ['words.service']);
        const environment = await host.check(['cat', `/proc/${pid}/environ`]);
        assert.match(environment, /WORDS=one\0/);
        assert.match(environment, /MORE=more\0/);
        const config = await host.check(['containerd', 'config', 'dump']);
        assert.match(config, /max_concurrent_downloads = 5\n/);
        assert.match(config, /max_container_log_line_size = 4096\n/);
        assert.match(config, /SystemdCgroup = true\n/);
        assert.match(config, /config_path = ['"]\/etc\/containerd\/certs.d['"]/);
        assert.match(config, /sandbox_image = ['"]lab.nodekiln.dev\/pause:1['"]/);
        assert.equal(await storeOf(host), store);
        assert.deepEqual(await property(host, 'MainPID', ['kubelet.service']), before, 'kubelet reads none of it');
      });
    },
  );

  test('a static pod comes out of the mirror, changes, and goes', { timeout: 240_000 }, async () => {
    await onBoth(async (name, host) => {
      const units = ['kubelet.service', 'containerd.service', 'words.service', 'kept.service'];
      const before = await property(host, 'InvocationID', units);
      let last: string | undefined;
      for (const words of ['one', 'two']) {
        await untilApplied(name, await give(name, wholeOf(name, podOf(words))));
        // The Node may be told a moment before the mirror of the pod.
        const pod = await cluster.admin.until<Pod>(
          podPath(name),
          ({ spec, status }) => status.phase === 'Running' && spec.containers[0]?.env?.[1]?.value === words,
          `it says ${words}`,
          30_000,
        );
        const [container] = pod.status.containerStatuses ?? [];
        assert.notEqual(container?.containerID, last);
        last = container?.containerID;
      }
      await untilApplied(name, await give(name, wholeOf(name)));
      const tasks = await host.check([
        'ctr',
        '-n',
        'k8s.io',
        'containers',
        'list',
        '-q',
        'labels."io.kubernetes.pod.name"=="web-' + name + '"',
      ]);
      assert.equal(await isThere(host, manifest), false, tasks);
      await cluster.admin.until<{ items: Pod[] }>(
        '/api/v1/namespaces/default/pods',
        ({ items }) => items.every(({ metadata }) => metadata.name !== `web-${name}`),
        'its pod is gone',
        30_000,
      );
      assert.deepEqual(await property(host, 'InvocationID', units), before, 'nothing restarts for it');
      assert.match(await host.check([nodekiln, 'status']), /documents sha256/);
    });
  });
});
