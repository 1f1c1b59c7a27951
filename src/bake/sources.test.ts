/**
 * One bake from every kind of source, all of them real servers, at addresses with passwords: twice, frozen, and after a tag has
 * moved.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
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
  /** All that was printed. */
  let said = '';
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
    const address = web.url.replace('//', '//user:hunter2@');
    writeFileSync(
      manifest,
      `apiVersion: nodekiln.dev/v1alpha1
kind: ImageManifest
spec:
  nodekiln: { boot: false }
  components:
    - name: kubelet
      action: cache
      builds: [{ version: 1.34.3, source: { type: apt, url: "${address}/apt", suite: /, signedBy: keys/packages.asc } }]
    - name: kubectl
      action: cache
      builds: [{ version: 1.34.3, source: { type: dnf, url: "${address}/rpm", keys: [keys/packages.asc], package: kubernetes-client } }]
    - name: crictl
      action: cache
      builds: [{ version: 1.34.0, source: { type: tarball, url: "${address}/{tool}-{version}.tgz?sig=hunter2", member: crictl } }]
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
      { mode: 0o600 },
    );
  });
  after(async () => {
    await registry?.close();
    await web?.close();
    removeFolder(folder);
  });

  async function nodekiln(...args: string[]): Promise<{ readonly status: number; readonly stdout: string }> {
    const { status, stdout, stderr } = await tryRun([nodeBinary, nodeFlag, bundle, ...args]);
    said += `${stdout}${stderr}`;
    return { status, stdout };
  }
  async function bake(...args: string[]): Promise<Envelope & { status: number }> {
    const { status, stdout } = await nodekiln('bake', manifest, '--root', root, '--json', ...args);
    return { status, ...(JSON.parse(stdout) as Envelope) };
  }
  const emptyRoot = (): void =>
    void execFileSync('rm', [
      '-rf',
      ...['opt/bin', 'opt/nodekiln', 'var/lib/nodekiln'].map((path) => join(root, path)),
    ]);
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
    emptyRoot();
    const refused = await bake('--frozen');
    assert.equal(refused.ok, false);
    assert.ok(['NK_ARTIFACT_DIGEST', 'NK_CHECK_DIFFERENCES'].includes(refused.error?.code ?? ''), refused.error?.code);
    assert.deepEqual((await bake('--update-lock')).error, null);
    assert.deepEqual(at('provider', '1.34.1'), program(41));
  });

  it('tells no password of an address, and leaves none to others', async () => {
    const missing = join(folder, 'missing.yaml');
    writeFileSync(missing, readFileSync(manifest, 'utf8').replaceAll(/(127\.0\.0\.1:\d+)\//g, '$1/none/'), {
      mode: 0o600,
    });
    emptyRoot();
    for (const argv of [
      ['bake', missing, '--root', root, '--update-lock'],
      ['bake', manifest, '--root', root],
      ['verify', '--root', root],
      ['verify', '--root', root, '--json'],
      ['status', '--root', root, '--json'],
      ['config', 'dump', manifest],
      ['manifest', 'resolve', manifest, '--json'],
    ])
      await nodekiln(...argv);
    assert.match(said, /\/none\//, 'what failed is said');
    assert.doesNotMatch(said, /hunter2/);
    const held = execFileSync('grep', ['-rlE', 'hunter2', root], { encoding: 'utf8' }).trim().split('\n');
    assert.ok(held.length > 0);
    for (const path of held) assert.equal(statSync(path).mode & 0o777, 0o600, path);
    for (const lock of [join(folder, 'image.lock.json'), join(root, 'opt/nodekiln/image.lock.json')])
      assert.doesNotMatch(readFileSync(lock, 'utf8'), /hunter2/);
  });
});
