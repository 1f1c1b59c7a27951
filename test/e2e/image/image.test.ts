/**
 * From one sealed image start many machines, each with an identity of its own: an image that was baked, with an SSH
 * server, and one that was captured from a half-booted host. Real systemd, containerd, kubelet and sshd.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sealImage } from '../../../src/bake/seal.ts';
import { parseManifestLock } from '../../../src/artifacts/manifest-lock.ts';
import { verify, type VerifyReport } from '../../../src/inspect/verify/verify.ts';
import { demoFolder, nodekiln } from '../../demo/baked.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { artifacts } from '../../lab/packages.ts';
import { waitHttp } from '../../lab/probe.ts';
import { bakedCopy, type BakedCopy } from './baked-copy.ts';

const program = '/opt/nodekiln/bin/nodekiln';
const bootLink = 'etc/systemd/system/multi-user.target.wants/nodekiln-boot.service';
const seeds = ['/opt', '/var/lib/containerd'];

describe('a sealed image', { concurrency: 1 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab();
  });
  after(() => lab.close());

  test('with an SSH server starts as two machines', { timeout: 240_000 }, async (context) => {
    const copy = await bakedCopy();
    context.after(() => copy.remove());
    const manifest = await manifestWithSsh(copy);
    const baked = await nodekiln(['bake', manifest, '--root', copy.root]);
    assert.equal(baked.status, 0, baked.stderr);
    const lockFile = manifest.replace('.yaml', '.lock.json');
    const server = parseManifestLock(await readFile(lockFile, 'utf8'), lockFile).packages.find(({ id }) =>
      id.startsWith('package:openssh-server:'),
    );
    assert.match(server?.digest ?? '', /^sha256:/);
    const frozen = await nodekiln(['bake', manifest, '--root', copy.root, '--frozen', '--json']);
    assert.equal(frozen.status, 0, frozen.stdout);
    assert.deepEqual(await failing(copy.root), ['SSH host keys', 'host name']);

    const report = await sealImage({ root: copy.root });
    assert.deepEqual(report.written, ['/etc/systemd/system/nodekiln-ssh-host-keys.service']);
    assert.deepEqual(await failing(copy.root), []);
    assert.equal((await sealImage({ root: copy.root })).changed, false, 'sealing again found something');

    const hosts = await twoNodes(lab, 'ssh', copy.root);
    const identities = await Promise.all(hosts.map(identityOf));
    await Promise.all(
      hosts.map(async (host) => {
        await host.check(['systemctl', 'is-active', 'ssh.service']);
        assert.match(await host.check(['ssh-keyscan', '127.0.0.1']), /ssh-ed25519/);
      }),
    );
    await verifiesLive(hosts);
    assertDistinct(identities);
    for (const { hostKeys } of identities) assert.ok(hostKeys.length > 0);
    for (const host of hosts) await host.remove();
  });

  test('captured after boot --until shared finishes as two machines', { timeout: 240_000 }, async (context) => {
    const copy = await bakedCopy();
    context.after(() => copy.remove());
    const captured = join(dirname(copy.root), 'captured');

    const stage = await lab.host({ name: 'stage', root: copy.root, seeds, prepare: (root) => prepare(root, false) });
    await stage.start();
    await stage.waitRunning(60_000);
    await stage.check([program, 'boot', '--until', 'shared', '--json'], { timeoutMs: 120_000 });
    const half = await stage.exec(['systemctl', 'is-active', 'kubelet.service', 'containerd.service']);
    assert.deepEqual(half.stdout.trim().split('\n'), ['inactive', 'active']);
    await stage.exec(['rm', '-rf', '/etc/nodekiln/conf.d']);
    await stage.check(['systemctl', 'enable', '--quiet', 'nodekiln-boot.service']);
    const sealed = JSON.parse(await stage.check([program, 'seal', '--live', '--json'], { timeoutMs: 60_000 })) as {
      data: { stopped: string[]; disabled: string[] };
    };
    assert.deepEqual(sealed.data.stopped, ['containerd.service']);
    assert.deepEqual(sealed.data.disabled, ['containerd.service']);
    assert.equal(await stage.readFile('/etc/machine-id'), '');
    await stage.poweroff();
    await stage.saveRoot(captured);
    await stage.remove();
    // What the shutdown itself wrote into its log, and the lab's own files.
    await sealImage({ root: captured });
    assert.deepEqual(await failing(captured), []);

    const hosts = await twoNodes(lab, 'captured', captured);
    assertDistinct(await Promise.all(hosts.map(identityOf)));
    const full = await hosts[0]?.exec([program, 'seal', '--live', '--json']);
    assert.match(full?.stdout ?? '', /NK_UNSUPPORTED.*belongs to it alone/, 'a whole node was sealed');
  });
});

/** A started machine still is what was baked; a containerd that does not run is asked all the same, and left as it was. */
async function verifiesLive(hosts: readonly LabHost[]): Promise<void> {
  const look = async (host: LabHost): Promise<VerifyReport> => {
    const result = await host.exec([program, 'verify', '--live', '--json'], { timeoutMs: 60_000 });
    return (JSON.parse(result.stdout) as { data: VerifyReport }).data;
  };
  for (const host of hosts) {
    const running = await look(host);
    assert.deepEqual(failed(running), []);
    await host.check(['systemctl', 'stop', 'kubelet.service', 'containerd.service']);
    const state = ['systemctl', 'show', '--property=ActiveState,UnitFileState,InvocationID', 'containerd.service'];
    const before = await host.check(state);
    assert.deepEqual((await look(host)).checks, running.checks);
    assert.equal(await host.check(state), before);
    assert.equal((await host.exec(['pgrep', '--exact', 'containerd'])).stdout, '', 'a containerd was left running');
    assert.notEqual((await host.exec(['test', '-e', '/run/nodekiln-containerd'])).status, 0);
  }
}

function failed({ checks }: VerifyReport): string[] {
  return checks.filter(({ status }) => status === 'failed').map(({ subject, detail }) => `${subject}: ${detail}`);
}

/** The demo's manifest with an SSH server that starts at boot, its paths made absolute. */
async function manifestWithSsh(copy: BakedCopy): Promise<string> {
  const { dir } = await artifacts();
  const text = await readFile(join(demoFolder, 'image.yaml'), 'utf8');
  const changed = text
    .replaceAll('artifacts/', `${dir}/`)
    .replace('containernetworking-plugins]', 'containernetworking-plugins, openssh-server]')
    .replace('  nodekiln:\n', '  units:\n    enable: [ssh.service]\n\n  nodekiln:\n');
  assert.match(changed, /openssh-server[^]*ssh\.service/);
  const path = join(dirname(copy.root), 'image.yaml');
  await writeFile(path, changed);
  return path;
}

async function failing(root: string): Promise<string[]> {
  const { checks } = await verify({ root, trustSeals: true });
  return checks.filter(({ status }) => status === 'failed').map(({ subject }) => subject);
}

/** As the platform hands over a machine: no id, and a document that is this node's. */
async function prepare(root: string, boots: boolean, label = 'stage'): Promise<void> {
  await writeFile(join(root, 'etc/machine-id'), '');
  if (!boots) await rm(join(root, bootLink));
  const example = await readFile(join(demoFolder, 'node.yaml'), 'utf8');
  await mkdir(join(root, 'etc/nodekiln/conf.d'), { recursive: true });
  const node = example.replace('nodekiln.dev/example: demo', `nodekiln.dev/example: ${label}`);
  await writeFile(join(root, 'etc/nodekiln/conf.d/10-node.yaml'), node, { mode: 0o600 });
}

async function twoNodes(lab: Lab, name: string, root: string): Promise<LabHost[]> {
  const names = [`${name}-a`, `${name}-b`];
  const hosts = [];
  for (const each of names)
    hosts.push(await lab.host({ name: each, root, seeds, prepare: (folder) => prepare(folder, true, each) }));
  await Promise.all(hosts.map((host) => host.start()));
  await Promise.all(
    hosts.map(async (host) => {
      await waitHttp(host, { port: 10248, timeoutMs: 90_000 });
      await waitHttp(host, { port: 8080, path: '/', timeoutMs: 60_000 });
      await host.waitRunning(60_000);
    }),
  );
  return hosts;
}

interface Identity {
  readonly machineId: string;
  readonly nodeName: string;
  /** Names of pods carry the node's name. */
  readonly pod: string;
  readonly hostKeys: string;
}

async function identityOf(host: LabHost): Promise<Identity> {
  const containers = await host.check(['ctr', '--namespace', 'k8s.io', 'containers', 'list', '--quiet']);
  const [container = ''] = containers.trim().split('\n');
  const labels = await host.check(['ctr', '--namespace', 'k8s.io', 'containers', 'info', container]);
  return {
    machineId: (await host.readFile('/etc/machine-id')).trim(),
    nodeName: (await host.check(['hostname'])).trim(),
    pod: /"io\.kubernetes\.pod\.name": "([^"]+)"/.exec(labels)?.[1] ?? '',
    hostKeys: (await host.exec(['sh', '-c', 'cat /etc/ssh/ssh_host_*_key.pub'])).stdout,
  };
}

function assertDistinct(identities: readonly Identity[]): void {
  const [one, two] = identities;
  assert.ok(one && two);
  for (const { machineId, nodeName, pod } of identities) {
    assert.match(machineId, /^[0-9a-f]{32}$/);
    assert.equal(pod, `web-${nodeName}`);
  }
  assert.notEqual(one.machineId, two.machineId);
  assert.notEqual(one.nodeName, two.nodeName);
  if (one.hostKeys !== '') assert.notEqual(one.hostKeys, two.hostKeys);
}
