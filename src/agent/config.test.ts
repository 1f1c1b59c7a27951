/** Where an agent finds how it goes about it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { textFile } from '../../test/support/memory-node.ts';
import { defaultAgentSpec } from '../config/agent-config.ts';
import { checkDocuments } from '../documents/check.ts';
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

describe('the configuration of gardener-node-agent', () => {
  const configuration = (about: Readonly<Record<string, unknown>> = {}, controllers: object = {}): string =>
    JSON.stringify({
      apiVersion: 'nodeagent.config.gardener.cloud/v1alpha1',
      kind: 'NodeAgentConfiguration',
      logLevel: 'info',
      server: { metrics: { port: 2752 } },
      apiServer: { server, caFile: '/var/lib/gardener-node-agent/cluster-ca.crt' },
      controllers: {
        operatingSystemConfig: {
          secretName: 'gardener-node-agent-pool',
          syncPeriod: '10m0s',
          kubernetesVersion: '1.34.3',
        },
        token: { syncConfigs: [{ secretName: 'collector', path: '/var/lib/collector/token' }], syncPeriod: '1h0m0s' },
        systemdUnitCheck: { stuckThreshold: '2m0s' },
        ...controllers,
      },
      ...about,
    });
  const read = async (text: string): Promise<Awaited<ReturnType<typeof readAgentConfig>>> => {
    const { files } = await machineWith('/a.yaml', text);
    return readAgentConfig(files, { config: '/a.yaml' });
  };

  it('is read as an AgentConfig', async () => {
    const { source, cluster, tokens, tokensPeriod, resync, health, heartbeat } = await read(configuration());
    assert.equal(source, 'secret:kube-system/gardener-node-agent-pool');
    assert.deepEqual(cluster, {
      servers: [server],
      caFile: '/var/lib/gardener-node-agent/cluster-ca.crt',
      bootstrapTokenFile: '/var/lib/gardener-node-agent/credentials/bootstrap-token',
    });
    assert.deepEqual(tokens, [
      // H13: static pods read it by their group.
      { secret: 'kube-system/collector', key: 'token', path: '/var/lib/collector/token', mode: '0640' },
    ]);
    assert.deepEqual([tokensPeriod, resync, health.stuckAfter], [3_600_000, 600_000, 120_000]);
    assert.deepEqual([heartbeat.lease, heartbeat.period], ['gardener-node-agent-{node}', 10_000]);
  });

  it('may name a kubeconfig of somebody else’s', async () => {
    const { cluster } = await read(configuration({ clientConnection: { kubeconfig: '/etc/agent.conf' } }));
    assert.deepEqual(cluster, { servers: [], kubeconfig: '/etc/agent.conf' });
    const own = { clientConnection: { kubeconfig: '/var/lib/gardener-node-agent/credentials/kubeconfig' } };
    assert.deepEqual((await read(configuration(own))).cluster?.servers, [server]);
  });

  it('is checked: what is wrong has its place, what nobody knows is said', async () => {
    const check = async (text: string): ReturnType<typeof checkDocuments> => checkDocuments([{ file: 'a.yaml', text }]);
    const { problems, warnings } = await check(configuration({ newer: 1 }));
    assert.deepEqual(problems, []);
    assert.match(warnings.join('\n'), /newer.*passed over\n.*logLevel, server have no counterpart/s);
    const paths = async (text: string): Promise<unknown[]> =>
      (await check(text)).problems.map(({ place }) => place?.path);
    assert.deepEqual(await paths(configuration({}, { operatingSystemConfig: {} })), [
      'controllers.operatingSystemConfig.secretName',
    ]);
    assert.deepEqual(await paths(configuration({}, { token: { syncPeriod: '14s' } })), [
      'controllers.token.syncPeriod',
    ]);
    assert.deepEqual(await paths(configuration({}, { systemdUnitCheck: { stuckThreshold: '29s' } })), [
      'controllers.systemdUnitCheck.stuckThreshold',
    ]);
    assert.deepEqual(await paths(configuration({ apiServer: { server: 'http://a' } })), ['apiServer.server']);
    await assert.rejects(read(configuration({}, { operatingSystemConfig: { secretName: '../x' } })), {
      code: 'NK_DOCUMENT_INVALID',
    });
  });

  it('names each file of a token once', async () => {
    const syncConfigs = ['one', 'two'].map((secretName) => ({ secretName, path: '/a' }));
    await assert.rejects(read(configuration({}, { token: { syncConfigs } })), { code: 'NK_DOCUMENT_INVALID' });
  });
});
