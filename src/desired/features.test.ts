/** What one thing that a document says makes of the node: the resources that differ from those of a document that says nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { formatProblem } from '../config/invalid.ts';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { NodekilnError } from '../errors.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import { isResourceId, isSensitive, reveal, type DesiredState, type Resource } from '../model/resources.ts';
import { renderNode } from './render-node.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: {version: 1.34.3}\n';
const cluster = `server: "https://a:6443", caBundle: ${JSON.stringify(exampleAuthority)}`;

async function rendered(said: string, on: Partial<Facts> = {}): Promise<DesiredState> {
  const { config, placeOf } = resolveNodeConfig([
    await parseDocument({ file: 'node.yaml', text: head + said }, 'NodeConfig'),
  ]);
  return renderNode(config, { ...exampleFacts, ...on }, { placeOf });
}

/** All text of a resource: of a file, or of a unit and its drop-ins. */
function textOf(resource: Resource | undefined): string {
  if (resource?.kind === 'unit')
    return [resource.content ?? '', ...resource.dropIns.map(({ content }) => content)]
      .map((text) => reveal(text))
      .join('\n');
  if (resource?.kind !== 'file' || resource.entry.type !== 'file' || !('text' in resource.entry.content)) return '';
  return reveal(resource.entry.content.text);
}

function linesOf(resource: Resource | undefined): string[] {
  return textOf(resource).split('\n');
}

interface Change {
  /** These fields of the resource are so. */
  readonly is?: Readonly<Record<string, unknown>>;
  /** Lines of its text that were not there. */
  readonly adds?: readonly string[];
  /** Lines that are there no more. */
  readonly drops?: readonly string[];
}

interface Feature {
  /** Below `spec`. */
  readonly said: string;
  readonly on?: Partial<Facts>;
  /** Every resource that differs; `null`: it is gone. */
  readonly changes: Readonly<Record<string, Change | null>>;
  readonly warnings?: readonly string[];
}

const usual = { scope: 'node', deferrable: false, importance: 'required', needs: [] };
const fileEntry = { type: 'file', mode: '0644', uid: 0, gid: 0 };
const runtime = 'file:/etc/containerd/config.toml';
const containerd = 'unit:containerd.service';
const kubelet = 'unit:kubelet.service';
const kubeletConfig = 'file:/etc/kubernetes/kubelet.yaml';

/** All that differs in a cluster. */
const ofCluster = {
  'file:/etc/kubernetes/pki/ca.crt': {},
  'file:/etc/kubernetes/registration.env': {},
  'file:/var/lib/kubelet/kubeconfig': {},
  [kubeletConfig]: {},
  [kubelet]: {},
};

const files: readonly Feature[] = [
  {
    said: 'files: [{path: /a, content: "x\\n"}]',
    changes: {
      'file:/a': {
        is: {
          kind: 'file',
          id: 'file:/a',
          path: '/a',
          ...usual,
          origin: 'node.yaml:5:11',
          entry: { ...fileEntry, content: { text: 'x\n' } },
        },
      },
    },
  },
  {
    said: 'files: [{path: /a, content: "", mode: "0640", owner: 7, group: 8}]',
    changes: { 'file:/a': { is: { entry: { type: 'file', mode: '0640', uid: 7, gid: 8, content: { text: '' } } } } },
  },
  {
    said: 'files: [{path: /a, content: x, sensitive: true}]',
    changes: { 'file:/a': { is: { entry: { ...fileEntry, mode: '0600', content: { text: { sensitive: 'x' } } } } } },
  },
  {
    said: 'files: [{path: /a, contentBase64: "YW\\n Jj"}]',
    changes: { 'file:/a': { is: { entry: { ...fileEntry, content: { base64: 'YWJj' } } } } },
  },
  {
    said: 'files: [{path: /a, contentBase64: "YW Jj", sensitive: true}]',
    changes: {
      'file:/a': { is: { entry: { ...fileEntry, mode: '0600', content: { base64: { sensitive: 'YWJj' } } } } },
    },
  },
  {
    said: 'files: [{path: /a, symlink: b}]',
    changes: { 'file:/a': { is: { entry: { type: 'symlink', target: 'b' } } } },
  },
  {
    said: 'files: [{path: /a, directory: true, owner: 7}]',
    changes: { 'file:/a': { is: { entry: { type: 'directory', mode: '0755', uid: 7, gid: 0 } } } },
  },
  {
    said: 'files: [{path: /a, content: x, scope: shared, importance: background, deferrable: true, needs: ["unit:containerd.service"]}]',
    changes: {
      'file:/a': {
        is: { scope: 'shared', importance: 'background', deferrable: true, needs: ['unit:containerd.service'] },
      },
    },
  },
];

const plainUnit = {
  ...usual,
  kind: 'unit',
  name: 'a.service',
  origin: 'node.yaml:5:11',
  dropIns: [],
  inputs: [],
  onChange: 'restart',
  readiness: { type: 'active' },
  deadlineMs: 90_000,
};

const units: readonly Feature[] = [
  { said: 'units: [{name: a.service}]', changes: { 'unit:a.service': { is: plainUnit } } },
  {
    said: 'units: [{name: a.service, dropIns: [{name: a.conf, content: z}], enablement: masked, state: stopped, onChange: none, deadline: 7s}]',
    changes: {
      'unit:a.service': {
        is: {
          dropIns: [{ name: 'a.conf', content: 'z' }],
          enablement: 'masked',
          state: 'stopped',
          onChange: 'none',
          deadlineMs: 7000,
        },
      },
    },
  },
  { said: 'units: [{name: a.service, content: x}]', changes: { 'unit:a.service': { is: { content: 'x' } } } },
  {
    said: 'units: [{name: a.service, sensitive: true, content: x, dropIns: [{name: a.conf, content: z}]}]',
    changes: {
      'unit:a.service': {
        is: { content: { sensitive: 'x' }, dropIns: [{ name: 'a.conf', content: { sensitive: 'z' } }] },
      },
    },
  },
  {
    said: 'units: [{name: a.service, readiness: {http: "http://a/b"}}]',
    changes: { 'unit:a.service': { is: { readiness: { type: 'http', url: 'http://a/b' } } } },
  },
  {
    said: 'units: [{name: a.service, readiness: {socket: /a}}]',
    changes: { 'unit:a.service': { is: { readiness: { type: 'socket', path: '/a' } } } },
  },
  {
    said: 'units: [{name: a.service, inputs: [/etc/kubernetes/kubelet.yaml, "binary:kubelet"]}]',
    changes: { 'unit:a.service': { is: { inputs: [kubeletConfig, 'binary:kubelet'] } } },
  },
  {
    said: 'units: [{name: a.service, inputs: [/etc/other, "binary:kubelet", "action:b"]}]',
    changes: { 'unit:a.service': { is: { inputs: ['binary:kubelet'] } } },
    warnings: [
      'unit:a.service names the input file:/etc/other, which no document writes: its changes are not seen',
      'unit:a.service names the input action:b, which no document writes: its changes are not seen',
    ],
  },
];

const actions: readonly Feature[] = [
  {
    said: 'actions: [{name: a, argv: [x, "y z"], guard: {path: /b}}]',
    changes: {
      'action:a': {
        is: {
          ...usual,
          kind: 'action',
          argv: ['x', 'y z'],
          guard: { type: 'path', path: '/b' },
          timeoutMs: 60_000,
          origin: 'node.yaml:5:13',
        },
      },
    },
  },
  {
    said: 'actions: [{name: a, argv: [x], guard: {command: [test, -e, /b]}, env: {C: d}, timeout: 2m, importance: bestEffort}]',
    changes: {
      'action:a': {
        is: {
          guard: { type: 'command', argv: ['test', '-e', '/b'] },
          env: { C: { sensitive: 'd' } },
          timeoutMs: 120_000,
          importance: 'bestEffort',
        },
      },
    },
  },
];

const kernel: readonly Feature[] = [
  {
    said: 'kernel: {modules: [{name: a}, {name: b, importance: bestEffort}, {name: c}]}',
    changes: {
      'file:/etc/modules-load.d/50-nodekiln.conf': {
        is: { ...usual, scope: 'shared', entry: { ...fileEntry, content: { text: 'a\nc\n' } } },
      },
      'kernel:module/a': {
        is: { ...usual, kind: 'kernel', setting: { type: 'module', name: 'a' }, origin: 'node.yaml:5:22' },
      },
      'kernel:module/b': { is: { importance: 'bestEffort', setting: { type: 'module', name: 'b' } } },
      'kernel:module/c': { is: { setting: { type: 'module', name: 'c' } } },
    },
  },
  {
    said: 'kernel: {modules: [{name: b, importance: background}]}',
    changes: { 'kernel:module/b': { is: { importance: 'background' } } },
  },
  {
    said: 'kernel: {sysctls: [{key: a.b, value: 1}, {key: c.d, value: x, importance: bestEffort}, {key: e.f, value: y, importance: background}]}',
    changes: {
      'file:/etc/sysctl.d/99-nodekiln.conf': {
        is: { ...usual, scope: 'shared', entry: { ...fileEntry, content: { text: 'a.b = 1\n-c.d = x\n-e.f = y\n' } } },
      },
      'kernel:sysctl/a.b': {
        is: { ...usual, kind: 'kernel', setting: { type: 'sysctl', key: 'a.b', value: '1' }, origin: 'node.yaml:5:22' },
      },
      'kernel:sysctl/c.d': { is: { importance: 'bestEffort', setting: { type: 'sysctl', key: 'c.d', value: 'x' } } },
      'kernel:sysctl/e.f': {},
    },
  },
];

const cri = '[plugins."io.containerd.grpc.v1.cri"]';
const conflist = 'file:/etc/cni/nodekiln.d/10-nodekiln.conflist';
const ofBridge = {
  'file:/etc/sysctl.d/99-nodekiln.conf': {
    adds: ['-net.bridge.bridge-nf-call-iptables = 1', 'net.ipv4.ip_forward = 1'],
  },
  'kernel:module/br_netfilter': {},
  'kernel:sysctl/net.bridge.bridge-nf-call-iptables': { is: { needs: ['kernel:module/br_netfilter'] } },
  'kernel:sysctl/net.ipv4.ip_forward': {},
  [runtime]: { adds: ['', `${cri.slice(0, -1)}.cni]`, 'conf_dir = "/etc/cni/nodekiln.d"'] },
};
const alsoOfSix = {
  'file:/etc/sysctl.d/99-nodekiln.conf': {
    adds: [
      '-net.bridge.bridge-nf-call-iptables = 1',
      'net.ipv4.ip_forward = 1',
      '-net.bridge.bridge-nf-call-ip6tables = 1',
      'net.ipv6.conf.all.forwarding = 1',
    ],
  },
  'kernel:sysctl/net.bridge.bridge-nf-call-ip6tables': { is: { needs: ['kernel:module/br_netfilter'] } },
  'kernel:sysctl/net.ipv6.conf.all.forwarding': { is: { importance: 'required' } },
};

const runtimes: readonly Feature[] = [
  { said: 'containerd: {sandboxImage: a/b}', changes: { [runtime]: { adds: ['sandbox_image = "a/b"'] } } },
  {
    said: 'containerd: {sandboxImage: a/b}',
    on: { containerdVersion: '2.1.0' },
    changes: { [runtime]: { adds: ['', '[plugins."io.containerd.cri.v1.images".pinned_images]', 'sandbox = "a/b"'] } },
  },
  {
    said: 'containerd: {restrictOomScoreAdj: true}',
    changes: { [runtime]: { adds: ['restrict_oom_score_adj = true'] } },
  },
  { said: 'containerd: {configuration: {oom_score: -999}}', changes: { [runtime]: { adds: ['oom_score = -999'] } } },
  {
    said: 'containerd: {configuration: {plugins: {io.containerd.grpc.v1.cri: {containerd: {default_runtime_name: null}}}}}',
    changes: { [runtime]: { drops: ['default_runtime_name = "runc"'] } },
  },
  {
    said: 'network: {cni: {binDir: /opt/b}}',
    changes: {
      [runtime]: { adds: ['', `${cri.slice(0, -1)}.cni]`, 'bin_dir = "/opt/b"', 'conf_dir = "/etc/cni/net.d"'] },
    },
  },
  {
    said: 'containerd: {registries: [{host: b}, {host: a, server: "https://a", mirrors: [{url: "https://c"}]}]}',
    changes: {
      'file:/etc/containerd/certs.d/a/hosts.toml': {
        is: {
          ...usual,
          scope: 'shared',
          entry: {
            ...fileEntry,
            content: { text: 'server = "https://a"\n\n[host."https://c"]\ncapabilities = [ "pull", "resolve" ]\n' },
          },
        },
      },
      'file:/etc/containerd/certs.d/b/hosts.toml': { is: { entry: { ...fileEntry, content: { text: '\n' } } } },
      [containerd]: {
        is: {
          needs: [
            'file:/etc/cni/net.d',
            'file:/etc/containerd/certs.d',
            'file:/etc/containerd/certs.d/b/hosts.toml',
            'file:/etc/containerd/certs.d/a/hosts.toml',
          ],
        },
      },
    },
  },
  {
    said: 'containerd: {registries: [{host: a, mirrors: [{url: "https://c", capabilities: [push], overridePath: true, caFile: /c, skipVerify: true}]}]}',
    changes: {
      'file:/etc/containerd/certs.d/a/hosts.toml': {
        adds: [
          '[host."https://c"]',
          'capabilities = [ "push" ]',
          'override_path = true',
          'ca = "/c"',
          'skip_verify = true',
        ],
      },
      [containerd]: {},
    },
  },
  {
    said: 'network: {cni: {type: bridge, subnet: 10.1.0.0/16}}',
    changes: {
      ...ofBridge,
      [conflist]: {
        is: {
          ...usual,
          scope: 'shared',
          entry: {
            ...fileEntry,
            content: { text: jsonText(bridge({ bridge: 'cni0', ipMasq: true }, '10.1.0.0/16', '0.0.0.0/0')) },
          },
        },
      },
    },
  },
  {
    said: 'network: {cni: {type: bridge, subnet: "fd00::/64", bridge: b0, masquerade: false, mtu: 1400}}',
    changes: {
      ...ofBridge,
      ...alsoOfSix,
      [conflist]: {
        is: {
          entry: {
            ...fileEntry,
            content: { text: jsonText(bridge({ bridge: 'b0', ipMasq: false, mtu: 1400 }, 'fd00::/64', '::/0')) },
          },
        },
      },
    },
  },
];

/** A network of CNI 1.0 with the plugins bridge, host-local and portmap, as their documentation has it. */
function bridge(own: Readonly<Record<string, unknown>>, subnet: string, anywhere: string): unknown {
  return {
    cniVersion: '1.0.0',
    name: 'nodekiln',
    plugins: [
      {
        ...own,
        hairpinMode: true,
        ipam: { ranges: [[{ subnet }]], routes: [{ dst: anywhere }], type: 'host-local' },
        isGateway: true,
        forceAddress: true,
        type: 'bridge',
      },
      { capabilities: { portMappings: true }, type: 'portmap' },
    ],
  };
}

/** Keys in their order. */
function jsonText(value: unknown): string {
  const inOrder = (_key: string, inner: unknown): unknown =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner;
  return `${JSON.stringify(value, inOrder, 2)}\n`;
}

const proxyDropIn = (...lines: readonly string[]): string => `[Service]\n${lines.join('\n')}\n`;

const proxies: readonly Feature[] = [
  {
    said: 'network: {proxy: {http: "http://a", https: "http://b", noProxy: [c, d]}}',
    changes: {
      [containerd]: {
        is: {
          dropIns: [
            {
              name: '50-nodekiln.conf',
              content: {
                sensitive: proxyDropIn(
                  'LimitNOFILE=1048576',
                  'Environment=HTTP_PROXY=http://a',
                  'Environment=HTTPS_PROXY=http://b',
                  'Environment=NO_PROXY=c,d',
                ),
              },
            },
          ],
        },
      },
      [kubelet]: {
        is: {
          dropIns: [
            {
              name: '50-nodekiln.conf',
              content: {
                sensitive: proxyDropIn(
                  'Environment=HTTP_PROXY=http://a',
                  'Environment=HTTPS_PROXY=http://b',
                  'Environment=NO_PROXY=c,d',
                ),
              },
            },
          ],
        },
      },
    },
  },
  {
    said: 'network: {proxy: {noProxy: [c]}}',
    changes: {
      [containerd]: {
        is: {
          dropIns: [
            { name: '50-nodekiln.conf', content: proxyDropIn('LimitNOFILE=1048576', 'Environment=NO_PROXY=c') },
          ],
        },
      },
      [kubelet]: { is: { dropIns: [{ name: '50-nodekiln.conf', content: proxyDropIn('Environment=NO_PROXY=c') }] } },
    },
  },
  { said: 'network: {proxy: {}}', changes: {} },
  {
    said: 'network: {proxy: {http: "http://u:s%40$@a", https: "http://b", noProxy: [c]}}',
    changes: {
      [containerd]: {
        adds: [
          'Environment=HTTPS_PROXY=http://b',
          'Environment=HTTP_PROXY=http://u:s%%40$@a',
          'Environment=NO_PROXY=c',
        ],
      },
      [kubelet]: {
        adds: [
          'Environment=HTTPS_PROXY=http://b',
          'Environment=HTTP_PROXY=http://u:s%%40$@a',
          'Environment=NO_PROXY=c',
        ],
      },
    },
  },
];

const kubelets: readonly Feature[] = [
  {
    said: 'kubelet: {labels: {b: c, a.d/e: ""}}',
    changes: { [kubelet]: { adds: ['  --node-labels=a.d/e=,b=c'], drops: [] } },
  },
  { said: 'kubelet: {nodeIp: 10.0.0.1}', changes: { [kubelet]: { adds: ['  --node-ip=10.0.0.1'] } } },
  {
    said: 'kubelet: {flags: {v: 2, a: true}}',
    changes: {
      [kubelet]: {
        adds: ['  --a=true \\', '  --config=/etc/kubernetes/kubelet.yaml \\', '  --v=2'],
        drops: ['  --config=/etc/kubernetes/kubelet.yaml'],
      },
    },
  },
  {
    said: 'kubelet: {taints: [{key: a, value: b, effect: NoSchedule}]}',
    changes: {
      [kubeletConfig]: {
        adds: [
          '  "registerWithTaints": [',
          '    {',
          '      "effect": "NoSchedule",',
          '      "key": "a",',
          '      "value": "b"',
          '  ],',
        ],
      },
    },
  },
  {
    said: 'kubelet: {configuration: {maxPods: 7, readOnlyPort: null}}',
    changes: { [kubeletConfig]: { adds: ['  "maxPods": 7,'], drops: ['  "readOnlyPort": 0,'] } },
  },
  {
    said: 'kubelet: {staticPods: [{name: a, manifest: {kind: Pod, apiVersion: v1}}]}',
    changes: {
      'file:/etc/kubernetes/manifests/a.yaml': {
        is: {
          ...usual,
          entry: { ...fileEntry, mode: '0600', content: { text: '{\n  "apiVersion": "v1",\n  "kind": "Pod"\n}\n' } },
        },
      },
    },
  },
  {
    said: 'kubelet: {configuration: {staticPodPath: /p}, staticPods: [{name: a, manifest: {}}]}',
    changes: {
      'file:/etc/kubernetes/manifests': null,
      'file:/p': { is: { ...usual, entry: { type: 'directory', mode: '0700', uid: 0, gid: 0 } } },
      'file:/p/a.yaml': {},
      [kubeletConfig]: { adds: ['  "staticPodPath": "/p",'] },
    },
  },
  {
    said: `cluster: {${cluster}}`,
    changes: {
      'file:/etc/kubernetes/pki/ca.crt': {
        is: { ...usual, entry: { ...fileEntry, content: { text: exampleAuthority } } },
      },
      'file:/etc/kubernetes/registration.env': {
        is: { ...usual, entry: { ...fileEntry, content: { text: 'KUBELET_REGISTRATION=\n' } } },
      },
      'file:/var/lib/kubelet/kubeconfig': {},
      [kubeletConfig]: {
        adds: [
          '      "clientCAFile": "/etc/kubernetes/pki/ca.crt"',
          '  "clusterDomain": "cluster.local",',
          '    "mode": "Webhook"',
        ],
        drops: ['  "address": "127.0.0.1",', '    "mode": "AlwaysAllow"'],
      },
      [kubelet]: {
        adds: [
          '  --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig \\',
          '  --kubeconfig=/var/lib/kubelet/kubeconfig $KUBELET_REGISTRATION',
          'EnvironmentFile=/etc/kubernetes/registration.env',
          'Wants=containerd.service network-online.target',
          'After=containerd.service network-online.target',
        ],
        drops: ['Wants=containerd.service', 'After=containerd.service'],
      },
    },
  },
  {
    said: `cluster: {${cluster}, dns: [10.0.0.10], domain: b.c, servingCertificate: cluster}`,
    changes: {
      ...ofCluster,
      [kubeletConfig]: {
        adds: ['  "clusterDNS": [', '    "10.0.0.10"', '  "clusterDomain": "b.c",', '  "serverTLSBootstrap": true,'],
      },
    },
  },
  {
    said: `cluster: {${cluster}}\n  kubelet: {labels: {b: c, a: d}, taints: [{key: e, effect: NoExecute}, {key: f, value: g, effect: NoSchedule}]}`,
    changes: {
      ...ofCluster,
      'file:/etc/kubernetes/registration.env': {
        adds: ['KUBELET_REGISTRATION=--node-labels=a=d,b=c --register-with-taints=e=:NoExecute,f=g:NoSchedule'],
      },
    },
  },
  {
    said: `cluster: {${cluster}}\n  kubelet: {configuration: {authentication: {x509: {clientCAFile: /mine}}}}`,
    changes: { ...ofCluster, [kubeletConfig]: { adds: ['      "clientCAFile": "/mine"'] } },
  },
  {
    said: `cluster: {${cluster}}\n  kubelet: {configuration: {authentication: null}}`,
    changes: {
      ...ofCluster,
      [kubeletConfig]: {
        adds: ['      "clientCAFile": "/etc/kubernetes/pki/ca.crt"'],
        drops: ['    "anonymous": {'],
      },
    },
  },
  {
    said: `cluster: {server: "https://a", caBundle: ${JSON.stringify(exampleAuthority.trimEnd())}}`,
    changes: {
      ...ofCluster,
      'file:/etc/kubernetes/pki/ca.crt': { is: { entry: { ...fileEntry, content: { text: exampleAuthority } } } },
    },
  },
  {
    said: 'cluster: {kubeconfig: /k}',
    changes: {
      'file:/etc/kubernetes/registration.env': {},
      [kubeletConfig]: { drops: ['  "address": "127.0.0.1",'] },
      [kubelet]: { adds: ['  --kubeconfig=/k $KUBELET_REGISTRATION'] },
    },
  },
  { said: 'kubelet: {nodeName: a}', changes: { [kubelet]: { adds: ['  --hostname-override=a'] } } },
  { said: 'kubelet: {providerId: "a:///b"}', changes: { [kubelet]: { adds: ['  --provider-id=a:///b'] } } },
  { said: 'kubelet: {annotations: {a: b}}', changes: {} },
  {
    said: 'kubelet: {credentialProviders: {configuration: {kind: a}, binDir: /b}}',
    changes: {
      'file:/etc/kubernetes/credential-providers.json': {
        is: { ...usual, entry: { ...fileEntry, mode: '0600', content: { text: '{\n  "kind": "a"\n}\n' } } },
      },
      [kubelet]: {
        is: { inputs: [kubeletConfig, 'binary:kubelet', 'file:/etc/kubernetes/credential-providers.json'] },
        adds: [
          '  --image-credential-provider-bin-dir=/b \\',
          '  --image-credential-provider-config=/etc/kubernetes/credential-providers.json',
        ],
      },
    },
  },
  ...(
    [
      ['healthzPort: 7', 'http://127.0.0.1:7/healthz'],
      ['healthzBindAddress: 10.0.0.1', 'http://10.0.0.1:10248/healthz'],
      ['healthzBindAddress: "::1"', 'http://[::1]:10248/healthz'],
      ['healthzBindAddress: "::", healthzPort: 7', 'http://127.0.0.1:7/healthz'],
      ['healthzBindAddress: 0.0.0.0, healthzPort: 7', 'http://127.0.0.1:7/healthz'],
      ['healthzBindAddress: null, healthzPort: 7', 'http://127.0.0.1:7/healthz'],
    ] as const
  ).map(([configuration, url]) => ({
    said: `kubelet: {configuration: {${configuration}}}`,
    changes: { [kubeletConfig]: {}, [kubelet]: { is: { readiness: { type: 'http', url } } } },
  })),
  {
    said: 'kubelet: {configuration: {healthzPort: null}}',
    changes: { [kubeletConfig]: { drops: ['  "healthzPort": 10248,'] } },
  },
  {
    said: 'kubelet: {configuration: {healthzBindAddress: "::1", healthzPort: null}}',
    changes: {
      [kubeletConfig]: {},
      [kubelet]: { is: { readiness: { type: 'http', url: 'http://[::1]:10248/healthz' } } },
    },
  },
  {
    said: 'binaries: {tools: {kubelet: {target: /k}}}',
    changes: {
      'binary:kubelet': { is: { place: { type: 'activate', target: '/k' } } },
      [kubelet]: { adds: ['ExecStart=/k \\'] },
    },
  },
];

const others: readonly Feature[] = [
  {
    said: 'binaries: {tools: {a: {version: 1.2.3, importance: bestEffort, needs: ["binary:kubelet"]}}}',
    changes: {
      'binary:a': {
        is: {
          ...usual,
          kind: 'binary',
          tool: 'a',
          version: '1.2.3',
          architecture: 'amd64',
          importance: 'bestEffort',
          needs: ['binary:kubelet'],
          sources: [{ type: 'cache', version: '1.2.3' }],
          passedOver: [],
          place: { type: 'activate', target: '/opt/bin/a' },
          origin: 'node.yaml:5:25',
        },
      },
    },
  },
  {
    said: 'extensions: [{name: a, path: /b, version: "1", digest: "sha256:' + '0'.repeat(64) + '"}]',
    changes: {
      'extension:a': {
        is: {
          ...usual,
          scope: 'shared',
          kind: 'extension',
          name: 'a',
          version: '1',
          architecture: 'amd64',
          sources: [{ type: 'local', path: '/b' }],
          digest: `sha256:${'0'.repeat(64)}`,
          tools: ['a'],
          origin: 'node.yaml:5:16',
        },
      },
      'unit:systemd-sysext.service': {
        is: {
          ...usual,
          scope: 'shared',
          kind: 'unit',
          name: 'systemd-sysext.service',
          dropIns: [],
          enablement: 'enabled',
          inputs: [],
          onChange: 'none',
          readiness: { type: 'active' },
          deadlineMs: 60_000,
        },
      },
    },
  },
  {
    said:
      'extensions: [{name: a, registry: b.d/c, version: "1", revision: 2-x, plainHttp: true, signature: {key: /k}, url: "https://d", tarball: {url: "https://e/{tool}-{version}-{arch}", member: "m/{tool}", digest: "sha256:' +
      '0'.repeat(64) +
      '"}, tools: [x, z]}]',
    on: { arch: { cpu: 'arm64', systemd: 'arm64' } },
    changes: {
      'extension:a': {
        is: {
          architecture: 'arm64',
          sources: [
            { type: 'registry', reference: 'b.d/c', revision: '2-x', plainHttp: true, signature: { key: '/k' } },
            { type: 'url', url: 'https://d' },
            {
              type: 'tarball',
              from: { type: 'url', url: 'https://e/a-1-arm64' },
              members: { x: 'm/x', z: 'm/z' },
              digest: `sha256:${'0'.repeat(64)}`,
            },
          ],
          tools: ['x', 'z'],
        },
      },
      'unit:systemd-sysext.service': {},
    },
  },
  {
    said: 'extensions: [{name: a, registry: b.d/c, version: "1", plainHttp: false, tarball: {url: "https://e/{version}"}}]',
    changes: {
      'extension:a': {
        is: {
          sources: [
            { type: 'registry', reference: 'b.d/c' },
            { type: 'tarball', from: { type: 'url', url: 'https://e/1' }, members: {} },
          ],
        },
      },
      'unit:systemd-sysext.service': {},
    },
  },
  {
    said: 'extensions: [{name: kubernetes, path: /b}]',
    changes: {
      'extension:kubernetes': { is: { version: '1.34.3', tools: ['kubelet', 'kubectl'] } },
      'binary:kubelet': null,
      'binary:kubectl': null,
      [kubelet]: { is: { inputs: [kubeletConfig, 'extension:kubernetes'] } },
      'unit:systemd-sysext.service': {},
    },
  },
  {
    said: 'boot: {deferrable: {"binary:kubectl": false}}',
    changes: { 'binary:kubectl': { is: { deferrable: false } } },
  },
  { said: 'boot: {deferrable: {"unit:kubelet.service": false}}', changes: {} },
];

const cached = (version: string): unknown => ({ type: 'cache', version });
const sources = (written: string, ...from: readonly unknown[]): Feature => ({
  said: `binaries: {tools: {a: {version: 1.2.3, sources: {${written}}}}}`,
  changes: { 'binary:a': { is: { sources: [cached('1.2.3'), ...from], passedOver: [] } } },
});
const of = (role: string, type: string, from: unknown, more: object = {}): unknown => ({ type, role, from, ...more });
const digest = `sha256:${'0'.repeat(64)}`;

const binaries: readonly Feature[] = [
  sources('local: {type: rpm, directory: "/d/{tool}"}', of('local', 'rpm', { type: 'folder', path: '/d/a' })),
  sources(
    'local: {type: deb, directory: /d, member: "m/{tool}"}',
    of('local', 'deb', { type: 'folder', path: '/d' }, { member: 'm/a' }),
  ),
  sources(
    'mirror: {reference: "r.example/{tool}:v{version}-linux-{arch}"}',
    of('mirror', 'tarball', { type: 'oci', reference: 'r.example/a:v1.2.3-linux-amd64' }),
  ),
  sources(
    'mirror: {reference: "r.example/{tool}:{tag}"}',
    of('mirror', 'tarball', { type: 'oci', reference: 'r.example/a:v1.2.3' }),
  ),
  sources(
    'mirror: {reference: "r.example/a:1", type: file, file: "{tool}", plainHttp: true, since: "1", signature: {key: k}}',
    of('mirror', 'file', {
      type: 'oci',
      reference: 'r.example/a:1',
      file: 'a',
      plainHttp: true,
      signature: { key: 'k' },
    }),
  ),
  sources('tarball: {url: "https://t/{tool}"}', of('tarball', 'tarball', { type: 'url', url: 'https://t/a' })),
  sources(
    `tarball: {url: "https://t", type: file, digest: "${digest}", member: m}`,
    of('tarball', 'file', { type: 'url', url: 'https://t' }, { member: 'm', digest }),
  ),
  sources(
    'repository: {type: apt, url: "https://r", suite: s, signedBy: k, since: "1"}',
    of('repository', 'deb', {
      type: 'apt',
      url: 'https://r',
      suite: 's',
      components: ['main'],
      package: 'a',
      signedBy: 'k',
    }),
  ),
  {
    said: 'binaries: {tools: {a: {version: 1.2.3, package: p, sources: {repository: {type: dnf, url: "https://r", keys: [k], since: 1.3.0}}}}}',
    changes: {
      'binary:a': {
        is: {
          sources: [cached('1.2.3')],
          passedOver: [{ source: 'repository', why: 'packages are published there from 1.3.0 on' }],
        },
      },
    },
  },
  {
    said: `binaries: {tools: {kubectl: {policy: cache-only, sources: {tarball: {url: "https://t"}}}}}`,
    changes: { 'binary:kubectl': { is: { passedOver: [{ source: 'tarball', why: 'the policy is cache-only' }] } } },
  },
  {
    said: `binaries: {policy: cache-only, tools: {kubectl: {policy: cache-only, sources: {tarball: {url: "https://t"}}}}}`,
    changes: { 'binary:kubectl': { is: { passedOver: [{ source: 'tarball', why: 'the policy is cache-only' }] } } },
  },
  {
    said: `binaries: {policy: cache-only, tools: {kubectl: {sources: {tarball: {url: "https://t"}}}}}`,
    changes: { 'binary:kubectl': { is: { passedOver: [{ source: 'tarball', why: 'the policy is cache-only' }] } } },
  },
  {
    said: `binaries: {tools: {kubectl: {url: "https://u:p@u/{version}", privateUrl: "https://v", digest: "${digest}", member: "m/{tool}", type: tarball}}}`,
    changes: {
      'binary:kubectl': {
        is: {
          sources: [
            {
              type: 'tarball',
              role: 'custom',
              from: { type: 'url', url: { sensitive: 'https://u:p@u/1.34.3' } },
              member: 'm/kubectl',
              digest,
            },
          ],
          passedOver: [{ source: 'cache', why: 'a custom address is given, and nothing stands in for it' }],
        },
      },
    },
  },
  {
    said: 'binaries: {tools: {kubectl: {privateUrl: "r.example/a:{tag}"}}}',
    changes: {
      'binary:kubectl': {
        is: {
          sources: [{ type: 'file', role: 'custom', from: { type: 'oci', reference: 'r.example/a:v1.34.3' } }],
          passedOver: [{ source: 'cache', why: 'a custom address is given, and nothing stands in for it' }],
        },
      },
    },
  },
];

/** The folders of /usr/local, each with its link in the extension. */
const ofUsrLocal = Object.fromEntries(
  ['bin', 'etc', 'include', 'lib', 'libexec', 'sbin', 'share', 'src'].flatMap((part) => [
    [
      `file:/opt/nodekiln/usr-local/${part}`,
      { is: { ...usual, scope: 'shared', entry: { type: 'directory', mode: '0755', uid: 0, gid: 0 } } },
    ],
    [
      `file:/opt/nodekiln/extensions/usr-local/usr/local/${part}`,
      { is: { ...usual, scope: 'shared', entry: { type: 'symlink', target: `/opt/nodekiln/usr-local/${part}` } } },
    ],
  ]),
);
const release =
  'file:/opt/nodekiln/extensions/usr-local/usr/lib/extension-release.d/extension-release.nodekiln-usr-local';

const rest: readonly Feature[] = [
  { said: 'usrLocal: host', changes: {} },
  {
    said: 'usrLocal: writable',
    changes: {
      ...ofUsrLocal,
      [release]: { is: { scope: 'shared', entry: { ...fileEntry, content: { text: 'ID=_any\n' } } } },
      'extension:nodekiln-usr-local': {
        is: {
          scope: 'shared',
          needs: [
            release,
            ...Object.keys(ofUsrLocal).filter((id) => id.startsWith('file:/opt/nodekiln/usr-local/')),
            ...Object.keys(ofUsrLocal).filter((id) => id.startsWith('file:/opt/nodekiln/ext')),
          ],
          name: 'nodekiln-usr-local',
          sources: [{ type: 'local', path: '/opt/nodekiln/extensions/usr-local' }],
          tools: [],
        },
      },
      'unit:systemd-sysext.service': {},
    },
  },
  {
    said: 'files: [{path: /etc/containerd/config.toml, content: x, takeover: true}]',
    changes: { [runtime]: { is: { takeover: true, origin: 'node.yaml:5:11' } } },
  },
];

const refusals: readonly (readonly [said: string, ...problems: readonly string[]])[] = [
  [
    'extensions: [{name: a, path: /a, tools: [x]}, {name: b, path: /b, tools: [z, x]}]',
    'node.yaml:5:49: spec.extensions[1]: x is a tool of the extension a already',
  ],
  [
    'extensions: [{name: a, path: /a, tools: [x]}]\n  binaries: {tools: {x: {version: 1.2.3}}}',
    'node.yaml:5:16: spec.extensions[0]: x comes from binaries.tools already; Remove one of the two.',
  ],
  [
    'boot: {deferrable: {"unit:kubelt.service": true}}',
    'node.yaml:5:46: spec.boot.deferrable["unit:kubelt.service"]: there is no resource unit:kubelt.service; did you mean "unit:kubelet.service"?',
  ],
  [
    'actions: [{name: a, argv: [x], guard: {path: /x}, needs: ["action:b", "action:c"]}]',
    'node.yaml:5:13: spec.actions[0]: action:a needs action:b, which does not exist; did you mean "action:a"?',
    'node.yaml:5:13: spec.actions[0]: action:a needs action:c, which does not exist; did you mean "action:a"?',
  ],
];

for (const [said, ...problems] of refusals) {
  test(`refused: ${said}`, async () => {
    const error = await rendered(`  ${said}\n`).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof NodekilnError);
    assert.equal(
      error.message,
      `the NodeConfig contradicts itself: ${problems.length === 1 ? 'one problem' : `${problems.length} problems`}`,
    );
    assert.deepEqual(error.problems.map(formatProblem), problems);
  });
}

test('a program of an extension may also come from elsewhere, to another place', async () => {
  const { resources } = await rendered(
    '  extensions: [{name: a, path: /a, tools: [x]}]\n  binaries: {tools: {x: {target: /other/x}}}\n',
  );
  assert.ok(resources.has('binary:x') && resources.has('extension:a'));
});

test('a document that takes over takes over all that it brings, and no other does', async () => {
  const all = async (said: string): Promise<Set<unknown>> =>
    new Set([...(await rendered(said)).resources.values()].map((resource) => resource.takeover));
  assert.deepEqual(await all('  takeover: true\n'), new Set([true]));
  assert.deepEqual(await all('  takeover: false\n'), new Set([undefined]));
});

test('without places, nothing has an origin, and a warning has none', async () => {
  const text = `${head}  kubelet: {flags: {read-only-port: 7}}\n  files: [{path: /a, content: x}]\n`;
  const { config } = resolveNodeConfig([await parseDocument({ file: 'node.yaml', text }, 'NodeConfig')]);
  const { resources, warnings } = renderNode(config, exampleFacts);
  assert.deepEqual(warnings, ['the flag read-only-port of kubelet wins over readOnlyPort (0) of its configuration']);
  assert.ok([...resources.values()].every((resource) => !('origin' in resource)));
});

const baselines = new Map<string, Promise<DesiredState>>();

for (const { said, on, changes, warnings = [] } of [
  ...files,
  ...units,
  ...actions,
  ...kernel,
  ...runtimes,
  ...proxies,
  ...kubelets,
  ...others,
  ...binaries,
  ...rest,
]) {
  test(`${said}${on ? ` on ${JSON.stringify(on)}` : ''}`, async () => {
    const key = JSON.stringify(on ?? {});
    const baseline = (baselines.get(key) ?? baselines.set(key, rendered('', on)).get(key)) as Promise<DesiredState>;
    const { resources: before } = await baseline;
    const { resources, warnings: told, goal } = await rendered(`  ${said}\n`, on);
    assert.equal(goal, kubelet);
    assert.deepEqual(told, warnings);
    const differ = [...new Set([...before.keys(), ...resources.keys()])].filter(
      (id) => JSON.stringify(before.get(id)) !== JSON.stringify(resources.get(id)),
    );
    assert.deepEqual(differ.sort(), Object.keys(changes).sort());
    for (const [id, change] of Object.entries(changes)) {
      assert.ok(isResourceId(id));
      const resource = resources.get(id);
      if (change === null) {
        assert.equal(resource, undefined, id);
        continue;
      }
      assert.ok(resource, id);
      for (const [field, value] of Object.entries(change.is ?? {}))
        assert.deepEqual(Object.entries(resource).find(([name]) => name === field)?.[1], value, `${id}: ${field}`);
      const [were, are] = [linesOf(before.get(id)), linesOf(resource)];
      const lacking = (change.adds ?? []).filter((line) => !are.includes(line) || (line !== '' && were.includes(line)));
      assert.deepEqual(lacking, [], `${id}: ${are.join('\n')}`);
      for (const line of change.drops ?? []) assert.ok(were.includes(line) && !are.includes(line), `${id}: ${line}`);
    }
  });
}

for (const [said, cache] of [
  ['', undefined],
  ['  binaries: {cache: {}}\n', { keep: 1 }],
  ['  binaries: {cache: {keep: 3}}\n', { keep: 3 }],
  ['  binaries: {cache: {maxSize: 2 GB}}\n', { keep: 1, maxBytes: 2_000_000_000 }],
] as const) {
  test(`what the cache gives up: ${said.trim() || 'nothing, when nothing is said'}`, async () => {
    assert.deepEqual((await rendered(said)).cache, cache);
  });
}

test('what holds a secret is sensitive, whatever form it takes', async () => {
  const { resources } = await rendered(
    `  cluster: {${cluster}, bootstrapToken: hunter.0123456789abcdef}\n  network: {proxy: {http: "http://a:hunter.@b"}}\n`,
  );
  const plain = [...resources.values()].filter((resource) => {
    const texts = resource.kind === 'unit' ? [resource.content, ...resource.dropIns.map(({ content }) => content)] : [];
    return texts.some((text) => text !== undefined && !isSensitive(text) && text.includes('hunter.'));
  });
  assert.deepEqual(plain, []);
  assert.ok(
    !JSON.stringify([...resources.values()].map((one) => ('origin' in one ? one.origin : ''))).includes('hunter.'),
  );
});

for (const [configuration, version, said] of [
  [
    '{plugins: {io.containerd.grpc.v1.cri: {enable_selinux: true}}}',
    '2.1.0',
    /io\.containerd\.grpc\.v1\.cri belongs to version 2 .* 2\.1\.0 is of version 3/,
  ],
  [
    '{plugins: {io.containerd.cri.v1.runtime: {enable_selinux: true}}}',
    '1.7.24',
    /io\.containerd\.cri\.v1\.runtime belongs to version 3/,
  ],
  ['{plugins: {io.containerd.cri.v1.images: {}}}', '1.6.20', /io\.containerd\.cri\.v1\.images belongs to version 3/],
  ['{version: 3}', '1.7.24', /version is 3, and what is written .* is of version 2/],
  ['{version: 2}', '2.1.0', /version is 2, and what is written .* is of version 3/],
  ['{version: 2, plugins: {io.containerd.grpc.v1.cri: {}}}', '1.7.24', undefined],
  ['{plugins: {io.containerd.cri.v1.runtime: {}, io.containerd.snapshotter.v1.overlayfs: {}}}', '2.0.0', undefined],
] as const)
  test(`of containerd.configuration ${configuration} is told for containerd ${version}: ${said ?? 'nothing'}`, async () => {
    const { warnings } = await rendered(`  containerd: {configuration: ${configuration}}\n`, {
      containerdVersion: version,
    });
    if (!said) return assert.deepEqual(warnings, []);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', said);
  });

test('certificates may have text around them, and what is no certificate is told', async () => {
  const anchors = (certificates: string): Promise<DesiredState> =>
    rendered(`  trust: {anchors: [{name: a, certificates: ${JSON.stringify(certificates)}}]}\n`);
  for (const text of [
    `# Company\n${exampleAuthority}`,
    `${exampleAuthority}# end\n`,
    `subject=CN=x\n${exampleAuthority}\n${exampleAuthority}`,
  ])
    assert.deepEqual((await anchors(text)).warnings, [], text);
  for (const text of [
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    `${exampleAuthority}-----BEGIN CERTIFICATE-----\nAA`,
  ])
    assert.match((await anchors(text)).warnings.join(), /the authority a holds something that is no certificate/);
});
