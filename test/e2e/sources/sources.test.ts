/**
 * A node whose image has no kubelet: it comes over the network while the machine boots, from a server that is not there
 * yet when the boot begins. Then again without the server, from a folder with packages, and never half.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exitStatus } from '../../../src/errors.ts';
import { bakedRoot, demoFolder } from '../../demo/baked.ts';
import { networkAddress, openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { artifacts } from '../../lab/packages.ts';
import { waitHttp } from '../../lab/probe.ts';
import { run } from '../../lab/run.ts';

const program = '/opt/nodekiln/bin/nodekiln';
const port = 8443;
const serverAwayMs = 4_000;

describe('programs over the network', { concurrency: 1 }, () => {
  let lab: Lab;
  let host: LabHost;
  let web = '';
  let server: ChildProcess | undefined;

  before(async () => {
    const root = await bakedRoot();
    web = await mkdtemp(join(tmpdir(), 'nodekiln-web-'));
    const { dir, kubelet } = await artifacts();
    // What Kubernetes publishes: an archive with its programs below kubernetes/node/bin.
    const tree = join(web, 'tree');
    await mkdir(join(tree, 'kubernetes/node/bin'), { recursive: true });
    await run([
      'sh',
      '-c',
      `dpkg-deb --fsys-tarfile ${join(dir, kubelet.deb.file)} | tar -xO ./usr/bin/kubelet >${tree}/kubernetes/node/bin/kubelet`,
    ]);
    await run(['chmod', '0755', join(tree, 'kubernetes/node/bin/kubelet')]);
    await run(['tar', '-C', tree, '-czf', join(web, 'kubernetes-node-1.34.3.tar.gz'), 'kubernetes']);
    await rm(tree, { recursive: true });
    lab = await openLab();
    const node = await readFile(join(demoFolder, 'node.yaml'), 'utf8');
    host = await lab.host({
      name: 'sources',
      root,
      network: true,
      seeds: ['/opt', '/var/lib/containerd'],
      prepare: async (disk) => {
        await mkdir(join(disk, 'etc/nodekiln/conf.d'), { recursive: true });
        const sources = `    sources:
      tarball: { url: "http://${networkAddress}:${port}/kubernetes-node-{version}.tar.gz" }
      local: { type: rpm, directory: /opt/packages }
    transfer: { budget: 60s }
`;
        await writeFile(
          join(disk, 'etc/nodekiln/conf.d/10-node.yaml'),
          node.replace('  binaries:\n', `  binaries:\n${sources}`),
          { mode: 0o600 },
        );
        await run(['sh', '-c', `rm ${disk}/opt/bin/kubelet-1.34.3`]);
      },
    });
  });
  after(async () => {
    server?.kill();
    await lab?.close();
    await rm(web, { recursive: true, force: true });
  });

  test('the boot waits for the server within its budget, and kubelet runs', { timeout: 180_000 }, async () => {
    await host.start();
    await new Promise((resolve) => setTimeout(resolve, serverAwayMs));
    server = lab.spawnInNetwork(['python3', '-m', 'http.server', '--directory', web, String(port)], {
      stdio: 'ignore',
    });
    await waitHttp(host, { port: 10248, timeoutMs: 120_000 });
    await host.waitRunning(30_000);
    const status = JSON.parse(await host.check([program, 'status', '--json'])) as { ok: boolean };
    assert.ok(status.ok);
    const details = await stepDetails();
    assert.match(details, /cached as \/opt\/bin\/kubelet-1\.34\.3 from http:\/\/10\.77\.0\.254:8443\//);
    assert.equal((await host.check(['/opt/bin/kubelet', '--version'])).trim(), 'Kubernetes v1.34.3');
    assert.equal((await host.check(['find', '/var/lib/nodekiln', '-name', 'downloads'])).trim(), '');
  });

  test('a second start, and a removed program, need no network', { timeout: 120_000 }, async () => {
    server?.kill();
    await host.check(['systemctl', 'stop', 'kubelet.service']);
    await host.check(['rm', '/opt/bin/kubelet']);
    await host.check([program, 'boot', '--json']);
    assert.match(await stepDetails(), /activated \/opt\/bin\/kubelet-1\.34\.3/);
    await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
  });

  test(
    'a plan says where the next version comes from; without any source nothing changes',
    { timeout: 120_000 },
    async () => {
      const document = await host.readFile('/etc/nodekiln/conf.d/10-node.yaml');
      const next = document.replace('version: 1.34.3', 'version: 1.34.9');
      await host.writeFile('/root/next.yaml', next, { mode: 0o600 });
      const plan = await host.check([program, 'plan', '/root/next.yaml']);
      assert.match(plan, /binary:kubelet 1\.34\.9\s+cache\s+refused\s+\/opt\/bin\/kubelet-1\.34\.3 is another version/);
      assert.match(plan, /local\s+refused\s+the folder \/opt\/packages does not exist/);
      assert.match(
        plan,
        /tarball\s+next\s+tarball from http:\/\/10\.77\.0\.254:8443\/kubernetes-node-1\.34\.9\.tar\.gz/,
      );

      await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', next.replace('budget: 60s', 'budget: 1s'), {
        mode: 0o600,
      });
      const before = await host.check(['sha256sum', '/opt/bin/kubelet']);
      const failed = await host.exec([program, 'boot', '--json']);
      assert.equal(failed.status, exitStatus.artifact, failed.stderr);
      assert.match(failed.stdout, /NK_ARTIFACT_NONE_USABLE/);
      assert.equal(await host.check(['sha256sum', '/opt/bin/kubelet']), before);
      await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
    },
  );

  test('the cache gives up what the policy lets it, once the boot has succeeded', { timeout: 120_000 }, async () => {
    const document = (await host.readFile('/etc/nodekiln/conf.d/10-node.yaml')).replace('1.34.9', '1.34.3');
    const listed = async (): Promise<string[]> => (await host.check(['ls', '/opt/bin'])).trim().split('\n');
    const before = await listed();
    assert.ok(before.includes('kubelet-1.34.4'));
    const policy = document.replace('  binaries:\n', '  binaries:\n    cache: { keep: 0 }\n');
    await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', policy, { mode: 0o600 });
    await host.check([program, 'boot']);
    assert.deepEqual(await listed(), ['kubectl', 'kubectl-1.32.3', 'kubelet', 'kubelet-1.34.3', 'nodekiln']);
    await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
  });

  async function stepDetails(): Promise<string> {
    const result = JSON.parse(await host.readFile('/var/lib/nodekiln/boot/result.json')) as {
      outcome: string;
      steps: { id: string; details: string[] }[];
    };
    assert.equal(result.outcome, 'converged');
    return result.steps
      .filter(({ id }) => id.includes('binary:kubelet'))
      .flatMap(({ details }) => details)
      .join('\n');
  }
});
