/** The network of a bridge with the Node's own podCIDRs: what containerd is given to fill, and what comes of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleAuthority } from '../../test/support/authority.ts';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts } from '../model/facts.ts';
import type { DesiredState } from '../model/resources.ts';
import { filledPath, filledTemplate, podNetworkTemplatePath } from './pod-network.ts';
import { renderNode } from './render-node.ts';

const cluster = { server: 'https://api.example.org:6443', caBundle: exampleAuthority };

async function rendered(cni: object, containerdVersion = '1.7.24'): Promise<DesiredState> {
  const text = JSON.stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: { kubernetes: { version: '1.34.3' }, cluster, network: { cni } },
  });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
  return renderNode(config, { ...exampleFacts, containerdVersion, cniPlugins: '/usr/lib/cni' });
}

function textOf({ resources }: DesiredState, path: string): string {
  const file = resources.get(`file:${path}`);
  const entry = file?.kind === 'file' ? file.entry : undefined;
  assert.ok(entry?.type === 'file' && 'text' in entry.content && typeof entry.content.text === 'string', path);
  return entry.content.text;
}

const containerd = '/etc/containerd/config.toml';

describe('a bridge with the podCIDR of its Node', () => {
  it('is what a bridge in a cluster is that names no subnet', async () => {
    assert.deepEqual(
      [...(await rendered({ type: 'bridge' })).resources],
      [...(await rendered({ type: 'bridge', subnet: 'podCIDR' })).resources],
    );
  });

  for (const [version, table, plugins] of [
    ['1.6.20', '[plugins."io.containerd.grpc.v1.cri".cni]', 'bin_dir = "/usr/lib/cni"'],
    ['2.0.5', '[plugins."io.containerd.cri.v1.runtime".cni]', 'bin_dir = "/usr/lib/cni"'],
    ['2.1.0', '[plugins."io.containerd.cri.v1.runtime".cni]', 'bin_dirs = [ "/usr/lib/cni" ]'],
  ] as const)
    it(`is a template of containerd ${version}, filled where nothing else is`, async () => {
      const desired = await rendered({ type: 'bridge' }, version);
      const folder = filledPath(textOf(desired, podNetworkTemplatePath)).split('/').slice(0, -1).join('/');
      const lines = [plugins, `conf_dir = "${folder}"`, `conf_template = "${podNetworkTemplatePath}"`];
      assert.ok(textOf(desired, containerd).includes(`${table}\n${lines.join('\n')}\n`));
      assert.equal(desired.resources.get('file:/etc/cni/net.d/10-nodekiln.conflist'), undefined);
    });

  it('restarts containerd and kubelet with the template: what was filled before is looked at no more', async () => {
    const [one, other] = [await rendered({ type: 'bridge' }), await rendered({ type: 'bridge', mtu: 1400 })];
    assert.notEqual(textOf(one, containerd), textOf(other, containerd));
    const unit = one.resources.get('unit:kubelet.service');
    assert.ok(unit?.kind === 'unit' && unit.inputs.includes(`file:${podNetworkTemplatePath}`));
  });

  it('has a range and a route of each family', async () => {
    const template = textOf(await rendered({ type: 'bridge', bridge: 'br-$&{{end}}' }), podNetworkTemplatePath);
    const network = (...podCidrs: string[]): unknown => JSON.parse(filledTemplate(template, podCidrs));
    const [bridge] = (network('10.90.3.0/24', 'fd00:3::/64') as { plugins: { bridge: string; ipam: unknown }[] })
      .plugins;
    assert.equal(bridge?.bridge, 'br-$&{{end}}');
    assert.ok(!template.includes('{{end}}"'), 'what the document says is no template');
    assert.deepEqual(bridge.ipam, {
      type: 'host-local',
      ranges: [[{ subnet: '10.90.3.0/24' }], [{ subnet: 'fd00:3::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    });
    assert.deepEqual((network('fd00:3::/64') as { plugins: { ipam: { routes: unknown } }[] }).plugins[0]?.ipam.routes, [
      { dst: '::/0' },
    ]);
  });
});
