/**
 * What is written for kubelet as real kubelets read it, of two minor releases: its flags, its configuration, its kubeconfigs. It
 * tells its whole configuration when it starts, and is gone before it does anything: there is no containerd.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parseDocument } from '../../src/config/load.ts';
import { isMap, valueAt } from '../../src/config/paths.ts';
import { resolveNodeConfig } from '../../src/config/resolve.ts';
import { renderNode } from '../../src/desired/render-node.ts';
import { readNetwork } from '../../src/host/network-facts.ts';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { exampleFacts, type Facts } from '../../src/model/facts.ts';
import { reveal } from '../../src/model/resources.ts';
import { exampleAuthority } from '../support/authority.ts';
import { kubelet, type KubernetesVersion } from './binaries.ts';
import { inRoot, withFolder } from './in-root.ts';
import { installPrerequisites } from './prerequisites.ts';
import { rootFolder } from './root.ts';

/** Files of the document lie in `$1` as they shall lie in the root. */
const start = `
  files=$1 root=$2 program=$3; shift 3
  mount -t tmpfs state "$root/var/lib"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mkdir "$root/run/upper" "$root/run/work"
  mount -t overlay -o "lowerdir=$root/etc,upperdir=$root/run/upper,workdir=$root/run/work" etc "$root/etc"
  cp -r "$files/." "$root"
  : > "$root/run/kubelet"; mount --bind "$program" "$root/run/kubelet"
  unshare --net timeout 60 chroot "$root" /run/kubelet "$@" --v=5 2>&1 || :`;

interface Read {
  /** kubelet's own types: names of Go’s fields, durations as text. */
  readonly configuration: unknown;
  readonly flags: ReadonlyMap<string, string>;
  readonly log: string;
}

/** What is written of a document, and what kubelet reads. */
async function readBy(
  version: KubernetesVersion,
  spec: object,
  facts: Partial<Facts> = {},
): Promise<Read & { written: Record<string, unknown> }> {
  const whole = { kubernetes: { version }, ...spec };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec: whole });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
  const { resources } = renderNode(config, { ...exampleFacts, ...facts });
  const program = await kubelet(version, console.error);
  const root = await rootFolder('trixie', console.error);
  return withFolder(async (folder) => {
    let written: Record<string, unknown> = {};
    for (const resource of resources.values()) {
      if (resource.kind !== 'file' || !/^\/(?:etc\/kubernetes|var\/lib\/kubelet)\//.test(resource.path)) continue;
      const { path, entry } = resource;
      if (entry.type !== 'file' || !('text' in entry.content)) continue;
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await writeFile(join(folder, path), reveal(entry.content.text));
      if (path === '/etc/kubernetes/kubelet.yaml') written = JSON.parse(reveal(entry.content.text));
    }
    const unit = resources.get('unit:kubelet.service');
    const content =
      unit?.kind === 'unit' && typeof unit.content === 'string' ? unit.content.replaceAll(/\\\n\s*/g, ' ') : '';
    const [, line = ''] = /^ExecStart=\S+ (.*)$/m.exec(content) ?? [];
    const words = line.split(' ').filter((word) => word !== '' && !word.startsWith('$'));
    assert.ok(words.length > 0 && words.every((word) => /^--[a-z][^"'\\%$]*$/.test(word)), line);
    const log = await inRoot(root, folder, start, program, ...words);
    const [, json = 'null'] = /"KubeletConfiguration" configuration=<\n([^]*?)\n >/.exec(log) ?? [];
    const flags = Array.from(
      log.matchAll(/FLAG: --([^=]+)="(.*)"$/gm),
      ([, name = '', value = '']) => [name, value] as const,
    );
    return { configuration: JSON.parse(json), flags: new Map(flags), log, written };
  });
}

/** Go's name of a field differs from the file's in this. */
const named: Readonly<Record<string, string>> = {
  resolvconf: 'resolverconfig',
  registerwithtaints: 'registerwithtaints',
};

function field(map: unknown, name: string): unknown {
  const wanted = named[name.toLowerCase()] ?? name.toLowerCase();
  return isMap(map) ? Object.entries(map).find(([key]) => key.toLowerCase() === wanted)?.[1] : undefined;
}

/** Paths of what was not read as it was written. */
function unlike(written: unknown, read: unknown, path: string): string[] {
  if (isMap(written))
    return Object.entries(written).flatMap(([key, value]) => unlike(value, field(read, key), `${path}.${key}`));
  if (Array.isArray(written) && Array.isArray(read) && written.length === read.length)
    return written.flatMap((item, index) => unlike(item, read[index], `${path}.${index}`));
  return written === read || (written === '' && read === undefined)
    ? []
    : [`${path}: ${JSON.stringify([written, read])}`];
}

before(() => installPrerequisites(console.error), { timeout: 300_000 });

const cluster = { server: 'https://[fd00::1]:6443', caBundle: exampleAuthority, dns: ['10.0.0.10', 'fd00::a'] };

describe('kubelet', () => {
  for (const version of ['v1.33.13', 'v1.34.3'] as const)
    for (const [what, spec, facts] of [
      ['alone', {}, {}],
      [
        'with settings of its own',
        {
          kubelet: {
            configuration: {
              maxPods: 77,
              evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '5%' },
              systemReserved: { cpu: '100m' },
              featureGates: { AllAlpha: false },
              shutdownGracePeriod: '30s',
              healthzBindAddress: '::1',
              healthzPort: 10300,
            },
            taints: [{ key: 'a/b', value: 'c', effect: 'NoSchedule' }],
            labels: { 'example.org/zone': 'a', role: '' },
            nodeIp: '10.0.0.2,fd00::2',
            nodeName: 'a.b',
            providerId: 'x:///a/b',
          },
        },
        {},
      ],
      ['in a cluster of both families', { cluster: { ...cluster, bootstrapToken: 'abcdef.0123456789abcdef' } }, {}],
      [
        'in a cluster, by files',
        { cluster: { ...cluster, clientCertificate: { certificateFile: '/a.pem', keyFile: '/b.pem' } } },
        {},
      ],
      ['with pods’ own resolver', {}, { resolvConf: '/run/systemd/resolve/resolv.conf' }],
      ['with pods’ own resolver of NetworkManager', {}, { resolvConf: '/run/NetworkManager/no-stub-resolv.conf' }],
      ['on old control groups', {}, { cgroupVersion: 1 as const }],
    ] as const)
      test(`${version} reads what is written: ${what}`, { timeout: 600_000 }, async () => {
        const { configuration, flags, written, log } = await readBy(version, spec, facts);
        assert.ok(configuration !== null && flags.get('config') === '/etc/kubernetes/kubelet.yaml', log);
        const { apiVersion: _api, kind: _kind, ...settings } = written;
        assert.ok(Object.keys(settings).length >= 8);
        assert.deepEqual(unlike(settings, configuration, ''), []);
        assert.equal(
          valueAt(configuration, ['ResolverConfig']),
          'resolvConf' in facts ? facts.resolvConf : '/etc/resolv.conf',
        );
        assert.doesNotMatch(log, /unknown field|strict decoding|failed to (?:parse|load|decode)|unknown flag/);
        if ('kubelet' in spec)
          assert.deepEqual(
            ['node-ip', 'hostname-override', 'provider-id', 'node-labels'].map((name) => flags.get(name)),
            ['10.0.0.2,fd00::2', 'a.b', 'x:///a/b', 'example.org/zone=a,role='],
          );
      });

  test('is given the resolver that a host really has', { timeout: 600_000 }, async () => {
    await withFolder(async (folder) => {
      await mkdir(join(folder, 'etc'));
      await writeFile(join(folder, 'etc/resolv.conf'), '# systemd-resolved\nnameserver 127.0.0.53\noptions edns0\n');
      const host = createLinuxHost({ root: folder });
      try {
        const facts = await readNetwork(host.files);
        const { configuration } = await readBy('v1.34.3', {}, facts);
        assert.equal(valueAt(configuration, ['ResolverConfig']), '/run/systemd/resolve/resolv.conf');
      } finally {
        await host.close();
      }
    });
  });
});
