/**
 * User data on machines that no image was baked for: nodekiln comes out of a registry, or of a web server, the agent gets its
 * certificate with the bootstrap token and applies its Secret. The second time nothing is done; a newer one takes its place, and
 * is taken back when it does not come up; after a reset nothing of all that is left.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { sha256 } from '../../../src/host/digest.ts';
import { version } from '../../../src/model/program.ts';
import { inlineFile, oscOf } from '../../support/osc.ts';
import { buildBundle, nodeBinary } from '../../../tools/build.ts';
import { writeProgramArchive } from '../../../tools/program-artifact.ts';
import { agentUnit, nodekiln, putSecret, startApprover } from '../../demo/agents.ts';
import { nodekiln as onThisMachine } from '../../demo/baked.ts';
import { isNative } from '../../demo/host-program.ts';
import { openCluster, type Cluster } from '../../lab/cluster.ts';
import { networkAddress, openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { installPrerequisites } from '../../lab/prerequisites.ts';
import { rootFolder, type Suite } from '../../lab/root.ts';
import { issueCertificate, makeAuthority } from '../../servers/certificates.ts';
import { artifact, startRegistry, type TestRegistry } from '../../servers/registry.ts';
import { serveInLab } from './registry.ts';

/** What brings a program brings a bundle and its Node.js. */
const options = { skip: isNative, timeout: 240_000 };

const node = 'unbaked';
/** The other one, with systemd 252. */
const older = 'unbaked-older';
const webPort = 8443;
const marker = '/var/lib/nodekiln/agent-bootstrap.json';
const newer = '99.0.0';
const unit = 'nodekiln-agent-bootstrap.service';

let lab: Lab;
let cluster: Cluster;
let host: LabHost;
let olderHost: LabHost;
/** What the web server has. */
let www: string;
let registry: TestRegistry;
let userData: readonly string[];

const until = async (what: string, holds: () => Promise<boolean>, on = host): Promise<void> => {
  for (let waited = 0; waited < 60_000; waited += 100) {
    if (await holds()) return;
    await sleep(100);
  }
  const log = await on.exec(['journalctl', '-u', agentUnit, '-u', unit, '-n', '60', '-o', 'cat', '--no-pager']);
  assert.fail(`${what}: not after a minute\n${log.stdout}`);
};

before(async () => {
  if (isNative) return;
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
  const unbaked = async (name: string, root: Suite, trusted: string): Promise<LabHost> => {
    const made = await lab.host({
      name,
      network: true,
      root: await rootFolder(root),
      prepare: async (disk) => {
        await mkdir(join(disk, 'root'), { recursive: true });
        await cp(nodeBinary, join(disk, 'root/node'));
        await cp(bundle, join(disk, 'root/nodekiln'));
        await cp(trusted, join(disk, 'root/registry-ca.pem'));
      },
    });
    await made.start();
    await made.waitRunning(60_000).catch(() => undefined);
    return made;
  };
  host = await unbaked(node, 'trixie', authority);
  olderHost = await unbaked(older, 'bookworm', await serveFolder());
});
after(async () => {
  await lab?.close();
  await registry?.close();
});

/** Over HTTPS with a certificate of a private authority, whose own is at the path that this returns. */
async function serveFolder(): Promise<string> {
  www = await mkdtemp(join(lab.disk, '_www-'));
  const authority = await makeAuthority(www, 'ca');
  const names = [`IP:${networkAddress}`];
  const tls = await issueCertificate(www, 'server', authority, { subject: `/CN=${networkAddress}`, names });
  const program = `
    const { createReadStream, readFileSync } = require('node:fs');
    const [key, cert, www] = process.argv.slice(1);
    require('node:https')
      .createServer({ key: readFileSync(key), cert: readFileSync(cert) }, ({ url }, answer) =>
        createReadStream(www + url).on('error', () => answer.writeHead(404).end()).pipe(answer))
      .listen(${webPort}, '${networkAddress}');`;
  lab.spawnInNetwork([nodeBinary, '-e', program, tls.key, tls.certificate, www], { stdio: 'ignore' });
  return authority.certificate;
}

/** An archive there, as `--url` and `--digest` name it. */
async function publish(name: string, parts: Parameters<typeof writeProgramArchive>[1]): Promise<readonly string[]> {
  const { file, digest } = await writeProgramArchive(join(www, name), parts);
  const url = `https://${networkAddress}:${webPort}/${name}/${basename(file)}`;
  return ['--url', `https://${networkAddress}:${webPort}/gone.tar,${url}`, '--digest', digest];
}

async function writeAgentConfig(on: LabHost): Promise<void> {
  const { server, caBundle } = cluster;
  const bootstrapToken = await cluster.newToken();
  const spec = { source: 'secret:kube-system/pool', cluster: { server, caBundle, bootstrapToken } };
  const document = stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'AgentConfig', spec });
  await on.writeFile('/root/agent.yaml', document, { mode: 0o600 });
}

test('becomes one that its agent tends, once', options, async () => {
  const rights = [
    ['cluster', 'rbac'],
    ['cluster', 'rbac', node, older, '--secrets', 'kube-system/pool'],
  ];
  for (const args of rights) await cluster.kubectl(['apply', '-f', '-'], { input: (await onThisMachine(args)).stdout });
  const osc = stringify(
    oscOf({ type: 'any', purpose: 'reconcile', files: [inlineFile('/etc/words', 'from the cluster')] }),
  );
  const checksum = sha256(osc).slice('sha256:'.length);
  await putSecret(cluster, 'pool', { 'osc.yaml': osc }, { 'checksum/data-script': checksum });
  await writeAgentConfig(host);
  await host.writeFile(
    `/etc/systemd/system/${unit}`,
    `[Service]\nType=exec\nExecStart=${userData.join(' ')}\n[Install]\nWantedBy=multi-user.target\n`,
  );
  await host.check(['systemctl', 'daemon-reload']);
  await host.check(['systemctl', 'enable', '--now', unit]);

  const isThere = async (path: string): Promise<boolean> => (await host.exec(['test', '-e', path])).status === 0;
  await until('the program is there', () => isThere(nodekiln));
  assert.equal(await isThere(marker), false, 'nobody approved yet');
  await startApprover(cluster, host);
  await until('it is all done', () => isThere(marker));
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

test('the same from a web server, through another nodekiln and back to nothing', options, async () => {
  const on = olderHost;
  const run = (where: readonly string[]) => {
    const files = ['--config', '/root/agent.yaml', '--ca-file', '/root/registry-ca.pem'];
    return on.exec(['/root/node', '/root/nodekiln', 'agent', 'bootstrap', ...files, ...where, '--json'], {
      timeoutMs: 120_000,
    });
  };
  const isThere = async (path: string): Promise<boolean> => (await on.exec(['test', '-e', path])).status === 0;
  const runs = async (): Promise<string> => {
    const { data } = JSON.parse(await on.check([nodekiln, 'version', '--json'])) as { data: { nodekiln: string } };
    return data.nodekiln;
  };
  const active = async (): Promise<string> => (await on.exec(['systemctl', 'is-active', agentUnit])).stdout.trim();
  const bundle = await buildBundle();
  await writeAgentConfig(on);
  const first = await run(await publish('first', { node: nodeBinary, nodekiln: bundle }));
  assert.equal(first.status, 0, first.stderr);
  await until('the Secret is applied', () => isThere('/etc/words'), on);

  await writeFile(
    join(www, 'bad-program'),
    `#!/bin/sh\n[ "$2" = version ] || exit 3\necho '{"data":{"nodekiln":"98.0.0"}}'\n`,
  );
  const bad = await publish('bad', { node: join(www, 'bad-program'), nodekiln: join(www, 'bad-program') });
  for (const _ of ['tried', 'told at once']) {
    const taken = await run(bad);
    assert.match(
      taken.stdout + taken.stderr,
      /NK_AGENT_UPDATE_FAILED.*a bootstrap brought did not come up.*exit status 3/s,
    );
    assert.deepEqual([await runs(), await active()], [version, 'active']);
  }

  const text = await readFile(bundle, 'utf8');
  await writeFile(join(www, 'good-program'), text.replace(`"${version}"`, `"${newer}"`));
  const good = await run(await publish('good', { node: nodeBinary, nodekiln: join(www, 'good-program') }));
  assert.equal(good.status, 0, good.stderr);
  assert.deepEqual([await runs(), await active()], [newer, 'active']);
  assert.equal((await on.exec(['ls', '/opt/nodekiln'])).stdout, 'bin\n');

  await on.check([nodekiln, 'reset', '--yes']);
  await on.check(['systemctl', 'daemon-reload']);
  const left = ['/opt/nodekiln', '/etc/nodekiln', '/etc/words', '/var/lib/nodekiln/agent', marker];
  for (const path of [...left, '/var/lib/nodekiln/bootstrap-brought.json'])
    assert.equal(await isThere(path), false, path);
  const units = await on.exec(['find', '/etc/systemd', '-name', 'nodekiln*']);
  assert.equal(units.stdout, '');
  const known = await on.exec(['systemctl', 'list-units', '--all', '--no-legend', '--plain', 'nodekiln-agent*']);
  assert.equal(known.stdout, '');
});
