/**
 * A host whose /usr cannot be written: /usr/local can, an authority is trusted, and both stay so when a configuration
 * extension makes /etc an overlay, too.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bakedRoot, demoFolder } from '../../demo/baked.ts';
import { openLab, type Lab, type LabHost } from '../../lab/lab.ts';
import { waitHttp } from '../../lab/probe.ts';
import { makeCertificates } from '../../servers/registry.ts';

const program = '/opt/nodekiln/bin/nodekiln';

describe('a read-only /usr', { concurrency: 1 }, () => {
  let lab: Lab;
  let host: LabHost;
  let work = '';
  let authority = '';

  before(async () => {
    work = await mkdtemp(join(tmpdir(), 'nodekiln-authority-'));
    authority = await readFile((await makeCertificates(work)).ca, 'utf8');
    const node = await readFile(join(demoFolder, 'node.yaml'), 'utf8');
    const indented = authority.trim().replaceAll('\n', '\n            ');
    const more = `spec:
  usrLocal: writable
  trust:
    anchors:
      - name: company
        certificates: |
            ${indented}
`;
    lab = await openLab();
    const root = await bakedRoot();
    host = await lab.host({ name: 'immutable', root, seeds: ['/opt', '/var/lib/containerd'] });
    await host.writeFile('/etc/nodekiln/conf.d/10-node.yaml', node.replace('spec:\n', more), { mode: 0o600 });
    // The test itself calls the boot, on a /usr that it has made read-only before.
    await rm(await host.path('/etc/systemd/system/multi-user.target.wants'), { recursive: true });
    await host.start();
    await host.waitRunning(30_000).catch(() => undefined);
    await host.check(['mount', '-o', 'bind,ro', '/usr', '/usr']);
    assert.notEqual((await host.exec(['touch', '/usr/local/bin/x'])).status, 0, '/usr can be written');
  });
  after(async () => {
    await lab?.close();
    await rm(work, { recursive: true, force: true });
  });

  interface Result {
    readonly outcome: string;
    readonly unchanged: boolean;
    readonly steps: readonly { readonly id: string }[];
  }
  async function boot(): Promise<Result> {
    const { data } = JSON.parse(await host.check([program, 'boot', '--json'])) as { data: Result };
    return data;
  }
  async function expectUnchanged(): Promise<void> {
    const { unchanged, steps } = await boot();
    assert.deepEqual([unchanged, steps.map(({ id }) => id)], [true, []]);
  }

  async function expectWritable(name: string): Promise<void> {
    for (const part of ['bin', 'lib', 'share', 'etc']) {
      await host.check(['sh', '-c', `printf '#!/bin/sh\\necho ${name}\\n' >/usr/local/${part}/${name}`]);
      await host.check(['chmod', '0755', `/usr/local/${part}/${name}`]);
    }
    assert.equal((await host.check([`/usr/local/bin/${name}`])).trim(), name);
    assert.notEqual((await host.exec(['touch', '/usr/bin/x'])).status, 0, '/usr itself stays read-only');
  }

  test('has a /usr/local that can be written, and trusts the authority', { timeout: 180_000 }, async () => {
    assert.equal((await boot()).outcome, 'converged');
    await waitHttp(host, { port: 10248, timeoutMs: 60_000 });
    await expectWritable('one');
    const bundle = await host.readFile('/etc/ssl/certs/ca-certificates.crt');
    assert.ok(bundle.includes(authority.trim().split('\n')[3] ?? 'no line'), 'the authority is in the bundle');
    await expectUnchanged();
  });

  test(
    'keeps both while a configuration extension is merged on /etc, and after it is gone',
    { timeout: 180_000 },
    async () => {
      const folder = '/var/lib/confexts/site/etc';
      await host.writeFile(`${folder}/extension-release.d/extension-release.site`, 'ID=_any\n');
      await host.writeFile(`${folder}/site.conf`, 'from the extension\n');
      await host.check(['systemd-confext', 'refresh']);
      assert.equal((await host.readFile('/etc/site.conf')).trim(), 'from the extension');
      await expectWritable('two');
      await host.check(['systemd-sysext', 'refresh']);
      await expectWritable('three');
      assert.equal((await host.check(['/usr/local/bin/one'])).trim(), 'one');
      await expectUnchanged();
      await host.check(['systemd-confext', 'unmerge']);
      await expectWritable('four');
      await expectUnchanged();
    },
  );

  test('keeps what was written over a restart of the machine', { timeout: 180_000 }, async () => {
    await host.reboot();
    await host.waitRunning(60_000).catch(() => undefined);
    assert.equal((await host.check(['/usr/local/bin/one'])).trim(), 'one');
    await waitHttp(host, { port: 10248, timeoutMs: 90_000 });
  });
});
