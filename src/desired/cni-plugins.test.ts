/** Where containerd looks for the plugins of the pod network that a document asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocument } from '../config/load.ts';
import { resolveNodeConfig } from '../config/resolve.ts';
import { exampleFacts } from '../model/facts.ts';
import { renderNode } from './render-node.ts';

async function binDir(cni: object, cniPlugins?: string): Promise<string | undefined> {
  const text = JSON.stringify({
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'NodeConfig',
    spec: { kubernetes: { version: '1.34.3' }, network: { cni } },
  });
  const { config } = resolveNodeConfig([await parseDocument({ file: 'x', text }, 'NodeConfig')]);
  const { resources } = renderNode(config, { ...exampleFacts, ...(cniPlugins !== undefined && { cniPlugins }) });
  return /bin_dir = "([^"]*)"/.exec(
    JSON.stringify(resources.get('file:/etc/containerd/config.toml')).replaceAll('\\"', '"'),
  )?.[1];
}
const bridge = { type: 'bridge', subnet: '10.88.0.0/24' };

test('it is the folder that has them, where containerd would look elsewhere', async () => {
  assert.equal(await binDir(bridge, '/usr/lib/cni'), '/usr/lib/cni');
  assert.equal(await binDir(bridge, '/opt/cni/bin'), undefined);
  assert.equal(await binDir(bridge), undefined);
});

test('it is the document’s, and containerd’s own where somebody else brings the network', async () => {
  assert.equal(await binDir({ ...bridge, binDir: '/opt/mine' }, '/usr/lib/cni'), '/opt/mine');
  assert.equal(await binDir({ type: 'none' }, '/usr/lib/cni'), undefined);
});
