/** What a NodeConfig is when nobody says otherwise, and what the sources together must say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { completeTransfer } from './complete-items.ts';
import { given } from './completion.ts';
import { configCheck } from './inspect.ts';
import { parseDocument } from './load.ts';
import { formatPath, isMap, valueAt, type Path } from './paths.ts';
import { resolveNodeConfig } from './resolve.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: {version: 1.34.3}\n';
const certificate = JSON.stringify(exampleAuthority);
const cluster = `  cluster: {server: "https://a", caBundle: ${certificate}}\n`;
const bridge = '  network: {cni: {type: bridge, subnet: 10.88.0.0/24}}\n';

async function specOf(text: string): Promise<unknown> {
  return resolveNodeConfig([await parseDocument({ file: 'node.yaml', text: head + text }, 'NodeConfig')]).config.spec;
}

// ── defaults ─────────────────────────────────────────────────────────────────────────────────────────────────────

const policy = { importance: 'required', scope: 'node', takeover: false, needs: [] };

const standAlone = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  cgroupDriver: 'systemd',
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  failSwapOn: false,
  healthzBindAddress: '127.0.0.1',
  healthzPort: 10248,
  readOnlyPort: 0,
  staticPodPath: '/etc/kubernetes/manifests',
  volumePluginDir: '/var/lib/kubelet/volumeplugins',
  address: '127.0.0.1',
  authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
};
const { address: _onlyStandAlone, ...common } = standAlone;

/** What is said, and what a part of the whole is then. */
const defaults: readonly (readonly [said: string, at: string, is: unknown])[] = [
  [
    '',
    '',
    {
      kubernetes: { version: '1.34.3' },
      kubelet: { configuration: standAlone, flags: {}, labels: {}, annotations: {}, taints: [], staticPods: [] },
      containerd: { restrictOomScoreAdj: false, configuration: {}, registries: [] },
      network: { cni: { type: 'none' } },
      kernel: { modules: [{ ...policy, name: 'overlay', importance: 'bestEffort', scope: 'shared' }], sysctls: [] },
      binaries: {
        policy: 'cache-first',
        tools: {
          kubelet: {
            ...policy,
            version: '1.34.3',
            type: 'file',
            target: '/opt/bin/kubelet',
            scope: 'shared',
            deferrable: false,
          },
          kubectl: {
            ...policy,
            version: '1.34.3',
            type: 'file',
            target: '/opt/bin/kubectl',
            scope: 'shared',
            importance: 'bestEffort',
            deferrable: true,
          },
        },
      },
      extensions: [],
      usrLocal: 'host',
      trust: { anchors: [] },
      files: [],
      units: [],
      actions: [],
      boot: { deadline: '10m', goal: 'registered', joinDeadline: '8s', unjoined: 'degraded', deferrable: {} },
      takeover: false,
    },
  ],
  [
    cluster,
    'kubelet.configuration',
    {
      ...common,
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
      authorization: { mode: 'Webhook' },
      rotateCertificates: true,
    },
  ],
  [
    cluster,
    'cluster',
    {
      server: 'https://a',
      servers: ['https://a'],
      caBundle: exampleAuthority,
      domain: 'cluster.local',
      dns: [],
      servingCertificate: 'self-signed',
    },
  ],
  [`  cluster: {servers: ["https://b", "https://c"], caBundle: ${certificate}}\n`, 'cluster.server', 'https://b'],
  ['  cluster: {kubeconfig: /k}\n', 'cluster.server', ''],
  ['  cluster: {kubeconfig: /k}\n', 'cluster.servers', []],
  ['  cluster: {kubeconfig: /k}\n', 'cluster.caBundle', ''],
  [
    `  cluster: {server: "https://a", caBundle: ${certificate}, exec: {command: /c}}\n`,
    'cluster.exec',
    { command: '/c', args: [], env: {}, apiVersion: 'client.authentication.k8s.io/v1' },
  ],
  [
    `  cluster: {server: "https://a", caBundle: ${certificate}, clientCertificate: {certificateFile: /c, keyFile: /k}}\n`,
    'cluster.clientCertificate',
    { certificateFile: '/c', keyFile: '/k' },
  ],
  [
    '  kubelet: {credentialProviders: {configuration: {a: 1}}}\n',
    'kubelet.credentialProviders',
    { configuration: { a: 1 }, binDir: '/usr/libexec/kubernetes/credential-providers' },
  ],
  [bridge, 'network.cni', { type: 'bridge', subnet: '10.88.0.0/24', bridge: 'cni0', masquerade: true }],
  [
    `  cluster: {server: "https://a", caBundle: ${certificate}}\n  network: {cni: {type: bridge}}\n`,
    'network.cni',
    { type: 'bridge', subnet: 'podCIDR', bridge: 'cni0', masquerade: true },
  ],
  [
    `  cluster: {server: "https://a", caBundle: ${certificate}}\n  network: {cni: {type: none}}\n`,
    'network.cni',
    { type: 'none' },
  ],
  [bridge, 'kernel.modules.1', { ...policy, name: 'br_netfilter', importance: 'bestEffort', scope: 'shared' }],
  [
    bridge,
    'kernel.sysctls',
    [
      {
        ...policy,
        key: 'net.bridge.bridge-nf-call-iptables',
        value: '1',
        importance: 'bestEffort',
        scope: 'shared',
        needs: ['kernel:module/br_netfilter'],
      },
      { ...policy, key: 'net.ipv4.ip_forward', value: '1', scope: 'shared' },
    ],
  ],
  ['  network: {proxy: {https: "http://a"}}\n', 'network.proxy', { https: { sensitive: 'http://a' }, noProxy: [] }],
  [
    '  files: [{path: /a, content: x}]\n',
    'files.0',
    {
      ...policy,
      path: '/a',
      content: 'x',
      mode: '0644',
      owner: 'root',
      group: 'root',
      sensitive: false,
      deferrable: false,
    },
  ],
  ['  files: [{path: /a, content: x, sensitive: true}]\n', 'files.0.mode', '0600'],
  ['  files: [{path: /a, content: x, sensitive: true}]\n', 'files.0.content', { sensitive: 'x' }],
  ['  files: [{path: /a, contentBase64: YQ==}]\n', 'files.0.contentBase64', 'YQ=='],
  ['  files: [{path: /a, contentBase64: YQ==, sensitive: true}]\n', 'files.0.contentBase64', { sensitive: 'YQ==' }],
  [
    '  files: [{path: /a, contentBase64: YQ==, sensitive: true}]\n',
    'files.0',
    {
      ...policy,
      path: '/a',
      contentBase64: { sensitive: 'YQ==' },
      mode: '0600',
      owner: 'root',
      group: 'root',
      sensitive: true,
      deferrable: false,
    },
  ],
  ['  units: [{name: a.service, sensitive: true}]\n', 'units.0.content', undefined],
  ['  files: [{path: /a, directory: true}]\n', 'files.0.mode', '0755'],
  ['  files: [{path: /a, directory: true, sensitive: true, mode: "0700"}]\n', 'files.0.mode', '0700'],
  ['  files: [{path: /a, symlink: b}]\n', 'files.0.mode', undefined],
  [
    '  units: [{name: a.service}]\n',
    'units.0',
    {
      ...policy,
      name: 'a.service',
      dropIns: [],
      inputs: [],
      onChange: 'restart',
      deadline: '90s',
      sensitive: false,
      deferrable: false,
    },
  ],
  ['  units: [{name: containerd.service}]\n', 'units.0.scope', 'shared'],
  ['  units: [{name: containerd.service}]\n', 'units.0.deadline', '60s'],
  ['  units: [{name: containerd.service}]\n', 'units.0.onChange', 'restart'],
  ['  units: [{name: kubelet.service}]\n', 'units.0.scope', 'node'],
  ['  units: [{name: kubelet.service}]\n', 'units.0.deadline', '2m'],
  ['  units: [{name: systemd-sysext.service}]\n', 'units.0.scope', 'shared'],
  ['  units: [{name: systemd-sysext.service}]\n', 'units.0.deadline', '60s'],
  ['  units: [{name: systemd-sysext.service}]\n', 'units.0.onChange', 'none'],
  ['  units: [{name: a.service, content: x}]\n', 'units.0.content', 'x'],
  [
    '  units: [{name: a.service, sensitive: true, content: x, dropIns: [{name: a.conf, content: "y"}]}]\n',
    'units.0.dropIns',
    [{ name: 'a.conf', content: { sensitive: 'y' } }],
  ],
  [
    '  units: [{name: a.service, dropIns: [{name: a.conf, content: "y"}]}]\n',
    'units.0.dropIns',
    [{ name: 'a.conf', content: 'y' }],
  ],
  [
    '  actions: [{name: a, argv: [x], guard: {path: /a}}]\n',
    'actions.0',
    { ...policy, name: 'a', argv: ['x'], guard: { path: '/a' }, timeout: '60s', deferrable: false },
  ],
  ['  kernel: {sysctls: [{key: a.b, value: 1}]}\n', 'kernel.sysctls.0', { ...policy, key: 'a.b', value: 1 }],
  [
    '  containerd: {registries: [{host: a, mirrors: [{url: "https://b"}]}, {host: c}]}\n',
    'containerd.registries',
    [
      {
        host: 'a',
        mirrors: [{ url: 'https://b', capabilities: ['pull', 'resolve'], overridePath: false, skipVerify: false }],
      },
      { host: 'c', mirrors: [] },
    ],
  ],
  [
    '  binaries: {tools: {a: {}}}\n',
    'binaries.tools.a',
    { ...policy, version: '1.34.3', type: 'file', target: '/opt/bin/a', deferrable: false },
  ],
  ['  binaries: {tools: {a: {version: 1.2.3}}}\n', 'binaries.tools.a.version', '1.2.3'],
  ['  binaries: {tools: {a: {url: "https://b/c"}}}\n', 'binaries.tools.a.url', 'https://b/c'],
  ['  binaries: {tools: {a: {url: "https://u:p@b/c"}}}\n', 'binaries.tools.a.url', { sensitive: 'https://u:p@b/c' }],
  ['  binaries: {tools: {a: {privateUrl: "https://b/c"}}}\n', 'binaries.tools.a.privateUrl', 'https://b/c'],
  [
    '  binaries: {tools: {a: {privateUrl: "https://b/c?d"}}}\n',
    'binaries.tools.a.privateUrl',
    { sensitive: 'https://b/c?d' },
  ],
  ['  binaries: {transfer: {proxy: "http://a"}}\n', 'binaries.transfer', { proxy: { sensitive: 'http://a' } }],
  ['  binaries: {sources: {tarball: {url: "https://a"}}}\n', 'binaries.sources', { tarball: { url: 'https://a' } }],
  [
    '  binaries: {sources: {tarball: {url: "https://a?b"}}}\n',
    'binaries.sources',
    { tarball: { url: { sensitive: 'https://a?b' } } },
  ],
  ['  extensions: [{name: a, path: /a}]\n', 'extensions', [{ name: 'a', path: '/a', tools: ['a'] }]],
  [
    '  extensions: [{name: kubernetes, url: "https://a"}]\n',
    'extensions',
    [{ name: 'kubernetes', version: '1.34.3', url: 'https://a', tools: ['kubelet', 'kubectl'] }],
  ],
  [
    '  extensions: [{name: kubernetes, version: "1.33", url: "https://a?b", tools: [kubelet]}]\n',
    'extensions',
    [{ name: 'kubernetes', version: '1.33', url: { sensitive: 'https://a?b' }, tools: ['kubelet'] }],
  ],
  [
    '  extensions: [{name: a, tarball: {url: "https://u@a"}}]\n',
    'extensions.0.tarball',
    { url: { sensitive: 'https://u@a' } },
  ],
];

/** Without what is undefined. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

for (const [said, at, is] of defaults) {
  const path: Path = at === '' ? [] : at.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  test(`${said.trim() || 'when nothing is said'}: ${formatPath(path) || 'the whole'}`, async () => {
    const value = valueAt(await specOf(said), path);
    assert.deepEqual(value, is);
    assert.deepEqual(plain(value), value, 'what is absent has no key');
  });
}

test('what a document says stands before every default', async () => {
  const said = {
    kubernetes: { version: '1.33.1' },
    cluster: {
      server: 'https://a',
      caBundle: exampleAuthority,
      domain: 'a.b',
      dns: ['10.0.0.1'],
      servingCertificate: 'cluster',
    },
    kubelet: {
      configuration: { readOnlyPort: 1, authorization: { mode: 'X' } },
      flags: { v: 2 },
      labels: { a: 'b' },
      annotations: { c: 'd' },
      taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }],
      nodeIp: '10.0.0.2',
      staticPods: [{ name: 'a', manifest: { b: 1 } }],
    },
    containerd: { sandboxImage: 'a/b', restrictOomScoreAdj: true, configuration: { a: 1 } },
    network: { cni: { type: 'bridge', subnet: '10.0.0.0/8', bridge: 'b', masquerade: false, mtu: 90, binDir: '/b' } },
    binaries: {
      policy: 'package',
      cache: { keep: 3 },
      tools: { kubectl: { importance: 'background', deferrable: false } },
    },
    boot: {
      deadline: '1m',
      goal: 'ready',
      joinDeadline: '2s',
      unjoined: 'failed',
      deferrable: { 'unit:a.service': true },
    },
    usrLocal: 'writable',
    takeover: true,
  };
  const text = JSON.stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    metadata: { name: 'n' },
    spec: said,
  });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'a', text }, 'NodeConfig')]);
  assert.deepEqual(config.metadata, { name: 'n' });
  assert.partialDeepStrictEqual(config.spec, said);
});

test('transfers of an image: a proxy is secret, the rest as it is written', () => {
  const written = {
    budget: '1m',
    caFile: '/a',
    noProxy: ['b'],
    mirrors: [{ host: 'c', url: 'https://d' }],
  };
  assert.deepEqual(completeTransfer({ ...written, proxy: 'http://a' }), {
    ...written,
    proxy: { sensitive: 'http://a' },
  });
  assert.deepEqual(completeTransfer({}), {});
});

test('a field that the defaults must give, and do not, is an error of ours', () => {
  assert.equal(given(0), 0);
  assert.throws(() => given(undefined), TypeError);
});

// ── programs that an extension brings ────────────────────────────────────────────────────────────────────────────

for (const about of ['{}', '{version: 1.2.3}']) {
  test(`a program of no extension is taken from binaries: ${about}`, async () => {
    assert.deepEqual(toolsOf(await specOf(`  binaries: {tools: {a: ${about}}}\n`)), ['a', 'kubectl', 'kubelet']);
  });
}

function toolsOf(spec: unknown): string[] {
  const tools = valueAt(spec, ['binaries', 'tools']);
  assert.ok(isMap(tools));
  return Object.keys(tools).sort();
}

test('a program that an extension brings is not taken from binaries, too', async () => {
  assert.deepEqual(toolsOf(await specOf('  extensions: [{name: kubernetes, path: /a}]\n')), []);
  assert.deepEqual(toolsOf(await specOf('  extensions: [{name: kubernetes, path: /a, tools: [kubelet]}]\n')), [
    'kubectl',
  ]);
  assert.deepEqual(
    toolsOf(await specOf('  extensions: [{name: a, path: /a}]\n  binaries: {tools: {a: {importance: background}}}\n')),
    ['kubectl', 'kubelet'],
  );
});

for (const said of [
  'policy: package',
  'version: 1.2.3',
  'target: /a',
  'type: deb',
  'url: "https://a"',
  'privateUrl: "https://a"',
  'sources: {tarball: {url: "https://a"}}',
]) {
  test(`it is when binaries say something of where it comes from or goes: ${said}`, async () => {
    const text = `  extensions: [{name: a, path: /a}]\n  binaries: {tools: {a: {${said}}}}\n`;
    assert.deepEqual(toolsOf(await specOf(text)), ['a', 'kubectl', 'kubelet']);
  });
}

// ── what is missing, or too much ─────────────────────────────────────────────────────────────────────────────────

const needed: readonly (readonly [said: string, at: string, problem: string])[] = [
  [
    '  kubelet: {staticPods: [{name: a}]}\n',
    'spec.kubelet.staticPods[0].manifest',
    'manifest is missing for the static pod a',
  ],
  [
    '  trust: {anchors: [{name: a}]}\n',
    'spec.trust.anchors[0].certificates',
    'certificates are missing for the authority a',
  ],
  ['  kernel: {sysctls: [{key: a.b}]}\n', 'spec.kernel.sysctls[0].value', 'value is missing for a.b'],
  [
    '  network: {cni: {type: bridge}}\n',
    'spec.network.cni.subnet',
    'subnet is missing: a bridge needs one, unless a cluster gives it',
  ],
  [
    '  network: {cni: {type: bridge, subnet: podCIDR}}\n',
    'spec.network.cni.subnet',
    'subnet is podCIDR, and there is no cluster that gives the Node one',
  ],
  [
    '  files: [{path: /a}]\n',
    'spec.files[0]',
    'the file /a has no content: give one of content, contentBase64, symlink, directory',
  ],
  [
    '  files: [{path: /a, symlink: b, mode: "0644"}]\n',
    'spec.files[0].mode',
    'mode has no meaning for a symbolic link',
  ],
  ...['0601', '0602', '0604', '0607'].map(
    (mode) =>
      [
        `  files: [{path: /a, content: x, sensitive: true, mode: "${mode}"}]\n`,
        'spec.files[0].mode',
        `mode ${mode} lets everybody reach a sensitive file`,
      ] as const,
  ),
  [
    '  files: [{path: /a, directory: true, sensitive: true}]\n',
    'spec.files[0].mode',
    'mode 0755 lets everybody reach a sensitive file',
  ],
  [
    '  units: [{name: a.service, dropIns: [{name: a.conf, content: x}, {name: b.conf}]}]\n',
    'spec.units[0].dropIns[1].content',
    'content is missing for the drop-in b.conf',
  ],
  [
    '  units: [{name: a.service, enablement: masked, content: x}]\n',
    'spec.units[0].enablement',
    'the unit a.service cannot be masked and have a unit file',
  ],
  [
    '  units: [{name: a.service, enablement: masked, content: x, state: started}]\n',
    'spec.units[0].enablement',
    'the unit a.service cannot be masked and have a unit file',
  ],
  [
    '  units: [{name: a.service, enablement: masked, state: started}]\n',
    'spec.units[0].enablement',
    'the unit a.service cannot be masked and have the state started',
  ],
  ['  actions: [{name: a, guard: {path: /a}}]\n', 'spec.actions[0].argv', 'argv is missing for the action a'],
  [
    '  actions: [{name: a, argv: [x]}]\n',
    'spec.actions[0].guard',
    'guard is missing for the action a: it must say when the action is already done',
  ],
  [
    '  extensions: [{name: a}]\n',
    'spec.extensions[0]',
    'the extension a has no source: give at least one of path, registry, url, tarball',
  ],
  [
    '  extensions: [{name: a, registry: b.d/c}]\n',
    'spec.extensions[0].version',
    'version is missing for the extension a: a tag is chosen by it',
  ],
  [
    '  boot: {deferrable: {"unit:kubelet.service": true}}\n',
    'spec.boot.deferrable["unit:kubelet.service"]',
    'unit:kubelet.service cannot be deferred: kernel settings, mounts, identity, trust and runtime configuration must be in place before kubelet starts',
  ],
];

for (const [said, at, problem] of needed) {
  test(`refused: ${said.trim()}`, async () => {
    const problems = await configCheck([{ file: 'node.yaml', text: head + said }]);
    assert.deepEqual(
      problems.map(({ message, place }) => [place?.path, message]),
      [[at, problem]],
    );
  });
}

for (const said of [
  '  network: {cni: {type: none}}\n',
  '  files: [{path: /a, content: ""}]\n',
  '  files: [{path: /a, content: x, mode: "0644"}]\n',
  '  files: [{path: /a, content: x, sensitive: true, mode: "0640"}]\n',
  '  units: [{name: a.service, enablement: masked, state: stopped}]\n',
  '  units: [{name: a.service, enablement: masked}]\n',
  '  units: [{name: a.service, enablement: enabled, content: x, state: started}]\n',
  '  extensions: [{name: a, registry: b.d/c, version: "1"}]\n',
  '  extensions: [{name: kubernetes, registry: b.d/c}]\n',
  '  extensions: [{name: a, url: "https://a"}, {name: b, tarball: {url: "https://b"}}, {name: c, path: /c}]\n',
  '  boot: {deferrable: {"unit:kubelet.service": false, "unit:a.service": true}}\n',
]) {
  test(`fine: ${said.trim()}`, async () => {
    assert.deepEqual(await configCheck([{ file: 'node.yaml', text: head + said }]), []);
  });
}

test('a cluster says who its server is and who vouches for it; what is missing is said of it all at once', async () => {
  const text = head.replace('  kubernetes: {version: 1.34.3}\n', '  cluster: {dns: [10.0.0.1]}\n');
  const problems = await configCheck([{ file: 'node.yaml', text }]);
  assert.deepEqual(
    problems.map(({ place }) => place?.path),
    ['spec.kubernetes.version', 'spec.cluster.server', 'spec.cluster.caBundle'],
  );
});

test('null takes a default away, and is no way around the schema', async () => {
  const spec = await specOf('  binaries: {tools: {kubectl: null}}\n');
  assert.deepEqual(Object.keys(valueAt(spec, ['binaries', 'tools']) ?? {}), ['kubelet']);
  for (const [text, said] of [
    ['  tools: null\n', /unknown key [^a-z]*tools/],
    ['  kubelet: {lables: null}\n', /unknown key [^a-z]*lables.*did you mean/],
    ['  files: [{path: null, content: x}]\n', /files\[0\]|path is missing/],
    ['  kubelet: {taints: [null]}\n', /taints\[0\]/],
    ['  files: [null]\n', /files\[0\]/],
  ] as const)
    await assert.rejects(specOf(text), ({ problems }: { problems: { message: string }[] }) => {
      assert.equal(problems.length, 1, text);
      assert.match(JSON.stringify(problems), said);
      return true;
    });
});
