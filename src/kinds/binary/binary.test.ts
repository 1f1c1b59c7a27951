/** Programs from every source through the whole engine, on a root folder, with real packages and a real HTTP server. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { artifact, image, startRegistry, writeLayout } from '../../../test/servers/registry.ts';
import { openJournal, type Journal } from '../../apply/journal.ts';
import { carryOut, prepare, type Prepared, type Result } from '../../apply/reconcile.ts';
import { cacheIndexPath, cachedPath } from '../../artifacts/cache/cache.ts';
import {
  buildDeb,
  buildTarball,
  programBytes,
  removeFolder,
  temporaryFolder,
} from '../../../test/support/artifacts.ts';
import { sha256 } from '../../host/digest.ts';
import type { BinaryResource, BinarySource, ResourceId } from '../../model/resources.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { Host } from '../../host/port.ts';
import { plannedSources } from '../../inspect/plan-sources.ts';

const cacheFirst = (version: string): BinarySource => ({ type: 'cache', version });

describe('programs', () => {
  let folder = '';
  let root = '';
  let host: Host;
  let journal: Journal;
  let server: Server | undefined;
  let address = '';
  const requests: string[] = [];

  beforeEach(async () => {
    folder = temporaryFolder();
    root = join(folder, 'root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    host = createLinuxHost({ root });
    journal = await openJournal(host);
    requests.length = 0;
    mkdirSync(join(folder, 'www'));
    server = createServer((request, response) => {
      const name = basename(new URL(request.url ?? '', 'http://x').pathname);
      requests.push(name);
      try {
        response.end(readFileSync(join(folder, 'www', name)));
      } catch {
        response.writeHead(404).end('<html>no</html>');
      }
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const at = server.address();
    address = `http://127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`;
  });
  afterEach(async () => {
    stopServer();
    journal.close();
    await host.close();
    removeFolder(folder);
  });

  function stopServer(): void {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  }

  function binary(tool: string, version: string, sources: readonly BinarySource[]): BinaryResource {
    return {
      kind: 'binary',
      id: `binary:${tool}`,
      scope: 'node',
      deferrable: false,
      importance: 'required',
      needs: [],
      tool,
      version,
      architecture: 'amd64',
      sources,
      transfer: { budgetMs: 2_000 },
      place: { type: 'activate', target: `/opt/bin/${tool}` },
    };
  }

  function prepared(...binaries: readonly BinaryResource[]): Promise<Prepared> {
    const resources = new Map<ResourceId, BinaryResource>(binaries.map((item) => [item.id, item]));
    return prepare({ host, journal, source: 'boot', desired: { resources, goal: undefined, warnings: [] } });
  }
  async function apply(...binaries: readonly BinaryResource[]): Promise<Result> {
    return carryOut(await prepared(...binaries), { artifactBase: folder });
  }
  async function applied(...binaries: readonly BinaryResource[]): Promise<Result> {
    const result = await apply(...binaries);
    assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
    return result;
  }

  const at = (path: string): Buffer => readFileSync(join(root, path));
  const leftovers = (): string[] => {
    const path = join(root, 'var/lib/nodekiln');
    return readdirSync(path).filter((name) => name === 'downloads');
  };
  const program = (seed: number): Buffer => programBytes(40_000, seed);

  /** Both programs of a version in one archive, as Kubernetes publishes them. */
  function publish(version: string, seed: number): BinarySource {
    const path = buildTarball(folder, `node-${version}.tar.gz`, {
      files: { 'kubernetes/node/bin/kubelet': program(seed), 'kubernetes/node/bin/kubectl': program(seed + 1) },
      compression: 'gzip',
    });
    copyFileSync(path, join(folder, 'www', basename(path)));
    return { type: 'tarball', role: 'tarball', from: { type: 'url', url: `${address}/${basename(path)}` } };
  }

  const tools = (version: string, source: BinarySource): [BinaryResource, BinaryResource] => [
    binary('kubelet', version, [cacheFirst(version), source]),
    binary('kubectl', version, [cacheFirst(version), source]),
  ];

  it('fetches an archive once for all its programs, keeps them in the cache and needs no network again', async () => {
    const [old, current] = [publish('1.34.2', 10), publish('1.34.3', 20)];
    await applied(...tools('1.34.2', old));
    await applied(...tools('1.34.3', current));
    assert.deepEqual(requests, ['node-1.34.2.tar.gz', 'node-1.34.3.tar.gz']);
    assert.deepEqual(at('opt/bin/kubelet'), program(20));
    assert.deepEqual(at('opt/bin/kubectl'), program(21));
    assert.deepEqual(leftovers(), []);
    stopServer();

    assert.equal((await applied(...tools('1.34.3', current))).changes, 0);
    await applied(...tools('1.34.2', old));
    assert.deepEqual(at('opt/bin/kubelet'), program(10));
    rmSync(join(root, 'opt/bin/kubelet'));
    await applied(...tools('1.34.2', old));
    assert.deepEqual(at('opt/bin/kubelet'), program(10));
    await applied(...tools('1.34.3', current));
    assert.deepEqual(at('opt/bin/kubectl'), program(21));
  });

  for (const [what, damage, why] of [
    ['empty', (path: string) => writeFileSync(path, ''), /is empty/],
    ['a folder', (path: string) => (rmSync(path), mkdirSync(path)), /no regular file/],
    ['a link out', (path: string) => (rmSync(path), symlinkSync('/bin/sh', path)), /no regular file but a symlink/],
    ['of another digest', (path: string) => writeFileSync(path, program(99)), /has the digest/],
  ] as const) {
    it(`refuses a cached file that is ${what}, names it, and takes the next source`, async () => {
      const source = publish('1.34.3', 20);
      await applied(...tools('1.34.3', source));
      rmSync(join(root, 'opt/bin/kubelet'));
      damage(join(root, cachedPath('kubelet', '1.34.3')));
      const plan = await prepared(...tools('1.34.3', source));
      const [planned] = plannedSources(plan.plan.changes);
      assert.deepEqual(
        planned?.sources.map(({ source: name, part }) => [name, part]),
        [
          ['cache', 'refused'],
          ['tarball', 'next'],
        ],
      );
      assert.match(planned?.sources[0]?.why ?? '', why);
      await applied(...tools('1.34.3', source));
      assert.deepEqual(at('opt/bin/kubelet'), program(20));
      // A folder in the way is not ours to remove; anything else is replaced.
      if (what !== 'a folder') assert.deepEqual(at(cachedPath('kubelet', '1.34.3').slice(1)), program(20));
      assert.equal((await applied(...tools('1.34.3', source))).changes, 0);
    });
  }

  it('passes over a cached program for another architecture', async () => {
    const source = publish('1.34.3', 20);
    await applied(...tools('1.34.3', source));
    const index = join(root, cacheIndexPath);
    const text = readFileSync(index, 'utf8').replaceAll(/"architecture": "\w+"/g, '"architecture": "arm64"');
    writeFileSync(index, text);
    rmSync(join(root, 'opt/bin/kubelet'));
    const plan = await prepared(...tools('1.34.3', source));
    assert.match(plannedSources(plan.plan.changes)[0]?.sources[0]?.why ?? '', /is for arm64, not \w+/);
  });

  it('takes the package of the right build from a folder when packages are asked for, although the binary is cached', async () => {
    await applied(...tools('1.34.3', publish('1.34.3', 20)));
    const packages = join(folder, 'packages');
    mkdirSync(packages);
    for (const [version, seed] of [
      ['1.34.3-1.1', 30],
      ['1.34.3-2.1', 31],
      ['1.34.30-1.1', 32],
      ['1.34.3~rc1-1.1', 33],
    ] as const) {
      buildDeb(packages, { name: 'kubelet', version, files: { 'usr/bin/kubelet': program(seed) } });
    }
    const local: BinarySource = { type: 'deb', role: 'local', from: { type: 'folder', path: packages } };
    await applied(binary('kubelet', '1.34.3', [local]));
    assert.deepEqual(at('opt/bin/kubelet'), program(31));
    assert.deepEqual(at(cachedPath('kubelet', '1.34.3').slice(1)), program(20), 'the cache keeps its own');
    assert.equal((await applied(binary('kubelet', '1.34.3', [local]))).changes, 0);

    const none = await apply(binary('kubelet', '1.34.4', [local]));
    assert.equal(none.error?.code, 'NK_ARTIFACT_MISSING');
    assert.match(none.error?.lines.join('\n') ?? '', /1\.34\.30-1\.1/);
    assert.deepEqual(at('opt/bin/kubelet'), program(31));
  });

  it('never replaces a program by an artifact of the wrong digest', async () => {
    await applied(...tools('1.34.3', publish('1.34.3', 20)));
    writeFileSync(join(folder, 'www', 'kubelet'), program(40));
    const custom = (digest: string): BinarySource => ({
      type: 'file',
      role: 'custom',
      from: { type: 'url', url: `${address}/kubelet?token=hunter2` },
      digest,
    });
    const refused = await apply(binary('kubelet', '1.34.3', [custom(sha256(program(41)))]));
    assert.equal(refused.error?.code, 'NK_ARTIFACT_DIGEST');
    assert.ok(!JSON.stringify(refused.error).includes('hunter2'));
    assert.deepEqual(at('opt/bin/kubelet'), program(20));
    assert.deepEqual(leftovers(), []);
    await applied(binary('kubelet', '1.34.3', [custom(sha256(program(40)))]));
    assert.deepEqual(at('opt/bin/kubelet'), program(40));
    assert.deepEqual(at(cachedPath('kubelet', '1.34.3').slice(1)), program(20), 'a custom build is not the cached one');
  });

  it('puts a program back that somebody changed since it was placed', async () => {
    writeFileSync(join(folder, 'www', 'kubelet'), program(40));
    const from = { type: 'url', url: `${address}/kubelet` } as const;
    const custom = binary('kubelet', '1.34.3', [{ type: 'file', role: 'custom', from }]);
    await applied(custom);
    writeFileSync(join(root, 'opt/bin/kubelet'), program(50));
    const result = await applied(custom);
    assert.equal(result.changes, 1);
    assert.deepEqual(at('opt/bin/kubelet'), program(40));
  });

  it('keeps what is there when the new program could not start here, and says which library it lacks', async () => {
    await applied(...tools('1.34.3', publish('1.34.3', 20)));
    copyFileSync('/bin/true', join(folder, 'www', 'true'));
    const from = { type: 'url', url: `${address}/true` } as const;
    const result = await apply(binary('kubelet', '1.35.0', [{ type: 'file', role: 'custom', from }]));
    assert.equal(result.error?.code, 'NK_ARTIFACT_LIBRARIES');
    assert.match(result.error?.lines.join('\n') ?? '', /libc\.so\.6, needed by kubelet, is missing/);
    assert.deepEqual(at('opt/bin/kubelet'), program(20));
  });

  it('takes packages out of OCI artifacts, and programs out of container images', async () => {
    const packed = readFileSync(
      buildDeb(folder, { name: 'kubelet', version: '1.34.3-1.1', files: { 'usr/bin/kubelet': program(60) } }),
    );
    const tree = buildTarball(folder, 'layer.tar', { files: { 'usr/local/bin/kube-proxy': program(61) } });
    const registry = await startRegistry();
    try {
      await registry.push({ repository: 'k/kubelet', tag: 'v1.34.3', ...artifact({ 'kubelet.deb': packed }) });
      await writeLayout(join(folder, 'layout'), [{ ...image([readFileSync(tree)]), tag: 'v1.34.3' }]);
      const reference = `${registry.host}/k/kubelet:v1.34.3`;
      const mirror: BinarySource = { type: 'deb', role: 'mirror', from: { type: 'oci', reference, plainHttp: true } };
      const layout: BinarySource = {
        type: 'file',
        role: 'manifest',
        from: { type: 'image-layout', path: join(folder, 'layout') },
        member: 'usr/local/bin/kube-proxy',
      };
      await applied(
        binary('kubelet', '1.34.3', [cacheFirst('1.34.3'), mirror]),
        binary('kube-proxy', '1.34.3', [layout]),
      );
    } finally {
      await registry.close();
    }
    assert.deepEqual(at('opt/bin/kubelet'), program(60));
    assert.deepEqual(at('opt/bin/kube-proxy'), program(61));
    assert.match(at(cacheIndexPath.slice(1)).toString(), /k\/kubelet:v1\.34\.3@sha256:/);
    assert.deepEqual(leftovers(), []);
  });

  it('names every source that failed', async () => {
    const source: BinarySource = {
      type: 'tarball',
      role: 'tarball',
      from: { type: 'url', url: `${address}/none.tgz` },
    };
    const mirror: BinarySource = { type: 'deb', role: 'mirror', from: { type: 'url', url: `${address}/none.deb` } };
    const result = await apply(binary('kubelet', '1.34.3', [cacheFirst('1.34.3'), mirror, source]));
    assert.equal(result.error?.code, 'NK_ARTIFACT_NONE_USABLE');
    assert.deepEqual(
      result.error?.problems.map(({ message }) => message.split(':')[0]),
      ['cache', 'mirror', 'tarball'],
    );
    assert.deepEqual(leftovers(), []);
  });
});
