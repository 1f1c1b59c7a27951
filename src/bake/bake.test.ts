/** Bakes into small roots, with the real program: the lock file, frozen, changed artifacts, and bakes that are killed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, cp, readdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { buildBundle, nodeBinary, nodeFlag } from '../../tools/build.ts';
import { diffTrees, snapshotTree, type TreeEntry } from '../../test/lab/tree.ts';
import { createChance } from '../../test/support/chance.ts';
import { buildDeb, programBytes } from '../../test/support/artifacts.ts';
import { parseManifestLock } from '../artifacts/manifest-lock.ts';
import { parseImageLock } from '../image/image-lock.ts';
import { verify } from '../inspect/verify/verify.ts';
import { exitStatus } from '../errors.ts';
import { sha256 } from '../host/digest.ts';
import { sealImage } from './seal.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-bake-'));
let bundle: string;
let server: Server;
let url: string;
/** What the server serves. */
let served = join(folder, 'debs');

before(async () => {
  bundle = await buildBundle();
  mkdirSync(join(folder, 'debs'));
  await deb('kubelet', '1.34.3', 1);
  await deb('kubectl', '1.34.3', 2);
  server = createServer((request, response) => {
    const { url: asked = '' } = request;
    // Begun, and never ended.
    if (asked.startsWith('/slow/')) return void response.writeHead(200, { 'content-length': 1000 }).write('some');
    if (asked.startsWith('/none/')) return void response.writeHead(404).end();
    const path = join(served, asked);
    response.setHeader('content-length', statSync(path).size);
    createReadStream(path).pipe(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  url = typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : '';
});
after(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

async function deb(tool: string, version: string, seed: number): Promise<void> {
  const built = buildDeb(folder, {
    name: tool,
    version,
    release: '1.1',
    files: { [`usr/bin/${tool}`]: programBytes(200_000, seed) },
  });
  await copyFile(built, join(folder, 'debs', `${tool}_${version}.deb`));
}

interface Place {
  readonly root: string;
  readonly manifest: string;
  readonly lock: string;
}

/** What the program's own runtime needs. */
function libraries(): string[] {
  const listing = execFileSync('ldd', [nodeBinary], { encoding: 'utf8' });
  return listing.match(/\/\S+(?= \(0x)/g) ?? [];
}

/** A root that has a name and what Node needs, and a manifest of two programs: one from a path, one over HTTP. */
function place(more = ''): Place {
  const base = mkdtempSync(join(folder, 'case-'));
  const root = join(base, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="13"\n');
  for (const library of libraries()) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
  const manifest = join(base, 'image.yaml');
  writeFileSync(
    manifest,
    `apiVersion: nodekiln.dev/v1alpha1
kind: ImageManifest
metadata: { name: small }
spec:
  components:
    - name: kubelet
      action: cache
      builds:
        - { version: 1.34.3, source: { type: deb, path: ../debs/kubelet_1.34.3.deb } }
    - name: kubectl
      action: cache
      builds:
        - { version: 1.34.3, source: { type: deb, url: "${url}/kubectl_1.34.3.deb" } }
${more.replace('http://SERVER', url)}  files:
    - { path: /etc/motd, content: "hello\\n" }
`,
  );
  return { root, manifest, lock: join(base, 'image.lock.json') };
}

interface Outcome {
  readonly status: number | null;
  readonly code: string;
  readonly text: string;
  readonly data: {
    readonly changes?: number;
    readonly lock?: { outcome: string; differences: string[] };
    readonly skipped?: readonly { readonly component: string; readonly why: string }[];
  };
}

async function bake(
  at: Place,
  args: readonly string[] = [],
  env: Record<string, string> = {},
  program = bundle,
): Promise<Outcome> {
  const argv = [nodeFlag, program, 'bake', at.manifest, '--root', at.root, '--json', '--quiet', ...args];
  const child = spawn(nodeBinary, argv, { env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000', ...env } });
  let [text, errors] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  if (text === '') return { status, code: '', text: errors, data: {} };
  const said = JSON.parse(text) as { data: Outcome['data'] | null; error: { code: string } | null };
  return { status, code: said.error?.code ?? '', text, data: said.data ?? {} };
}

describe('the lock file of a bake', () => {
  it('is written beside the manifest, holds what was resolved, and is left alone when nothing differs', async () => {
    const at = place();
    const first = await bake(at);
    assert.equal(first.status, 0, first.text);
    assert.equal(first.data.lock?.outcome, 'written');
    const { artifacts } = parseManifestLock(readFileSync(at.lock, 'utf8'), at.lock);
    assert.deepEqual(
      artifacts.map(({ id, location, version, size }) => ({ id, location, version, size })),
      [
        {
          id: 'binary:kubectl-1.34.3 debian/13 amd64',
          location: `${url}/kubectl_1.34.3.deb`,
          version: '1.34.3-1.1',
          size: statSync(join(folder, 'debs/kubectl_1.34.3.deb')).size,
        },
        {
          id: 'binary:kubelet-1.34.3 debian/13 amd64',
          location: '../debs/kubelet_1.34.3.deb',
          version: '1.34.3-1.1',
          size: statSync(join(folder, 'debs/kubelet_1.34.3.deb')).size,
        },
      ],
    );
    const inRoot = parseImageLock(readFileSync(join(at.root, 'opt/nodekiln/image.lock.json'), 'utf8'), 'lock');
    assert.deepEqual(inRoot.artifacts, artifacts);
    assert.deepEqual(
      inRoot.binaries.map(({ path }) => path),
      ['/opt/bin/kubectl-1.34.3', '/opt/bin/kubelet-1.34.3', '/opt/nodekiln/bin/node', '/opt/nodekiln/bin/nodekiln'],
    );
    const again = await bake(at);
    assert.deepEqual([again.data.lock?.outcome, again.data.changes], ['unchanged', 0]);
    assert.doesNotMatch(again.text, /has no digest/, 'what the lock holds is not left open');
  });

  it('names the host program that a bake was given, which takes the place of ours and its Node.js', async () => {
    const at = place();
    const given = join(folder, 'host-program');
    writeFileSync(given, programBytes(100_000, 7));
    const own = ['node', 'nodekiln'].map((name) => `/opt/nodekiln/bin/${name}`);
    const asked = { NODEKILN_HOST_PROGRAM: given };
    for (const [env, wanted] of [
      [{}, own],
      [asked, own.slice(1)],
      [asked, own.slice(1)],
      [{}, own],
    ] as const) {
      const baked = await bake(at, [], env);
      assert.equal(baked.status, 0, baked.text);
      assert.deepEqual(
        readdirSync(join(at.root, 'opt/nodekiln/bin')),
        wanted.map((path) => basename(path)),
      );
      const { binaries } = parseImageLock(readFileSync(join(at.root, 'opt/nodekiln/image.lock.json'), 'utf8'), 'lock');
      const locked = binaries.filter(({ path }) => dirname(path) === '/opt/nodekiln/bin');
      assert.deepEqual(
        locked.map(({ path }) => path),
        wanted,
      );
      const digest = sha256(readFileSync(env === asked ? given : bundle));
      assert.equal(locked.at(-1)?.digest, digest);
      assert.equal(sha256(readFileSync(join(at.root, 'opt/nodekiln/bin/nodekiln'))), digest);
    }
  });

  it('of a cache whose index is damaged is the same; the bake says so, and the image can be sealed', async () => {
    const at = place();
    assert.equal((await bake(at)).status, 0);
    const index = join(at.root, 'opt/nodekiln/cache/index.json');
    for (const damaged of ['', '{"entries":[', '[]', readFileSync(index, 'utf8').replace('"1.34.3-1.1"', '"latest"')]) {
      writeFileSync(index, damaged);
      await assert.rejects(sealImage({ root: at.root, dryRun: true }), { code: 'NK_ARTIFACT_UNREADABLE' });
      const again = await bake(at);
      assert.deepEqual([again.status, again.data.lock?.outcome], [0, 'unchanged'], again.text);
      assert.match(again.text, /damaged; it was written anew and lies beside as \.damaged/);
      assert.equal((await sealImage({ root: at.root, dryRun: true })).cache.verified, 2);
      assert.doesNotMatch((await bake(at)).text, /damaged/);
    }
  });

  it('frozen, is needed, and refuses a manifest that asks for more or less before anything is done', async () => {
    const at = place();
    assert.deepEqual((await bake(at, ['--frozen'])).code, 'NK_DOCUMENT_MISSING');
    assert.equal((await bake(at)).status, 0);
    assert.equal((await bake(at, ['--frozen'])).status, 0);
    const text = readFileSync(at.manifest, 'utf8');
    writeFileSync(at.manifest, text.replace('name: kubectl', 'name: kubeadm'));
    const before = await treeOf(at.root);
    const refused = await bake(at, ['--frozen']);
    assert.deepEqual([refused.status, refused.code], [12, 'NK_CHECK_DIFFERENCES']);
    assert.match(refused.text, /binary:kubeadm-1\.34\.3 debian\/13 amd64 is not in the lock file/);
    assert.match(refused.text, /binary:kubectl-1\.34\.3 debian\/13 amd64 is in the lock file and no longer/);
    assert.deepEqual(diffTrees(before, await treeOf(at.root)), []);
  });

  it('holds artifacts whose manifest names no digest, until it is told to take new ones', async () => {
    const at = place();
    assert.equal((await bake(at)).status, 0);
    const fresh = { ...place(), manifest: at.manifest, lock: at.lock };
    await deb('kubectl', '1.34.3', 3);
    for (const args of [[], ['--frozen']]) {
      const refused = await bake(fresh, args);
      assert.deepEqual([refused.status, refused.code], [15, 'NK_ARTIFACT_DIGEST'], refused.text);
      assert.match(refused.text, /--update-lock/);
    }
    // A root that has the earlier one already is not fetched for again, and is as the lock says.
    assert.equal((await bake(at, ['--frozen'])).status, 0);
    const updated = await bake(fresh, ['--update-lock']);
    assert.equal(updated.status, 0, updated.text);
    assert.match(updated.data.lock?.differences.join('\n') ?? '', /kubectl-1\.34\.3 debian\/13 amd64 has the digest/);
    // And now it is the earlier root that differs.
    assert.equal((await bake(at)).code, 'NK_ARTIFACT_DIGEST');
  });

  it('keeps what another system resolved to, and drops what the manifest drops', async () => {
    const at = place();
    assert.equal((await bake(at)).status, 0);
    const noble = { ...place(), manifest: at.manifest, lock: at.lock };
    writeFileSync(join(noble.root, 'etc/os-release'), 'ID=ubuntu\nVERSION_ID="24.04"\n');
    assert.equal((await bake(noble)).status, 0);
    const text = readFileSync(at.manifest, 'utf8');
    writeFileSync(at.manifest, text.replace(/ {4}- name: kubectl[^]*?deb" } }\n/, ''));
    const dropped = await bake(at);
    assert.deepEqual(dropped.data.lock?.differences, [
      'binary:kubectl-1.34.3 debian/13 amd64 is in the lock file and no longer in the manifest',
    ]);
    assert.deepEqual(
      parseManifestLock(readFileSync(at.lock, 'utf8'), at.lock).artifacts.map(({ id }) => id),
      [
        'binary:kubectl-1.34.3 ubuntu/24.04 amd64',
        'binary:kubelet-1.34.3 debian/13 amd64',
        'binary:kubelet-1.34.3 ubuntu/24.04 amd64',
      ],
    );
  });

  it('makes equal images of equal manifests', async () => {
    const [one, two] = [place(), place()];
    for (const at of [one, two]) assert.equal((await bake(at)).status, 0);
    assert.deepEqual(diffTrees(await treeOf(one.root), await treeOf(two.root)), []);
  });
});

describe('a bake looks first', () => {
  const hex = 'a'.repeat(64);
  const cache = (name: string, source: string, more = ''): string =>
    `    - { name: ${name}, action: cache, builds: [{ version: 1.34.3, ${more}source: ${source} }] }\n`;
  interface Fault {
    readonly name: string;
    readonly more?: string;
    readonly args?: (at: Place) => readonly string[];
    readonly before?: (at: Place) => void;
    readonly code: string;
    readonly says: RegExp;
  }
  const there = '../debs/kubelet_1.34.3.deb';
  const other = process.arch === 'x64' ? 'arm64' : 'amd64';
  const faults: readonly Fault[] = [
    {
      name: 'a package that is missing',
      more: cache('crictl', '{ type: deb, path: none.deb }'),
      code: 'NK_ARTIFACT_MISSING',
      says: /none\.deb does not exist/,
    },
    {
      name: 'a package of another digest',
      more: cache('crictl', `{ type: deb, path: ${there} }`, `digest: "sha256:${hex}", `),
      code: 'NK_ARTIFACT_DIGEST',
      says: /kubelet_1\.34\.3\.deb has the digest/,
    },
    {
      name: 'a folder in place of a file',
      more: cache('crictl', '{ type: file, path: . }'),
      code: 'NK_ARTIFACT_UNREADABLE',
      says: /is a folder, no regular file/,
    },
    {
      name: 'an empty file',
      more: cache('crictl', '{ type: file, path: empty }'),
      before: ({ manifest }) => writeFileSync(join(dirname(manifest), 'empty'), ''),
      code: 'NK_ARTIFACT_UNREADABLE',
      says: /empty is empty/,
    },
    ...(
      [
        ['a page in place of a program', 'file', '<!DOCTYPE html>', 'NK_ARTIFACT_NO_PROGRAM', /it is an HTML page/],
        ['a program for another processor', 'file', programBytes(900, 1, other), 'NK_ARTIFACT_ARCHITECTURE', /is for/],
        ['a script of Windows', 'file', '#!/bin/sh\r\n', 'NK_ARTIFACT_NO_PROGRAM', /carriage return/],
        ['a page in place of a package', 'deb', '<html>', 'NK_ARTIFACT_UNREADABLE', /is no deb but an HTML page/],
        ['a program in place of a package', 'rpm', programBytes(900, 1), 'NK_ARTIFACT_UNREADABLE', /is no rpm but/],
        ['text in place of an archive', 'tarball', 'Not Found\n', 'NK_ARTIFACT_UNREADABLE', /is no tarball but text/],
      ] as const
    ).map(([name, type, content, code, says]): Fault => ({
      name,
      more: cache('crictl', `{ type: ${type}, path: it${type === 'tarball' ? ', member: x' : ''} }`),
      before: ({ manifest }) => writeFileSync(join(dirname(manifest), 'it'), content),
      code,
      says,
    })),
    ...[
      '{ type: apt, url: "https://127.0.0.1:1", suite: /, signedBy: none.asc }',
      '{ type: dnf, url: "https://127.0.0.1:1", keys: [none.asc] }',
      '{ type: file, reference: "127.0.0.1:1/a/b:c", signature: { key: none.asc } }',
      '{ type: file, reference: "127.0.0.1:1/a/b:c", signature: { trustedRoot: none.asc, identity: a, issuer: "https://b" } }',
    ].map((source): Fault => ({
      name: `a key that is missing: ${source}`,
      more: cache('crictl', source),
      code: 'NK_ARTIFACT_MISSING',
      says: /none\.asc does not exist/,
    })),
    {
      name: 'a layout that is none',
      more: cache('crictl', '{ type: file, layout: none }'),
      code: 'NK_ARTIFACT_MISSING',
      says: /none\/index\.json does not exist/,
    },
    {
      name: 'an archive of an image that is missing',
      more: '    - { name: pause, action: image, reference: "registry.k8s.io/pause:3.10", archive: none.tar }\n',
      code: 'NK_ARTIFACT_MISSING',
      says: /none\.tar does not exist/,
    },
    {
      name: 'two of them, both named',
      more: `${cache('crictl', '{ type: deb, path: one.deb }')}${cache('runc', '{ type: deb, path: two.deb }')}`,
      code: 'NK_ARTIFACT_MISSING',
      says: /one\.deb does not exist; 1 more[^]*two\.deb does not exist/,
    },
    {
      name: 'a bill of materials that cannot be written',
      args: ({ manifest }) => ['--sbom', join(manifest, 'sbom.json')],
      code: 'NK_FILE_WRITE',
      says: /image\.yaml/,
    },
  ];
  for (const { name, more, args, before, code, says } of faults)
    it(`and changes nothing for ${name}`, async () => {
      const at = place(more);
      mkdirSync(join(at.root, 'var'));
      before?.(at);
      const was = await treeOf(at.root);
      const refused = await bake(at, args?.(at));
      assert.equal(refused.code, code, refused.text);
      assert.match(refused.text, says);
      assert.deepEqual(
        diffTrees(was, await treeOf(at.root)).filter((line) => !JSON.stringify(line).includes('var/lib')),
        [],
        'nothing but our own state',
      );
    });

  it('and changes nothing for a file that the lock file holds otherwise', async () => {
    const known = place();
    assert.equal((await bake(known)).status, 0);
    const at = place();
    mkdirSync(join(at.root, 'var'));
    const digest =
      /sha256:[0-9a-f]{64}(?=[^}]*"id": "binary:kubelet)|(?<="id": "binary:kubelet[^}]*)sha256:[0-9a-f]{64}/;
    writeFileSync(at.lock, readFileSync(known.lock, 'utf8').replace(digest, `sha256:${hex}`));
    const was = await treeOf(at.root);
    const refused = await bake(at);
    assert.deepEqual([refused.code, /--update-lock/.test(refused.text)], ['NK_ARTIFACT_DIGEST', true], refused.text);
    assert.deepEqual(
      diffTrees(was, await treeOf(at.root)).filter((line) => !JSON.stringify(line).includes('var/lib')),
      [],
    );
  });

  it('and asks nothing of files that it needs no more', async () => {
    const at = place(cache('crictl', '{ type: file, path: program }'));
    const program = join(dirname(at.manifest), 'program');
    copyFileSync('/bin/true', program);
    assert.equal((await bake(at)).status, 0);
    rmSync(program);
    const again = await bake(at);
    assert.deepEqual([again.status, again.data.changes], [0, 0], again.text);
  });

  it('and says what of the manifest is not meant for this system, and why', async () => {
    const of = (name: string, on: string): string =>
      `    - { name: ${name}, action: cache, on: ${on}, builds: [{ version: 1.0.0, source: { type: deb, path: none } }] }\n`;
    const at = place(
      [
        of('a', '{ os: ubuntu }'),
        of('b', '{ os: debian, release: ["11", "12"] }'),
        of('c', '{ arch: arm64 }'),
        of('d', '{ variant: immutable }'),
        '    - { name: e, action: cache, builds: [{ version: 1.0.0, on: { os: flatcar }, source: { type: deb, path: none } }] }\n',
        '    - { name: f, action: image, on: { os: [azurelinux, mariner] }, reference: "r.io/f:1", archive: none.tar }\n',
      ].join(''),
    );
    const { status, text, data } = await bake(at);
    assert.equal(status, 0, text);
    assert.deepEqual(data.skipped, [
      { component: 'a', why: 'it is for ubuntu, and this is debian' },
      { component: 'b', why: 'it is for release 11 or 12, and this is release 13' },
      { component: 'c', why: 'it is for arm64, and this is amd64' },
      { component: 'd', why: 'it is for variant immutable, and this is without variant' },
      { component: 'e', why: 'it is for flatcar, and this is debian' },
      { component: 'f', why: 'it is for azurelinux or mariner, and this is debian' },
    ]);
  });
});

describe('the lock of an image', () => {
  it('holds links, folders, extensions and the manifest’s own checks, and verify fails where one differs', async () => {
    const at = place(
      '  verify: { absent: [/etc/none], present: [{ path: /etc/a.d, mode: "0750" }], noLogins: true }\n',
    );
    const more =
      '    - { path: /etc/a.link, symlink: motd }\n    - { path: /etc/a.d, directory: true, mode: "0750" }\n';
    appendFileSync(at.manifest, `${more}    - { path: /etc/extensions/a.raw, content: image }\n`);
    assert.equal((await bake(at)).status, 0);
    const lock = parseImageLock(readFileSync(join(at.root, 'opt/nodekiln/image.lock.json'), 'utf8'), 'lock');
    assert.deepEqual(lock.links, [
      { path: '/etc/a.link', target: 'motd' },
      { path: '/opt/bin/nodekiln', target: '/opt/nodekiln/bin/nodekiln' },
    ]);
    assert.deepEqual(lock.folders, [{ path: '/etc/a.d', mode: '0750', uid: 0, gid: 0 }]);
    assert.deepEqual(
      lock.extensions?.map(({ path }) => path),
      ['/etc/extensions/a.raw'],
    );
    assert.deepEqual(lock.checks?.present, [{ path: '/etc/a.d', mode: '0750' }]);

    const failures = async (): Promise<string[]> => {
      const { checks } = await verify({ root: at.root });
      return checks.flatMap((check) =>
        check.status === 'failed' && check.area !== 'identity' ? [`${check.subject} ${check.property}`] : [],
      );
    };
    assert.deepEqual(await failures(), []);
    rmSync(join(at.root, 'etc/a.link'));
    symlinkSync('/etc/passwd', join(at.root, 'etc/a.link'));
    writeFileSync(join(at.root, 'etc/none'), '');
    writeFileSync(join(at.root, 'etc/shadow'), 'root::1::::::\n');
    writeFileSync(join(at.root, 'etc/extensions/b.raw'), 'x');
    assert.deepEqual(await failures(), ['/etc/a.link link', 'others none', '/etc/none absent', 'log-ins none']);
  });
});

describe('an image is asked to be the same', () => {
  it('wherever its manifest and what it names of this machine lie, and whatever path nodekiln runs from', async () => {
    const at = place();
    const base = dirname(at.manifest);
    mkdirSync(join(base, 'in'));
    copyFileSync(join(folder, 'debs/kubectl_1.34.3.deb'), join(base, 'in/crictl.deb'));
    writeLayout(join(base, 'in/layout'), readFileSync(join(folder, 'debs/kubelet_1.34.3.deb')));
    const of = (name: string, member: string, source: string): string =>
      `    - { name: ${name}, action: cache, builds: [{ version: 1.34.3, source: { type: deb, member: usr/bin/${member}, ${source} } }] }\n`;
    const more = of('crictl', 'kubectl', 'path: ./in/crictl.deb') + of('runc', 'kubelet', 'layout: in/layout');
    writeFileSync(
      at.manifest,
      readFileSync(at.manifest, 'utf8').replace('  files:\n', `${more.replace('http://SERVER', url)}  files:\n`),
    );
    const first = await bake(at);
    assert.equal(first.status, 0, first.text);
    const locked = readFileSync(at.lock, 'utf8');
    assert.equal(locked.includes(folder), false, 'a lock file names nothing of the machine that made it');

    const other = join(folder, 'elsewhere');
    mkdirSync(other);
    await cp(join(folder, 'debs'), join(other, 'debs'), { recursive: true });
    renameSync(base, join(other, 'moved'));
    renameSync(join(folder, 'debs'), join(folder, 'debs.gone'));
    served = join(other, 'debs');
    const moved: Place = {
      root: join(other, 'moved/root'),
      manifest: join(other, 'moved/image.yaml'),
      lock: join(other, 'moved/image.lock.json'),
    };
    copyFileSync(bundle, join(other, 'nodekiln.cjs'));
    try {
      for (const program of [bundle, join(other, 'nodekiln.cjs')]) {
        const { status, data, text } = await bake(moved, ['--frozen'], {}, program);
        assert.deepEqual([status, data.changes, data.lock?.outcome], [0, 0, 'unchanged'], text);
        assert.deepEqual(readdirSync(join(moved.root, 'var/lib/nodekiln/generations')), ['1.json'], program);
      }
      // A fresh root, so that everything is fetched from where it lies now.
      const fresh = place();
      const again = await bake({ ...moved, root: fresh.root }, ['--frozen']);
      assert.equal(again.status, 0, again.text);
      assert.equal(readFileSync(moved.lock, 'utf8'), locked);
    } finally {
      renameSync(join(folder, 'debs.gone'), join(folder, 'debs'));
      served = join(folder, 'debs');
    }
  });
});

/** A folder in the OCI image layout that holds one file. */
function writeLayout(at: string, file: Buffer): void {
  mkdirSync(join(at, 'blobs/sha256'), { recursive: true });
  const blob = (content: Buffer | string): { digest: string; size: number } => {
    const hex = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(at, 'blobs/sha256', hex), content);
    return { digest: `sha256:${hex}`, size: Buffer.byteLength(content) };
  };
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const octets = { mediaType: 'application/octet-stream', ...blob(file) };
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...blob('{}') };
  const manifest = blob(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [octets] }));
  const annotations = { 'org.opencontainers.image.ref.name': 'v1' };
  writeFileSync(join(at, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(at, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, ...manifest, annotations }] }),
  );
}

describe('programs of an image on the PATH', () => {
  const ours = ['etc/profile.d/nodekiln.sh', 'etc/sudoers.d/nodekiln', 'opt/bin/nodekiln'];
  const there = ({ root }: Place): string[] =>
    ours.filter((path) => lstatSync(join(root, path), { throwIfNoEntry: false }));
  const nodekiln = (at: Place, said: string): void =>
    writeFileSync(
      at.manifest,
      `${readFileSync(at.manifest, 'utf8').replace(/^ {2}nodekiln: .*\n/m, '')}  nodekiln: ${said}\n`,
    );

  it('are there unless they are left out, known to verify, and go with the manifest that asked for them', async () => {
    const at = place();
    writeFileSync(
      join(at.root, 'etc/sudoers'),
      'Defaults secure_path="/usr/sbin:/usr/bin"\n@includedir /etc/sudoers.d\n',
    );
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(there(at), ours);
    assert.match(
      readFileSync(join(at.root, 'etc/sudoers.d/nodekiln'), 'utf8'),
      /^Defaults secure_path="\/usr\/sbin:\/usr\/bin:\/opt\/bin"$/m,
    );
    assert.equal(statSync(join(at.root, 'etc/sudoers.d/nodekiln')).mode & 0o7777, 0o440);
    assert.equal(readlinkSync(join(at.root, 'opt/bin/nodekiln')), '/opt/nodekiln/bin/nodekiln');
    assert.deepEqual(await failing(at), []);
    assert.equal((await bake(at)).data.changes, 0);
    writeFileSync(join(at.root, 'etc/sudoers'), 'Defaults secure_path="/bin"\n');
    assert.equal((await bake(at)).data.changes, 1, 'its own list of folders is taken for the root’s');
    assert.match(readFileSync(join(at.root, 'etc/sudoers.d/nodekiln'), 'utf8'), /="\/bin:\/opt\/bin"$/m);
    for (const path of ours) {
      const lost = join(at.root, path);
      rmSync(lost);
      assert.deepEqual(await failing(at), [`/${path}`]);
      assert.equal((await bake(at)).data.changes, 1);
    }

    nodekiln(at, '{ path: false }');
    assert.equal((await bake(at)).data.changes, 3);
    assert.deepEqual(there(at), []);
    assert.deepEqual(await failing(at), []);
  });

  it('are there for the shells and the sudo that the bake itself brings, in that bake', async () => {
    const brought = `    - { path: /etc/sudoers, content: "Defaults secure_path=/sbin\\n", mode: "0440" }
    - { path: /usr/bin/fish, content: "", mode: "0755" }
    - { path: /bin/tcsh, content: "", mode: "0755" }
    - { path: /etc/csh.login, content: "source /etc/profile.d/*.csh\\n" }
`;
    const shells = ['etc/profile.d/nodekiln.csh', 'etc/fish/conf.d/nodekiln.fish'];
    const at = place();
    appendFileSync(at.manifest, brought);
    const { status, text, data } = await bake(at);
    assert.equal(status, 0, text);
    assert.deepEqual(there(at), ours);
    for (const path of shells) assert.ok(existsSync(join(at.root, path)), path);
    assert.match(readFileSync(join(at.root, 'etc/sudoers.d/nodekiln'), 'utf8'), /="\/sbin:\/opt\/bin"$/m);
    assert.deepEqual(await failing(at), []);
    const before = data.changes ?? 0;
    assert.ok(before > shells.length + ours.length, 'what both runs changed is counted');
    assert.equal((await bake(at)).data.changes, 0);
    writeFileSync(at.manifest, readFileSync(at.manifest, 'utf8').replace(brought, ''));
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(there(at), [ours[0], ours[2]]);
    for (const path of shells) assert.ok(!existsSync(join(at.root, path)), path);
  });

  it('are found without nodekiln where the image has neither its boot nor its agent, and no runtime', async () => {
    const at = place();
    nodekiln(at, '{ boot: false }');
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(there(at), ours.slice(0, 1));
    assert.deepEqual(readdirSync(join(at.root, 'opt/nodekiln')).sort(), [
      'cache',
      'image.lock.json',
      'image.spdx.json',
    ]);
    assert.deepEqual(await failing(at), []);
    nodekiln(at, '{ boot: false, agent: true }');
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(there(at), [ours[0], ours[2]]);
    assert.ok(statSync(join(at.root, 'opt/bin/kubelet-1.34.3')).isFile());
  });

  async function failing({ root }: Place): Promise<string[]> {
    const { checks } = await verify({ root });
    return checks
      .filter(({ status, area }) => status === 'failed' && area !== 'identity')
      .map(({ subject }) => subject);
  }
});

describe('a journal that lost what is in place', () => {
  const target = 'opt/x/kubectl';
  const content = programBytes(200_000, 7);
  const download = `    - { name: x, action: download, version: 1.34.3, url: "http://SERVER/program", target: /${target}, digest: "sha256:${createHash('sha256').update(content).digest('hex')}" }\n`;
  const forget = ({ root }: Place): void => {
    const database = new DatabaseSync(join(root, 'var/lib/nodekiln/state.db'));
    database.exec("DELETE FROM notes WHERE key LIKE 'artifact %'");
    database.close();
  };

  it('is made up for by the locks, and by fetching anew where those are lost, too', async () => {
    const at = place(download);
    writeFileSync(join(served, 'program'), content);
    const first = await bake(at);
    assert.equal(first.status, 0, first.text);
    const [lock, imageLock] = [readFileSync(at.lock), join(at.root, 'opt/nodekiln/image.lock.json')];
    for (const lost of [[], [imageLock], [at.lock]]) {
      forget(at);
      for (const path of lost) rmSync(path);
      const again = await bake(at);
      assert.equal(again.status, 0, `without ${lost.join()}: ${again.text}`);
      assert.deepEqual(readFileSync(at.lock), lock);
    }
    forget(at);
    for (const path of [at.lock, imageLock]) rmSync(path);
    const ended = await bake(at);
    assert.equal(ended.code, 'NK_STATE_UNUSABLE', ended.text);
    assert.match(ended.text, /Remove \/opt\/x\/kubectl from the root and bake again/);
    rmSync(join(at.root, target));
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(readFileSync(at.lock), lock);
  });
});

describe('a bake that is told to stop', () => {
  it('ends by the signal in the middle of a transfer, says what is done and what is left, and leaves nothing behind', async () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const at = place(slow);
      const { ended, text, data, error, temporary } = await stopped(at, signal, () => readable(at.root, '/etc/motd'));
      assert.equal(ended, signal, text);
      assert.equal(error, 'NK_INTERRUPTED', text);
      assert.equal(data?.outcome, 'interrupted');
      assert.ok(data.steps.some(({ id, status }) => id === 'write file:/etc/motd' && status === 'done'));
      assert.ok(data.left.includes('cache binary:crictl-1.34.3'), data.left.join(' '));
      assert.deepEqual(temporary, []);
    }
  });

  it('at any moment, too', { timeout: 240_000 }, async (context) => {
    const undisturbed = place();
    const whole = await bake(undisturbed);
    assert.equal(whole.status, 0, whole.text);
    const wanted = await treeOf(undisturbed.root);
    const chance = createChance(context);
    const at = place();
    for (let round = 0; round < 12; round += 1) {
      const [signal, delayMs] = [
        chance.pick(['SIGINT', 'SIGTERM', 'SIGHUP'] as const),
        Math.round(chance.next() * 1200),
      ];
      const said = await stopped(at, signal, () => new Promise((resolve) => setTimeout(resolve, delayMs)));
      const about = `${signal} after ${delayMs} ms: ${said.text}`;
      // It may have ended before.
      if (said.ended !== 0) assert.equal(said.ended, signal, about);
      assert.deepEqual(said.temporary, [], about);
      if (said.data && said.error !== '') {
        const ids = [...said.data.steps.map(({ id }) => id), ...said.data.left];
        assert.equal(new Set(ids).size, ids.length, about);
        assert.ok(said.data.left.length > 0 || said.data.outcome === 'interrupted', about);
      }
    }
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(diffTrees(wanted, await treeOf(at.root)), []);
  });

  it('or fails, says which steps were done, failed and not begun', async () => {
    const at = place(slow.replace('/slow/', '/none/'));
    const { status, text, data } = await bake(at);
    const { outcome, steps, left } = data as Unfinished;
    assert.equal(status, exitStatus.artifact, text);
    assert.equal(outcome, 'failed');
    const of = (wanted: string): string[] => steps.flatMap(({ id, status: was }) => (was === wanted ? [id] : []));
    assert.deepEqual(of('failed'), ['cache binary:crictl-1.34.3']);
    assert.ok(of('done').includes('write file:/etc/motd'), text);
    assert.deepEqual(left, []);
  });
});

const slow =
  '    - { name: crictl, action: cache, builds: [{ version: 1.34.3, source: { type: deb, url: "http://SERVER/slow/crictl.deb" } }] }\n';

interface Unfinished {
  readonly outcome: string;
  readonly steps: readonly { readonly id: string; readonly status: string }[];
  readonly left: readonly string[];
}

/** Stops a bake when `moment` has come. */
async function stopped(at: Place, signal: NodeJS.Signals, moment: () => Promise<unknown>) {
  const scratch = mkdtempSync(join(folder, 'scratch-'));
  const argv = [nodeFlag, bundle, 'bake', at.manifest, '--root', at.root, '--json', '--quiet'];
  const child = spawn(nodeBinary, argv, { env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000', TMPDIR: scratch } });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  await moment();
  child.kill(signal);
  const [status, by] = await closed;
  const said = text === '' ? undefined : (JSON.parse(text) as { data?: Unfinished; error?: { code: string } });
  const names = await readdir(dirname(at.root), { recursive: true });
  const temporary = [...readdirSync(scratch), ...names.filter((name) => name.includes('.nodekiln-'))];
  return { ended: by ?? status, text, data: said?.data, error: said?.error?.code ?? '', temporary };
}

async function readable(root: string, path: string): Promise<void> {
  while (!existsSync(join(root, path))) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('a bake that is killed', () => {
  it('at any effect is taken up and ends as an undisturbed one', { timeout: 1_200_000 }, async (context) => {
    const undisturbed = place();
    const counted = join(folder, 'effects');
    const first = await bake(undisturbed, [], { NODEKILN_FAULT: `count:${counted}` });
    assert.equal(first.status, 0, first.text);
    const wanted = await treeOf(undisturbed.root);
    const effects = readFileSync(counted, 'utf8').trim().split('\n');
    // A spread of them, others each time, unless all are asked for: a whole round takes minutes.
    const chance = createChance(context);
    const stride = process.env['NODEKILN_EVERY_EFFECT'] === undefined ? Math.ceil(effects.length / 10) : 1;
    const from = Math.floor(chance.next() * stride);
    const faults = effects
      .map((_effect, index) => `${chance.pick(['before', 'after'])}:${index + 1}`)
      .filter((_fault, index) => index % stride === from);
    context.diagnostic(`${faults.join(', ')} of ${effects.length}`);
    assert.ok(faults.length > 6, effects.join('\n'));
    await eachInTwoLanes(faults, async (fault) => {
      const at = place();
      const killed = await bake(at, [], { NODEKILN_FAULT: fault });
      // An effect that came to nothing, since another step was quicker, has no end to be killed at.
      assert.ok(
        killed.status === null || (killed.status === 0 && fault.startsWith('after')),
        `${fault} did not kill it: ${killed.status} ${killed.text}`,
      );
      const again = await bake(at);
      assert.equal(again.status, 0, `${fault}: ${again.text}`);
      assert.deepEqual(diffTrees(wanted, await treeOf(at.root)), [], fault);
      rmSync(at.root, { recursive: true });
    });
  });

  it('at any moment, too', { timeout: 120_000 }, async (context) => {
    const undisturbed = place();
    assert.equal((await bake(undisturbed)).status, 0);
    const wanted = await treeOf(undisturbed.root);
    const at = place();
    const chance = createChance(context);
    const delays = Array.from({ length: 4 }, () => Math.round(chance.next() * 900));
    context.diagnostic(`killed after ${delays.join(', ')} ms`);
    for (const delayMs of delays) {
      const child = spawn(nodeBinary, [nodeFlag, bundle, 'bake', at.manifest, '--root', at.root, '--quiet'], {
        stdio: 'ignore',
        env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
      });
      const ended = once(child, 'close');
      setTimeout(() => child.kill('SIGKILL'), delayMs);
      await ended;
    }
    assert.equal((await bake(at)).status, 0);
    assert.deepEqual(diffTrees(wanted, await treeOf(at.root)), []);
    assert.deepEqual((await readdir(join(at.root, '..'))).sort(), ['image.lock.json', 'image.yaml', 'root']);
  });
});

async function eachInTwoLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const lane = async (start: number): Promise<void> => {
    for (let index = start; index < items.length; index += 2) {
      const item = items[index];
      if (item !== undefined) await work(item);
    }
  };
  const settled = await Promise.allSettled([lane(0), lane(1)]);
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
}

/** Without times: those of the seals in the cache's index, and the journal, whose numbers count every attempt. */
async function treeOf(root: string): Promise<TreeEntry[]> {
  const copy = mkdtempSync(join(folder, 'tree-'));
  try {
    const index = 'opt/nodekiln/cache/index.json';
    await cp(join(root, index), join(copy, index), { recursive: true }).catch(() => undefined);
    const text = execFileSync('sh', ['-c', 'cat "$1" 2>/dev/null || true', 'sh', join(copy, index)], {
      encoding: 'utf8',
    });
    mkdirSync(join(copy, 'opt/nodekiln/cache'), { recursive: true });
    writeFileSync(join(copy, index), text.replaceAll(/"mtimeNs": "\d+"/g, '"mtimeNs": ""'));
    const [tree, normal] = await Promise.all([
      snapshotTree(root, ['/'], { exclude: [/^\/var\/lib\/nodekiln\/(state\.db|lock\.|generations\/)/, `/${index}`] }),
      snapshotTree(copy, [`/${index}`]),
    ]);
    return [...tree, ...normal];
  } finally {
    rmSync(copy, { recursive: true });
  }
}
