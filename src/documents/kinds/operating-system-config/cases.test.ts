/**
 * Cases from the field, by their numbers: files by host (A), updates in place (C), containerd's configuration (E), what of a document is refused (N), and
 * what was found by reading (X). What a document does to a machine stands in `cases-applied.test.ts`.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'smol-toml';
import {
  askOsc,
  inlineFile,
  oscOf,
  problemsOfOsc,
  renderOsc,
  textIn,
  type Json,
} from '../../../../test/support/osc.ts';
import { hasSeveralCniFolders } from './containerd.ts';

describe('A: files by host', () => {
  it('A1: what names no host is for every one, of the document and of extensions', async () => {
    const { resources } = await renderOsc(
      oscOf(
        { files: ['/etc/foo', '/etc/bar'].map((path) => inlineFile(path, 'x')) },
        { extensionFiles: [inlineFile('/etc/baz', 'x')] },
      ),
      { hostName: 'node-1' },
    );
    assert.deepEqual([...resources.keys()].sort(), ['file:/etc/bar', 'file:/etc/baz', 'file:/etc/foo']);
  });
});

describe('C: updates in place', () => {
  it('C43: a document that says nothing of them asks for none', async () =>
    assert.equal((await askOsc(oscOf({ type: 'provider' }))).inPlace, undefined));
});

const criOf = (containerd: Json = {}): Json => ({
  name: 'containerd',
  cgroupDriver: 'systemd',
  containerd: { sandboxImage: 'foo:1.23', ...containerd },
});

async function tomlOf(containerd: Json, version: string, path = '/etc/containerd/config.toml'): Promise<Json> {
  const state = await renderOsc(oscOf({ criConfig: criOf(containerd) }), {
    containerdVersion: version,
  });
  return JSON.parse(JSON.stringify(parse(textIn(state, path)[0]))) as Json;
}

/** What stands at a path of tables, undefined where there is none. */
function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((map, name) => (map as Json | undefined)?.[name], value);
}

const [cri, images, runtime] = ['grpc.v1.cri', 'cri.v1.images', 'cri.v1.runtime'].map(
  (part) => `io.containerd.${part}`,
) as [string, string, string];
const foo = { path: [cri, 'containerd', 'runtimes', 'foo'], values: { runtime_type: 'bar.123' } };
const bar = { runtime_type: 'bar.123' };

describe('E: containerd', () => {
  for (const [id, version, plugins, path, expected] of [
    ['E1', '1.7.23', [], ['imports'], ['/etc/containerd/conf.d/*.toml']],
    ['E2, sandbox', '1.7.23', [], ['plugins', cri, 'sandbox_image'], 'foo:1.23'],
    ['E2, registries', '1.7.23', [], ['plugins', cri, 'registry', 'config_path'], '/etc/containerd/certs.d'],
    ['E2, cgroups', '1.7.23', [], ['plugins', cri, 'containerd', 'runtimes', 'runc', 'options', 'SystemdCgroup'], true],
    ['E2, CNI', '1.7.23', [], ['plugins', cri, 'cni', 'bin_dir'], '/opt/cni/bin'],
    ['E5, no one folder', '2.2.1', [], ['plugins', runtime, 'cni', 'bin_dir'], undefined],
    ['E5, several folders', '2.2.1', [], ['plugins', runtime, 'cni', 'bin_dirs'], ['/opt/cni/bin']],
    ['E7', '1.7.23', [foo], ['plugins', cri, 'containerd', 'runtimes', 'foo'], bar],
    ['E7, nowhere else', '1.7.23', [foo], ['plugins', runtime], undefined],
    ['E8', '2.1.2', [foo], ['plugins', runtime, 'containerd', 'runtimes', 'foo'], bar],
    ['E8, nowhere else', '2.1.2', [foo], ['plugins', cri], undefined],
    ['E8, the sandbox', '2.1.2', [], ['plugins', images, 'pinned_images', 'sandbox'], 'foo:1.23'],
    // Written whole, by the version of containerd: what it would say of itself is not asked.
    ['E11, containerd 1', '1.7.23', [], ['version'], 2],
    ['E11, containerd 2', '2.3.0', [], ['version'], 3],
  ] as const)
    it(`${id}: ${path.join(' ')} for containerd ${version}`, async () =>
      assert.deepEqual(at(await tomlOf({ plugins }, version), ...path), expected));

  for (const [id, version, has] of [
    ['E20', '1.7.23', false],
    ['E21', '1.7.23~ds2', false],
    ['E24', '2.3.0-foo+bar', true],
    ['E26', '2.3.0-foo+123.45', true],
  ] as const)
    it(`${id}: ${version} ${has ? 'has' : 'has not'} several folders of CNI`, () =>
      assert.equal(hasSeveralCniFolders(version), has));

  it('E30: mirrors of all registries, two hosts in order', async () => {
    const hosts = ['https://10.10.10.100:8080', 'https://10.10.10.200:8080'];
    const registries = [
      { upstream: '_default', server: 'https://registry.hub.docker.com', hosts: hosts.map((url) => ({ url })) },
    ];
    const written = await tomlOf({ registries }, '2.1.2', '/etc/containerd/certs.d/_default/hosts.toml');
    assert.equal(written['server'], 'https://registry.hub.docker.com');
    const capabilities = ['pull', 'resolve'];
    assert.deepEqual(
      Object.entries(written['host'] as Json),
      hosts.map((url) => [url, { capabilities }]),
    );
  });

  for (const [id, plugins, problems] of [
    ['E40: taking away what is not there is nothing', [{ op: 'remove', path: ['a', 'b'] }], []],
    [
      'E43: no table is named',
      [{ path: [], values: { a: 1 } }],
      ['plugins[0].path: path must name at least one table'],
    ],
    // A table that is not given is an empty one, none that is wrong.
    ['E44: no values are given', [{ path: ['a'] }], []],
    [
      'E46: a table below a value',
      [{ path: ['x'], values: { a: true } }, { path: ['x', 'a', 'b', 'c'] }],
      ['plugins[1].path: leads through x.a, which is a value and no table'],
    ],
  ] as const)
    it(id, async () =>
      assert.deepEqual(
        await problemsOfOsc(oscOf({ criConfig: criOf({ plugins }) })),
        problems.map((problem) => `spec.criConfig.containerd.${problem}`),
      ),
    );
});

const registry = {
  upstream: 'docker.io',
  server: 'https://registry-1.docker.io',
  hosts: [{ url: 'https://mirror.example', capabilities: ['pull', 'resolve'] }],
};
const imageFile = {
  path: '/foo-bar-file',
  content: { imageRef: { image: 'registry.example/foo:v1', filePathInImage: '/foo' } },
};

/** Nothing is wrong with it, over parts of it. */
function valid({ containerd = {}, status, ...spec }: Json = {}): Json {
  return oscOf(
    {
      type: 'provider',
      purpose: 'reconcile',
      criConfig: criOf({
        registries: [registry],
        plugins: [{ path: ['x'], values: { a: {} } }],
        ...(containerd as Json),
      }),
      units: [
        {
          name: 'foo.service',
          content: '[Unit]',
          dropIns: [{ name: 'a.conf', content: 'x' }],
          filePaths: ['/foo-bar-file'],
        },
      ],
      files: [{ path: '/foo/bar', content: { inline: { encoding: 'b64', data: 'Zm9v' } } }, imageFile],
      ...spec,
    },
    status as Json | undefined,
  );
}
const files = (...list: readonly Json[]): Json => valid({ units: [], files: list });
const hosts = (...names: readonly string[]): Json =>
  files(...names.map((hostName) => inlineFile('/etc/a', 'x', { hostName })));

describe('N, X: what of a document is refused, by its place', () => {
  for (const [id, document, paths] of [
    // The agent is given documents, not objects of an API: a name it does not need, and no purpose is to reconcile.
    ['N1: nothing in it', oscOf({}), []],
    ['N1: not even a spec', { ...oscOf({}), metadata: {}, spec: undefined }, ['spec']],
    ['N2: another purpose', valid({ purpose: 'foo' }), ['spec.purpose']],
    [
      'N4: files that lack parts, have two contents, or come twice',
      files(
        {},
        { path: '/path1', content: { secretRef: { name: 'a', dataKey: 'b' }, inline: { data: 'x' } } },
        { path: '/path2', content: { secretRef: {} } },
        { path: '/path3', content: { inline: { encoding: 'foo' } } },
        { path: '/path3', content: { inline: { data: 'x' } } },
      ),
      [
        'spec.files[0].path',
        'spec.files[0].content',
        'spec.files[1].content',
        'spec.files[2].content.secretRef.name',
        'spec.files[2].content.secretRef.dataKey',
        'spec.files[3].content.inline.data',
        'spec.files[3].content.inline.encoding',
        'spec.files[4].path',
      ],
    ],
    ['N6: one path for two hosts', hosts('my-node', 'my-node-2'), []],
    [
      'N7: one path of the document and of an extension',
      valid({ status: { extensionFiles: [inlineFile('/foo/bar', 'x')] } }),
      ['status.extensionFiles[0].path'],
    ],
    ['N9: user data, no runtime', oscOf({ purpose: 'provision', criConfig: { name: 'containerd' } }), []],
    [
      'N10: user data with a runtime',
      oscOf({ purpose: 'provision', criConfig: criOf() }),
      ['spec.criConfig.containerd'],
    ],
    [
      'N11: a registry twice',
      valid({ containerd: { registries: [registry, registry] } }),
      ['spec.criConfig.containerd.registries[1].upstream'],
    ],
    ...['foo.bar:5001', '_default'].map(
      (upstream) =>
        [
          `N13: the registry ${upstream}`,
          valid({ containerd: { registries: [{ ...registry, upstream }] } }),
          [],
        ] as const,
    ),
    [
      'N16: a capability that is none',
      valid({ containerd: { registries: [{ ...registry, hosts: [{ url: 'https://a', capabilities: ['foo'] }] }] } }),
      ['spec.criConfig.containerd.registries[0].hosts[0].capabilities[0]'],
    ],
    ['N17: no sandbox', valid({ containerd: { sandboxImage: '' } }), ['spec.criConfig.containerd.sandboxImage']],
    [
      'N19: a plugin without path',
      valid({ containerd: { plugins: [{ path: [] }] } }),
      ['spec.criConfig.containerd.plugins[0].path'],
    ],
    [
      'N20: values that are no table',
      valid({ containerd: { plugins: [{ path: ['a'], values: [1] }] } }),
      ['spec.criConfig.containerd.plugins[0].values'],
    ],
    // Who may change an object is the API server's to say; each document is judged by itself.
    [
      'N22: another type while it is being deleted',
      { ...valid({ type: 'other' }), metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } },
      [],
    ],
    [
      'N24: other units, files and provider configuration',
      valid({ units: [], files: [], providerConfig: { a: 1 } }),
      [],
    ],
    ['X17: a path for a, b and b again', hosts('a', 'b', 'b'), ['spec.files[2].path']],
    ['X18: a relative path', files(inlineFile('etc/a', 'x')), ['spec.files[0].path']],
    ['X18: a path that leads upwards', files(inlineFile('/etc/../a', 'x')), ['spec.files[0].path']],
    ['X18: a unit in another folder', valid({ units: [{ name: 'a/foo.service' }] }), ['spec.units[0].name']],
  ] as readonly (readonly [string, Json, readonly string[]])[])
    it(id, async () => {
      const problems = await problemsOfOsc(document);
      assert.deepEqual(
        problems.map((problem) => problem.split(': ')[0]),
        paths,
      );
    });
});
