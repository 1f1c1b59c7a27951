/** Where an agent finds how it goes about it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { textFile } from '../../test/support/memory-node.ts';
import { defaultAgentSpec } from '../config/agent-config.ts';
import { createMemoryMachine, type MemoryMachine } from '../host/memory/machine.ts';
import { readAgentConfig } from './config.ts';

const server = 'https://a:6443';
const documentOf = (spec: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'AgentConfig', spec });

async function machineWith(path: string, text: string, mode = 0o600): Promise<MemoryMachine> {
  const machine = createMemoryMachine();
  await machine.files.write([textFile(path, text, mode)]);
  return machine;
}

it('without a file there are defaults; one in its place is read; one that is named must be there', async () => {
  assert.deepEqual(await readAgentConfig(createMemoryMachine().files, {}), defaultAgentSpec());
  const { files } = await machineWith('/etc/nodekiln/agent.yaml', documentOf({ source: 'dir:/a' }));
  assert.equal((await readAgentConfig(files, {})).source, 'dir:/a');
  await assert.rejects(readAgentConfig(files, { config: '/etc/other.yaml' }), { code: 'NK_DOCUMENT_MISSING' });
});

it('a kubeconfig that is named stands for the cluster of the file', async () => {
  const { files } = await machineWith('/a.yaml', documentOf({ drift: 'report', cluster: { server } }));
  const config = await readAgentConfig(files, { config: '/a.yaml', kubeconfig: '/b' });
  assert.deepEqual([config.cluster, config.drift], [{ servers: [], kubeconfig: '/b' }, 'report']);
});

it('one with a token that others can read, or of another kind, is refused', async () => {
  const secret = documentOf({ cluster: { server, bootstrapToken: 'abcdef.0123456789abcdef' } });
  const exposed = await machineWith('/a.yaml', secret, 0o640);
  await assert.rejects(readAgentConfig(exposed.files, { config: '/a.yaml' }), { code: 'NK_DOCUMENT_EXPOSED' });
  const other = await machineWith('/a.yaml', documentOf({}).replace('AgentConfig', 'NodeConfig'));
  await assert.rejects(readAgentConfig(other.files, { config: '/a.yaml' }), { code: 'NK_DOCUMENT_KIND' });
});
