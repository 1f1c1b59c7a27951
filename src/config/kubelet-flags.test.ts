import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configCheck } from './inspect.ts';
import { formatProblem } from './invalid.ts';
import { flagsOverConfiguration } from './kubelet-flags.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec:\n  kubernetes: {version: 1.34.3}\n';

async function problemsOf(kubelet: string): Promise<string[]> {
  const problems = await configCheck([{ file: 'node.yaml', text: `${head}  kubelet:\n    ${kubelet}\n` }]);
  return problems.map(formatProblem);
}

/** What kubelet would be told twice, once behind our back: the flag, the rest of the problem. */
const refused: readonly (readonly [kubelet: string, problem: string])[] = [
  [
    'configuration: {healthzPort: 0}',
    'node.yaml:6:34: spec.kubelet.configuration.healthzPort: healthzPort 0 switches kubelet’s healthz off, by which nodekiln knows that kubelet is well; Give a port, or leave it out.',
  ],
  [
    'configuration: {healthzPort: "10248"}',
    'node.yaml:6:34: spec.kubelet.configuration.healthzPort: healthzPort must be a port, is the string "10248"; Give a port, or leave it out.',
  ],
  [
    'configuration: {healthzPort: 65536}',
    'node.yaml:6:34: spec.kubelet.configuration.healthzPort: healthzPort must be a port, is the number 65536; Give a port, or leave it out.',
  ],
  [
    'configuration: {healthzBindAddress: localhost}',
    'node.yaml:6:41: spec.kubelet.configuration.healthzBindAddress: healthzBindAddress must be an IP address, is the string "localhost"; Give an address of the host, or leave it out.',
  ],
  [
    'flags: {config: /etc/mine.yaml}',
    'node.yaml:6:21: spec.kubelet.flags.config: the flag config is not a document’s: nodekiln writes the configuration file; Use `kubelet.configuration`.',
  ],
  [
    'flags: {kubeconfig: /etc/mine}',
    'node.yaml:6:25: spec.kubelet.flags.kubeconfig: the flag kubeconfig is not a document’s: nodekiln decides with `cluster` whether and how kubelet joins; Use `cluster`; without it kubelet runs stand-alone.',
  ],
  [
    'flags: {bootstrap-kubeconfig: /etc/mine}',
    'node.yaml:6:35: spec.kubelet.flags.bootstrap-kubeconfig: the flag bootstrap-kubeconfig is not a document’s: nodekiln writes it from `cluster`; Use `cluster.server`, `cluster.caBundle` and `cluster.bootstrapToken`.',
  ],
  [
    'flags: {pod-manifest-path: /etc/pods}',
    'node.yaml:6:32: spec.kubelet.flags.pod-manifest-path: the flag pod-manifest-path is not a document’s: nodekiln puts static pods where the configuration says; Use `kubelet.configuration.staticPodPath`.',
  ],
  [
    'flags: {healthz-port: 10300}',
    'node.yaml:6:27: spec.kubelet.flags.healthz-port: the flag healthz-port is not a document’s: nodekiln asks for kubelet’s health where the configuration says; Use `kubelet.configuration.healthzPort`.',
  ],
  [
    'flags: {healthz-bind-address: "::1"}',
    'node.yaml:6:35: spec.kubelet.flags.healthz-bind-address: the flag healthz-bind-address is not a document’s: nodekiln asks for kubelet’s health where the configuration says; Use `kubelet.configuration.healthzBindAddress`.',
  ],
  [
    'flags: {node-labels: a=b}\n    labels: {c: d}',
    'node.yaml:6:26: spec.kubelet.flags.node-labels: the flag node-labels would replace kubelet.labels, which is given too; Put everything into `kubelet.labels` and remove the flag.',
  ],
  [
    'flags: {node-ip: 10.0.0.1}\n    nodeIp: 10.0.0.2',
    'node.yaml:6:22: spec.kubelet.flags.node-ip: the flag node-ip would replace kubelet.nodeIp, which is given too; Put everything into `kubelet.nodeIp` and remove the flag.',
  ],
  [
    'flags: {register-with-taints: "a=b:NoSchedule"}\n    taints: [{key: c, effect: NoSchedule}]',
    'node.yaml:6:35: spec.kubelet.flags.register-with-taints: the flag register-with-taints would replace kubelet.taints, which is given too; Put everything into `kubelet.taints` and remove the flag.',
  ],
];

/** Flags with a field of their own, and a value of the field. */
const doubled: readonly (readonly [flag: string, field: string, value: string])[] = [
  ['hostname-override', 'nodeName', 'a'],
  ['provider-id', 'providerId', 'a'],
  ['image-credential-provider-config', 'credentialProviders', '{configuration: {}}'],
  ['image-credential-provider-bin-dir', 'credentialProviders', '{configuration: {}}'],
];

for (const [flag, field, value] of doubled) {
  test(`--${flag} and ${field} are one too many`, async () => {
    assert.deepEqual(await problemsOf(`flags: {${flag}: x}`), []);
    assert.deepEqual(await problemsOf(`${field}: ${value}`), []);
    const [problem = '', ...others] = await problemsOf(`flags: {${flag}: x}\n    ${field}: ${value}`);
    assert.match(problem, new RegExp(`: the flag ${flag} would replace kubelet\\.${field}, which is given too; `));
    assert.deepEqual(others, []);
  });
}

for (const [kubelet, problem] of refused) {
  test(`refused: ${kubelet.split('\n')[0]}`, async () => {
    assert.deepEqual(await problemsOf(kubelet), [problem]);
  });
}

const fine = [
  'flags: {v: 4, hostname-override: a, node-labels: a=b, node-ip: 10.0.0.1}',
  'flags: {node-labels: a=b}\n    labels: {}',
  'flags: {register-with-taints: "a=b:NoSchedule"}\n    taints: []',
  'flags: {read-only-port: 10255}',
];

for (const kubelet of fine) {
  test(`a document's own: ${kubelet.split('\n')[0]}`, async () => {
    assert.deepEqual(await problemsOf(kubelet), []);
  });
}

test('a flag that wins over a value of the configuration is told of', () => {
  const configuration = {
    readOnlyPort: 0,
    failSwapOn: false,
    volumePluginDir: null,
    authentication: { x509: { clientCAFile: '/ca' }, anonymous: {} },
  };
  const flags = {
    'read-only-port': 10255,
    'fail-swap-on': true,
    'volume-plugin-dir': '/x',
    'client-ca-file': '/mine',
    'anonymous-auth': false,
    'cgroup-driver': 'cgroupfs',
    constructor: 1,
    v: 2,
  };
  assert.deepEqual(flagsOverConfiguration(flags, configuration), [
    {
      path: ['spec', 'kubelet', 'flags', 'read-only-port'],
      message: 'the flag read-only-port of kubelet wins over readOnlyPort (0) of its configuration',
    },
    {
      path: ['spec', 'kubelet', 'flags', 'fail-swap-on'],
      message: 'the flag fail-swap-on of kubelet wins over failSwapOn (false) of its configuration',
    },
    {
      path: ['spec', 'kubelet', 'flags', 'client-ca-file'],
      message:
        'the flag client-ca-file of kubelet wins over authentication.x509.clientCAFile ("/ca") of its configuration',
    },
  ]);
});

/** Each flag and the field of KubeletConfiguration that it wins over: kubelet --help. */
for (const [flag, field] of [
  ['address', 'address'],
  ['anonymous-auth', 'authentication.anonymous.enabled'],
  ['authentication-token-webhook', 'authentication.webhook.enabled'],
  ['authorization-mode', 'authorization.mode'],
  ['cgroup-driver', 'cgroupDriver'],
  ['client-ca-file', 'authentication.x509.clientCAFile'],
  ['cluster-dns', 'clusterDNS'],
  ['cluster-domain', 'clusterDomain'],
  ['container-runtime-endpoint', 'containerRuntimeEndpoint'],
  ['fail-cgroupv1', 'failCgroupV1'],
  ['fail-swap-on', 'failSwapOn'],
  ['read-only-port', 'readOnlyPort'],
  ['register-with-taints', 'registerWithTaints'],
  ['rotate-certificates', 'rotateCertificates'],
  ['volume-plugin-dir', 'volumePluginDir'],
] as const) {
  test(`--${flag} wins over ${field}`, () => {
    const configuration = field.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), 'x');
    assert.deepEqual(flagsOverConfiguration({ [flag]: 'y' }, configuration), [
      {
        path: ['spec', 'kubelet', 'flags', flag],
        message: `the flag ${flag} of kubelet wins over ${field} ("x") of its configuration`,
      },
    ]);
    assert.deepEqual(flagsOverConfiguration({ [flag]: 'y' }, {}), []);
  });
}
