/** What one thing that an ImageManifest says puts into the image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '../config/invalid.ts';
import { parseDocument } from '../config/load.ts';
import { NodekilnError } from '../errors.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import { reveal, type DesiredState, type Resource } from '../model/resources.ts';
import { renderImage } from './render-image.ts';

const head = 'apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec:\n  nodekiln: {boot: false, path: false}\n';
const digests = { amd64: `sha256:${'a'.repeat(64)}`, arm64: `sha256:${'b'.repeat(64)}` };
const perArch = `{amd64: "${digests.amd64}", arm64: "${digests.arm64}"}`;
const arm: Partial<Facts> = { arch: { cpu: 'aarch64', systemd: 'arm64' } };

async function rendered(text: string, on: Partial<Facts> = {}, placed = true): Promise<DesiredState> {
  const { document, positions } = await parseDocument({ file: 'i.yaml', text }, 'ImageManifest');
  return renderImage(
    document,
    { ...exampleFacts, ...on },
    {
      artifactBase: '/m',
      ...(placed && { placeOf: (path) => ({ file: 'i.yaml', ...positions.locate(path, 'value') }) }),
    },
  );
}

async function refused(text: string): Promise<string[]> {
  try {
    await rendered(head + text);
  } catch (thrown) {
    assert.ok(thrown instanceof NodekilnError);
    assert.equal(thrown.code, 'NK_DOCUMENT_INVALID');
    return thrown.problems.map(formatProblem);
  }
  return assert.fail('it was rendered');
}

interface Feature {
  readonly said: string;
  readonly on?: Partial<Facts>;
  /** All resources, each with fields that are so. */
  readonly gives: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly warnings?: readonly string[];
}

const usual = { scope: 'shared', deferrable: false, importance: 'required', needs: [] };
const at = 'i.yaml:5:16';

// ── builds: where they come from ─────────────────────────────────────────────────────────────────────────────────

/** A build's source as written, and the source of the resource. */
const sources: readonly (readonly [written: string, source: Readonly<Record<string, unknown>>])[] = [
  [
    '{type: deb, path: "k_{version}_{debArch}.deb"}',
    { type: 'deb', from: { type: 'path', path: '/m/k_1.34.3_amd64.deb' } },
  ],
  [
    '{type: deb, path: /abs/k.deb, member: "b/{tool}"}',
    { type: 'deb', from: { type: 'path', path: '/abs/k.deb' }, member: 'b/kubelet' },
  ],
  ['{type: rpm, url: "https://a/{rpmArch}"}', { type: 'rpm', from: { type: 'url', url: 'https://a/x86_64' } }],
  [
    '{type: file, url: "https://u:p@a/b"}',
    { type: 'file', from: { type: 'url', url: { sensitive: 'https://u:p@a/b' } } },
  ],
  ['{type: file, url: "a.example/b:{tag}"}', { type: 'file', from: { type: 'oci', reference: 'a.example/b:v1.34.3' } }],
  [
    '{type: tarball, reference: "a.example/b:{tag}", file: "{tool}.tgz", plainHttp: true, signature: {key: k}, member: m}',
    {
      type: 'tarball',
      member: 'm',
      from: {
        type: 'oci',
        reference: 'a.example/b:v1.34.3',
        file: 'kubelet.tgz',
        plainHttp: true,
        signature: { key: 'k' },
      },
    },
  ],
  [
    '{type: file, reference: "a.example/b:1", plainHttp: false, signature: {trustedRoot: r, identity: i, issuer: s}}',
    {
      type: 'file',
      from: { type: 'oci', reference: 'a.example/b:1', signature: { trustedRoot: 'r', identity: 'i', issuer: 's' } },
    },
  ],
  ['{type: file, layout: "l/{arch}"}', { type: 'file', from: { type: 'oci-layout', path: '/m/l/amd64' } }],
  [
    '{type: file, layout: l, tag: "{tag}", file: "{tool}"}',
    { type: 'file', from: { type: 'oci-layout', path: '/m/l', tag: 'v1.34.3', file: 'kubelet' } },
  ],
  [
    '{type: file, path: p, url: "https://a", reference: "a.example/b:1", layout: l}',
    { type: 'file', from: { type: 'path', path: '/m/p' } },
  ],
  [
    '{type: file, url: "https://a", reference: "a.example/b:1", layout: l}',
    { type: 'file', from: { type: 'url', url: 'https://a' } },
  ],
  [
    '{type: file, reference: "a.example/b:1", layout: l}',
    { type: 'file', from: { type: 'oci', reference: 'a.example/b:1' } },
  ],
  [
    '{type: image, reference: "a.example/b:{tag}", plainHttp: true, member: "bin/{tool}"}',
    { type: 'file', from: { type: 'image', reference: 'a.example/b:v1.34.3', plainHttp: true }, member: 'bin/kubelet' },
  ],
  [
    '{type: image, reference: "a.example/b:1", layout: l, member: m}',
    { type: 'file', from: { type: 'image', reference: 'a.example/b:1' }, member: 'm' },
  ],
  [
    '{type: image, layout: "l/{arch}", member: m}',
    { type: 'file', from: { type: 'image-layout', path: '/m/l/amd64' }, member: 'm' },
  ],
  [
    '{type: image, layout: l, tag: "{tag}", member: m}',
    { type: 'file', from: { type: 'image-layout', path: '/m/l', tag: 'v1.34.3' }, member: 'm' },
  ],
  [
    '{type: apt, url: "https://a/{arch}", suite: "s-{upstream}", signedBy: key.gpg, member: "b/{tool}"}',
    {
      type: 'deb',
      from: {
        type: 'apt',
        url: 'https://a/amd64',
        suite: 's-1.34.3',
        components: ['main'],
        package: 'kubelet',
        signedBy: '/m/key.gpg',
      },
      member: 'b/kubelet',
    },
  ],
  [
    '{type: apt, url: "https://a", suite: s, components: [c, d], package: p, signedBy: /abs/key.gpg}',
    {
      type: 'deb',
      from: {
        type: 'apt',
        url: 'https://a',
        suite: 's',
        components: ['c', 'd'],
        package: 'p',
        signedBy: '/abs/key.gpg',
      },
    },
  ],
  [
    '{type: apt, url: "https://a", suite: s, signedBy: "-----BEGIN PGP"}',
    {
      type: 'deb',
      from: {
        type: 'apt',
        url: 'https://a',
        suite: 's',
        components: ['main'],
        package: 'kubelet',
        signedBy: '-----BEGIN PGP',
      },
    },
  ],
  [
    '{type: dnf, url: "https://a/{rpmArch}", keys: [k, /l], repositorySigned: true, package: p, member: "b/{tool}"}',
    {
      type: 'rpm',
      from: { type: 'dnf', url: 'https://a/x86_64', package: 'p', keys: ['/m/k', '/l'], repositorySigned: true },
      member: 'b/kubelet',
    },
  ],
  [
    '{type: dnf, url: "https://a", keys: [], repositorySigned: false}',
    { type: 'rpm', from: { type: 'dnf', url: 'https://a', package: 'kubelet', keys: [] } },
  ],
];

const builds: readonly Feature[] = sources.map(([written, source]) => ({
  said: `components: [{name: kubelet, action: cache, builds: [{version: 1.34.3, source: ${written}}]}]`,
  gives: { 'binary:kubelet-1.34.3': { sources: [{ ...source, role: 'manifest' }] } },
  warnings: ['binary:kubelet-1.34.3 has no digest: whatever its source holds is taken'],
}));

// ── components ───────────────────────────────────────────────────────────────────────────────────────────────────

const file = '{type: file, path: p}';
const build = (more = ''): string =>
  `components: [{name: kubelet, action: cache, builds: [{version: v1.34.3-1.1, source: ${file}${more}}]}]`;

const components: readonly Feature[] = [
  {
    said: build(`, digest: "${digests.amd64}"`),
    gives: {
      'binary:kubelet-1.34.3': {
        ...usual,
        kind: 'binary',
        id: 'binary:kubelet-1.34.3',
        tool: 'kubelet',
        version: 'v1.34.3-1.1',
        architecture: 'amd64',
        sources: [{ type: 'file', from: { type: 'path', path: '/m/p' }, role: 'manifest', digest: digests.amd64 }],
        place: { type: 'cache' },
        origin: 'i.yaml:5:56',
      },
    },
  },
  {
    said: build(`, digest: ${perArch}`),
    on: arm,
    gives: {
      'binary:kubelet-1.34.3': {
        architecture: 'arm64',
        sources: [{ type: 'file', from: { type: 'path', path: '/m/p' }, role: 'manifest', digest: digests.arm64 }],
      },
    },
  },
  {
    said: `transfer: {budget: 7s, caFile: /c, proxy: "http://a", noProxy: [b], mirrors: [{host: h, url: "https://m"}, {host: i, url: "https://n", overridePath: true}]}\n  ${build(`, digest: ${perArch}`)}`,
    gives: {
      'binary:kubelet-1.34.3': {
        transfer: {
          budgetMs: 7000,
          caFile: '/c',
          proxy: { sensitive: 'http://a' },
          noProxy: ['b'],
          mirrors: [
            { host: 'h', url: 'https://m' },
            { host: 'i', url: 'https://n', overridePath: true },
          ],
        },
      },
    },
  },
  {
    said: `transfer: {}\n  ${build(`, digest: ${perArch}`)}`,
    gives: { 'binary:kubelet-1.34.3': { transfer: { budgetMs: 300_000 } } },
  },
  {
    said: 'components: [{name: p, action: image, reference: "a.b/c:1", archive: "{tool}-{arch}.tar"}]',
    gives: {
      'image:a.b/c:1': {
        ...usual,
        kind: 'image',
        id: 'image:a.b/c:1',
        reference: 'a.b/c:1',
        archive: '/m/p-amd64.tar',
        pin: true,
        unpack: 'auto',
        architecture: 'amd64',
        origin: at,
      },
    },
  },
  {
    said: `components: [{name: p, action: image, reference: "a.b/c:1", archive: /abs.tar, digest: ${perArch}, pin: false, unpack: never}]`,
    on: arm,
    gives: {
      'image:a.b/c:1': {
        archive: '/abs.tar',
        digest: digests.arm64,
        pin: false,
        unpack: 'never',
        architecture: 'arm64',
      },
    },
  },
  {
    said: 'components: [{name: p, action: image, reference: "a.b/c:1", archive: a}, {name: i, action: install, source: {type: dnf, packages: [x]}}]',
    gives: {
      'image:a.b/c:1': { needs: ['action:install-i'] },
      'action:install-i': { ...usual, origin: 'i.yaml:5:76' },
    },
  },
  {
    said: 'components: [{name: i, action: install, source: {type: dnf, packages: [x, {name: y}, {name: z, version: "1"}]}}]',
    gives: {
      'action:install-i': {
        title: 'dnf install of x, y, z-1',
      },
    },
  },
  {
    said: `components: [{name: d, action: download, url: "https://a/{version}/{tool}", target: /t, digest: ${perArch}}]`,
    gives: {
      'binary:d': {
        ...usual,
        kind: 'binary',
        tool: 'd',
        version: '0',
        sources: [
          { type: 'file', role: 'manifest', from: { type: 'url', url: 'https://a/0/d' }, digest: digests.amd64 },
        ],
        place: { type: 'activate', target: '/t' },
        origin: at,
      },
    },
  },
  {
    said: `transfer: {budget: 1s}\n  components: [{name: d, action: download, version: 1.2.3, url: "a.b/c:{tag}", target: /t, digest: {arm64: "${digests.arm64}"}}]`,
    gives: {
      'binary:d': {
        version: '1.2.3',
        sources: [{ type: 'file', role: 'manifest', from: { type: 'oci', reference: 'a.b/c:v1.2.3' } }],
        transfer: { budgetMs: 1000 },
      },
    },
  },
];

// ── which machines ───────────────────────────────────────────────────────────────────────────────────────────────

/** Conditions and whether they are met on Debian 13, variant `server`, amd64. */
const conditions: readonly (readonly [on: string, isMet: boolean])[] = [
  ['{}', true],
  ['{os: debian}', true],
  ['{os: [ubuntu, debian]}', true],
  ['{os: ubuntu}', false],
  ['{os: []}', false],
  ['{release: "13"}', true],
  ['{release: ["12", "11"]}', false],
  ['{variant: server}', true],
  ['{variant: [other]}', false],
  ['{arch: amd64}', true],
  ['{arch: [arm64]}', false],
  ['{os: debian, release: "13", variant: server, arch: amd64}', true],
  ['{os: debian, release: "13", variant: server, arch: arm64}', false],
  ['{os: debian, release: "13", variant: other, arch: amd64}', false],
  ['{os: debian, release: "12", variant: server, arch: amd64}', false],
  ['{os: other, release: "13", variant: server, arch: amd64}', false],
];

for (const [on, isMet] of conditions) {
  const facts = { os: { id: 'debian', release: '13', variant: 'server' } };
  test(`a component and a build for ${on} are ${isMet ? '' : 'not '}for this machine`, async () => {
    const component = `components: [{name: p, action: image, on: ${on}, reference: "a.b/c:1", archive: a}]`;
    const ofBuild = build(`, on: ${on}`);
    for (const said of [component, ofBuild])
      assert.equal((await rendered(`${head}  ${said}\n`, facts)).resources.size, isMet ? 1 : 0);
  });
}

test('a machine without a variant meets no condition on it', async () => {
  const said = 'components: [{name: p, action: image, on: {variant: [a]}, reference: "a.b/c:1", archive: a}]';
  assert.equal((await rendered(`${head}  ${said}\n`)).resources.size, 0);
});

// ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────

const rest: readonly Feature[] = [
  {
    said: 'files: [{path: /a, content: x}, {path: /b, directory: true, scope: node}]',
    gives: {
      'file:/a': {
        ...usual,
        entry: { type: 'file', content: { text: 'x' }, mode: '0644', uid: 0, gid: 0 },
        origin: 'i.yaml:5:11',
      },
      'file:/b': { scope: 'node', origin: 'i.yaml:5:35' },
    },
  },
  {
    said: 'units: {enable: [a.service], disable: [b.service], mask: [c.service]}',
    gives: {
      'unit:a.service': {
        ...usual,
        kind: 'unit',
        name: 'a.service',
        dropIns: [],
        enablement: 'enabled',
        inputs: [],
        onChange: 'none',
        readiness: { type: 'active' },
        deadlineMs: 90_000,
        origin: 'i.yaml:5:20',
      },
      'unit:b.service': { enablement: 'disabled', origin: 'i.yaml:5:42' },
      'unit:c.service': { enablement: 'masked', origin: 'i.yaml:5:61' },
    },
  },
  {
    said: 'units: {enable: [a.service]}\n  components: [{name: i, action: install, source: {type: apt, packages: [x]}}]',
    gives: { 'unit:a.service': { needs: ['action:install-i'] }, 'action:install-i': {} },
  },
  {
    said: 'nodeConfig: {kubernetes: {version: 1.34.3}}',
    gives: {
      'file:/etc/nodekiln/image.json': {
        ...usual,
        origin: 'i.yaml:5:15',
        entry: {
          type: 'file',
          mode: '0644',
          uid: 0,
          gid: 0,
          content: {
            text: '{\n  "apiVersion": "nodekiln.dev/v1alpha1",\n  "kind": "NodeConfig",\n  "spec": {\n    "kubernetes": {\n      "version": "1.34.3"\n    }\n  }\n}\n',
          },
        },
      },
    },
  },
];

for (const { said, on, gives, warnings = [] } of [...builds, ...components, ...rest]) {
  test(`${said}${on ? ` on ${JSON.stringify(on)}` : ''}`, async () => {
    const { resources, warnings: told, goal } = await rendered(`${head}  ${said}\n`, on);
    assert.equal(goal, undefined);
    assert.deepEqual(told, warnings);
    assert.deepEqual([...resources.keys()].sort(), Object.keys(gives).sort());
    for (const [id, fields] of Object.entries(gives)) {
      const resource: Resource | undefined = [...resources.values()].find((one) => one.id === id);
      for (const [field, value] of Object.entries(fields))
        assert.deepEqual(
          Object.entries(resource ?? {}).find(([name]) => name === field)?.[1],
          value,
          `${id}: ${field}`,
        );
    }
  });
}

test('without places, resources have no origin and no needless keys', async () => {
  const { resources } = await rendered(`${head}  ${build()}\n  files: [{path: /a, content: x}]\n`, {}, false);
  for (const resource of resources.values())
    assert.deepEqual(
      Object.entries(resource).filter(([field, value]) => field === 'origin' || value === undefined),
      [],
    );
});

test('nodekiln itself: its boot unless not wanted, its agent when wanted', async () => {
  const unitsOf = async (nodekiln: string): Promise<(string | undefined)[][]> =>
    [...(await rendered(head.replace('{boot: false, path: false}', nodekiln))).resources.values()].flatMap((resource) =>
      resource.kind === 'unit'
        ? [[resource.id, resource.enablement, /ExecStart=.*(?:\n {2}.*)*/.exec(reveal(resource.content ?? ''))?.[0]]]
        : [],
    );
  const boot = ['unit:nodekiln-boot.service', 'enabled', 'ExecStart=/opt/nodekiln/bin/nodekiln \\\n  boot'];
  const agent = (source?: string): string[] => [
    'unit:nodekiln-agent.service',
    'enabled',
    `ExecStart=/opt/nodekiln/bin/nodekiln \\\n  agent${source === undefined ? '' : ` \\\n  --source \\\n  ${source}`}`,
  ];
  assert.deepEqual(await unitsOf('{}'), [boot]);
  assert.deepEqual(await unitsOf('{boot: true, agent: false}'), [boot]);
  assert.deepEqual(await unitsOf('{agent: true}'), [agent(), boot]);
  assert.deepEqual(await unitsOf('{boot: false, agent: true, agentSource: "dir:/a"}'), [agent('dir:/a')]);
  assert.deepEqual(
    [...(await rendered('apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: {}\n')).resources.keys()],
    ['file:/etc/profile.d/nodekiln.sh', 'file:/opt/bin/nodekiln', 'unit:nodekiln-boot.service'],
  );
});

const contradictions: readonly (readonly [said: string, ...problems: readonly string[]])[] = [
  [
    'components: [{name: kubelet, action: cache, builds: [{version: 1.34.3, source: {type: deb}}]}]',
    'i.yaml:5:82: names no place: give one of path, url, reference, layout',
  ],
  [
    'components: [{name: kubelet, action: cache, builds: [{version: 1.34.3, source: {type: image, member: m}}]}]',
    'i.yaml:5:82: names no place: give one of path, url, reference, layout',
  ],
  [
    'components: [{name: d, action: image, reference: "a.b/c:1", archive: a}, {name: e, action: image, reference: "a.b/c:1", archive: a}]',
    'i.yaml:5:76: image:a.b/c:1 is named a second time for this machine',
  ],
  [
    'units: {enable: [a.service], mask: [a.service]}',
    'i.yaml:5:39: unit:a.service is named a second time for this machine',
  ],
  [
    'files: [{path: /etc/nodekiln/image.json, content: x}]\n  nodeConfig: {}',
    'i.yaml:6:15: file:/etc/nodekiln/image.json is named a second time for this machine',
  ],
  [
    'files: [{path: /a, content: x, mode: "0644", sensitive: true}]',
    'i.yaml:5:40: mode 0644 lets everybody reach a sensitive file',
  ],
  [
    'files: [{path: /etc/machine-id, content: x, scope: shared}]',
    'i.yaml:5:54: /etc/machine-id cannot be shared: it belongs to one machine; Leave the scope at node.',
  ],
];

for (const [said, ...problems] of contradictions) {
  test(`refused: ${said}`, async () => {
    assert.deepEqual(await refused(`  ${said}\n`), problems);
  });
}

test('what an image takes away of a node’s defaults is in its document, and may be taken away there alone', async () => {
  const { resources } = await rendered(
    `${head}  nodeConfig: {kubernetes: {version: 1.34.3}, binaries: {tools: {kubectl: null}}}\n`,
  );
  const file = resources.get('file:/etc/nodekiln/image.json');
  assert.ok(file?.kind === 'file' && file.entry.type === 'file' && 'text' in file.entry.content);
  const { spec } = JSON.parse(reveal(file.entry.content.text));
  assert.deepEqual(spec.binaries, { tools: { kubectl: null } });
  await assert.rejects(rendered(`${head}  files: null\n`), /not a valid ImageManifest/);
});
