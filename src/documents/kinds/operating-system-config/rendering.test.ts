/** What becomes of an OperatingSystemConfig on a host: files, units, containerd. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'smol-toml';
import {
  fileIn,
  inlineFile,
  oscOf,
  problemsOfOsc,
  renderOsc,
  secretValue,
  textIn,
  unitIn,
  type Json,
} from '../../../../test/support/osc.ts';
import type { Facts } from '../../../model/facts.ts';
import { isSensitive, reveal } from '../../../model/resources.ts';
import { hasSeveralCniFolders } from './containerd.ts';

const pathsOf = async (document: Json, facts: Partial<Facts> = {}): Promise<string[]> =>
  [...(await renderOsc(document, facts)).resources.keys()].map((id) => id.replace('file:', ''));

describe('files', () => {
  for (const [what, hosts, hostName, expected] of [
    ['without a host are for all', [undefined, undefined, undefined], 'node-1', ['/0', '/1', '/2']],
    ['for a host are for it', ['node-1', 'node-2', undefined], 'node-1', ['/0', '/2']],
    ['for a host are for no other', ['node-1', 'node-2', 'node-3'], 'node-4', []],
    ['for a host are for it, however it writes its name', ['node-1', undefined, 'node-2'], 'NODE-1', ['/0', '/1']],
  ] as const)
    it(`${what}, be they the document’s or an extension’s`, async () => {
      const [one, two, three] = hosts.map((host, at) =>
        inlineFile(`/${at}`, 'x', host === undefined ? {} : { hostName: host }),
      );
      assert.deepEqual(
        await pathsOf(oscOf({ files: [one, two] }, { extensionFiles: [three] }), { hostName }),
        expected,
      );
    });

  it('of one path for several hosts have what their host gets', async () => {
    const files = ['node-1', 'node-2'].map((hostName) => inlineFile('/etc/a', hostName, { hostName }));
    assert.deepEqual(textIn(await renderOsc(oscOf({ files }), { hostName: 'node-2' }), '/etc/a'), ['node-2', '0600']);
  });

  for (const [what, about, content, expected] of [
    ['text', { permissions: 511 }, { inline: { data: 'file1' } }, ['file1', '0777']],
    ['base64, without permissions', {}, { inline: { encoding: 'b64', data: 'Zml\nsZTI=' } }, ['file2', '0600']],
    [
      'a key of a Secret',
      { permissions: 488 },
      { secretRef: { name: 'file9-secret', dataKey: 'content' } },
      ['file9', '0750'],
    ],
    [
      'text that is sent as it is',
      { permissions: 420 },
      { inline: { data: '<<TOKEN>>' }, transmitUnencoded: true },
      ['<<TOKEN>>', '0644'],
    ],
  ] as const)
    it(`hold ${what}, with exactly the mode asked for`, async () => {
      const secrets = new Map([['file9-secret', { content: secretValue('file9') }]]);
      const document = oscOf({}, { extensionFiles: [{ path: '/example/file', ...about, content }] });
      assert.deepEqual(textIn(await renderOsc(document, {}, secrets), '/example/file'), expected);
    });

  it('are secret where others cannot read them, and where they are out of a Secret', async () => {
    const secrets = new Map([['a', { key: secretValue('x') }]]);
    const state = await renderOsc(
      oscOf({
        files: [
          inlineFile('/open', 'x', { permissions: 0o644 }),
          inlineFile('/group', 'x', { permissions: 0o640 }),
          inlineFile('/default', 'x'),
          { path: '/secret', permissions: 0o644, content: { secretRef: { name: 'a', dataKey: 'key' } } },
        ],
      }),
      {},
      secrets,
    );
    const sensitive = ['/open', '/group', '/default', '/secret'].filter((path) =>
      JSON.stringify(fileIn(state, path).entry).includes('sensitive'),
    );
    assert.deepEqual(sensitive, ['/group', '/default', '/secret']);
  });

  it('out of Secrets that are not there are named', async () => {
    const refer = (name: string, dataKey: string): Json => ({
      path: `/${name}/${dataKey}`,
      content: { secretRef: { name, dataKey } },
    });
    await assert.rejects(
      renderOsc(
        oscOf({}, { extensionFiles: [refer('a', 'constructor'), refer('b', 'key')] }),
        {},
        new Map([['a', {}]]),
      ),
      (thrown: { problems: readonly { message: string; place: { path: string } }[] }) => {
        assert.deepEqual(
          thrown.problems.map(({ message, place }) => [place.path, message]),
          [
            ['status.extensionFiles[0].content.secretRef', 'the Secret a has no key constructor'],
            ['status.extensionFiles[1].content.secretRef', 'the Secret b cannot be read from here'],
          ],
        );
        return true;
      },
    );
  });

  it('out of images are for the host’s architecture, by mirrors that may be asked', async () => {
    const registries = [
      {
        upstream: 'registry.example',
        server: 'https://server.example',
        hosts: [
          { url: 'https://both.example', caCerts: ['ca.crt', '/etc/ssl/b.crt'] },
          { url: 'https://pull.example', capabilities: ['pull'], overridePath: true },
          { url: 'https://push.example', capabilities: ['push'] },
        ],
      },
    ];
    const image = (reference: string): Json => ({
      path: `/opt/bin/${reference.length}`,
      permissions: 493,
      content: { imageRef: { image: reference, filePathInImage: '/foo-file' } },
    });
    const [tag, digest] = ['registry.example/a:v1', `registry.example/a@sha256:${'0'.repeat(64)}`] as const;
    const criConfig = { name: 'containerd', containerd: { sandboxImage: 'pause', registries } };
    const state = await renderOsc(oscOf({ criConfig, files: [image(tag), image(digest)] }), {
      arch: { cpu: 'arm64', systemd: 'arm64' },
    });
    const both = {
      host: 'registry.example',
      url: 'https://both.example',
      caFiles: ['/etc/containerd/certs.d/registry.example/ca.crt', '/etc/ssl/b.crt'],
    };
    const server = { host: 'registry.example', url: 'https://server.example' };
    for (const [reference, mirrors] of [
      [tag, [both, server]],
      [digest, [both, { host: 'registry.example', url: 'https://pull.example', overridePath: true }, server]],
    ] as const) {
      const { entry } = fileIn(state, `/opt/bin/${reference.length}`);
      assert.deepEqual(entry, {
        type: 'file',
        content: {
          image: { reference, member: '/foo-file', architecture: 'arm64', transfer: { budgetMs: 300_000, mirrors } },
        },
        mode: '0755',
        uid: 0,
        gid: 0,
      });
    }
  });
});

describe('units', () => {
  it('are what all entries of their name say, in the document and in extensions', async () => {
    const state = await renderOsc(
      oscOf(
        {
          units: [
            {
              name: 'five.service',
              enable: true,
              command: 'start',
              content: 'one',
              dropIns: [
                { name: 'drop1', content: '1' },
                { name: 'drop2', content: '2' },
              ],
              filePaths: ['/a'],
            },
            { name: 'five.service', dropIns: [{ name: 'more', content: '3' }] },
          ],
          files: [inlineFile('/a', 'x'), inlineFile('/b', 'x', { hostName: 'elsewhere' })],
        },
        {
          extensionUnits: [
            {
              name: 'five.service',
              command: 'stop',
              content: 'two',
              dropIns: [{ name: 'drop1', content: '4' }],
              filePaths: ['/b', '/c', '/a'],
            },
          ],
          extensionFiles: [inlineFile('/c', 'x')],
        },
      ),
    );
    const { content, dropIns, enablement, state: wanted, inputs } = unitIn(state, 'five.service');
    assert.equal(reveal(content ?? ''), 'two');
    assert.deepEqual(
      dropIns.map((dropIn) => [dropIn.name, reveal(dropIn.content)]),
      [
        ['drop1', '4'],
        ['drop2', '2'],
        ['more', '3'],
      ],
    );
    assert.deepEqual([enablement, wanted, inputs], ['enabled', 'stopped', ['file:/a', 'file:/c']]);
    assert.deepEqual(state.warnings, [], 'files of other hosts are no inputs here, and nothing to remark');
  });

  for (const [said, enablement, state] of [
    [{}, 'enabled', 'started'],
    [{ enable: true }, 'enabled', 'started'],
    [{ enable: false }, 'disabled', 'stopped'],
    [{ command: 'start' }, 'enabled', 'started'],
    [{ command: 'restart' }, 'enabled', 'started'],
    [{ command: 'stop' }, 'enabled', 'stopped'],
    [{ enable: false, command: 'start' }, 'disabled', 'stopped'],
    [{ enable: true, command: 'stop' }, 'enabled', 'stopped'],
  ] as const)
    it(`with ${JSON.stringify(said)} are ${enablement} and ${state}`, async () => {
      const unit = unitIn(await renderOsc(oscOf({ units: [{ name: 'a.service', ...said }] })), 'a.service');
      assert.deepEqual(
        [unit.enablement, unit.state, unit.content, unit.onChange],
        [enablement, state, undefined, 'restart'],
      );
    });

  it('keep what later entries do not say', async () => {
    const state = await renderOsc(
      oscOf(
        { units: [{ name: 'a.service', enable: false, content: 'x' }] },
        { extensionUnits: [{ name: 'a.service' }] },
      ),
    );
    const { enablement, state: wanted, content = '' } = unitIn(state, 'a.service');
    assert.deepEqual([enablement, wanted, reveal(content)], ['disabled', 'stopped', 'x']);
  });

  it('without content are the system’s, and so are those with an empty one', async () => {
    const state = await renderOsc(oscOf({ units: [{ name: 'a.service', content: '' }] }));
    assert.equal(unitIn(state, 'a.service').content, undefined);
  });

  it('may hold secrets, which are not shown', async () => {
    const state = await renderOsc(
      oscOf({ units: [{ name: 'a.service', content: 'x', dropIns: [{ name: 'a.conf', content: 'y' }] }] }),
    );
    const { content = '', dropIns } = unitIn(state, 'a.service');
    assert.ok(isSensitive(content) && dropIns.every((dropIn) => isSensitive(dropIn.content)));
  });

  it('decide about the node where they are kubelet and containerd, with what those read', async () => {
    const image = { imageRef: { image: 'registry.example/a:v1', filePathInImage: '/x' } };
    const state = await renderOsc(
      oscOf({
        files: [{ path: '/kubelet', content: image }, { path: '/other', content: image }, inlineFile('/text', 'x')],
        units: [
          { name: 'kubelet.service', content: 'x', filePaths: ['/kubelet'] },
          { name: 'containerd.service' },
          { name: 'other.service', content: 'x', filePaths: ['/other'] },
        ],
      }),
    );
    const importances = Object.fromEntries([...state.resources].map(([id, { importance }]) => [id, importance]));
    assert.deepEqual(importances, {
      'file:/kubelet': 'required',
      'file:/other': 'bestEffort',
      'file:/text': 'required',
      'unit:containerd.service': 'required',
      'unit:kubelet.service': 'required',
      'unit:other.service': 'bestEffort',
    });
    assert.equal(state.goal, 'unit:kubelet.service');
    assert.deepEqual(unitIn(state, 'kubelet.service').readiness, {
      type: 'http',
      url: 'http://127.0.0.1:10248/healthz',
    });
    assert.equal((await renderOsc(oscOf({}))).goal, undefined);
  });

  it('of the agent that ours stands in for are stopped, and its programs are not fetched (B16)', async () => {
    const image = { imageRef: { image: 'registry.example/a:v1', filePathInImage: '/x' } };
    const state = await renderOsc(
      oscOf({
        files: [
          { path: '/opt/bin/gardener-node-agent', content: image },
          { path: '/opt/bin/shared', content: image },
          inlineFile('/var/lib/gardener-node-agent/cluster-ca.crt', 'x'),
        ],
        units: [
          {
            name: 'gardener-node-agent.service',
            enable: true,
            content: 'x',
            filePaths: [
              '/opt/bin/gardener-node-agent',
              '/opt/bin/shared',
              '/var/lib/gardener-node-agent/cluster-ca.crt',
            ],
          },
          { name: 'b.service', filePaths: ['/opt/bin/shared'] },
        ],
      }),
    );
    const { enablement, state: wanted, content } = unitIn(state, 'gardener-node-agent.service');
    assert.deepEqual([enablement, wanted, content], ['disabled', 'stopped', undefined]);
    assert.deepEqual(
      [...state.resources.keys()].filter((id) => id.startsWith('file:')),
      ['file:/opt/bin/shared', 'file:/var/lib/gardener-node-agent/cluster-ca.crt'],
    );
  });

  it('and all else take over what image or boot brought', async () => {
    const { resources } = await renderOsc(
      oscOf({
        criConfig: { name: 'containerd', containerd: { sandboxImage: 'pause' } },
        files: [inlineFile('/a', 'x')],
        units: [{ name: 'a.service' }],
      }),
    );
    assert.deepEqual(
      [...resources.values()].filter(({ takeover }) => takeover !== true),
      [],
    );
  });
});

// ── containerd ───────────────────────────────────────────────────────────────────────────────────────────────────

const [old, current, newest] = ['1.7.23', '2.1.2', '2.2.1'].map((containerdVersion) => ({ containerdVersion }));
const runcType = { runtime_type: 'io.containerd.runc.v2' };
const cri = (containerd: Json = {}, about: Json = { cgroupDriver: 'systemd' }): Json =>
  oscOf({ criConfig: { name: 'containerd', ...about, containerd: { sandboxImage: 'foo:1.23', ...containerd } } });

async function toml(document: Json, facts: Partial<Facts> = {}, path = '/etc/containerd/config.toml'): Promise<Json> {
  // Without the parser's maps, which have no prototype.
  return JSON.parse(JSON.stringify(parse(textIn(await renderOsc(document, facts), path)[0]))) as Json;
}

describe('containerd', () => {
  it('is left alone where the document configures no runtime', async () => {
    assert.deepEqual(await pathsOf(oscOf({})), []);
    assert.deepEqual(await pathsOf(oscOf({ criConfig: { name: 'containerd' } })), []);
  });

  it('gets its folders, its configuration, and a drop-in with the folder of runtimes before all others (B3)', async () => {
    const state = await renderOsc(cri());
    for (const path of ['/var/bin/containerruntimes', '/etc/containerd/conf.d', '/etc/containerd/certs.d'])
      assert.deepEqual(fileIn(state, path).entry, { type: 'directory', mode: '0755', uid: 0, gid: 0 });
    assert.equal(textIn(state, '/etc/containerd/config.toml')[1], '0644');
    const { dropIns, inputs, enablement, state: wanted, content } = unitIn(state, 'containerd.service');
    assert.deepEqual(
      [inputs, enablement, wanted, content],
      [['file:/etc/containerd/config.toml'], 'enabled', 'started', undefined],
    );
    assert.deepEqual(
      dropIns.map(({ name, content: text }) => [name, reveal(text)]),
      [
        [
          '30-env_config.conf',
          '[Service]\nEnvironment=PATH=/var/bin/containerruntimes:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
        ],
      ],
    );
  });

  it('keeps what the document says of its unit beside that', async () => {
    const document = cri();
    const state = await renderOsc({
      ...document,
      spec: {
        ...(document['spec'] as Json),
        files: [inlineFile('/etc/ca', 'x')],
        units: [
          { name: 'containerd.service', filePaths: ['/etc/ca'], dropIns: [{ name: 'extension.conf', content: 'x' }] },
        ],
      },
    });
    const { dropIns, inputs } = unitIn(state, 'containerd.service');
    assert.deepEqual(
      dropIns.map(({ name }) => name),
      ['30-env_config.conf', 'extension.conf'],
    );
    assert.deepEqual(inputs, ['file:/etc/containerd/config.toml', 'file:/etc/ca']);
  });

  it('is configured in the words of version 2 for containerd 1', async () => {
    assert.deepEqual(await toml(cri(), old), {
      version: 2,
      imports: ['/etc/containerd/conf.d/*.toml'],
      plugins: {
        'io.containerd.grpc.v1.cri': {
          cni: { bin_dir: '/opt/cni/bin' },
          containerd: { runtimes: { runc: { ...runcType, options: { SystemdCgroup: true } } } },
          registry: { config_path: '/etc/containerd/certs.d' },
          sandbox_image: 'foo:1.23',
        },
      },
    });
  });

  it('is configured in the words of version 3 for containerd 2, with several folders of CNI since 2.2', async () => {
    for (const [facts, cni] of [
      [current, { bin_dir: '/opt/cni/bin' }],
      [newest, { bin_dirs: ['/opt/cni/bin'] }],
    ] as const)
      assert.deepEqual(await toml(cri({}, { cgroupDriver: 'cgroupfs' }), facts), {
        version: 3,
        imports: ['/etc/containerd/conf.d/*.toml'],
        plugins: {
          'io.containerd.cri.v1.images': {
            pinned_images: { sandbox: 'foo:1.23' },
            registry: { config_path: '/etc/containerd/certs.d' },
          },
          'io.containerd.cri.v1.runtime': {
            cni,
            containerd: { runtimes: { runc: { ...runcType, options: { SystemdCgroup: false } } } },
          },
        },
      });
  });

  it('is told the type of a runtime that a plugin changes: it has no default for one that is named', async () => {
    const options = { BinaryName: '/usr/local/bin/runc' };
    const plugin = {
      path: ['io.containerd.grpc.v1.cri', 'containerd', 'runtimes', 'runc', 'options'],
      values: options,
    };
    const written = await toml(cri({ plugins: [plugin] }, {}), old);
    const { containerd } = (written['plugins'] as Record<string, Json>)['io.containerd.grpc.v1.cri'] as {
      containerd: Json;
    };
    assert.deepEqual(containerd, { runtimes: { runc: { ...runcType, options } } });
  });

  it('keeps its own cgroup driver where the document names none', async () => {
    assert.doesNotMatch(JSON.stringify(await toml(cri({}, {}), old)), /SystemdCgroup/);
  });

  for (const [version, has] of [
    ['1.7.23', false],
    ['1.7.23~ds2', false],
    ['2.1.9', false],
    ['2.2.0', true],
    ['2.3.0-foo+bar', true],
    ['2.3.0-foo+123.45', true],
    ['v10.0.1', true],
    [undefined, false],
  ] as const)
    it(`${version ?? 'of an unknown version'} has ${has ? 'several folders' : 'one folder'} of CNI`, () =>
      assert.equal(hasSeveralCniFolders(version), has));

  const runtime = {
    path: ['io.containerd.grpc.v1.cri', 'containerd', 'runtimes', 'foo'],
    values: { runtime_type: 'bar.123' },
  };
  it('gets runtimes where its version looks for them', async () => {
    const [two, three] = [
      await toml(cri({ plugins: [runtime] }), old),
      await toml(cri({ plugins: [runtime] }), current),
    ].map(({ plugins }) => plugins as Record<string, { containerd?: { runtimes: Json } } | undefined>);
    assert.deepEqual(two?.['io.containerd.grpc.v1.cri']?.containerd?.runtimes['foo'], { runtime_type: 'bar.123' });
    assert.equal(two?.['io.containerd.cri.v1.runtime'], undefined);
    assert.deepEqual(three?.['io.containerd.cri.v1.runtime']?.containerd?.runtimes['foo'], { runtime_type: 'bar.123' });
    assert.equal(three?.['io.containerd.grpc.v1.cri'], undefined);
  });

  const [server, images, runtimes] = ['grpc.v1.cri', 'cri.v1.images', 'cri.v1.runtime'].map(
    (part) => `io.containerd.${part}`,
  ) as [string, string, string];
  for (const [what, plugin, part, at, expected] of [
    ['streams', { path: [server], values: { stream_server_port: '1' } }, server, 'stream_server_port', '1'],
    ['images', { path: [server], values: { max_concurrent_downloads: 5 } }, images, 'max_concurrent_downloads', 5],
    ['decryption', { path: [server, 'image_decryption'], values: { a: 1 } }, images, 'image_decryption', { a: 1 }],
    [
      'the sandbox',
      { path: [server], values: { sandbox_image: 'a/b:1' } },
      images,
      'pinned_images',
      { sandbox: 'a/b:1' },
    ],
    ['snapshots', { path: [server, 'containerd'], values: { snapshotter: 'x' } }, images, 'snapshotter', 'x'],
    [
      'the default runtime',
      { path: [server], values: { containerd: { default_runtime_name: 'x', snapshotter: 'y' } } },
      runtimes,
      'containerd',
      { default_runtime_name: 'x', runtimes: { runc: { ...runcType, options: { SystemdCgroup: true } } } },
    ],
    ['the rest', { path: [server], values: { enable_cdi: true } }, runtimes, 'enable_cdi', true],
    ['nothing of registries', { op: 'remove', path: [server, 'registry'] }, images, 'registry', undefined],
    ['no runtime', { op: 'remove', path: [server, 'containerd'] }, runtimes, 'containerd', undefined],
    ['no snapshotter', { op: 'remove', path: [server, 'containerd', 'snapshotter'] }, images, 'snapshotter', undefined],
    ['no sandbox', { op: 'remove', path: [server, 'sandbox_image'] }, images, 'pinned_images', {}],
    ['nothing at all', { op: 'remove', path: [server] }, runtimes, 'cni', undefined],
    [
      'other plugins as they are',
      { path: [images, 'registry'], values: { x: 1 } },
      images,
      'registry',
      { config_path: '/etc/containerd/certs.d', x: 1 },
    ],
  ] as const)
    it(`is told of ${what} where its version looks for it`, async () => {
      const { plugins: all } = await toml(cri({ plugins: [plugin] }), current);
      assert.deepEqual((all as Record<string, Json>)[part]?.[at], expected);
    });

  for (const [what, plugins, expected] of [
    [
      'are merged into what is there, all the way down',
      [
        { path: ['foo', 'bar', 'foo.bar'], values: { someKey: 'someValue' } },
        { path: ['foo', 'bar'], values: { someKey2: 'someValue2' } },
        { op: 'add', path: ['foo'], values: { bar: { 'foo.bar': { third: 3 } } } },
      ],
      { foo: { bar: { someKey2: 'someValue2', 'foo.bar': { someKey: 'someValue', third: 3 } } } },
    ],
    ['make a table without values', [{ path: ['bar'] }], { bar: {} }],
    [
      'keep whole numbers whole',
      [{ path: ['a'], values: { n: 5, big: 1_099_511_627_776, f: 1.5, l: [1, 2], t: true } }],
      { a: { n: 5, big: 1_099_511_627_776, f: 1.5, l: [1, 2], t: true } },
    ],
    [
      'take tables away',
      [
        { path: ['a', 'b'], values: { c: 1 } },
        { path: ['a', 'd'], values: { e: 1 } },
        { op: 'remove', path: ['a', 'b'] },
      ],
      { a: { d: { e: 1 } } },
    ],
    [
      'take values away',
      [
        { path: ['a'], values: { b: 1, c: 2 } },
        { op: 'remove', path: ['a', 'b'] },
      ],
      { a: { c: 2 } },
    ],
    ['take away what is not there', [{ op: 'remove', path: ['a', 'b', 'c'] }], {}],
    [
      'in order: what comes after a removal stays',
      [
        { path: ['a'], values: { b: 1 } },
        { op: 'remove', path: ['a'] },
        { path: ['a'], values: { c: 1 } },
      ],
      { a: { c: 1 } },
    ],
  ] as const)
    it(`gets changes that ${what}`, async () => {
      const { plugins: all } = await toml(cri({ plugins }), old);
      const { 'io.containerd.grpc.v1.cri': _ours, ...others } = all as Json;
      assert.deepEqual(others, expected);
      const text = textIn(await renderOsc(cri({ plugins }), old), '/etc/containerd/config.toml')[0];
      assert.doesNotMatch(text, /\d\.0\b/, 'no whole number becomes a fraction');
    });

  it('loses what ours would have set when a change takes it away', async () => {
    const plugins = [{ op: 'remove', path: ['io.containerd.grpc.v1.cri', 'registry'] }];
    const { plugins: all } = await toml(cri({ plugins }), old);
    assert.deepEqual(Object.keys((all as Record<string, Json>)['io.containerd.grpc.v1.cri'] ?? {}).sort(), [
      'cni',
      'containerd',
      'sandbox_image',
    ]);
  });

  it('is not told of changes that lead through a value', async () => {
    const plugins = [
      { path: ['a'], values: { b: true } },
      { path: ['a', 'b', 'c'], values: { d: 1 } },
    ];
    assert.deepEqual(await problemsOfOsc(cri({ plugins })), [
      'spec.criConfig.containerd.plugins[1].path: leads through a.b, which is a value and no table',
    ]);
  });

  it('is sent to mirrors that are to be probed only once they answer, while nothing waits for that', async () => {
    const hosts = [{ url: 'https://in.cluster:5000', caCerts: ['ca.crt'] }, { url: 'http://10.0.0.1' }];
    const state = await renderOsc(
      cri({
        registries: [
          { upstream: 'a.example', hosts, readinessProbe: true },
          { upstream: 'b.example', hosts },
        ],
      }),
    );
    const [probed, other] = ['a', 'b'].map((name) =>
      fileIn(state, `/etc/containerd/certs.d/${name}.example/hosts.toml`),
    );
    assert.deepEqual(probed?.onceReachable?.servers, [
      { url: 'https://in.cluster:5000', caFiles: ['/etc/containerd/certs.d/a.example/ca.crt'] },
      { url: 'http://10.0.0.1' },
    ]);
    assert.deepEqual([probed?.deferrable, probed?.importance], [true, 'bestEffort']);
    assert.deepEqual([other?.onceReachable, other?.deferrable, other?.importance], [undefined, false, 'required']);
  });

  for (const [what, registry, expected] of [
    [
      'two hosts in order',
      {
        upstream: '_default',
        server: 'https://registry.hub.docker.com',
        hosts: [{ url: 'https://10.10.10.100:8080' }, { url: 'https://10.10.10.200:8080' }],
      },
      {
        server: 'https://registry.hub.docker.com',
        host: {
          'https://10.10.10.100:8080': { capabilities: ['pull', 'resolve'] },
          'https://10.10.10.200:8080': { capabilities: ['pull', 'resolve'] },
        },
      },
    ],
    [
      'what each may, whom it is trusted by, and where its API is',
      {
        upstream: 'a.example:5000',
        hosts: [
          { url: 'http://m:5000/v2/x', capabilities: ['pull'], caCerts: ['/etc/a.crt', 'b.crt'], overridePath: true },
        ],
      },
      { host: { 'http://m:5000/v2/x': { capabilities: ['pull'], ca: ['/etc/a.crt', 'b.crt'], override_path: true } } },
    ],
    ['a server alone', { upstream: 'b.example', server: 'https://c.example' }, { server: 'https://c.example' }],
  ] as const)
    it(`asks mirrors: ${what}`, async () => {
      const path = `/etc/containerd/certs.d/${registry.upstream}/hosts.toml`;
      const document = cri({ registries: [registry] });
      assert.deepEqual(await toml(document, {}, path), expected);
      const [text, mode] = textIn(await renderOsc(document), path);
      assert.equal(mode, '0644');
      const order = Object.keys((expected as { host?: Json }).host ?? {}).map((url) => text.indexOf(url));
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
    });
});
