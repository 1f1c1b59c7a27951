/**
 * Neither a local extension nor a registry that answers: the programs of an archive become an extension of our own, which
 * is switched and taken away like any other.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bakedRoot, demoFolder } from '../../demo/baked.ts';
import { kubelet } from '../../lab/binaries.ts';
import { networkAddress, openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { waitHttp } from '../../lab/probe.ts';
import { run } from '../../lab/run.ts';

const program = '/opt/nodekiln/bin/nodekiln';
const port = 8080;

describe('an extension made of an archive', { concurrency: 1 }, () => {
  let lab: Lab;
  let host: LabHost;
  let web = '';
  const documentPath = '/etc/nodekiln/conf.d/10-node.yaml';

  before(async () => {
    web = await mkdtemp(join(tmpdir(), 'nodekiln-archive-'));
    for (const version of ['v1.34.3', 'v1.34.4'] as const) {
      const tree = join(web, 'tree/kubernetes/node/bin');
      await mkdir(tree, { recursive: true });
      await run(['cp', await kubelet(version), join(tree, 'kubelet')]);
      await run(['chmod', '0755', join(tree, 'kubelet')]);
      await writeFile(join(tree, 'kubectl'), '#!/bin/sh\necho kubectl\n', { mode: 0o755 });
      await run(['tar', '-C', join(web, 'tree'), '-czf', join(web, `node-${version}.tar.gz`), 'kubernetes']);
      await rm(join(web, 'tree'), { recursive: true });
    }
    const node = (await readFile(join(demoFolder, 'node.yaml'), 'utf8')).replace(/ {2}binaries:\n[^]*?\n\n/, '');
    const extensions = `  extensions:
    - name: kubernetes
      path: /opt/extensions
      registry: ${networkAddress}:1/extensions/kubernetes
      plainHttp: true
      tarball: { url: "http://${networkAddress}:${port}/node-{tag}.tar.gz" }
  binaries:
    transfer: { budget: 5s }
`;
    lab = await openLab();
    const root = await bakedRoot();
    host = await lab.host({ name: 'archive', root, network: true, seeds: ['/opt', '/var/lib/containerd'] });
    await host.writeFile(documentPath, node.replace('spec:\n', `spec:\n${extensions}`), { mode: 0o600 });
    lab.spawnInNetwork(['python3', '-m', 'http.server', '--directory', web, String(port)], { stdio: 'ignore' });
    await rm(await host.path('/etc/systemd/system/multi-user.target.wants'), { recursive: true });
    await host.start();
    await host.waitRunning(30_000).catch(() => undefined);
  });
  after(async () => {
    await lab?.close();
    await rm(web, { recursive: true, force: true });
  });

  test('a plan names the sources in their order', { timeout: 60_000 }, async () => {
    const plan = await host.check([program, 'plan']);
    assert.match(
      plan,
      /extension:kubernetes 1\.34\.3 +local +refused +the folder \/opt\/extensions does not exist\n +registry +next +\S+\/extensions\/kubernetes\n +tarball +next +http:\S+\/node-v1\.34\.3\.tar\.gz/,
    );
  });

  test('kubelet runs from it, and a second boot finds nothing to do', { timeout: 180_000 }, async () => {
    await host.check([program, 'boot']);
    await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
    assert.equal((await host.check(['/opt/bin/kubelet', '--version'])).trim(), 'Kubernetes v1.34.3');
    assert.equal((await host.check(['readlink', '-f', '/opt/bin/kubelet'])).trim(), '/usr/bin/kubelet');
    const again = JSON.parse(await host.check([program, 'boot', '--json'])) as { data: { unchanged: boolean } };
    assert.equal(again.data.unchanged, true);
  });

  test(
    'the next version takes its place, and the folder of the one before the last goes',
    { timeout: 180_000 },
    async () => {
      const document = await host.readFile(documentPath);
      for (const version of ['1.34.4', '1.34.3']) {
        await host.writeFile(documentPath, document.replace('version: 1.34.3', `version: ${version}`), { mode: 0o600 });
        await host.check([program, 'boot']);
        assert.equal((await host.check(['/opt/bin/kubelet', '--version'])).trim(), `Kubernetes v${version}`);
      }
      await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
      const folders = (await host.check(['ls', '/var/lib/nodekiln/extensions'])).trim().split('\n');
      assert.ok(
        folders.every((name) => !name.endsWith('.new')),
        folders.join(' '),
      );
    },
  );
});
