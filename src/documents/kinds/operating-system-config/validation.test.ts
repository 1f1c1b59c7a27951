/** What is refused of an OperatingSystemConfig, and what is only remarked: each problem with its path and place. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { askOsc, inlineFile, oscOf, problemsOfOsc, renderOsc, type Json } from '../../../../test/support/osc.ts';
import { occurrences, withValue } from '../../../../test/support/schema-fields.ts';
import { formatPath } from '../../../config/paths.ts';
import { checkDocuments } from '../../check.ts';
import { operatingSystemConfigSchema } from './schema.ts';

const registry = {
  upstream: 'docker.io',
  server: 'https://registry-1.docker.io',
  hosts: [{ url: 'https://mirror.example:5000', capabilities: ['pull', 'resolve'] }],
};

/** A document in which nothing is wrong, over parts of it. */
function valid({
  spec = {},
  containerd = {},
  criConfig = {},
  status,
}: { [Key in 'spec' | 'containerd' | 'criConfig' | 'status']?: Json } = {}): Json {
  return oscOf(
    {
      type: 'provider',
      purpose: 'reconcile',
      criConfig: {
        name: 'containerd',
        cgroupDriver: 'systemd',
        containerd: {
          sandboxImage: 'registry.k8s.io/pause:3.10',
          registries: [registry],
          plugins: [{ path: ['io.containerd.grpc.v1.cri'], values: { a: 1 } }],
          ...containerd,
        },
        ...criConfig,
      },
      units: [
        {
          name: 'foo.service',
          content: '[Unit]',
          dropIns: [{ name: 'a.conf', content: 'x' }],
          filePaths: ['/foo-bar'],
        },
      ],
      files: [
        { path: '/foo/bar', content: { inline: { encoding: 'b64', data: 'Zm9v' } } },
        { path: '/foo-bar', content: { imageRef: { image: 'registry.example/foo:v1', filePathInImage: '/foo' } } },
      ],
      ...spec,
    },
    status,
  );
}

const files = (...list: readonly Json[]): Json => valid({ spec: { units: [], files: list } });
const units = (...list: readonly Json[]): Json => valid({ spec: { units: list } });
const on = (...hosts: readonly (string | undefined)[]): Json =>
  files(...hosts.map((hostName) => inlineFile('/etc/a', 'x', hostName === undefined ? {} : { hostName })));

test('no text takes what could end its line', async () => {
  const document = valid({
    spec: { inPlaceUpdates: { operatingSystemVersion: '1.2.3', kubelet: '1.34.3' } },
    status: { inPlaceUpdates: { osUpdate: { command: '/a', args: ['b'] } } },
  });
  const takes: readonly (readonly [field: RegExp, characters: string])[] = [
    [/\.inline\.data$/, '\t\n\r\v\f\0\u001b\u0085'],
    [/^spec\.units\.\*\.(?:dropIns\.\*\.)?content$/, '\t\n\u001b\u0085'],
    [/^spec\.type$|\.args\.\*$/, '\t\n'],
  ];
  for (const { at, field, value } of occurrences(operatingSystemConfigSchema, document)) {
    if (typeof value !== 'string' || field.schema._zod.def.type !== 'string') continue;
    const allowed = takes.find(([pattern]) => pattern.test(field.path.join('.')))?.[1] ?? '';
    for (const character of ['\t', '\n', '\r', '\v', '\f', '\0', '\u001b', '\u0085']) {
      if (allowed.includes(character)) continue;
      const changed = `${value.slice(0, 1)}${character}${value.slice(1)}`;
      const problems = await problemsOfOsc(withValue(document, at, changed) as Json);
      assert.ok(
        problems.some((problem) => problem.startsWith(`${formatPath(at)}: `)),
        `${JSON.stringify(changed)} at ${formatPath(at)}: ${problems.join('; ')}`,
      );
    }
  }
});

describe('a document', () => {
  for (const [what, document] of [
    ['that is complete', valid()],
    ['without any parts', oscOf({})],
    ['as it stands in a Secret, with an empty purpose and type', oscOf({ purpose: '', type: '' })],
    ['with a file for each of two hosts', on('node-1', 'node-2')],
    [
      'for user data without a runtime',
      valid({ spec: { purpose: 'provision', files: [], units: [] }, criConfig: { containerd: undefined } }),
    ],
    ['with a registry with a port', valid({ containerd: { registries: [{ ...registry, upstream: 'foo.bar:5001' }] } })],
    ['with mirrors for all registries', valid({ containerd: { registries: [{ ...registry, upstream: '_default' }] } })],
    ['with a changed provider configuration', valid({ spec: { providerConfig: { any: ['thing'] } } })],
    ['with nulls where nothing is', valid({ spec: { inPlaceUpdates: null, providerConfig: null } })],
  ] as const)
    it(`${what} is valid`, async () => assert.deepEqual(await problemsOfOsc(document), []));

  for (const [what, document, problems] of [
    [
      'of another purpose',
      oscOf({ purpose: 'foo' }),
      ['spec.purpose: purpose must be "reconcile", "provision" or "", is the string "foo"'],
    ],
    ['without a spec', { ...oscOf({}), spec: undefined }, ['spec: spec is missing: it must be a map']],
    [
      'with files that are incomplete, contradict themselves or come twice',
      files(
        {},
        { path: '/path1', content: { secretRef: { name: 'a', dataKey: 'b' }, inline: { data: 'x' } } },
        { path: '/path2', content: { secretRef: {} } },
        { path: '/path3', content: { inline: { encoding: 'foo' } } },
        { path: '/path3', content: { inline: { data: 'x' } } },
        { path: '/path4', content: {} },
        { path: '/path5', content: { imageRef: {} } },
      ),
      [
        'spec.files[0].path: path is missing: it must be an absolute path without "." and ".." parts, like "/etc/motd"',
        'spec.files[0].content: content is missing: it must be a map',
        'spec.files[1].content: content has both inline and secretRef',
        'spec.files[2].content.secretRef.name: name is missing: it must be the name of a Secret',
        'spec.files[2].content.secretRef.dataKey: dataKey is missing: it must be a string',
        'spec.files[3].content.inline.data: data is missing: it must be a string that is not empty',
        'spec.files[3].content.inline.encoding: encoding must be "" or "b64", is the string "foo"',
        'spec.files[4].path: path names "/path3" a second time; only files for different hosts share a path',
        'spec.files[5].content: content must have one of inline, secretRef, imageRef',
        'spec.files[6].content.imageRef.image: image is missing: it must be the reference of an image with its registry and a tag or digest, like "registry.example/team/kubelet:v1.34.3"',
        'spec.files[6].content.imageRef.filePathInImage: filePathInImage is missing: it must be the path of a file inside the image without ".." parts, like "/usr/bin/kubelet"',
      ],
    ],
    [
      'with one file of its own and of an extension',
      valid({ status: { extensionFiles: [inlineFile('/foo/bar', 'x')] } }),
      [
        'status.extensionFiles[0].path: path names "/foo/bar" a second time; only files for different hosts share a path',
      ],
    ],
    [
      'with a file for all hosts and one for one',
      on(undefined, 'node-1'),
      ['spec.files[1].path: path names "/etc/a" a second time; only files for different hosts share a path'],
    ],
    [
      'with files for a, b and b again',
      on('a', 'b', 'b'),
      ['spec.files[2].path: path names "/etc/a" a second time; only files for different hosts share a path'],
    ],
    [
      'with a host name in upper case',
      on('Node-1'),
      [
        'spec.files[0].hostName: hostName must be the name of a host in lower case, like "node-1", is the string "Node-1"',
      ],
    ],
    ...(['etc/a', '/etc/../a', '/etc/./a', '/etc//a', '/etc/a\nb', ''] as const).map(
      (path) =>
        [
          `with a file at ${JSON.stringify(path)}`,
          files(inlineFile(path, 'x')),
          [
            path === ''
              ? 'spec.files[0].path: path must be an absolute path without "." and ".." parts, like "/etc/motd", is an empty string'
              : `spec.files[0].path: path must be an absolute path without "." and ".." parts, like "/etc/motd", is the string "${path.replace('\n', ' ')}"`,
          ],
        ] as const,
    ),
    [
      'with a file that is a folder',
      files(inlineFile('/etc/a/', 'x')),
      ['spec.files[0].path: path must be the path of a file, without a slash at its end, is the string "/etc/a/"'],
    ],
    [
      'with a path that no file system has',
      files(inlineFile(`/${'a'.repeat(256)}`, 'x')),
      ['spec.files[0].path: path must be a path of at most 4095 characters, with names of at most 255'],
    ],
    [
      'with a file below a file',
      files(inlineFile('/etc/a', 'x'), inlineFile('/etc/a/b/c', 'x')),
      ['spec.files[1].path: path lies below "/etc/a", which is a file here'],
    ],
    [
      'with impossible permissions',
      files(inlineFile('/etc/a', 'x', { permissions: 4096 }), inlineFile('/etc/b', 'x', { permissions: '0644' })),
      [
        'spec.files[0].permissions: permissions must be mode bits as a decimal number from 0 to 4095, is the number 4096',
        'spec.files[1].permissions: permissions must be a whole number, is the string "0644"',
      ],
    ],
    [
      'with what is no base64',
      files({ path: '/etc/a', content: { inline: { encoding: 'b64', data: 'hunter2!' } } }),
      ['spec.files[0].content.inline.data: data must be base64'],
    ],
    [
      'with references of images that are none, and paths that lead out of them',
      files(
        { path: '/a', content: { imageRef: { image: 'nginx', filePathInImage: '/a' } } },
        { path: '/b', content: { imageRef: { image: 'registry.example/a:v1', filePathInImage: '/a/../../b' } } },
      ),
      [
        'spec.files[0].content.imageRef.image: image must be the reference of an image with its registry and a tag or digest, like "registry.example/team/kubelet:v1.34.3", is the string "nginx"',
        'spec.files[1].content.imageRef.filePathInImage: filePathInImage must be the path of a file inside the image without ".." parts, like "/usr/bin/kubelet", is the string "/a/../../b"',
      ],
    ],
    ...(
      [
        ['foo', 'foo'],
        ['../foo.service', '../foo.service'],
        ['a/foo.service', 'a/foo.service'],
        ['foo.service\nbar.service', 'foo.service bar.service'],
        ['', undefined],
      ] as const
    ).map(
      ([name, shown]) =>
        [
          `with a unit called ${JSON.stringify(name)}`,
          units({ name }),
          [
            `spec.units[0].name: name must be the name of a systemd unit with its type, like "kubelet.service", is ${shown === undefined ? 'an empty string' : `the string "${shown}"`}`,
          ],
        ] as const,
    ),
    [
      'with a unit whose name is too long',
      units({ name: `${'a'.repeat(256)}.service` }),
      ['spec.units[0].name: name must have at most 255 characters'],
    ],
    [
      'with drop-ins that lead elsewhere or hold nothing',
      units({ name: 'a.service', dropIns: [{ name: '../b.conf', content: 'x' }, { name: 'c.conf', content: '' }, {}] }),
      [
        'spec.units[0].dropIns[0].name: name must be a file name like "10-limits.conf", is the string "../b.conf"',
        'spec.units[0].dropIns[1].content: content must be a string that is not empty',
        'spec.units[0].dropIns[2].name: name is missing: it must be a file name like "10-limits.conf"',
        'spec.units[0].dropIns[2].content: content is missing: it must be a string that is not empty',
      ],
    ],
    [
      'with a command that is none',
      units({ name: 'a.service', command: 'reload' }),
      ['spec.units[0].command: command must be "start", "restart" or "stop", is the string "reload"'],
    ],
    [
      'with a unit that names a file that is not there',
      units({ name: 'a.service', filePaths: ['/foo-baz'] }),
      [
        'spec.units[0].filePaths[0]: filePaths[0] names "/foo-baz", which is no file of this document; did you mean "/foo-bar"?',
      ],
    ],
    [
      'with a file where it has a unit',
      valid({
        spec: {
          units: [{ name: 'a.service', content: 'x' }],
          files: [inlineFile('/etc/systemd/system/a.service', 'y')],
        },
      }),
      ['spec.files[0].path: path is written from a unit of this document'],
    ],
    [
      'with a file where it configures containerd',
      files(inlineFile('/etc/containerd/config.toml', 'x')),
      ['spec.files[0].path: path is written from spec.criConfig of this document'],
    ],
    [
      'for user data with a runtime to configure, and files of images',
      valid({ spec: { purpose: 'provision' } }),
      [
        'spec.criConfig.containerd: containerd cannot stand in a document of purpose provision',
        'spec.files[1].content.imageRef: imageRef cannot stand in a document of purpose provision',
      ],
    ],
    [
      'of another runtime',
      valid({ criConfig: { name: 'cri-o' } }),
      ['spec.criConfig.name: name must be "containerd", is the string "cri-o"'],
    ],
    [
      'with another cgroup driver',
      valid({ criConfig: { cgroupDriver: 'foo' } }),
      ['spec.criConfig.cgroupDriver: cgroupDriver must be "cgroupfs" or "systemd", is the string "foo"'],
    ],
    [
      'with one registry twice',
      valid({ containerd: { registries: [registry, registry] } }),
      ['spec.criConfig.containerd.registries[1].upstream: upstream names "docker.io" a second time in this list'],
    ],
    ...(['foo.bar:abc', 'foo.bar:0', 'foo.bar:70000', 'Foo', 'a/b', '../x'] as const).map(
      (upstream) =>
        [
          `with the registry ${upstream}`,
          valid({ containerd: { registries: [{ upstream }] } }),
          [
            `spec.criConfig.containerd.registries[0].upstream: upstream must be a host with an optional port like "registry.example:5000", or "_default", is the string "${upstream}"`,
          ],
        ] as const,
    ),
    [
      'with addresses that are none',
      valid({ containerd: { registries: [{ upstream: 'a.b', server: 'ftp://a', hosts: [{ url: 'mirror' }] }] } }),
      [
        'spec.criConfig.containerd.registries[0].server: server must be a URL like "https://example.org/path", is the string "ftp://a"',
        'spec.criConfig.containerd.registries[0].hosts[0].url: url must be a URL like "https://example.org/path", is the string "mirror"',
      ],
    ],
    [
      'with a capability that is none',
      valid({
        containerd: { registries: [{ upstream: 'a.b', hosts: [{ url: 'https://a', capabilities: ['foo'] }] }] },
      }),
      [
        'spec.criConfig.containerd.registries[0].hosts[0].capabilities[0]: capabilities[0] must be "pull", "resolve" or "push", is the string "foo"',
      ],
    ],
    [
      'without a sandbox image',
      valid({ containerd: { sandboxImage: '' } }),
      ['spec.criConfig.containerd.sandboxImage: sandboxImage must be a string that is not empty, is an empty string'],
    ],
    [
      'with changes of containerd that change nothing, or nothing possible',
      valid({
        containerd: {
          plugins: [
            { path: [] },
            { path: ['a'], values: [1] },
            { path: ['a'], op: 'replace' },
            { path: ['a'], op: 'remove', values: {} },
          ],
        },
      }),
      [
        'spec.criConfig.containerd.plugins[0].path: path must name at least one table',
        'spec.criConfig.containerd.plugins[1].values: values must be a map, is a list',
        'spec.criConfig.containerd.plugins[2].op: op must be "add" or "remove", is the string "replace"',
        'spec.criConfig.containerd.plugins[3].values: values cannot stand beside op: remove',
      ],
    ],
    [
      'with a change of containerd below a value',
      valid({
        containerd: {
          plugins: [
            { path: ['io.containerd.grpc.v1.cri'], values: { a: true } },
            { path: ['io.containerd.grpc.v1.cri', 'a', 'b'] },
          ],
        },
      }),
      [
        'spec.criConfig.containerd.plugins[1].path: leads through io.containerd.grpc.v1.cri.a, which is a value and no table',
      ],
    ],
  ] as readonly (readonly [string, Json, readonly string[]])[])
    it(`${what} is refused`, async () => assert.deepEqual(await problemsOfOsc(document), problems));

  it('is refused with static pods that are none, and not with what kubelet does not read (B30)', async () => {
    const folder = '/etc/kubernetes/manifests';
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'foo' } };
    const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
    const problems = await problemsOfOsc(
      oscOf(
        {
          files: [
            inlineFile(`${folder}/a.yaml`, '{'),
            inlineFile(`${folder}/b.yaml`, 'apiVersion: v1\nkind: ConfigMap\n'),
            inlineFile(`${folder}/c.yaml`, JSON.stringify(pod)),
            inlineFile(`${folder}/.d.yaml`, '{'),
            inlineFile(`${folder}/below/e.yaml`, '{'),
          ],
        },
        {
          extensionFiles: [
            {
              path: `${folder}/f.yaml`,
              content: { inline: { encoding: 'b64', data: encoded({ ...pod, metadata: {} }) } },
            },
          ],
        },
      ),
    );
    assert.deepEqual(problems, [
      'spec.files[0].content: content is the manifest of a static pod, and no well-formed YAML or JSON',
      'spec.files[1].content: content is the manifest of a static pod, and no Pod of v1',
      'status.extensionFiles[0].content: content is a Pod without metadata.name',
    ]);
  });

  it('is refused with all that is wrong at once, also what is only wrong together', async () => {
    const problems = await problemsOfOsc(
      valid({
        spec: { purpose: 'foo', units: [{ name: 'a.service', filePaths: ['/none'] }], files: [inlineFile('b', 'x')] },
      }),
    );
    assert.equal(problems.length, 3);
  });

  it('is refused without a word of what its files and units hold', async () => {
    const secret = 'hunter2';
    const document = oscOf({
      files: [{ path: '/a', content: { inline: { encoding: 'b64', data: [secret] } } }, inlineFile('b', secret)],
      units: [{ name: 'a.service', content: { secret }, dropIns: [{ name: 'a', content: [secret] }] }],
    });
    assert.doesNotMatch(JSON.stringify(await problemsOfOsc(document)), /hunter2/);
  });

  it('that is a bomb is refused', async () => {
    const bomb = [
      'a: &a0 [x]',
      ...Array.from({ length: 20 }, (_, at) => `a${at}: &a${at + 1} [*a${at}, *a${at}]`),
    ].join('\n');
    const [first] = await problemsOfOsc(
      `apiVersion: extensions.gardener.cloud/v1alpha1\nkind: OperatingSystemConfig\n${bomb}\n`,
    );
    assert.match(first ?? '', /alias/i);
  });
});

describe('a remark', () => {
  it('names each key that nobody knows, and the rest is applied', async () => {
    const { warnings, resources } = await renderOsc(
      `apiVersion: extensions.gardener.cloud/v1alpha1
kind: OperatingSystemConfig
spec:
  reloadConfigFilePath: /x
  units:
  - name: a.service
    enabel: false
    content: x
status:
  command: /bin/x
`,
    );
    assert.deepEqual(
      warnings.map((warning) => warning.replace(/known here: .*; it/, '…; it')),
      [
        'osc.yaml:4:3: spec.reloadConfigFilePath: unknown key "reloadConfigFilePath"; …; it is passed over',
        'osc.yaml:7:5: spec.units[0].enabel: unknown key "enabel"; did you mean "enable"?; it is passed over',
        'osc.yaml:10:3: status.command: unknown key "command"; …; it is passed over',
      ],
    );
    assert.deepEqual([...resources.keys()], ['unit:a.service']);
  });

  it('names permissions that were written in octal', async () => {
    const { warnings } = await renderOsc(files(inlineFile('/etc/a', 'x', { permissions: 644 })));
    assert.match(warnings.join('\n'), /permissions 644 are 1204 in octal; they are written in decimal$/);
  });

  it('cannot tell what an update in place disturbs without the settings of kubelet', async () => {
    const inPlaceUpdates = {
      operatingSystemVersion: '1.2.3',
      kubelet: '1.34.1',
      credentialsRotation: {
        certificateAuthorities: { lastInitiationTime: '2026-01-01T00:00:00Z' },
        serviceAccountKey: {},
      },
    };
    const osUpdate = { command: '/opt/update', args: ['--to'] };
    const status = { inPlaceUpdates: { osUpdate } };
    await assert.rejects(
      renderOsc(oscOf({ inPlaceUpdates }, status)),
      /inPlaceUpdates|not a valid OperatingSystemConfig/,
    );
    const kubelet = inlineFile(
      '/var/lib/kubelet/config/kubelet',
      'cpuManagerPolicy: static\nkubeReserved: {cpu: 100m}\n',
    );
    const { inPlace } = await askOsc(oscOf({ inPlaceUpdates, files: [kubelet] }, status));
    assert.deepEqual(inPlace, {
      drain: true,
      operatingSystem: { version: '1.2.3', command: ['/opt/update', '--to'] },
      kubelet: { version: '1.34.1', cpuManagerPolicy: 'static', reservations: { 'kubeReserved.cpu': '100m' } },
      credentials: { certificateAuthorities: '2026-01-01T00:00:00Z' },
    });
  });
});

describe('checking documents', () => {
  it('takes each OperatingSystemConfig by itself, beside documents of ours', async () => {
    const node = {
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'NodeConfig',
      spec: { kubernetes: { version: '1.34.3' } },
    };
    const texts = [oscOf({ strange: 1 }), node, oscOf({ purpose: 'foo' }), { ...node, spec: { kubernets: 1 } }].map(
      (document, at) => ({ file: `${at}.json`, text: JSON.stringify(document) }),
    );
    const { problems, warnings } = await checkDocuments(texts);
    assert.deepEqual(
      problems.map(({ place }) => [place?.file, place?.path]),
      [
        ['2.json', 'spec.purpose'],
        ['3.json', 'spec.kubernets'],
      ],
    );
    assert.match(warnings.join(), /^0\.json:1:\d+: spec\.strange: /);
  });

  const agentUnit = 'gardener-node-agent.service';
  const agentProgram = {
    path: '/opt/bin/agent',
    content: { imageRef: { image: 'a.example/b:1', filePathInImage: '/c' } },
  };
  for (const [what, document, said] of [
    ['nothing of a document without anything of the kind', oscOf({}), []],
    ['nothing of a file that it holds', files({ path: '/a', content: { inline: { data: 'b' } } }), []],
    [
      'nothing of units that stay',
      oscOf({ units: [{ name: 'a.service', content: '[Service]\nExecStart=/bin/a\n' }] }),
      [],
    ],
    [
      'each Secret that it names',
      files(
        { path: '/a', content: { secretRef: { name: 'a', dataKey: 'b' } } },
        { path: '/c', content: { secretRef: { name: 'c', dataKey: 'd' } } },
      ),
      [/the Secret a .* key b /, /the Secret c .* key d /],
    ],
    [
      'a unit that is replaced',
      oscOf({ units: [{ name: agentUnit, content: '[Service]\nExecStart=/opt/bin/agent\n' }] }),
      [/gardener-node-agent\.service is stopped and disabled: nodekiln takes its place/],
    ],
    [
      'its program, too',
      oscOf({ files: [agentProgram], units: [{ name: agentUnit, filePaths: ['/opt/bin/agent'] }] }),
      [/\/opt\/bin\/agent is not fetched/, /is stopped and disabled/],
    ],
  ] as const)
    it(`notes ${what}`, async () => {
      const { problems, warnings, notes } = await checkDocuments([
        { file: 'osc.json', text: JSON.stringify(document) },
      ]);
      assert.deepEqual([problems, warnings], [[], []]);
      assert.equal(notes.length, said.length, notes.join('\n'));
      for (const [at, pattern] of said.entries()) assert.match(notes[at] ?? '', pattern);
    });

  it('does not ask for Secrets that only their source can read', async () => {
    const document = files({ path: '/a', content: { secretRef: { name: 'a', dataKey: 'b' } } });
    const { problems, notes } = await checkDocuments([{ file: 'osc.json', text: JSON.stringify(document) }]);
    assert.deepEqual(problems, []);
    assert.match(
      notes.join(),
      /^osc\.json:1:\d+: the Secret a is known only to the agent: .* the key b was not checked$/,
    );
    assert.deepEqual(await problemsOfOsc(document), [
      'spec.files[0].content.secretRef: the Secret a cannot be read from here',
    ]);
  });
});
