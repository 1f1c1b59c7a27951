/** Settings for another containerd than the one that is there: what is said of them before it passes them over, or ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts } from '../model/facts.ts';
import { foreignSettings } from './containerd-words.ts';
import { renderNode } from './render-node.ts';

const cri = 'io.containerd.grpc.v1.cri';
const images = 'io.containerd.cri.v1.images';
const runtime = 'io.containerd.cri.v1.runtime';

function said(plugin: string, table: object, containerdVersion: string): string[] {
  const told = foreignSettings({ plugins: { [plugin]: table } }, { ...exampleFacts, containerdVersion });
  return told.map(({ path, message }) => `${path.slice(2).join('.')}: ${message}`);
}

describe('a setting in words of another version', () => {
  for (const [plugin, table, containerd, where, words] of [
    [runtime, { sandbox_image: 'a' }, '2.1.0', 'sandbox_image', `pinned_images.sandbox of ${images}`],
    [images, { sandbox_image: 'a' }, '2.1.0', 'sandbox_image', 'it is pinned_images.sandbox'],
    [runtime, { registry: {} }, '2.1.0', 'registry', `it is in ${images}`],
    [runtime, { pinned_images: {} }, '2.1.0', 'pinned_images', `it is in ${images}`],
    [runtime, { max_concurrent_downloads: 1 }, '2.1.0', 'max_concurrent_downloads', `it is in ${images}`],
    [runtime, { stream_server_port: '0' }, '2.1.0', 'stream_server_port', `it is in ${cri}`],
    [runtime, { containerd: { snapshotter: 'native' } }, '2.1.0', 'containerd.snapshotter', `it is in ${images}`],
    [runtime, { containerd: { default_runtime: {} } }, '2.1.0', 'containerd.default_runtime', 'in its table runtimes'],
    [runtime, { systemd_cgroup: true }, '2.1.0', 'systemd_cgroup', 'no part of it has such a setting any more'],
    [
      runtime,
      { containerd: { runtimes: { a: { sandbox_mode: 'podsandbox' } } } },
      '2.1.0',
      'containerd.runtimes.a.sandbox_mode',
      'it is sandboxer',
    ],
    [images, { containerd: {} }, '2.1.0', 'containerd', `it is in ${runtime}`],
    [images, { cni: {} }, '2.1.0', 'cni', `it is in ${runtime}`],
    [cri, { pinned_images: {} }, '1.7.24', 'pinned_images', 'it is sandbox_image'],
    [cri, { snapshotter: 'native' }, '1.7.24', 'snapshotter', 'in its table containerd'],
    [cri, { cni: { bin_dirs: [] } }, '1.6.20', 'cni.bin_dirs', 'it is bin_dir'],
    [
      cri,
      { containerd: { runtimes: { a: { sandboxer: 'shim' } } } },
      '1.7.24',
      'containerd.runtimes.a.sandboxer',
      'it is sandbox_mode',
    ],
    ['cri', { sandbox_image: 'a' }, '1.7.24', '', `version 1’s name of a plugin`],
    ['cri', { sandbox_image: 'a' }, '2.1.0', '', `version 1’s name of a plugin`],
    [cri, { enable_selinux: true, stream_server_port: '0' }, '2.1.0', '', 'belongs to version 2'],
    [cri, {}, '2.1.0', '', 'belongs to version 2'],
  ] as const)
    it(`is named, with what to write instead: ${plugin} ${JSON.stringify(table)} for ${containerd}`, () => {
      const told = said(plugin, table, containerd);
      assert.equal(told.length, 1, told.join('\n'));
      assert.ok(told[0]?.startsWith(`${where}: `) && told[0].includes(words), told[0]);
    });

  for (const [plugin, table, containerd] of [
    [cri, { stream_server_port: '0', enable_tls_streaming: true }, '2.1.0'],
    [
      cri,
      { sandbox_image: 'a', containerd: { snapshotter: 'native', runtimes: { a: { sandbox_mode: '' } } } },
      '1.7.24',
    ],
    [
      runtime,
      { cni: { bin_dir: '/a', bin_dirs: ['/a'] }, containerd: { runtimes: { a: { sandboxer: '' } } } },
      '2.1.0',
    ],
    [images, { snapshotter: 'native', pinned_images: { sandbox: 'a' }, registry: {} }, '2.1.0'],
    ['io.containerd.snapshotter.v1.devmapper', { sandbox_image: 1 }, '2.1.0'],
  ] as const)
    it(`is none of these: ${plugin} ${JSON.stringify(table)} for ${containerd}`, () =>
      assert.deepEqual(said(plugin, table, containerd), []));
});

describe('mirrors that a document has in containerd’s own words', () => {
  const check = async (plugin: string, registry: object, containerdVersion: string): Promise<string> => {
    const configuration = { plugins: { [plugin]: { registry } } };
    const spec = { kubernetes: { version: '1.34.3' }, containerd: { configuration } };
    const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
    const { config, placeOf } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
    try {
      renderNode(config, { ...exampleFacts, containerdVersion }, { placeOf });
      return '';
    } catch (thrown) {
      assert.ok(thrown instanceof NodekilnError && thrown.code === 'NK_DOCUMENT_INVALID');
      return JSON.stringify(thrown.problems);
    }
  };
  const mirrors = { 'docker.io': { endpoint: ['https://a'] } };
  for (const [plugin, registry, version, isRefused] of [
    [cri, { mirrors }, '1.6.20', true],
    [cri, { mirrors }, '1.7.24', true],
    [images, { mirrors }, '2.1.0', true],
    [cri, { configs: { a: { tls: { ca_file: '/a' } } } }, '1.7.24', true],
    [cri, { configs: { a: { auth: { username: 'a' } } } }, '1.7.24', false],
    [cri, { mirrors: {} }, '1.7.24', false],
    [cri, { mirrors, config_path: '' }, '1.7.24', false],
    [cri, { mirrors, config_path: null }, '1.7.24', false],
  ] as const)
    it(`are refused where containerd would not start with them: ${JSON.stringify(registry)} for ${version}`, async () =>
      assert.equal((await check(plugin, registry, version)).includes('is refused by containerd'), isRefused));
});
