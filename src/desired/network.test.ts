/** A document's network on hosts that have one already: what is rendered for it, and what is said. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts, type Facts } from '../model/facts.ts';
import type { DesiredState, ResourceId } from '../model/resources.ts';
import { renderNode } from './render-node.ts';

async function rendered(spec: object, facts: Partial<Facts> = {}): Promise<DesiredState> {
  const whole = { kubernetes: { version: '1.34.3' }, ...spec };
  const text = JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec: whole });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
  return renderNode(config, { ...exampleFacts, ...facts });
}

function textOf({ resources }: DesiredState, path: string): string {
  const file = resources.get(`file:${path}`);
  const entry = file?.kind === 'file' ? file.entry : undefined;
  assert.ok(entry?.type === 'file' && 'text' in entry.content && typeof entry.content.text === 'string', path);
  return entry.content.text;
}

function settingsOf({ resources }: DesiredState): Record<string, string> {
  const prefix = 'kernel:sysctl/';
  const ids = [...resources.keys()].filter((id) => id.startsWith(prefix));
  return Object.fromEntries(
    ids.map((id) => {
      const found = resources.get(id);
      const value = found?.kind === 'kernel' && found.setting.type === 'sysctl' ? found.setting.value : '';
      return [id.slice(prefix.length), value];
    }),
  );
}

const bridge = { network: { cni: { type: 'bridge', subnet: '10.88.0.0/24' } } };
const example = '/etc/cni/net.d/10-containerd-net.conflist';
const mine = { files: [{ path: '/etc/cni/net.d/20-mine.conflist', content: '{}' }] };

describe('another’s pod network', () => {
  for (const [name, spec, podNetworks, told] of [
    ['has no say beside a bridge', bridge, [example], [`${example} is passed over`]],
    [
      'is passed over also where the document wrote it',
      { ...bridge, ...mine },
      [],
      ['/etc/cni/net.d/20-mine.conflist is passed over'],
    ],
    ['is an example, where somebody else is to bring one', {}, [example], [`${example} came with the machine`]],
    [
      'is an example of CRI-O',
      {},
      ['/etc/cni/net.d/100-crio-bridge.conflist'],
      ['/etc/cni/net.d/100-crio-bridge.conflist came'],
    ],
    ['is that of who was to bring one', {}, ['/etc/cni/net.d/05-cilium.conflist'], []],
    ['sorts before the document’s', mine, [example], [`${example} sorts before 20-mine.conflist`]],
    ['sorts after the document’s', mine, ['/etc/cni/net.d/30-other.conf', '/etc/cni/net.d/20-mine.conflist'], []],
    ['is none', bridge, [], []],
    ['is what an earlier version of ours wrote', bridge, ['/etc/cni/net.d/10-nodekiln.conflist'], []],
  ] as const)
    it(name, async () => {
      const { warnings } = await rendered(spec, { podNetworks });
      assert.equal(warnings.length, told.length, warnings.join('\n'));
      for (const [index, words] of told.entries()) assert.ok(warnings[index]?.includes(words), warnings.join('\n'));
    });

  it('is not where containerd looks for a bridge', async () => {
    const desired = await rendered(bridge, { podNetworks: [example] });
    assert.match(textOf(desired, '/etc/containerd/config.toml'), /^conf_dir = "\/etc\/cni\/nodekiln\.d"$/m);
    assert.ok(desired.resources.has('file:/etc/cni/nodekiln.d/10-nodekiln.conflist' satisfies ResourceId));
  });
});

describe('both families of addresses', () => {
  const ip4 = { 'net.bridge.bridge-nf-call-iptables': '1', 'net.ipv4.ip_forward': '1' };
  const ip6 = { 'net.bridge.bridge-nf-call-ip6tables': '1', 'net.ipv6.conf.all.forwarding': '1' };
  const cluster = { server: 'https://[fd00::1]:6443', caBundle: exampleAuthority };
  const podCidr = { network: { cni: { type: 'bridge' } } };
  for (const [name, spec, settings] of [
    ['IPv4 alone', bridge, ip4],
    ['IPv6 alone', { network: { cni: { type: 'bridge', subnet: 'fd00:88::/64' } } }, { ...ip4, ...ip6 }],
    ['both', { network: { cni: { type: 'bridge', subnet: '10.88.0.0/24,fd00:88::/64' } } }, { ...ip4, ...ip6 }],
    ['the Node’s own', { ...podCidr, cluster }, ip4],
    [
      'the Node’s own, and DNS of both',
      { ...podCidr, cluster: { ...cluster, dns: ['10.0.0.10', 'fd00::a'] } },
      { ...ip4, ...ip6 },
    ],
    [
      'the Node’s own, and a node of both',
      { ...podCidr, cluster, kubelet: { nodeIp: '10.0.0.2,fd00::2' } },
      { ...ip4, ...ip6 },
    ],
    ['nobody’s bridge', { cluster: { ...cluster, dns: ['fd00::a'] } }, {}],
  ] as const)
    it(`are forwarded as far as there are any: ${name}`, async () =>
      assert.deepEqual(settingsOf(await rendered(spec)), settings));

  it('are ranges and routes of the pods', async () => {
    const desired = await rendered({ network: { cni: { type: 'bridge', subnet: '10.88.0.0/24,fd00:88::/64' } } });
    const network = JSON.parse(textOf(desired, '/etc/cni/nodekiln.d/10-nodekiln.conflist')) as {
      plugins: { ipam?: unknown }[];
    };
    assert.deepEqual(network.plugins[0]?.ipam, {
      type: 'host-local',
      ranges: [[{ subnet: '10.88.0.0/24' }], [{ subnet: 'fd00:88::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    });
  });

  for (const [name, spec, address] of [
    ['a cluster of IPv6', { cluster: { ...cluster, dns: ['fd00::a'] } }, '::'],
    ['pods of IPv6', { cluster, network: { cni: { type: 'bridge', subnet: 'fd00::/64' } } }, '::'],
    ['a cluster of both', { cluster: { ...cluster, dns: ['10.0.0.10', 'fd00::a'] } }, undefined],
    ['a cluster of IPv4', { cluster: { ...cluster, dns: ['10.0.0.10'] } }, undefined],
    [
      'what the document says',
      { cluster: { ...cluster, dns: ['fd00::a'] }, kubelet: { nodeIp: 'fd00::7' } },
      'fd00::7',
    ],
    ['a flag', { cluster: { ...cluster, dns: ['fd00::a'] }, kubelet: { flags: { 'node-ip': 'fd00::8' } } }, 'fd00::8'],
    ['no cluster', { network: { cni: { type: 'bridge', subnet: 'fd00::/64' } } }, undefined],
  ] as const)
    it(`are those of the node: ${name}`, async () => {
      const unit = (await rendered(spec)).resources.get('unit:kubelet.service');
      const content = unit?.kind === 'unit' && typeof unit.content === 'string' ? unit.content : '';
      assert.equal(/--node-ip=([^"\s]+)/.exec(content)?.[1], address);
    });

  it('keep a machine’s routes that it heard of', async () => {
    const six = { network: { cni: { type: 'bridge', subnet: 'fd00:88::/64' } } };
    const raLinks = ['eth0', 'eth1.7'];
    const kept = { 'net.ipv6.conf.eth0.accept_ra': '2', 'net.ipv6.conf.eth1/7.accept_ra': '2' };
    assert.deepEqual(settingsOf(await rendered(six, { raLinks })), { ...ip4, ...ip6, ...kept });
    assert.deepEqual(settingsOf(await rendered(bridge, { raLinks })), ip4, 'nobody forwards IPv6');
    const said = { kernel: { sysctls: [{ key: 'net.ipv6.conf.eth0.accept_ra', value: 0 }] } };
    const settings = settingsOf(await rendered({ ...six, ...said }, { raLinks: ['eth0'] }));
    assert.equal(settings['net.ipv6.conf.eth0.accept_ra'], '0', 'the document’s word');
  });
});

describe('the resolver of pods', () => {
  const servers = '/run/systemd/resolve/resolv.conf';
  const configuration = { resolvConf: '/etc/mine' };
  for (const [name, kubelet, resolvConf, expected] of [
    ['is the host’s', {}, undefined, undefined],
    ['is whom the host’s own asks', {}, servers, servers],
    ['is the document’s', { configuration }, servers, '/etc/mine'],
    ['is unknown, and that is said', {}, 'none', undefined],
    ['is the document’s where the host has none', { configuration }, 'none', '/etc/mine'],
  ] as const)
    it(name, async () => {
      const desired = await rendered({ kubelet }, resolvConf === undefined ? {} : { resolvConf });
      const written = JSON.parse(textOf(desired, '/etc/kubernetes/kubelet.yaml')) as { resolvConf?: string };
      assert.equal(written.resolvConf, expected);
      const isSaid = desired.warnings.some((warning) => warning.includes('pods do not reach'));
      assert.equal(isSaid, resolvConf === 'none' && expected === undefined);
    });
});
