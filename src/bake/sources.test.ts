/** One bake from every kind of source, all of them real servers: twice, frozen, and after a tag has moved. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { dnfRepository, flatRepository, makeKey, signRpm } from '../../test/servers/packages.ts';
import { artifact, image, startRegistry, writeLayout, type TestRegistry } from '../../test/servers/registry.ts';
import { startWeb, type WebServer } from '../../test/servers/web.ts';
import { tryRun } from '../../test/lab/run.ts';
import { buildBundle, nodeBinary, nodeFlag } from '../../tools/build.ts';
import { parseManifestLock } from '../artifacts/manifest-lock.ts';
import {
  buildDeb,
  buildRpm,
  buildTarball,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../test/support/artifacts.ts';

interface Envelope {
  readonly ok: boolean;
  readonly error: { readonly code: string; readonly problems?: { message: string }[] } | null;
}

describe('a bake from every source', () => {
  const folder = temporaryFolder();
  const www = join(folder, 'www');
  const root = join(folder, 'root');
  const manifest = join(folder, 'image.yaml');
  let registry: TestRegistry;
  let web: WebServer;
  let bundle = '';
  const program = (seed: number): Buffer => programBytes(30_000, seed);

  before(async () => {
    bundle = await buildBundle();
    for (const path of [www, join(www, 'rpm'), join(root, 'etc'), join(folder, 'keys')])
      mkdirSync(path, { recursive: true });
    writeFileSync(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="13"\n');
    for (const library of execFileSync('ldd', [nodeBinary], { encoding: 'utf8' }).match(/\/\S+(?= \(0x)/g) ?? []) {
      mkdirSync(join(root, dirname(library)), { recursive: true });
      copyFileSync(library, join(root, library));
    }
    const key = await makeKey(join(folder, 'gnupg'), 'publisher');
    writeFileSync(join(folder, 'keys/packages.asc'), key.armoured);
    const debs = ['1.34.3-1.1', '1.34.3-2.1', '1.34.30-1.1'].map((version, index) =>
      buildDeb(folder, { name: 'kubelet', version, files: { 'usr/bin/kubelet': program(10 + index) } }),
    );
    await flatRepository(join(www, 'apt'), debs, key);
    const rpm = buildRpm(join(www, 'rpm'), {
      name: 'kubernetes-client',
      version: '1.34.3',
      release: '1',
      files: { 'usr/bin/kubectl': program(20) },
    });
    await signRpm(rpm, key);
    await dnfRepository(join(www, 'rpm'));
    const tarball = buildTarball(folder, 'crictl.tgz', { files: { crictl: program(30) }, compression: 'gzip' });
    copyFileSync(tarball, join(www, 'crictl-1.34.0.tgz'));
    web = await startWeb({ files: www });
    registry = await startRegistry();
    await registry.push({ repository: 'k/provider', tag: 'v1.34.1', ...artifact({ provider: program(40) }) });
    const layer = readFileSync(
      buildTarball(folder, 'layer.tar', { files: { 'usr/local/bin/kube-proxy': program(50) } }),
    );
    await registry.push({ repository: 'k/kube-proxy', tag: 'v1.34.3', ...image([layer]) });
    await writeLayout(join(folder, 'layout'), [{ ...artifact({ bridge: program(60) }), tag: 'v1.9.0' }]);
    writeFileSync(
      manifest,
      `apiVersion: nodekiln.dev/v1alpha1
kind: ImageManifest
spec:
  nodekiln: { boot: false }
  components:
    - name: kubelet
      action: cache
      builds: [{ version: 1.34.3, source: { type: apt, url: "${web.url}/apt", suite: /, signedBy: keys/packages.asc } }]
    - name: kubectl
      action: cache
      builds: [{ version: 1.34.3, source: { type: dnf, url: "${web.url}/rpm", keys: [keys/packages.asc], package: kubernetes-client } }]
    - name: crictl
      action: cache
      builds: [{ version: 1.34.0, source: { type: tarball, url: "${web.url}/{tool}-{version}.tgz", member: crictl } }]
    - name: provider
      action: cache
      builds: [{ version: 1.34.1, source: { type: file, reference: "${registry.host}/k/{tool}:{tag}", plainHttp: true } }]
    - name: kube-proxy
      action: cache
      builds: [{ version: 1.34.3, source: { type: image, reference: "${registry.host}/k/{tool}:{tag}", plainHttp: true, member: usr/local/bin/kube-proxy } }]
    - name: bridge
      action: cache
      builds: [{ version: 1.9.0, source: { type: file, layout: layout, tag: "{tag}" } }]
`,
    );
  });
  after(async () => {
    await registry?.close();
    await web?.close();
    removeFolder(folder);
  });

  async function bake(...args: string[]): Promise<Envelope & { status: number }> {
    const argv = [nodeBinary, nodeFlag, bundle, 'bake', manifest, '--root', root, '--json', ...args];
    const { status, stdout } = await tryRun(argv);
    return { status, ...(JSON.parse(stdout) as Envelope) };
  }
  const at = (tool: string, key: string): Buffer => readFileSync(join(root, `opt/bin/${tool}-${key}`));
  const locked = () => parseManifestLock(readFileSync(join(folder, 'image.lock.json'), 'utf8'), 'lock').artifacts;

  it('takes the right program of each, and locks what it took', async () => {
    assert.deepEqual((await bake()).error, null);
    assert.deepEqual(at('kubelet', '1.34.3'), program(11), 'the highest revision');
    assert.deepEqual(at('kubectl', '1.34.3'), program(20));
    assert.deepEqual(at('crictl', '1.34.0'), program(30));
    assert.deepEqual(at('provider', '1.34.1'), program(40));
    assert.deepEqual(at('kube-proxy', '1.34.3'), program(50));
    assert.deepEqual(at('bridge', '1.9.0'), program(60));
    const locations = locked()
      .map(({ location }) => location)
      .filter((location) => /apt|rpm|crictl|:v1|layout/.test(location));
    assert.equal(locations.length, 6, locations.join('\n'));
    assert.ok(locked().every(({ digest }) => /^sha256:[0-9a-f]{64}$/.test(digest)));
  });

  it('does nothing the second time, frozen or not', async () => {
    const before = (await web.requests()).length;
    assert.equal((await bake()).status, 0);
    assert.equal((await bake('--frozen')).status, 0);
    assert.equal((await web.requests()).length, before, 'nothing was asked for');
  });

  it('refuses what a moved tag leads to, in a new root', async () => {
    await registry.push({ repository: 'k/provider', tag: 'v1.34.1', ...artifact({ provider: program(41) }) });
    execFileSync('rm', ['-rf', join(root, 'opt/bin'), join(root, 'opt/nodekiln'), join(root, 'var/lib/nodekiln')]);
    const refused = await bake('--frozen');
    assert.equal(refused.ok, false);
    assert.ok(['NK_ARTIFACT_DIGEST', 'NK_CHECK_DIFFERENCES'].includes(refused.error?.code ?? ''), refused.error?.code);
    assert.deepEqual((await bake('--update-lock')).error, null);
    assert.deepEqual(at('provider', '1.34.1'), program(41));
  });
});
