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
import { containerdPackages } from './containerds.ts';
import { inRoot, withFolder } from './in-root.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot, rootFolder } from './root.ts';

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

/**
 * The same as far as credentials of registries, for which there is a containerd: kubelet ends by itself when it finds no systemd
 * to make groups of processes. Nothing of the machine's /sys can be written.
 */
const startWithContainerd = `
  files=$1 root=$2 program=$3
  mount -t tmpfs state "$root/var/lib"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  for place in $(awk -v sys="$root/sys" 'index($5, sys) == 1 { print $5 }' /proc/self/mountinfo); do
    mount -o remount,bind,ro "$place"
  done
  : > "$root/run/kubelet"; mount --bind "$program" "$root/run/kubelet"
  mkdir "$root/run/containerd"
  unshare --net sh -euc '
    chroot "$1" containerd > "$2/containerd.log" 2>&1 &
    for i in $(seq 100); do
      chroot "$1" ctr version > /dev/null 2>&1 && break
      sleep 0.1
    done
    timeout 60 chroot "$1" /run/kubelet --config=/mnt/kubelet.yaml --image-credential-provider-config=/mnt/providers.json \
      --image-credential-provider-bin-dir=/mnt/programs 2>&1 || :
  ' sh "$root" "$files"`;

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

  /** Of the document, as its file. */
  async function providers(configuration: object): Promise<Record<'kubelet' | 'providers', string>> {
    const authentication = { anonymous: { enabled: true }, webhook: { enabled: false } };
    const alone = { authentication, authorization: { mode: 'AlwaysAllow' } };
    const spec = {
      kubernetes: { version: '1.34.3' },
      kubelet: { configuration: alone, credentialProviders: { configuration, binDir: '/mnt/programs' } },
    };
    const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec });
    const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
    const { resources } = renderNode(config, exampleFacts);
    const textOf = (path: string): string => {
      const file = resources.get(`file:${path}`);
      const entry = file?.kind === 'file' ? file.entry : undefined;
      assert.ok(entry?.type === 'file' && 'text' in entry.content, path);
      return reveal(entry.content.text);
    };
    return {
      kubelet: textOf('/etc/kubernetes/kubelet.yaml'),
      providers: textOf('/etc/kubernetes/credential-providers.json'),
    };
  }

  for (const [what, program, refusal] of [
    ['whose programs are there', 'mine', undefined],
    ['of which one is not', 'other', /plugin binary executable .*did not exist/],
  ] as const)
    test(`v1.34.3 reads providers of credentials ${what}`, { timeout: 300_000 }, () =>
      withFolder(async (folder) => {
        const matchImages = ['*.example.org', '[fd00::1]:5000'];
        const provider = { name: 'mine', apiVersion: 'credentialprovider.kubelet.k8s.io/v1', matchImages };
        const written = await providers({
          apiVersion: 'kubelet.config.k8s.io/v1',
          kind: 'CredentialProviderConfig',
          providers: [{ ...provider, defaultCacheDuration: '5m', env: [{ name: 'A', value: 'b "c"' }] }],
        });
        await writeFile(join(folder, 'kubelet.yaml'), written.kubelet);
        await writeFile(join(folder, 'providers.json'), written.providers);
        await mkdir(join(folder, 'programs'));
        await writeFile(join(folder, 'programs', program), '#!/bin/sh\n', { mode: 0o755 });
        const root = await derivedRoot('trixie', { packages: containerdPackages }, console.error);
        const log = await inRoot(root, folder, startWithContainerd, await kubelet('v1.34.3', console.error));
        if (refusal) assert.match(log, refusal);
        else assert.match(log, /systemd not running on this host/);
        assert.equal(/systemd not running on this host/.test(log), refusal === undefined, log);
      }),
    );
});
