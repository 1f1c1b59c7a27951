/** What somebody configured containerd with before us: what is kept of it in each version, and what is said. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'smol-toml';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { valueAt } from '../config/paths.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import { reveal } from '../model/resources.ts';
import { renderNode } from './render-node.ts';

const main = '/etc/containerd/config.toml';
const cri = 'io.containerd.grpc.v1.cri';
const runtimePart = 'io.containerd.cri.v1.runtime';
const nvidia = { runtime_type: 'io.containerd.runc.v2', options: { BinaryName: '/usr/bin/nvidia-container-runtime' } };
const runtimes = { containerd: { default_runtime_name: 'nvidia', runtimes: { nvidia } } };
const asked = { ...nvidia, options: { ...nvidia.options, SystemdCgroup: true } };

async function written(
  found: Facts['containerdConfiguration'],
  { version = '1.7.24', containerd = {} }: { version?: string | undefined; containerd?: object } = {},
) {
  const { containerdVersion: _example, ...rest } = exampleFacts;
  const facts = {
    ...rest,
    ...(version !== '' && { containerdVersion: version }),
    ...(found && { containerdConfiguration: found }),
  };
  const spec = { kubernetes: { version: '1.34.3' }, containerd };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
  const { resources, warnings } = renderNode(config, facts);
  const file = resources.get(`file:${main}`);
  assert.ok(file?.kind === 'file' && file.entry.type === 'file' && 'text' in file.entry.content);
  const { content, mode } = file.entry;
  const settings = JSON.parse(JSON.stringify(parse(reveal(content.text)))) as Record<string, unknown>;
  return {
    settings,
    mode,
    isSecret: typeof content.text === 'object',
    said: warnings.join('\n'),
  };
}

describe('another’s runtimes', () => {
  for (const [name, found, version, part] of [
    ['of version 2', { [main]: { version: 2, plugins: { [cri]: runtimes } } }, '1.7.24', cri],
    ['of version 1', { [main]: { plugins: { cri: runtimes } } }, '1.7.24', cri],
    ['of version 2, for containerd 2', { [main]: { version: 2, plugins: { [cri]: runtimes } } }, '2.1.0', runtimePart],
    ['of version 3', { [main]: { version: 3, plugins: { [runtimePart]: runtimes } } }, '2.1.0', runtimePart],
    [
      'of version 3, with an unknown containerd',
      { [main]: { version: 3, plugins: { [runtimePart]: runtimes } } },
      '',
      runtimePart,
    ],
    [
      'in an import',
      {
        [main]: { version: 2, imports: ['conf.d/*.toml'] },
        '/etc/containerd/conf.d/99-nvidia.toml': { version: 2, plugins: { [cri]: runtimes } },
      },
      '1.7.24',
      cri,
    ],
    [
      'in an import of containerd 2',
      {
        [main]: { version: 3, imports: ['conf.d/*.toml'] },
        '/etc/containerd/conf.d/99-nvidia.toml': { version: 3, plugins: { [runtimePart]: runtimes } },
      },
      '2.1.0',
      runtimePart,
    ],
  ] as const)
    it(`stay, and serve kubelet’s driver: ${name}`, async () => {
      const { settings, said } = await written(found, { version });
      const table = ['plugins', part, 'containerd'];
      assert.deepEqual(valueAt(settings, [...table, 'runtimes', 'nvidia']), asked);
      assert.equal(valueAt(settings, [...table, 'default_runtime_name']), 'nvidia');
      assert.deepEqual(valueAt(settings, [...table, 'runtimes', 'runc', 'options']), { SystemdCgroup: true });
      assert.equal(settings['imports'], undefined, 'an import would come after ours');
      assert.equal(said, '');
    });
});

describe('what somebody configured', () => {
  const ofCri = (table: object): Facts['containerdConfiguration'] => ({
    [main]: { version: 2, plugins: { [cri]: table } },
  });
  for (const [name, found, words] of [
    [
      'and ours has otherwise',
      ofCri({ containerd: { runtimes: { runc: { options: { SystemdCgroup: false } } } } }),
      'SystemdCgroup',
    ],
    ['that switches the CRI plugin off', { [main]: { disabled_plugins: ['cri'] } }, 'switches the CRI plugin off'],
    ['that listens elsewhere', { [main]: { version: 2, grpc: { address: '/run/k3s.sock' } } }, '/run/k3s.sock'],
    [
      'with mirrors of its own',
      ofCri({ registry: { mirrors: { 'docker.io': { endpoint: ['https://m'] } } } }),
      'mirrors of docker.io',
    ],
    [
      'with certificates of a registry',
      ofCri({ registry: { configs: { a: { tls: { ca_file: '/a' } } } } }),
      'certificates for a',
    ],
    ['for a newer containerd', { [main]: { version: 3 } }, 'of version 3'],
    ['and nobody can read', { [main]: 'bad value' }, 'cannot be read: bad value'],
    ['as Debian does', ofCri({ cni: { bin_dir: '/usr/lib/cni', conf_dir: '/etc/cni/net.d' } }), ''],
  ] as const)
    it(`is named: ${name}`, async () => {
      const { settings, said } = await written(found);
      assert.ok(words === '' ? said === '' : said.includes(words), said);
      assert.ok(!JSON.stringify(settings).match(/k3s|"mirrors"|"tls"|disabled_plugins":\["cri/));
    });

  it('is below the document’s word', async () => {
    const containerd = {
      configuration: { oom_score: -1, plugins: { [cri]: { containerd: { runtimes: { nvidia: null } } } } },
    };
    const { settings } = await written(
      { [main]: { version: 2, oom_score: 5, root: '/data', plugins: { [cri]: runtimes } } },
      { containerd },
    );
    assert.deepEqual([settings['oom_score'], settings['root']], [-1, '/data']);
    assert.equal(valueAt(settings, ['plugins', cri, 'containerd', 'runtimes', 'nvidia']), undefined);
  });

  it('keeps its credentials, for root alone', async () => {
    const auth = { username: 'u', password: { sensitive: 'geheim' } };
    const { settings, mode, isSecret } = await written(ofCri({ registry: { configs: { a: { auth } } } }));
    assert.equal(valueAt(settings, ['plugins', cri, 'registry', 'configs', 'a', 'auth', 'password']), 'geheim');
    assert.deepEqual([mode, isSecret], ['0600', true]);
  });
});
