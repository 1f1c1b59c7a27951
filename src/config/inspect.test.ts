import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { NodekilnError } from '../errors.ts';
import { configCheck, configDump, problemsIn, refuseExposed } from './inspect.ts';
import { jsonSchema } from './json-schema.ts';
import { formatProblem } from './invalid.ts';
import { kinds, parseDocument } from './load.ts';
import type { LoadedDocument } from './load.ts';
import { isMap } from './paths.ts';
import { resolveNodeConfig } from './resolve.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\n';
const load = (file: string, text: string): Promise<LoadedDocument<'NodeConfig'>> =>
  parseDocument({ file, text: head + text }, 'NodeConfig');

async function problemsOf(...texts: string[]): Promise<string[]> {
  const problems = await configCheck(texts.map((text, index) => ({ file: `${index + 1}.yaml`, text: head + text })));
  return problems.map(formatProblem);
}

test('sources that are complete only together are fine', async () => {
  assert.deepEqual(
    await problemsOf(
      'spec: {files: [{path: /a, content: x}]}\n',
      'spec: {kubernetes: {version: 1.34.3}, files: [{path: /a, mode: "0600"}]}\n',
    ),
    [],
  );
});

test('what the sources together lack', async () => {
  assert.deepEqual(
    await problemsOf(
      'spec:\n  files:\n    - path: /a\n',
      'spec:\n  actions:\n    - name: a\n  cluster: {}\n  network: {cni: {type: bridge}}\n',
    ),
    [
      '2.yaml:3:1: spec.kubernetes.version: kubernetes.version is missing: no source says which Kubernetes',
      '2.yaml:6:3: spec.cluster.server: server is missing: the URL of the API server',
      '2.yaml:6:3: spec.cluster.caBundle: caBundle is missing: who vouches for the API server',
      '1.yaml:5:7: spec.files[0]: the file /a has no content: give one of content, contentBase64, symlink, directory',
      '2.yaml:5:7: spec.actions[0].argv: argv is missing for the action a',
      '2.yaml:5:7: spec.actions[0].guard: guard is missing for the action a: it must say when the action is already done',
    ],
  );
});

test('what contradicts itself after merging', async () => {
  const version = 'kubernetes: {version: 1.34.3}';
  assert.deepEqual(
    await problemsOf(`spec: {${version}, boot: {deferrable: {"kernel:sysctl/vm.swappiness": true}}}\n`),
    [
      '1.yaml:3:90: spec.boot.deferrable["kernel:sysctl/vm.swappiness"]: kernel:sysctl/vm.swappiness cannot be deferred: kernel settings, mounts, identity, trust and runtime configuration must be in place before kubelet starts',
    ],
  );
  assert.deepEqual(
    await problemsOf(`spec: {${version}, files: [{path: /a, content: x, sensitive: true, mode: "0644"}]}\n`),
    ['1.yaml:3:93: spec.files[0].mode: mode 0644 lets everybody reach a sensitive file'],
  );
  assert.deepEqual(
    await problemsOf(`spec: {${version}, units: [{name: a.service, enablement: masked, state: started}]}\n`),
    ['1.yaml:3:77: spec.units[0].enablement: the unit a.service cannot be masked and have the state started'],
  );
});

const identities = [
  'files: [{path: /etc/machine-id, content: "", scope: shared}]',
  'files: [{path: /etc/hostname, content: a, scope: shared}]',
  'files: [{path: /etc/ssh/ssh_host_rsa_key, content: a, scope: shared}]',
  'files: [{path: /var/lib/kubelet/pki/kubelet.crt, content: a, scope: shared}]',
  'files: [{path: /etc/kubernetes/bootstrap-kubeconfig, content: a, scope: shared}]',
  'units: [{name: kubelet.service, scope: shared}]',
];

for (const text of identities) {
  test(`what belongs to one machine is not shared: ${text}`, async () => {
    const [problem = '', ...others] = await problemsOf(`spec: {kubernetes: {version: 1.34.3}, ${text}}\n`);
    assert.match(
      problem,
      /^1\.yaml:3:\d+: spec\.(files|units)\[0\]\.scope: \S+ cannot be shared: it belongs to one machine; Leave the scope at node\.$/,
    );
    assert.deepEqual(others, []);
    assert.deepEqual(
      await problemsOf(`spec: {kubernetes: {version: 1.34.3}, ${text.replace('shared', 'node')}}\n`),
      [],
    );
  });
}

test('other files and units may be shared', async () => {
  assert.deepEqual(
    await problemsOf(
      'spec: {kubernetes: {version: 1.34.3}, files: [{path: /etc/hostnames, content: a, scope: shared}, {path: /etc/ssh/sshd_config, content: a, scope: shared}], units: [{name: containerd.service, scope: shared}]}\n',
    ),
    [],
  );
});

test('the dump names every value with its origin', async () => {
  const dump = configDump([
    await load('a.yaml', 'spec:\n  kubernetes: {version: 1.34.3}\n  files: [{path: /a, content: x}]\n'),
    await load(
      'b.yaml',
      'spec:\n  files: [{path: /a, mode: "0600"}]\n  kubelet: {configuration: {failSwapOn: true}}\n',
    ),
  ]);
  const entries = new Map(dump.entries.map((entry) => [entry.path, entry]));
  assert.equal(entries.size, dump.entries.length);
  const origin = (path: string): string => `${JSON.stringify(entries.get(path)?.value)} ${entries.get(path)?.origin}`;
  assert.equal(origin('spec.kubernetes.version'), '"1.34.3" a.yaml:4:25');
  assert.equal(origin('spec.files[0].content'), '"x" a.yaml:5:31');
  assert.equal(origin('spec.files[0].mode'), '"0600" b.yaml:4:28');
  assert.equal(origin('spec.files[0].owner'), '"root" default');
  assert.equal(origin('spec.kubelet.configuration.failSwapOn'), 'true b.yaml:5:41');
  assert.equal(origin('spec.kubelet.configuration.cgroupDriver'), '"systemd" default');
  assert.equal(origin('spec.boot.deadline'), '"10m" default');
});

test('the dump ends at scalars, lists of scalars, and what is empty', async () => {
  const { entries } = configDump([
    await load(
      'a.yaml',
      'spec:\n  kubernetes: {version: 1.34.3}\n  kubelet: {configuration: {a: [1, null, x], b: [], c: {}, d: [[1], {e: 2}], f: null, g: [1, {h: 2}]}}\n',
    ),
  ]);
  const own = entries.filter(({ origin }) => origin.startsWith('a.yaml:5:'));
  assert.deepEqual(
    own.map(({ path, value }) => [path.replace('spec.kubelet.configuration.', ''), value]),
    [
      ['a', [1, null, 'x']],
      ['b', []],
      ['c', {}],
      ['d[0]', [1]],
      ['d[1].e', 2],
      ['f', null],
      ['g[0]', 1],
      ['g[1].h', 2],
    ],
  );
});

test('the dump is the whole document, secrets apart', async () => {
  const { config } = configDump([
    await load(
      'a.yaml',
      'metadata: {name: n}\nspec: {kubernetes: {version: 1.34.3}, files: [{path: /a, content: x, sensitive: true}, {path: /b, content: "y"}]}\n',
    ),
  ]);
  assert.partialDeepStrictEqual(config, {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    metadata: { name: 'n' },
    spec: { files: [{ content: '<redacted>' }, { content: 'y' }] },
  });
});

test('the dump shows addresses and environments by their types, and what nobody has a type for by its form', async () => {
  const spec = {
    kubernetes: { version: '1.34.3' },
    network: { proxy: { noProxy: ['hunter2@example.org'] } },
    containerd: {
      registries: [{ host: 'a.example', server: 'https://a.example', mirrors: [{ url: 'http://hunter2@b.example/' }] }],
    },
    actions: [{ name: 'a', argv: ['/bin/true'], guard: { path: '/a' }, env: { TOKEN: 'hunter2' } }],
    kubelet: {
      configuration: { webhook: 'https://user:hunter2@c.example', env: 'prod' },
      staticPods: [
        {
          name: 'web',
          manifest: { spec: { containers: [{ env: [{ name: 'TOKEN', value: 'hunter2' }, { name: 'A' }] }] } },
        },
      ],
    },
    files: [{ path: '/run/user:1@2', content: 'unit:getty@tty1.service' }],
  };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
  const { config, entries } = configDump([await parseDocument({ file: 'a.json', text }, 'NodeConfig')]);
  assert.doesNotMatch(JSON.stringify([config, entries]), /hunter2/);
  assert.partialDeepStrictEqual(config, {
    spec: {
      network: { proxy: { noProxy: ['<redacted>'] } },
      containerd: { registries: [{ server: 'https://a.example', mirrors: [{ url: '<redacted>' }] }] },
      actions: [{ argv: ['/bin/true'], env: { TOKEN: '<redacted>' } }],
      kubelet: {
        configuration: { webhook: '<redacted>', env: 'prod' },
        staticPods: [
          { manifest: { spec: { containers: [{ env: [{ name: 'TOKEN', value: '<redacted>' }, { name: 'A' }] }] } } },
        ],
      },
      files: [{ path: '/run/user:1@2', content: 'unit:getty@tty1.service' }],
    },
  });
});

test('a check tells of every document that is wrong, and of no more than that', async () => {
  const image = { file: 'i.yaml', text: 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n' };
  assert.deepEqual(await configCheck([]), []);
  assert.deepEqual(await configCheck([image]), []);
  const incomplete = { file: 'n.yaml', text: `${head}spec: {}\n` };
  assert.deepEqual((await configCheck([image, incomplete])).map(formatProblem), [
    'n.yaml:3:1: spec.kubernetes.version: kubernetes.version is missing: no source says which Kubernetes',
  ]);
  const unknownKind = { file: 'k.yaml', text: 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfg\n' };
  const malformed = { file: 'm.yaml', text: 'a: 1\na: 2\n' };
  assert.deepEqual((await configCheck([unknownKind, malformed, incomplete])).map(formatProblem), [
    'k.yaml:2:7: kind: k.yaml has a kind that is not known: it must be AgentConfig, ImageManifest, NodeConfig or Inventory; did you mean NodeConfig?',
    'm.yaml:2:1: this key stands a second time in its map',
  ]);
});

test('sources that only together contradict the schema: each problem at its own place', async () => {
  const repository = (text: string): string => `spec:\n  binaries:\n    sources:\n      repository: {${text}}\n`;
  assert.deepEqual(
    await problemsOf(
      repository('type: apt, url: "https://a", suite: a, signedBy: /a'),
      repository('type: dnf, url: "https://b", keys: [/b]'),
    ),
    [
      '1.yaml:6:49: spec.binaries.sources.repository.suite: unknown key "suite"; known here: since, member, type, url, keys, repositorySigned',
      '1.yaml:6:59: spec.binaries.sources.repository.signedBy: unknown key "signedBy"; known here: since, member, type, url, keys, repositorySigned',
    ],
  );
});

test('what goes wrong of itself is no problem of a document', () => {
  assert.throws(() => problemsIn(new TypeError('x')));
  assert.throws(() => problemsIn(new NodekilnError('NK_FILE_WRITE', 'x')));
});

test('the dump holds no secret', async () => {
  const dump = configDump([
    await load(
      'a.yaml',
      `spec:
  kubernetes: {version: 1.34.3}
  cluster: {server: "https://a", caBundle: ${JSON.stringify(exampleAuthority)}, bootstrapToken: hunte2.hunter2hunter2ab}
  network: {proxy: {http: "http://user:hunter2@proxy:3128"}}
  binaries:
    transfer: {proxy: "http://user:hunter2@proxy:3128"}
    sources: {tarball: {url: "https://a/b.tgz?sig=hunter2"}}
    tools:
      a: {url: "https://user:hunter2@a/b"}
      b: {privateUrl: "https://a/b?hunter2", sources: {tarball: {url: "https://hunter2@a/b"}}}
  files: [{path: /a, content: hunter2, sensitive: true}, {path: /b, contentBase64: aHVudGVyMg==, sensitive: true}]
  units: [{name: a.service, sensitive: true, content: hunter2, dropIns: [{name: a.conf, content: hunter2}]}]
`,
    ),
  ]);
  const text = JSON.stringify(dump);
  assert.ok(!text.includes('hunter2') && !text.includes('aHVudGVyMg'), text);
  assert.equal(dump.entries.filter((entry) => entry.value === '<redacted>').length, 11);
});

test('a source with secrets must not be readable by others', async () => {
  const secret = await load('a.yaml', 'spec:\n  files: [{path: /a, content: x, sensitive: true}]\n');
  const plain = await load('a.yaml', 'spec: {}\n');
  refuseExposed(secret, 0o600);
  const signed = await load('a.yaml', 'spec: {binaries: {tools: {a: {url: "https://a/b?sig=x"}}}}\n');
  assert.throws(() => refuseExposed(signed, 0o644), { code: 'NK_DOCUMENT_EXPOSED' });
  refuseExposed(plain, 0o644);
  assert.throws(() => refuseExposed(secret, 0o100007), /^NodekilnError: a\.yaml holds secrets, but its mode 0007 lets/);
  const image = await parseDocument({
    file: 'i.yaml',
    text: 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {files: [{path: /a, content: x, sensitive: true}]}\n',
  });
  refuseExposed(image, 0o644);
  for (const mode of [0o644, 0o640, 0o604, 0o602]) {
    assert.throws(
      () => refuseExposed(secret, mode),
      (thrown: unknown) =>
        thrown instanceof NodekilnError &&
        thrown.code === 'NK_DOCUMENT_EXPOSED' &&
        thrown.place?.path === 'spec.files[0]',
    );
  }
});

test('without any source there is nothing to complete', () => {
  assert.throws(
    () => resolveNodeConfig([]),
    (thrown: unknown) => thrown instanceof NodekilnError && thrown.code === 'NK_DOCUMENT_INVALID',
  );
});

/** Property schemas below a JSON Schema, with their paths. */
function properties(schema: unknown, path: string): [string, Record<string, unknown>][] {
  if (Array.isArray(schema)) return schema.flatMap((inner) => properties(inner, path));
  if (!isMap(schema)) return [];
  const own = isMap(schema['properties']) ? Object.entries(schema['properties']) : [];
  return [
    ...own.flatMap(([key, inner]) => [
      ...(isMap(inner) ? [[`${path}.${key}`, inner] satisfies [string, Record<string, unknown>]] : []),
      ...properties(inner, `${path}.${key}`),
    ]),
    ...['items', 'anyOf', 'oneOf', 'additionalProperties'].flatMap((key) => properties(schema[key], path)),
  ];
}

for (const kind of ['ImageManifest', 'NodeConfig'] as const) {
  test(`the schema of ${kind} is strict and describes every field`, async () => {
    const schema = await jsonSchema(kind);
    assert.equal(schema['additionalProperties'], false);
    const all = properties(schema, kind);
    assert.ok(all.length > 40);
    const bare = all.filter(([path, field]) => field['description'] === undefined && !path.endsWith('.source.type'));
    assert.deepEqual(
      bare.map(([path]) => path),
      [],
    );
  });
}

test('the kinds that `schema` knows', () => {
  assert.deepEqual(Object.keys(kinds), ['AgentConfig', 'ImageManifest', 'NodeConfig', 'Inventory']);
});
