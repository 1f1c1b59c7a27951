/**
 * A Secret brings another nodekiln to an agent of a real cluster: the agent becomes it, last of all, and says so on its Node.
 * One that does not start is taken back, said, and not tried again.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { stringify } from 'yaml';
import { version } from '../../../src/model/program.ts';
import { inlineFile, oscOf } from '../../support/osc.ts';
import { buildBundle, nodeFlag } from '../../../tools/build.ts';
import { agentUnit, nodekiln, putSecret, startAgent, startApprover } from '../../demo/agents.ts';
import { nodekiln as onThisMachine } from '../../demo/baked.ts';
import { isNative, placeProgram } from '../../demo/host-program.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import type { KubeObject } from '../../lab/control-plane/api.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { rootFolder } from '../../lab/root.ts';

/** What brings a program brings a bundle and its Node.js. */
const options = { skip: isNative, timeout: 120_000 };

const name = 'changing';
const nodePath = `/api/v1/nodes/${name}`;
const newer = '99.0.0';
const executable = { permissions: 0o755 };

let lab: Lab;
let cluster: Cluster;
let host: LabHost;

/** The real program as `newer`; it unpacks itself, since a Secret holds a mebibyte. */
async function newerProgram(): Promise<string> {
  const [, ...lines] = (await readFile(await buildBundle(), 'utf8')).split('\n');
  const text = lines.join('\n');
  assert.equal(text.split(`"${version}"`).length, 2, 'the version stands in it once');
  const packed = brotliCompressSync(text.replace(`"${version}"`, `"${newer}"`)).toString('base64');
  const unpack = `require('node:zlib').brotliDecompressSync(Buffer.from('${packed}','base64')).toString()`;
  return `#!/opt/nodekiln/bin/node ${nodeFlag}\nmodule._compile(${unpack},__filename);\n`;
}

const give = (words: string, program?: string): Promise<void> =>
  putSecret(cluster, 'pool', {
    'osc.yaml': stringify(
      oscOf({
        type: 'any',
        purpose: 'reconcile',
        files: [
          inlineFile('/etc/words', words),
          ...(program === undefined ? [] : [inlineFile(nodekiln, program, executable)]),
        ],
        ...(program !== undefined && { units: [{ name: agentUnit, filePaths: [nodekiln] }] }),
      }),
    ),
  });

interface Told {
  readonly nodekiln?: string;
  readonly failed?: readonly string[];
}
const toldOf = ({ metadata }: KubeObject): Told =>
  JSON.parse(metadata.annotations?.['nodekiln.dev/status'] ?? '{}') as Told;
const appliedOf = ({ metadata }: KubeObject): string | undefined => metadata.annotations?.['nodekiln.dev/applied'];

async function untilNode(what: string, holds: (node: KubeObject) => boolean): Promise<void> {
  try {
    await cluster.admin.until<KubeObject>(nodePath, holds, what, 60_000);
  } catch (thrown) {
    const log = await host.exec([
      'journalctl',
      '-u',
      agentUnit,
      '-u',
      'nodekiln-agent-update',
      '-n',
      '60',
      '-o',
      'cat',
    ]);
    assert.fail(`${String(thrown)}\n${log.stdout}`);
  }
}
const invocation = async (): Promise<string> =>
  (await host.check(['systemctl', 'show', '-P', 'InvocationID', agentUnit])).trim();

before(async () => {
  if (isNative) return;
  await installPrerequisites(console.error);
  lab = await openLab();
  cluster = await openCluster(lab, { progress: console.error });
  host = await lab.host({
    name,
    network: true,
    root: await rootFolder('trixie'),
    prepare: async (disk) => {
      await placeProgram(disk);
      await mkdir(join(disk, 'etc/nodekiln'), { recursive: true });
    },
  });
  await host.start();
  await host.waitRunning(60_000).catch(() => undefined);
  const rights = [
    ['cluster', 'rbac'],
    ['cluster', 'rbac', name, '--secrets', 'kube-system/pool'],
  ];
  for (const args of rights) await cluster.kubectl(['apply', '-f', '-'], { input: (await onThisMachine(args)).stdout });
  await give('one');
  await startApprover(cluster, host);
  await startAgent(cluster, host, {
    source: 'secret:kube-system/pool',
    cluster: { server: cluster.server, caBundle: cluster.caBundle, bootstrapToken: await cluster.newToken() },
  });
  const certificate = '/var/lib/nodekiln/agent/client-current.pem';
  for (let waited = 0; (await host.exec(['test', '-e', certificate])).status !== 0; waited += 200) {
    assert.ok(waited < 60_000, 'the agent has no certificate');
    await sleep(200);
  }
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(node) });
  await untilNode('it reports', (found) => toldOf(found).nodekiln === version && appliedOf(found) !== undefined);
});
after(() => lab?.close());

test('becomes the nodekiln that a Secret brings, after all else', options, async () => {
  const first = await invocation();
  await give('two', await newerProgram());
  await untilNode('it is the newer one', (node) => toldOf(node).nodekiln === newer && appliedOf(node) !== undefined);
  assert.equal(await host.readFile('/etc/words'), 'two');
  const second = await invocation();
  assert.notEqual(second, first);
  await sleep(5_000);
  assert.equal(await invocation(), second, 'it is restarted once');
  assert.equal((await host.exec(['ls', '/opt/nodekiln'])).stdout, 'bin\n');
  const idle = JSON.parse(await host.check([nodekiln, 'agent', 'update', '--json'])) as { data: unknown };
  assert.deepEqual(idle.data, { outcome: 'none' });
});

test('is taken back when it does not start, which is said, until the documents change', options, async () => {
  await give('three', '#!/bin/sh\nexit 3\n');
  await untilNode('it is said', (node) =>
    (toldOf(node).failed ?? []).includes(`unit:${agentUnit}: NK_AGENT_UPDATE_FAILED`),
  );
  await untilNode('it is not in force', (node) => appliedOf(node) === undefined && toldOf(node).nodekiln === newer);
  const back = await invocation();
  const seen = await host.exec([nodekiln, 'status', '--json']);
  assert.match(seen.stdout, /NK_AGENT_UPDATE_FAILED.*exit status 3/);
  assert.equal(await host.readFile('/etc/words'), 'three');
  await sleep(10_000);
  assert.equal(await invocation(), back, 'it is not tried again');
  await give('four', await newerProgram());
  await untilNode('the next documents are in force', (node) => appliedOf(node) !== undefined);
  assert.equal(await host.readFile('/etc/words'), 'four');
});
