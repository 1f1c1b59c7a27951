import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import type { FileResource, ResourceMap, UnitResource } from '../model/resources.ts';
import { reveal } from '../model/resources.ts';
import { joinOf } from './join.ts';
import { renderNode } from './render-node.ts';

const token = 'abcdef.0123456789abcdef';
const bootstrap = 'file:/etc/kubernetes/bootstrap-kubeconfig';

type Body = Readonly<Record<string, unknown>>;

interface Asked {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly kubelet?: Readonly<Record<string, unknown>>;
  readonly version?: string;
  readonly facts?: Partial<Facts>;
  readonly more?: Readonly<Record<string, unknown>>;
}

async function configOf({ cluster = { bootstrapToken: token }, kubelet = {}, version = '1.34.3', more = {} }: Asked) {
  const whole = cluster['kubeconfig']
    ? cluster
    : { server: 'https://api.example.org:6443', caBundle: exampleAuthority, ...cluster };
  const spec = { kubernetes: { version }, cluster: whole, kubelet, ...more };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
  return resolveNodeConfig([await parseDocument({ file: 'node.json', text }, 'NodeConfig')]).config;
}

async function rendered(asked: Asked = {}): Promise<ResourceMap> {
  return renderNode(await configOf(asked), { ...exampleFacts, ...asked.facts }).resources;
}

function kubelet(resources: ResourceMap): UnitResource {
  const unit = resources.get('unit:kubelet.service');
  assert.ok(unit?.kind === 'unit');
  return unit;
}

function unitFile(resources: ResourceMap): string {
  return reveal(kubelet(resources).content ?? '');
}

function textIn(resources: ResourceMap, path: string): string | undefined {
  const file: FileResource | undefined = resources.get(`file:${path}`) as FileResource | undefined;
  if (file?.entry.type !== 'file' || !('text' in file.entry.content)) return undefined;
  return reveal(file.entry.content.text);
}

const kubeconfig = '/var/lib/kubelet/kubeconfig';

describe('kubelet’s kubeconfig', () => {
  it('is what kubelet itself writes, so that nobody undoes what the other wrote', async () => {
    const text = (preferences: string): string => `apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: https://api.example.org:6443
  name: default-cluster
contexts:
- context:
    cluster: default-cluster
    namespace: default
    user: default-auth
  name: default-context
current-context: default-context
kind: Config
${preferences}users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
`;
    assert.equal(textIn(await rendered(), kubeconfig), text(''));
    assert.equal(textIn(await rendered({ version: '1.33.9' }), kubeconfig), text('preferences: {}\n'));
  });

  it('names the certificate where a flag puts it', async () => {
    const resources = await rendered({ kubelet: { flags: { 'cert-dir': '/srv/pki' } } });
    assert.match(textIn(resources, kubeconfig) ?? '', /client-key: \/srv\/pki\/kubelet-client-current\.pem/);
  });

  it('names the document’s certificate, and nothing is bootstrapped (K3)', async () => {
    const clientCertificate = { certificateFile: '/etc/pki/kubelet.crt', keyFile: '/etc/pki/kubelet.key' };
    const resources = await rendered({ cluster: { clientCertificate } });
    assert.match(
      textIn(resources, kubeconfig) ?? '',
      /client-certificate: \/etc\/pki\/kubelet\.crt\n {4}client-key: \/etc\/pki\/kubelet\.key\n/,
    );
    assert.doesNotMatch(unitFile(resources), /bootstrap/);
  });

  it('names a program', async () => {
    const exec = { command: '/usr/bin/aws', args: ['eks', 'get-token'], env: { AWS_REGION: 'eu-west-1' } };
    const config: unknown = JSON.parse(textIn(await rendered({ cluster: { exec } }), kubeconfig) ?? '');
    assert.deepEqual((config as { users: unknown }).users, [
      {
        name: 'kubelet',
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: '/usr/bin/aws',
            args: ['eks', 'get-token'],
            env: [{ name: 'AWS_REGION', value: 'eu-west-1' }],
            interactiveMode: 'Never',
            provideClusterInfo: true,
          },
        },
      },
    ]);
  });

  it('may be somebody else’s', async () => {
    const resources = await rendered({ cluster: { kubeconfig: '/etc/kubernetes/kubelet.conf' } });
    assert.equal(textIn(resources, kubeconfig), undefined);
    assert.match(unitFile(resources), /--kubeconfig=\/etc\/kubernetes\/kubelet\.conf/);
    assert.doesNotMatch(unitFile(resources), /bootstrap/);
  });
});

describe('the bootstrap credential', () => {
  it('is a file of root’s alone that kubelet reads when it starts (K6)', async () => {
    const resources = await rendered();
    const file = resources.get(bootstrap);
    assert.ok(file?.kind === 'file' && file.entry.type === 'file');
    assert.equal(file.entry.mode, '0600');
    assert.ok(textIn(resources, '/etc/kubernetes/bootstrap-kubeconfig')?.includes(token));
    assert.ok(!JSON.stringify([...resources].filter(([id]) => id !== bootstrap)).includes(token));
    assert.deepEqual(kubelet(resources).startInputs, [bootstrap]);
  });

  it('may lie in a file, which kubelet reads itself', async () => {
    const resources = await rendered({ cluster: { bootstrapTokenFile: '/run/credentials/@system/kubelet' } });
    const config = textIn(resources, '/etc/kubernetes/bootstrap-kubeconfig');
    assert.match(config ?? '', /"tokenFile": ?"\/run\/credentials\/@system\/kubelet"/);
  });

  it('is not there once the node has its certificate, and kubelet is started in the same way (K4)', async () => {
    const before = kubelet(await rendered());
    const resources = await rendered({ facts: { nodeCertificate: 'node-1' } });
    assert.equal(resources.get(bootstrap), undefined);
    const after = kubelet(resources);
    assert.equal(after.content, before.content);
    assert.deepEqual(after.inputs, before.inputs);
    assert.equal(after.startInputs, undefined);
  });

  it('stays while the certificate is another node’s', async () => {
    assert.ok((await rendered({ facts: { nodeCertificate: 'node-2' } })).has(bootstrap));
  });
});

describe('kubelet in a cluster', () => {
  it('is started anew when server, authority, certificate providers or a file that its settings name change', async () => {
    const resources = await rendered({
      kubelet: {
        flags: { 'tls-cert-file': '/etc/pki/serving.crt' },
        configuration: { resolvConf: '/etc/pods-resolv.conf' },
        credentialProviders: { configuration: { kind: 'CredentialProviderConfig' } },
      },
      more: {
        files: [
          { path: '/etc/pki/serving.crt', content: 'x' },
          { path: '/etc/pods-resolv.conf', content: 'x' },
          { path: '/etc/motd', content: 'x' },
        ],
      },
    });
    assert.deepEqual([...kubelet(resources).inputs].sort(), [
      'binary:kubelet',
      'file:/etc/kubernetes/credential-providers.json',
      'file:/etc/kubernetes/kubelet.yaml',
      'file:/etc/kubernetes/pki/ca.crt',
      'file:/etc/pki/serving.crt',
      'file:/etc/pods-resolv.conf',
      'file:/var/lib/kubelet/kubeconfig',
    ]);
  });

  it('is told labels and taints for its registration, which change without a restart', async () => {
    const plain = await rendered();
    const resources = await rendered({
      kubelet: {
        labels: { 'example.org/zone': 'a', 'example.org/pool': 'b' },
        taints: [
          { key: 'example.org/new', effect: 'NoSchedule' },
          { key: 'c', value: 'd', effect: 'NoExecute' },
        ],
      },
    });
    assert.equal(
      textIn(resources, '/etc/kubernetes/registration.env'),
      'KUBELET_REGISTRATION=--node-labels=example.org/pool=b,example.org/zone=a --register-with-taints=example.org/new=:NoSchedule,c=d:NoExecute\n',
    );
    assert.equal(textIn(plain, '/etc/kubernetes/registration.env'), 'KUBELET_REGISTRATION=\n');
    assert.deepEqual({ ...kubelet(resources) }, { ...kubelet(plain) });
    assert.match(unitFile(plain), /EnvironmentFile=\/etc\/kubernetes\/registration\.env\n/);
    assert.match(unitFile(plain), / \$KUBELET_REGISTRATION\n/);
    assert.equal(textIn(resources, '/etc/kubernetes/kubelet.yaml'), textIn(plain, '/etc/kubernetes/kubelet.yaml'));
  });

  it('asks for the certificate of its own API when it should', async () => {
    const asks = async (servingCertificate?: string): Promise<boolean> =>
      textIn(
        await rendered({ cluster: { bootstrapToken: token, ...(servingCertificate && { servingCertificate }) } }),
        '/etc/kubernetes/kubelet.yaml',
      )?.includes('serverTLSBootstrap') === true;
    assert.deepEqual([await asks(), await asks('self-signed'), await asks('cluster')], [false, false, true]);
  });
});

describe('several servers', () => {
  const servers = ['https://a.example.org:6443', 'https://b.example.org:6443'];
  const asked = { cluster: { bootstrapToken: token, server: undefined, servers } };

  it('are one for kubelet, the first, which is said', async () => {
    const { resources, warnings } = renderNode(await configOf(asked), exampleFacts);
    assert.match(
      textIn(resources, '/etc/kubernetes/bootstrap-kubeconfig') ?? '',
      /"server": "https:\/\/a\.example\.org:6443"/,
    );
    assert.deepEqual(warnings, [
      'spec.cluster.servers: kubelet knows one server, https://a.example.org:6443; it does not turn to https://b.example.org:6443',
    ]);
    assert.deepEqual(renderNode(await configOf({}), exampleFacts).warnings, []);
  });
});

describe('how a node joins', () => {
  const join = async (asked: Asked = {}) => {
    const config = await configOf(asked);
    assert.ok(config.spec.cluster);
    return joinOf(config.spec, config.spec.cluster, { ...exampleFacts, ...asked.facts });
  };

  it('has defaults', async () => {
    assert.deepEqual(await join(), {
      nodeName: 'node-1',
      goal: 'registered',
      deadlineMs: 8_000,
      unjoined: 'degraded',
      servers: ['https://api.example.org:6443'],
      ca: exampleAuthority,
      kubeconfig: '/var/lib/kubelet/kubeconfig',
      token: { value: { sensitive: token } },
      hasCertificate: false,
      servingByCluster: false,
      needsPodCidr: false,
      node: { labels: {}, annotations: {}, taints: [] },
    });
  });

  it('waits for somebody’s approval of kubelet’s serving certificate, however that was asked for', async () => {
    const waits = async (cluster: Body, configuration: Body = {}): Promise<boolean> =>
      (await join({ cluster: { bootstrapToken: token, ...cluster }, kubelet: { configuration } })).servingByCluster;
    assert.deepEqual(
      [
        await waits({}),
        await waits({ servingCertificate: 'cluster' }),
        await waits({}, { serverTLSBootstrap: true }),
        await waits({ servingCertificate: 'cluster' }, { serverTLSBootstrap: false }),
      ],
      [false, true, true, false],
    );
  });

  it('names the node after the host in lower case, unless the document does', async () => {
    const nameOf = async (asked: Asked): Promise<string> => (await join(asked)).nodeName;
    assert.equal(await nameOf({ facts: { hostName: 'Node-7.Example.ORG\n' } }), 'node-7.example.org');
    assert.equal(await nameOf({ kubelet: { nodeName: 'given' } }), 'given');
    assert.equal(await nameOf({ kubelet: { flags: { 'hostname-override': 'flag' } } }), 'flag');
  });

  for (const hostName of ['', 'localhost', 'localhost.localdomain', '(none)', 'Node_1']) {
    it(`is refused on a host with the name "${hostName}", unless the document names the node`, async () => {
      await assert.rejects(rendered({ facts: { hostName } }), { code: 'NK_DOCUMENT_INVALID' });
      assert.ok(kubelet(await rendered({ facts: { hostName }, kubelet: { nodeName: 'given' } })));
    });
  }
});
