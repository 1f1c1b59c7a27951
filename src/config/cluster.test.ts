/** What a document may say of a cluster, and what is refused before a machine sees it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { configCheck } from './inspect.ts';
import { formatProblem } from './invalid.ts';
import { isNodeName } from './cluster-checks.ts';

const ca = { caBundle: exampleAuthority };
const server = { server: 'https://api.example.org:6443' };
const token = { bootstrapToken: 'abcdef.0123456789abcdef' };

/** Without places: the document is written by a program. */
async function problemsOf(spec: Record<string, unknown>): Promise<string[]> {
  const document = {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: { kubernetes: { version: '1.34.3' }, ...spec },
  };
  const problems = await configCheck([{ file: 'node.json', text: JSON.stringify(document) }]);
  return problems.map((problem) => formatProblem(problem).replace(/^node\.json:[\d:]+ /, ''));
}

const malformed =
  'spec.cluster.bootstrapToken: bootstrapToken must be a bootstrap token, 6 characters, a dot and 16 characters of a-z and 0-9, as `kubeadm token create` prints it, or a signed token (a secret: not shown)';
const noServer = 'must be the https address of an API server, like "https://api.example.org:6443"';

describe('a cluster is accepted', () => {
  for (const [name, cluster] of [
    ['with a bootstrap token', { ...server, ...ca, ...token }],
    ['with a signed token', { ...server, ...ca, bootstrapToken: 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln' }],
    ['with a token in a file', { ...server, ...ca, bootstrapTokenFile: '/run/credentials/@system/kubelet' }],
    ['with several addresses', { servers: ['https://a:6443', 'https://[::1]:6443/base'], ...ca, ...token }],
    ['with a client certificate', { ...server, ...ca, clientCertificate: { certificateFile: '/a', keyFile: '/b' } }],
    ['with a program that says who kubelet is', { ...server, ...ca, exec: { command: '/usr/bin/aws' } }],
    ['with a kubeconfig alone', { kubeconfig: '/etc/kubernetes/kubelet.conf' }],
    ['without a credential, for a machine that has its certificate', { ...server, ...ca }],
  ] as const) {
    it(name, async () => assert.deepEqual(await problemsOf({ cluster }), []));
  }
});

describe('a cluster is refused', () => {
  for (const [name, cluster, problems] of [
    ['an id of five characters', { ...server, ...ca, bootstrapToken: 'abcde.0123456789abcdef' }, [malformed]],
    ['a token in capitals', { ...server, ...ca, bootstrapToken: 'ABCDEF.0123456789ABCDEF' }, [malformed]],
    ['a token with blanks', { ...server, ...ca, bootstrapToken: ' abcdef.0123456789abcdef' }, [malformed]],
    ['an id alone', { ...server, ...ca, bootstrapToken: 'abcdef' }, [malformed]],
    ['plain http', { ...ca, ...token, server: 'http://api:6443' }, [`spec.cluster.server: server ${noServer}`]],
    [
      'a password in the address',
      { ...ca, ...token, server: 'https://me:secret@api:6443' },
      [`spec.cluster.server: server ${noServer}`],
    ],
    [
      'a block that is no certificate',
      { ...server, ...token, caBundle: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
      ['spec.cluster.caBundle: caBundle must be certificates in PEM form'],
    ],
    [
      'a certificate that is cut',
      { ...server, ...token, caBundle: exampleAuthority.replace(/\n.*\n-----END/, '\n-----END') },
      ['spec.cluster.caBundle: caBundle must be certificates in PEM form'],
    ],
    [
      'two credentials',
      { ...server, ...ca, ...token, bootstrapTokenFile: '/token' },
      [
        'spec.cluster.kubeconfig: bootstrapToken and bootstrapTokenFile are given: kubelet shows one of them; Remove all but one.',
      ],
    ],
    [
      'a kubeconfig beside a server',
      { ...server, ...ca, kubeconfig: '/etc/kubernetes/kubelet.conf' },
      ['spec.cluster.kubeconfig: kubeconfig and server are given: the kubeconfig says which server; Remove one.'],
    ],
    [
      'server and servers',
      { ...server, ...ca, servers: ['https://b'] },
      ['spec.cluster.server: server and servers are both given: which one is it?'],
    ],
    [
      'nothing',
      {},
      [
        'spec.cluster.server: server is missing: the URL of the API server',
        'spec.cluster.caBundle: caBundle is missing: who vouches for the API server',
      ],
    ],
  ] as const) {
    it(name, async () => assert.deepEqual(await problemsOf({ cluster }), problems));
  }
});

describe('the name of a node', () => {
  it('is one that Kubernetes takes', async () => {
    assert.deepEqual(await problemsOf({ kubelet: { nodeName: 'Node_1' } }), [
      'spec.kubelet.nodeName: nodeName must be the name of a node: lower case letters, digits, "-" and ".", like "node-1.example.org", is the string "Node_1"',
    ]);
    assert.deepEqual(await problemsOf({ kubelet: { nodeName: 'node-1.example.org' } }), []);
    assert.equal((await problemsOf({ kubelet: { nodeName: 'a'.repeat(254) } })).length, 1);
  });

  for (const [name, right] of [
    ['a', true],
    ['0', true],
    ['a-b.c-d', true],
    ['a'.repeat(253), true],
    ['a'.repeat(254), false],
    ['', false],
    ['a_b', false],
    ['A', false],
    ['-a', false],
    ['a-', false],
    ['a..b', false],
    ['a.', false],
    ['a.-b', false],
  ] as const) {
    it(`${name.slice(0, 20)} of ${name.length} characters is ${right ? 'one' : 'none'}`, () =>
      assert.equal(isNodeName(name), right));
  }
});

it('a way to say who kubelet is replaces the one of an earlier document', async () => {
  const documents = [
    { ...server, ...ca, bootstrapTokenFile: '/token' },
    { servers: ['https://b'], ...token },
  ].map((cluster, index) => ({
    file: `${index}.json`,
    text: JSON.stringify({
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'NodeConfig',
      spec: { kubernetes: { version: '1.34.3' }, cluster },
    }),
  }));
  assert.deepEqual(await configCheck(documents), []);
});
