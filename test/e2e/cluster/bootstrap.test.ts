/**
 * User data on a machine that no image was baked for: nodekiln comes out of a registry, the agent gets its certificate with the
 * bootstrap token and applies its Secret. The second time nothing is done.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { sha256 } from '../../../src/host/digest.ts';
import { inlineFile, oscOf } from '../../support/osc.ts';
import { buildBundle, nodeBinary } from '../../../tools/build.ts';
import { agentUnit, nodekiln, putSecret, startApprover } from '../../demo/agents.ts';
import { nodekiln as onThisMachine } from '../../demo/baked.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { rootFolder } from '../../lab/root.ts';
import { artifact, startRegistry, type TestRegistry } from '../../servers/registry.ts';
import { serveInLab } from './registry.ts';

const node = 'unbaked';
const unit = 'nodekiln-agent-bootstrap.service';

let lab: Lab;
let cluster: Cluster;
let host: LabHost;
let registry: TestRegistry;
let userData: readonly string[];

const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
  for (let waited = 0; waited < 60_000; waited += 100) {
    if (await holds()) return;
    await sleep(100);
  }
  const log = await host.exec(['journalctl', '-u', agentUnit, '-u', unit, '-n', '60', '-o', 'cat', '--no-pager']);
  assert.fail(`${what}: not after a minute\n${log.stdout}`);
};

before(async () => {
  await installPrerequisites(console.error);
  const bundle = await buildBundle();
  registry = await startRegistry();
  const digest = await registry.push({
    repository: 'nodekiln',
    ...artifact({ node: await readFile(nodeBinary), nodekiln: await readFile(bundle) }),
  });
  lab = await openLab();
  cluster = await openCluster(lab, { progress: console.error });
  const { host: address, authority } = await serveInLab(lab, registry);
  const image = `${address}/nodekiln@${digest}`;
  const brought = ['/root/node', '/root/nodekiln'];
  const files = ['--config', '/root/agent.yaml', '--ca-file', '/root/registry-ca.pem'];
  userData = [...brought, 'agent', 'bootstrap', '--image', image, ...files];
  host = await lab.host({
    name: node,
    network: true,
    root: await rootFolder('trixie'),
    prepare: async (disk) => {
      await mkdir(join(disk, 'root'), { recursive: true });
      await cp(nodeBinary, join(disk, 'root/node'));
      await cp(bundle, join(disk, 'root/nodekiln'));
      await cp(authority, join(disk, 'root/registry-ca.pem'));
    },
  });
  await host.start();
  await host.waitRunning(60_000).catch(() => undefined);
});
after(async () => {
  await lab?.close();
  await registry?.close();
});

test('becomes one that its agent tends, once', { timeout: 240_000 }, async () => {
  const rights = [
    ['cluster', 'rbac'],
    ['cluster', 'rbac', node, '--secrets', 'kube-system/pool'],
  ];
  for (const args of rights) await cluster.kubectl(['apply', '-f', '-'], { input: (await onThisMachine(args)).stdout });
  const osc = stringify(
    oscOf({ type: 'any', purpose: 'reconcile', files: [inlineFile('/etc/words', 'from the cluster')] }),
  );
  const checksum = sha256(osc).slice('sha256:'.length);
  await putSecret(cluster, 'pool', { 'osc.yaml': osc }, { 'checksum/data-script': checksum });
  const { server, caBundle } = cluster;
  const bootstrapToken = await cluster.newToken();
  const spec = { source: 'secret:kube-system/pool', cluster: { server, caBundle, bootstrapToken } };
  const document = stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'AgentConfig', spec });
  await host.writeFile('/root/agent.yaml', document, { mode: 0o600 });
  await host.writeFile(
    `/etc/systemd/system/${unit}`,
    `[Service]\nType=exec\nExecStart=${userData.join(' ')}\n[Install]\nWantedBy=multi-user.target\n`,
  );
  await host.check(['systemctl', 'daemon-reload']);
  await host.check(['systemctl', 'enable', '--now', unit]);

  const isThere = async (path: string): Promise<boolean> => (await host.exec(['test', '-e', path])).status === 0;
  await until('the program is there', () => isThere(nodekiln));
  assert.equal(await isThere('/var/lib/nodekiln/agent-bootstrap.json'), false, 'nobody approved yet');
  await startApprover(cluster, host);
  await until('it is all done', () => isThere('/var/lib/nodekiln/agent-bootstrap.json'));
  await until('the Secret is applied', () => isThere('/etc/words'));
  assert.equal(await host.readFile('/etc/words'), 'from the cluster');
  const subject = await host.check(
    'openssl x509 -noout -subject -in /var/lib/nodekiln/agent/client-current.pem'.split(' '),
  );
  assert.match(subject, /nodekiln:node-agent:unbaked/);
  const states = await host.exec(['systemctl', 'is-enabled', agentUnit, unit]);
  assert.equal(states.stdout, 'enabled\ndisabled\n');

  const invocation = (): Promise<string> => host.check(['systemctl', 'show', '-P', 'InvocationID', agentUnit]);
  const first = await invocation();
  const again = JSON.parse(await host.check([...userData, '--json'])) as {
    data: { applied: boolean; steps: unknown[] };
  };
  assert.deepEqual(again.data, { applied: true, steps: [] });
  assert.equal(await invocation(), first, 'the agent runs on');
});
