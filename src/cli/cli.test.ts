import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { runCli, type RunOptions, type RunResult } from '../../test/run-cli.ts';
import { errors, exitStatus, type ErrorCode } from '../errors.ts';
import { exampleFacts } from '../model/facts.ts';
import { version } from '../model/program.ts';
import { bootResult } from '../../test/support/boot-results.ts';
import { verbs } from './verbs.ts';

const nodeConfig = `apiVersion: nodekiln.dev/v1alpha1
kind: NodeConfig
metadata:
  name: test
spec:
  kubernetes:
    version: 1.34.3
`;
/** In AgentBaker's format. */
const components = JSON.stringify({
  Packages: [
    {
      name: 'kubelet',
      downloadURIs: {
        ubuntu: {
          r2404: {
            downloadURL: 'https://h/${version}-${CPU_ARCH}.deb',
            versionsV2: [{ latestVersion: '1.34.3-u1', previousLatestVersion: '1.34.2-u1' }],
          },
        },
      },
    },
  ],
});

const withKubelet = { ...exampleFacts, cache: { kubelet: ['1.34.3'], kubectl: ['1.34.3'] } };
const inCluster = `${nodeConfig}  cluster: ${JSON.stringify({ server: 'https://a:6443', caBundle: exampleAuthority, bootstrapToken: 'abcdef.0123456789abcdef' })}\n  network: { cni: { type: bridge } }\n`;
const withTypo = `${nodeConfig}  kubelt: {}\n`;
const withWrongType = nodeConfig.replace('version: 1.34.3', 'version: [1]');
const withSecret = `${nodeConfig}  files:
    - path: /etc/token
      content: hunter2-in-the-clear
      sensitive: true
`;

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly options?: RunOptions;
}

interface GoodCase extends Case {
  readonly kind: string;
  /** What people read. */
  readonly text: RegExp;
}

const good: readonly GoodCase[] = [
  { name: 'version', args: ['version'], kind: 'Version', text: new RegExp(`^nodekiln ${version} \\(Node 24\\.`) },
  { name: 'facts', args: ['facts', '--root', '.'], kind: 'Facts', text: /^FACT +VALUE\n/ },
  {
    name: 'a plan for another machine',
    args: ['plan', '--facts', 'facts.json', 'node.yaml'],
    files: { 'node.yaml': nodeConfig, 'facts.json': JSON.stringify({ kind: 'Facts', data: withKubelet }) },
    options: { asNobody: true },
    kind: 'Plan',
    text: /^start +kubelet\.service +\S/m,
  },
  {
    name: 'a plan for a machine that has no kubelet, in full',
    args: ['plan', '--facts', 'facts.json', 'node.yaml', '--wide'],
    files: { 'node.yaml': nodeConfig, 'facts.json': JSON.stringify(exampleFacts) },
    kind: 'Plan',
    text: /^Not possible\n.*\n.*\nbinary:kubelet 1\.34\.3 .* the run fails; kubelet\.service does not start\n/,
  },
  {
    name: 'config check, with a thought',
    args: ['config', 'check', 'node.yaml'],
    files: { 'node.yaml': `${nodeConfig}  kubelet: {flags: {read-only-port: 10255}}\n` },
    kind: 'ConfigCheck',
    text: /^warning: node\.yaml:8:37: the flag read-only-port of kubelet wins over readOnlyPort \(0\)[^\n]*\n\n1 document valid$/m,
  },
  {
    name: 'config check, what is known only when the node has joined',
    args: ['config', 'check', 'node.yaml'],
    files: { 'node.yaml': inCluster },
    kind: 'ConfigCheck',
    text: /^note: pods have addresses of the podCIDRs that the cluster gives the Node[^\n]*\n\n1 document valid$/m,
  },
  { name: 'schema lists', args: ['schema'], kind: 'Schema', text: /^NodeConfig +nodekiln\.dev\/v1alpha1$/m },
  { name: 'schema of a kind', args: ['schema', 'NodeConfig'], kind: 'Schema', text: /"title": "NodeConfig"/ },
  {
    name: 'config check',
    args: ['config', 'check', 'node.yaml'],
    files: { 'node.yaml': nodeConfig },
    kind: 'ConfigCheck',
    text: /^1 document valid\n$/,
  },
  {
    name: 'config dump',
    args: ['config', 'dump', 'node.yaml'],
    files: { 'node.yaml': nodeConfig },
    kind: 'ConfigDump',
    text: /^spec\.kubernetes\.version +1\.34\.3 +node\.yaml:7:\d+$/m,
  },
  {
    name: 'artifact version',
    args: ['artifact', 'version', 'v1.34.3-5.azl3'],
    kind: 'Version',
    text: /^cache key +1\.34\.3$/m,
  },
  {
    name: 'artifact compare',
    args: ['artifact', 'compare', '1.0~rc1', '1.0', '--order', 'deb'],
    kind: 'VersionComparison',
    text: /^1\.0~rc1 is older than 1\.0\n$/,
  },
  {
    name: 'artifact inspect',
    args: ['artifact', 'inspect', 'plain'],
    files: { plain: 'a plain file\n' },
    kind: 'ArtifactInspection',
    text: /sha256:/,
  },
  {
    name: 'artifact extract',
    args: ['artifact', 'extract', 'plain', '--to', 'out'],
    files: { plain: 'a plain file\n' },
    kind: 'ExtractedMember',
    text: /out: 13 bytes, sha256:[0-9a-f]{64}/,
  },
  {
    name: 'artifact fetch',
    args: ['artifact', 'fetch', 'plain', '--to', 'fetched'],
    files: { plain: 'a plain file\n' },
    kind: 'FetchedArtifact',
    text: /fetched: 13 bytes, sha256:[0-9a-f]{64}/,
  },
  {
    name: 'artifact match in a folder',
    args: [
      'artifact',
      'match',
      '--component',
      'kubelet',
      '--version',
      '1.34.1',
      '--arch',
      'amd64',
      '--kind',
      'sysext',
      '--dir',
      'd',
    ],
    files: {
      'd/kubelet-v1.34.1-2-azlinux3-x86-64.raw': '',
      'd/kubelet-v1.34.1-10-azlinux3-x86-64.raw': '',
      'd/kubelet-v1.34.10-1-azlinux3-x86-64.raw': '',
    },
    kind: 'BuildMatch',
    text: /^kubelet-v1\.34\.1-10-azlinux3-x86-64\.raw /,
  },
  {
    name: 'manifest resolve',
    args: [
      'manifest',
      'resolve',
      'components.json',
      '--os',
      'ubuntu/24.04',
      '--arch',
      'arm64',
      '--kubernetes',
      '1.34.1',
    ],
    files: { 'components.json': components },
    kind: 'ResolvedManifest',
    text: /kubelet +1\.34\.3-u1 +ubuntu\.r2404 +https:\/\/h\/1\.34\.3-u1-arm64\.deb\n +1\.34\.2-u1[^]*→ 1\.34\.3-u1 +same-minor/,
  },
  {
    name: 'a component that the platform brings itself, whatever Kubernetes',
    args: [
      'manifest',
      'resolve',
      'components.json',
      '--os',
      'flatcar',
      '--arch',
      'amd64',
      '--component',
      'containerd',
      '--kubernetes',
      '1.34.1',
    ],
    files: {
      'components.json':
        '{"Packages":[{"name":"containerd","downloadURIs":{"flatcar":{"current":{"versionsV2":[{"latestVersion":"<SKIP>"}]}}}}]}',
    },
    kind: 'ResolvedManifest',
    text: /containerd +flatcar\.current +the platform brings its own/,
  },
  {
    name: 'manifest export',
    args: ['manifest', 'export', 'agentbaker', 'inventory.yaml'],
    files: {
      'inventory.yaml':
        'apiVersion: nodekiln.dev/v1alpha1\nkind: Inventory\nspec: {packages: [], images: [{reference: "r/pause:*", amd64Only: ["3.9"], other: {}}], gpuImages: [], artifacts: [], other: {}}\n',
    },
    kind: 'ExportedInventory',
    text: /"downloadURL": "r\/pause:\*",\s+"amd64OnlyVersions": \[\s+"3\.9"/,
  },
  {
    name: 'manifest import',
    args: ['manifest', 'import', 'agentbaker', 'components.json'],
    files: { 'components.json': components },
    kind: 'Inventory',
    text: /"kind": "Inventory"/,
  },
  {
    name: 'cluster rbac of all agents',
    args: ['cluster', 'rbac'],
    kind: 'ClusterAccess',
    text: /^apiVersion: rbac\.authorization\.k8s\.io\/v1\nkind: ClusterRole\n/,
  },
  {
    name: 'cluster rbac of agents that keep routes',
    args: ['cluster', 'rbac', '--pod-routes'],
    kind: 'ClusterAccess',
    text: / {2}- apiGroups:\n {6}- ""\n {4}resources:\n {6}- nodes\n {4}verbs:\n {6}- list\n {6}- watch\n/,
  },
  {
    name: 'cluster rbac of a node',
    args: ['cluster', 'rbac', 'node-1', '--secrets', 'kube-system/pool-a'],
    kind: 'ClusterAccess',
    text: /resourceNames:\n\s+- nodekiln-agent-node-1\n\s+- pool-a\n/,
  },
  {
    name: 'status of an empty root',
    args: ['status', '--root', '.'],
    kind: 'Status',
    text: /^nodekiln has applied nothing here\n$/,
  },
  {
    name: 'timeline of a file',
    args: ['timeline', '--file', 'result.json', '--svg', 'a.svg', '--trace', 'a.json'],
    files: { 'result.json': JSON.stringify(bootResult()) },
    kind: 'Timeline',
    text: /critical path/,
  },
];

interface BadCase extends Case {
  readonly code: ErrorCode;
  /** Somewhere in the message, the places or the hint. */
  readonly says: RegExp;
}

const bad: readonly BadCase[] = [
  { name: 'an unknown verb', args: ['bot'], code: 'NK_USAGE', says: /Did you mean boot\?/ },
  { name: 'an unknown verb to help', args: ['help', 'bot'], code: 'NK_USAGE', says: /Did you mean boot\?/ },
  { name: 'an unknown verb of two', args: ['config', 'chek'], code: 'NK_USAGE', says: /Did you mean config check\?/ },
  { name: 'half a verb', args: ['config'], code: 'NK_USAGE', says: /--help/ },
  { name: 'an unknown option', args: ['status', '--rot', 'x'], code: 'NK_USAGE', says: /Did you mean --root\?/ },
  { name: 'an unknown option of boot', args: ['boot', '--utnil'], code: 'NK_USAGE', says: /Did you mean --until\?/ },
  { name: 'a wrong choice of boot', args: ['boot', '--until', 'soon'], code: 'NK_USAGE', says: /shared, node/ },
  { name: 'a missing option of cluster approve', args: ['cluster', 'approve'], code: 'NK_USAGE', says: /--kubeconfig/ },
  {
    name: 'rights of all agents for one of them',
    args: ['cluster', 'rbac', 'a', '--pod-routes'],
    code: 'NK_USAGE',
    says: /--pod-routes is about all agents/,
  },
  { name: 'rights for what is no Node', args: ['cluster', 'rbac', 'A_b'], code: 'NK_USAGE', says: /A_b/ },
  {
    name: 'rights for what is no Secret',
    args: ['cluster', 'rbac', 'a', '--secrets', 'b'],
    code: 'NK_USAGE',
    says: /kube-system\/pool-a/,
  },
  { name: 'an option without its value', args: ['bake', 'x.yaml', '--root'], code: 'NK_USAGE', says: /--root/ },
  { name: 'a missing argument', args: ['artifact', 'compare', '1'], code: 'NK_USAGE', says: /RIGHT/ },
  { name: 'one argument too many', args: ['version', 'extra'], code: 'NK_USAGE', says: /too many arguments/ },
  { name: 'an unknown kind', args: ['schema', 'NodeConfi'], code: 'NK_USAGE', says: /Did you mean NodeConfig\?/ },
  {
    name: 'a plan for another machine without a document',
    args: ['plan', '--facts', 'facts.json'],
    files: { 'facts.json': JSON.stringify(exampleFacts) },
    code: 'NK_USAGE',
    says: /with --facts a document is wanted/,
  },
  {
    name: 'facts that are none',
    args: ['plan', '--facts', 'facts.json', 'node.yaml'],
    files: { 'node.yaml': nodeConfig, 'facts.json': '{"os": 1}' },
    code: 'NK_DOCUMENT_INVALID',
    says: /facts\.json: os: must be a map/,
  },
  {
    name: 'facts that are no JSON',
    args: ['plan', '--facts', 'node.yaml', 'node.yaml'],
    files: { 'node.yaml': nodeConfig },
    code: 'NK_DOCUMENT_SYNTAX',
    says: /node\.yaml is no JSON/,
  },
  { name: 'a root that is not there', args: ['facts', '--root', 'nowhere'], code: 'NK_USAGE', says: /nowhere/ },
  {
    name: 'a missing file',
    args: ['config', 'check', 'no.yaml'],
    code: 'NK_DOCUMENT_MISSING',
    says: /no\.yaml does not exist/,
  },
  {
    name: 'a folder instead of a file',
    args: ['config', 'dump', '.'],
    code: 'NK_DOCUMENT_MISSING',
    says: /is a folder/,
  },
  {
    name: 'an unknown key',
    args: ['config', 'check', 'node.yaml'],
    files: { 'node.yaml': withTypo },
    code: 'NK_DOCUMENT_INVALID',
    says: /node\.yaml:8:3: spec\.kubelt: unknown key "kubelt" \(did you mean "kubelet"\?\)/,
  },
  {
    name: 'a wrong type',
    args: ['config', 'dump', 'node.yaml'],
    files: { 'node.yaml': withWrongType },
    code: 'NK_DOCUMENT_INVALID',
    says: /node\.yaml:7:14: spec\.kubernetes\.version: /,
  },
  {
    name: 'broken YAML',
    args: ['config', 'check', 'node.yaml'],
    files: { 'node.yaml': 'a: [1\n' },
    code: 'NK_DOCUMENT_SYNTAX',
    says: /node\.yaml:\d+:\d+/,
  },
  {
    name: 'an unreadable package',
    args: ['artifact', 'inspect', 'a.deb'],
    files: { 'a.deb': '!<arch>\ndebian-binary   1700000000  0     0     100644  4         `\n2.0\nhardly' },
    code: 'NK_ARTIFACT_UNREADABLE',
    says: /a\.deb/,
  },
  { name: 'a missing package', args: ['artifact', 'inspect', 'a.deb'], code: 'NK_ARTIFACT_MISSING', says: /a\.deb/ },
  {
    name: 'a wrong digest',
    args: ['artifact', 'extract', 'plain', '--to', 'out', '--digest', `sha256:${'0'.repeat(64)}`],
    files: { plain: 'x' },
    code: 'NK_ARTIFACT_DIGEST',
    says: /sha256:0000/,
  },
  { name: 'no version', args: ['artifact', 'version', '???'], code: 'NK_VERSION_INVALID', says: /\?\?\?/ },
  {
    name: 'nothing cached',
    args: ['artifact', 'match', '--component', 'kubelet', '--version', '1.34.3', '--root', '.'],
    code: 'NK_ARTIFACT_NONE_USABLE',
    says: /no version of kubelet is cached/,
  },
  {
    name: 'a folder without the build',
    args: [
      'artifact',
      'match',
      '--component',
      'kubelet',
      '--version',
      '1.34.1',
      '--arch',
      'amd64',
      '--kind',
      'sysext',
      '--dir',
      'd',
    ],
    files: { 'd/kubelet-v1.34.10-1-azlinux3-x86-64.raw': '', 'd/kubelet-v1.34.1~rc1-1-azlinux3-x86-64.raw': '' },
    code: 'NK_ARTIFACT_NONE_USABLE',
    says: /kubelet-v1\.34\.10-1-azlinux3-x86-64\.raw is 1\.34\.10/,
  },
  {
    name: 'a folder without its kind',
    args: ['artifact', 'match', '--component', 'kubelet', '--version', '1.34.1', '--dir', '.'],
    code: 'NK_USAGE',
    says: /--kind/,
  },
  {
    name: 'a component that the platform does not get',
    args: [
      'manifest',
      'resolve',
      'components.json',
      '--os',
      'mariner/2.0',
      '--arch',
      'amd64',
      '--component',
      'kubelet',
    ],
    files: { 'components.json': components },
    code: 'NK_ARTIFACT_NONE_USABLE',
    says: /nothing under mariner\.DEFAULT\/v2\.0, mariner\.v2\.0, .*default\.current/,
  },
  {
    name: 'no version of that minor',
    args: [
      'manifest',
      'resolve',
      'components.json',
      '--os',
      'ubuntu/24.04',
      '--arch',
      'amd64',
      '--component',
      'kubelet',
      '--kubernetes',
      '1.33.0',
    ],
    files: { 'components.json': components },
    code: 'NK_ARTIFACT_NONE_USABLE',
    says: /no version goes with Kubernetes 1\.33\.0 under the policy fail/,
  },
  {
    name: 'a component whose address a shell would have to evaluate',
    args: ['manifest', 'resolve', 'c.json', '--os', 'ubuntu/24.04', '--arch', 'amd64', '--component', 'evil'],
    files: {
      'c.json':
        '{"Packages":[{"name":"evil","downloadURIs":{"default":{"current":{"versionsV2":[{"latestVersion":"1.0"}],"downloadURL":"https://h/$(id)"}}}}]}',
    },
    code: 'NK_DOCUMENT_INVALID',
    says: /evil: .*\$\(id\).*no placeholder/,
  },
  {
    name: 'an inventory in no known format',
    args: ['manifest', 'import', 'debian', 'components.json'],
    files: { 'components.json': components },
    code: 'NK_USAGE',
    says: /agentbaker/,
  },
  {
    name: 'an Inventory with a typo',
    args: ['manifest', 'export', 'agentbaker', 'inventory.json'],
    files: { 'inventory.json': '{"apiVersion":"nodekiln.dev/v1alpha1","kind":"Inventory","spec":{"package":[]}}' },
    code: 'NK_DOCUMENT_INVALID',
    says: /did you mean "packages"/,
  },
  { name: 'no boot result', args: ['timeline', '--root', '.'], code: 'NK_STATE_UNUSABLE', says: /no boot result/ },
  {
    name: 'a file that is no boot result',
    args: ['timeline', '--file', 'x.json'],
    files: { 'x.json': '{"a": 1}' },
    code: 'NK_STATE_UNUSABLE',
    says: /x\.json is not a boot result/,
  },
  {
    name: 'a picture that cannot be written',
    args: ['timeline', '--file', 'r.json', '--svg', 'no/such/folder.svg'],
    files: { 'r.json': JSON.stringify(bootResult()) },
    code: 'NK_FILE_WRITE',
    says: /no\/such\/folder\.svg/,
  },
  {
    name: 'a manifest that is not there',
    args: ['bake', 'no.yaml', '--root', '.'],
    code: 'NK_DOCUMENT_MISSING',
    says: /no\.yaml/,
  },
  {
    name: 'a manifest with a typo',
    args: ['bake', 'image.yaml', '--root', '.'],
    files: { 'image.yaml': 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec:\n  componets: []\n' },
    code: 'NK_DOCUMENT_INVALID',
    says: /image\.yaml:4:3: spec\.componets: unknown key "componets" \(did you mean "components"\?\)/,
  },
  {
    name: 'a root that is no operating system',
    args: ['bake', 'image.yaml', '--root', '.'],
    files: { 'image.yaml': 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n' },
    code: 'NK_UNSUPPORTED',
    says: /os-release/,
  },
  ...[['boot'], ['plan'], ['status'], ['agent', '--source', 'dir:/x'], ['bake', 'x.yaml', '--root', '.']].map(
    (args): BadCase => ({
      name: `${args[0]} by another user than root`,
      args,
      options: { asNobody: true },
      code: 'NK_NOT_ROOT',
      says: /root/,
    }),
  ),
];

/** Where verbs are called that need more than a few files. */
const testsOfTheirOwn: Readonly<Record<string, string>> = {
  bake: 'src/bake/bake.test.ts',
  verify: 'test/e2e/image/verify.test.ts',
  seal: 'test/e2e/image/image.test.ts',
  boot: 'test/e2e/image/image.test.ts',
  agent: 'test/demo/demo.ts',
  'agent update': 'test/e2e/cluster/self-update.test.ts',
  'agent bootstrap': 'test/e2e/cluster/bootstrap.test.ts',
  'cluster approve': 'test/demo/agents.ts',
  reset: 'test/e2e/cluster/agent.test.ts',
  status: 'src/cli/status.test.ts',
  'tools-image resolve': 'src/cli/tools-image.test.ts',
  'tools-image publish': 'src/cli/tools-image.test.ts',
};

/** The envelope that stdout holds, and nothing else. */
function envelopeIn(result: RunResult): Record<string, unknown> {
  assert.match(result.stdout, /^[^\n]+\n$/, 'exactly one line on stdout');
  const value: unknown = JSON.parse(result.stdout);
  assert.ok(typeof value === 'object' && value !== null);
  assert.deepEqual(Object.keys(value), ['apiVersion', 'kind', 'ok', 'data', 'error']);
  return { ...value };
}

function errorCode(envelope: Record<string, unknown>): unknown {
  const { error } = envelope;
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

describe('every verb', () => {
  for (const { name, args, files = {}, kind, text } of good) {
    it(`${name}: text`, async () => {
      const result = await runCli(files, args);
      assert.equal(result.stderr, '');
      assert.match(result.stdout, text);
      assert.equal(result.status, 0);
    });
    it(`${name}: JSON`, async () => {
      const result = await runCli(files, [...args, '--json']);
      const envelope = envelopeIn(result);
      assert.equal(envelope['apiVersion'], 'nodekiln.dev/v1alpha1');
      assert.equal(envelope['kind'], kind);
      assert.equal(envelope['ok'], true);
      assert.equal(envelope['error'], null);
      assert.notEqual(envelope['data'], null);
      assert.equal(result.status, 0);
    });
  }

  for (const { name, args, files = {}, options = {}, code, says } of bad) {
    it(`refuses ${name}: text`, async () => {
      const result = await runCli(files, args, options);
      assert.match(result.stderr, new RegExp(`^error ${code}: .+\n`));
      assert.match(result.stderr, says);
      assert.match(result.stderr, /^hint: ./m);
      assert.doesNotMatch(result.stderr, /\n {4}at /, 'no stack');
      assert.equal(result.stdout, '');
      assert.equal(result.status, exitStatus[errors[code].class]);
      assert.deepEqual(Object.keys(result.files).sort(), Object.keys(files).sort(), 'leaves nothing behind');
    });
    it(`refuses ${name}: JSON`, async () => {
      const result = await runCli(files, [...args, '--json'], options);
      const envelope = envelopeIn(result);
      assert.equal(envelope['ok'], false);
      assert.equal(errorCode(envelope), code);
      assert.equal(result.stderr, '');
      assert.equal(result.status, exitStatus[errors[code].class]);
    });
  }

  it('does its work in a case here, or in tests of its own', async () => {
    for (const name of Object.keys(verbs)) {
      const words = name.split(' ');
      if (good.some(({ args }) => words.every((word, index) => args[index] === word))) continue;
      const file = testsOfTheirOwn[name];
      assert.ok(file !== undefined, `${name} has no case`);
      const text = await readFile(join(import.meta.dirname, '../..', file), 'utf8');
      assert.ok(text.includes(`'${words.at(-1)}'`), `${file} does not call ${name}`);
    }
  });

  it('has help that says what it does, its options, examples and exit status', async () => {
    for (const [index, [name, load]] of Object.entries(verbs).entries()) {
      const { spec } = await load();
      assert.equal(spec.name, name);
      // Both ways lead to one text; each is asked for half of the verbs, one of two words among them.
      const words = name.split(' ');
      const result = await runCli({}, index % 2 === 0 ? [...words, '--help'] : ['help', ...words]);
      assert.equal(result.status, 0, name);
      assert.equal(result.stderr, '');
      const text = result.stdout.replaceAll(/\s+/g, ' ').toLowerCase();
      assert.ok(text.includes(spec.summary.toLowerCase()), `${name}: summary`);
      for (const { flag } of spec.options) assert.ok(text.includes(flag), `${name}: ${flag}`);
      for (const example of spec.examples) assert.ok(result.stdout.includes(example), `${name}: ${example}`);
      assert.match(result.stdout, /Exit status: /);
    }
  });

  it('prints an overview without arguments', async () => {
    const result = await runCli({}, []);
    assert.equal(result.status, 0);
    for (const name of Object.keys(verbs)) assert.match(result.stdout, new RegExp(`^ +${name.split(' ')[0]} `, 'm'));
  });
});

describe('secrets', () => {
  it('never appear in a dump or a check', async () => {
    for (const verb of ['dump', 'check']) {
      for (const json of [[], ['--json']]) {
        const result = await runCli({ 'node.yaml': withSecret }, ['config', verb, 'node.yaml', ...json]);
        assert.equal(result.status, 0, result.stderr);
        assert.doesNotMatch(result.stdout + result.stderr, /hunter2/);
      }
    }
  });
});

describe('colours', () => {
  it('are not written where there is no terminal', async () => {
    const result = await runCli({ 'r.json': JSON.stringify(bootResult()) }, ['timeline', '--file', 'r.json']);
    assert.ok(!result.stdout.includes('\u001b'));
  });
});

describe('a machine without systemd', () => {
  it('is refused by boot and agent before anything happens', async () => {
    // A mount namespace of its own, in which nothing of this machine's systemd is left.
    const wrapper = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh'];
    for (const args of [['boot'], ['agent', '--source', 'dir:/nowhere']]) {
      const result = await runCli({}, args, { wrapper });
      assert.match(result.stderr, /^error NK_NO_SYSTEMD: /);
      assert.equal(result.status, exitStatus.host);
    }
  });
});

describe('a reader that goes away', () => {
  it('is no failure', async () => {
    const result = await runCli({}, ['schema', 'NodeConfig'], { wrapper: ['sh', '-c', '"$@" | head -c 1 >&2', 'sh'] });
    assert.equal(result.stderr, '{');
  });
});

describe('a result that cannot be written', () => {
  const wrapper = ['sh', '-c', '"$@" >/dev/full', 'sh'];
  for (const args of [
    [],
    ['help', 'bake'],
    ['--version'],
    ['version', '--json'],
    ['facts'],
    ['schema', 'NodeConfig'],
    ['status', '--root', '.'],
    ['config', 'dump', 'node.yaml', '--json'],
    ['artifact', 'compare', '1', '2'],
  ])
    it(`is no success: ${args.join(' ') || 'the overview'}`, async () => {
      const { status, stderr } = await runCli({ 'node.yaml': nodeConfig }, args, { wrapper });
      assert.match(stderr, /^error NK_FILE_WRITE: the result cannot be written to standard output: no space left$/m);
      assert.match(stderr, /^hint: ./m);
      assert.equal(status, exitStatus.apply);
    });

  it('leaves an error what it is, and tells it where it can be read', async () => {
    const { status, stderr } = await runCli({}, ['status', '--jsno', '--json'], { wrapper });
    assert.match(stderr, /^error NK_USAGE: unknown option --jsno of status$/m);
    assert.equal(status, exitStatus.usage);
  });
});

describe('a signal', () => {
  it('ends an agent in an orderly way, and the stream is one JSON object per line', async () => {
    // A mount namespace of its own with a systemd that is only a folder: the agent watches, and asks systemd for nothing.
    const script =
      'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t tmpfs -o mode=0755 tmpfs /var/lib && exec "$@"';
    const result = await runCli({ 'desired/readme.txt': '' }, ['agent', '--source', 'dir:/run/desired', '--json'], {
      wrapper: ['unshare', '--mount', 'sh', '-c', script, 'sh'],
      onOutput: (child, stdout) => {
        if (stdout.includes('AgentReport')) child.kill('SIGTERM');
      },
    });
    const lines = result.stdout.trimEnd().split('\n');
    const kinds = lines.map((line) => {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
    });
    assert.deepEqual(kinds.slice(0, 2), ['AgentWatching', 'AgentReport']);
    assert.equal(result.status, 0, result.stderr);
  });
});

describe('a verb that only looks', () => {
  it('ends by the signal, for whoever waits for it', async () => {
    const script =
      'truncate -s 64G big && { "$@" & child=$!; until ls -l /proc/$child/fd 2>/dev/null | grep -q big; do sleep 0.05; done; kill -$SIGNAL $child; wait $child; echo "ended $?"; rm big; }';
    for (const [signal, number] of [
      ['INT', 2],
      ['TERM', 15],
      ['HUP', 1],
    ] as const) {
      const wrapper = ['env', `SIGNAL=${signal}`, 'bash', '-m', '-c', script, 'sh'];
      const result = await runCli({}, ['artifact', 'inspect', 'big'], { wrapper });
      assert.ok(result.stderr.includes(`error NK_INTERRUPTED: stopped by SIG${signal}\n`), result.stderr);
      assert.match(result.stdout, new RegExp(`ended ${128 + number}\n$`));
    }
  });

  it('says at the first signal that it was interrupted', async () => {
    // Large enough to be read for long; it takes no space.
    const script =
      'truncate -s 64G big && { "$@" & child=$!; until ls -l /proc/$child/fd 2>/dev/null | grep -q big; do sleep 0.05; done; kill -TERM $child; wait $child; status=$?; rm big; exit $status; }';
    for (const json of [[], ['--json']]) {
      const result = await runCli({}, ['artifact', 'inspect', 'big', ...json], { wrapper: ['sh', '-c', script, 'sh'] });
      assert.equal(result.status, 128 + 15, result.stderr);
      if (json.length === 0) assert.match(result.stderr, /^error NK_INTERRUPTED: stopped by SIGTERM\n/);
      else assert.equal(errorCode(envelopeIn(result)), 'NK_INTERRUPTED');
    }
  });
});

describe('start-up', () => {
  it('of boot and agent loads no YAML parser, no reader of archives, and nothing for terminals', async () => {
    const inputs = await bundledInputs();
    const terminal = /node_modules\/(cli-progress|cli-table3|string-width)\//;
    for (const verb of ['boot', 'agent']) {
      const loaded = closure(inputs, ['src/cli/main.ts', `src/cli/${verb}.ts`, `src/${verb}/${verb}.ts`]);
      assert.ok(loaded.has('src/apply/reconcile.ts'), 'the closure is followed');
      const heavy = [...loaded].filter(
        (path) => terminal.test(path) || /node_modules\/(yaml|tar-stream|xz-decompress)\//.test(path),
      );
      assert.deepEqual(heavy, []);
    }
    for (const library of ['yaml', 'cli-progress', 'cli-table3', 'string-width'])
      assert.ok(
        [...inputs.keys()].some((path) => path.includes(`node_modules/${library}/`)),
        `${library} would be seen`,
      );
  });

  it('of every verb loads of Node what finds out who we are, and that of a boot what its first step needs', async () => {
    const inputs = await bundledInputs();
    const ofNode = (roots: readonly string[]): readonly string[] =>
      [...closure(inputs, roots)].filter((path) => path.startsWith('node:')).sort();
    assert.deepEqual(ofNode(['src/cli/main.ts']), ['node:fs', 'node:os']);
    assert.deepEqual(ofNode(['src/cli/main.ts', 'src/cli/boot.ts', 'src/boot/boot.ts']), [
      'node:child_process',
      'node:crypto',
      'node:fs',
      'node:fs/promises',
      'node:net',
      'node:os',
      'node:path',
      'node:timers/promises',
      'node:url',
      'node:util',
    ]);
  });

  it('makes nothing random where no colour is wanted', async () => {
    const list = `process.on('exit', () => console.log(process.moduleLoadList.filter((name) => /random|webcrypto/.test(name))));`;
    const loaded = async (env: Readonly<Record<string, string>>): Promise<string> => {
      const hooked = { env: { NODE_OPTIONS: '--require=./list.cjs', ...env } };
      return (await runCli({ 'list.cjs': list }, ['config', 'check', 'none.yaml'], hooked)).stdout;
    };
    assert.equal(await loaded({}), '[]\n');
    assert.match(await loaded({ FORCE_COLOR: '1' }), /webcrypto/);
  });
});

interface Import {
  readonly path: string;
  readonly kind: string;
}

async function bundledInputs(): Promise<Map<string, readonly Import[]>> {
  const { buildBundle } = await import('../../tools/build.ts');
  const text = await readFile(`${await buildBundle()}.meta.json`, 'utf8');
  const meta = JSON.parse(text) as { inputs: Record<string, { imports: Import[] }> };
  return new Map(Object.entries(meta.inputs).map(([path, { imports }]) => [path, imports]));
}

/** What is evaluated with these modules: everything they import, except inside `import()`. */
function closure(inputs: ReadonlyMap<string, readonly Import[]>, roots: readonly string[]): Set<string> {
  const found = new Set<string>();
  const queue = [...roots];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    for (const item of inputs.get(path) ?? []) if (item.kind !== 'dynamic-import') queue.push(item.path);
  }
  return found;
}
