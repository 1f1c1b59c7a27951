/** The pure parts of images, and reading versions off real programs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { buildRpm } from '../../test/support/artifacts.ts';
import { NodekilnError } from '../errors.ts';
import { createLinuxExec } from '../host/linux/exec.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { formatImageLock, parseImageLock, type ImageLock, type ImagePackage } from './image-lock.ts';
import { comparePackages, installedPackages, parseDpkgStatus } from './packages.ts';
import { spdxDocument } from './sbom.ts';
import { formatSize, parseSize } from '../config/size.ts';
import { measureSpace } from './space.ts';
import { traces } from './trace-table.ts';
import { findLogs, findTrace, machineIdProblem } from './traces.ts';
import { printsLine, readVersion } from './version-output.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-image-'));
// Whoever runs in a sandbox is no user who could look into it otherwise.
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true }));

const digest = `sha256:${'a'.repeat(64)}`;
const lock: ImageLock = {
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'ImageLock',
  image: { name: 'demo', os: 'debian', release: '13', architecture: 'amd64' },
  artifacts: [
    {
      id: 'binary:kubelet-1.34.3 debian/13 amd64',
      asked: 'kubelet 1.34.3 deb url https://h/kubelet.deb',
      location: 'https://h/kubelet.deb?…#…',
      digest,
      size: 3,
    },
  ],
  binaries: [
    {
      id: 'binary:kubelet-1.34.3',
      path: '/opt/bin/kubelet-1.34.3',
      tool: 'kubelet',
      version: '1.34.3',
      digest,
      size: 3,
      prints: { arguments: ['--version'], line: 'Kubernetes v1.34.3' },
    },
  ],
  packages: {
    manager: 'dpkg',
    before: [{ name: 'libc6', architecture: 'amd64', version: '2.41-12' }],
    installed: [{ name: 'runc', architecture: 'amd64', version: '1.1.15+ds1-2+b4' }],
  },
  images: [{ reference: 'registry.k8s.io/pause:3.10', digest, pinned: true }],
  units: [{ name: 'containerd.service', state: 'disabled' }],
  files: [{ path: '/etc/motd', digest, mode: '0644', uid: 0, gid: 0 }],
};

describe('the lock of an image', () => {
  it('is read as it was written, and refused when anything about it is unknown', () => {
    const text = formatImageLock(lock);
    assert.deepEqual(parseImageLock(text, 'lock'), lock);
    assert.throws(() => parseImageLock(text.replace('"units"', '"unitz"'), 'lock'), { code: 'NK_DOCUMENT_INVALID' });
    assert.throws(() => parseImageLock(text.slice(0, 40), 'lock'), { code: 'NK_DOCUMENT_SYNTAX' });
  });
});

interface Vector {
  readonly id: string;
  readonly tool: string;
  readonly version: string;
  readonly prints: string;
  /** The line that is locked, the error, or `none`. */
  readonly expect: string;
}

describe('versions that programs print', () => {
  const vectors = JSON.parse(
    readFileSync(join(import.meta.dirname, 'version-output.vectors.json'), 'utf8'),
  ) as readonly Vector[];
  const { exec, files } = createLinuxHost();
  for (const { id, tool, version, prints, expect } of vectors) {
    it(`${id}: ${tool} ${version} prints ${prints.split('\n')[0]}`, async () => {
      const path = join(folder, id);
      writeFileSync(path, `#!/bin/sh\ncat <<'END'\n${prints}\nEND\n`);
      chmodSync(path, 0o755);
      const wanted = version === 'any' ? undefined : version;
      const answer = readVersion({ exec, files }, { path, tool, version: wanted }).catch((thrown: unknown) =>
        thrown instanceof NodekilnError ? thrown.code : Promise.reject(thrown),
      );
      const said = await answer;
      if (typeof said === 'string') return assert.equal(said, expect);
      assert.equal(said.prints?.line ?? 'none', expect);
      if (!said.prints) return assert.ok(said.why);
      assert.equal(await printsLine(exec, path, said.prints), true);
      const longer = await printsLine(exec, path, { ...said.prints, line: `${said.prints.line}0` });
      assert.match(String(longer), /^prints “/);
      return undefined;
    });
  }

  /** Of programs that people put into images: what each is asked, and what it prints. */
  const known: readonly (readonly [tool: string, asked: string, version: string, line: string, more?: string])[] = [
    ['containerd', '--version', '1.7.24', 'containerd github.com/containerd/containerd v1.7.24 88bf19b2105c'],
    [
      'containerd-shim-runc-v2',
      '-v',
      '1.7.24',
      '  Version:  v1.7.24',
      '  Revision: 88bf19b2105c\n  Go version: go1.22.9',
    ],
    ['crictl', '--version', '1.34.0', 'crictl version v1.34.0'],
    ['ctr', '--version', '1.6.20', 'ctr github.com/containerd/containerd 1.6.20'],
    ['helm', 'version --short', '3.16.3', 'v3.16.3+gcfd0749'],
    ['kubeadm', 'version --output=short', '1.34.3', 'v1.34.3'],
    ['kubectl', 'version --client', '1.34.3', 'Client Version: v1.34.3', 'Kustomize Version: v5.7.1'],
    ['kubelet', '--version', '1.34.3', 'Kubernetes v1.34.3'],
    ['nerdctl', '--version', '2.1.2', 'nerdctl version 2.1.2'],
    ['node', '--version', '24.11.0', 'v24.11.0'],
    ['nodekiln', 'version', '0.1.0', 'nodekiln 0.1.0 (Node 24.21.0, amd64)'],
    ['oras', 'version', '1.2.3', 'Version:        1.2.3', 'Go version:     go1.24.3'],
    ['runc', '--version', '1.1.15', 'runc version 1.1.15', 'commit: v1.1.15-0-gbc20cb4\nspec: 1.0.2-dev'],
  ];
  for (const [tool, asked, version, line, more = ''] of known)
    it(`are locked of ${tool}, which is asked in its own manner`, async () => {
      const path = join(folder, `known-${tool}`);
      writeFileSync(path, `#!/bin/sh\n[ "$*" = '${asked}' ] || exit 2\ncat <<'END'\n${line}\n${more}\nEND\n`);
      chmodSync(path, 0o755);
      const { prints, why } = await readVersion({ exec, files }, { path, tool, version });
      assert.deepEqual([prints?.line, prints?.arguments.join(' ')], [line, asked], why);
      await assert.rejects(readVersion({ exec, files }, { path, tool, version: `${version}9` }), {
        code: 'NK_ARTIFACT_VERSION',
      });
    });

  it('are asked in a sandbox: a program that does something else does not do it', async () => {
    const [path, place] = [join(folder, 'hostile'), join(folder, 'anybody')];
    mkdirSync(place);
    chmodSync(place, 0o777);
    writeFileSync(path, `#!/bin/sh\nid -u >${place}/written\necho Kubernetes v1.34.3\n`, { mode: 0o755 });
    for (const tool of ['kubelet', 'other']) await readVersion({ exec, files }, { path, tool, version: '1.34.3' });
    await printsLine(exec, path, { arguments: [], line: 'Kubernetes v1.34.3' });
    assert.deepEqual(readdirSync(place), []);
  });

  it('says why a program prints nothing', async () => {
    const path = join(folder, 'broken');
    writeFileSync(path, '#!/bin/sh\necho no luck >&2\nexit 3\n', { mode: 0o755 });
    const wanted = { arguments: ['--version'], line: 'Kubernetes v1.34.3' };
    assert.match(String(await printsLine(exec, path, wanted)), /exit status 3: no luck/);
    assert.match(String(await printsLine(exec, join(folder, 'absent'), wanted)), /no such program/);
  });
});

describe('installed packages', () => {
  it('are read as dpkg itself reads them', () => {
    const mine = parseDpkgStatus(readFileSync('/var/lib/dpkg/status', 'utf8'));
    const format = '--showformat=${db:Status-Status} ${Package} ${Architecture} ${Version}\n';
    const wanted = execFileSync('dpkg-query', ['--show', format], { encoding: 'utf8', maxBuffer: 1 << 26 });
    assert.deepEqual(
      mine.map(({ name, architecture, version }) => `installed ${name} ${architecture} ${version}`).sort(),
      wanted
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('installed '))
        .sort(),
    );
  });

  it('are read as rpm says, with epoch and release', async () => {
    const database = join(folder, 'rpm');
    const rpms = [
      buildRpm(folder, {
        name: 'kubelet',
        version: '1.34.3',
        release: '5.azl3',
        epoch: 1,
        files: { 'usr/bin/kubelet': 'x' },
      }),
      buildRpm(folder, { name: 'runc', version: '1.1', release: '1', files: { 'usr/bin/runc': 'x' } }),
    ];
    const options = ['--justdb', '--nodeps', '--ignorearch'];
    execFileSync('rpm', ['--dbpath', database, '--install', ...options, ...rpms], { stdio: 'pipe' });
    const root = mkdtempSync(join(folder, 'rpm-root-'));
    mkdirSync(join(root, 'usr/lib/sysimage/rpm'), { recursive: true });
    writeFileSync(join(root, 'usr/lib/sysimage/rpm/rpmdb.sqlite'), '');
    const exec = createLinuxExec();
    const found = await installedPackages({
      files: createLinuxHost({ root }).files,
      exec: { run: ([program = '', ...args], rest) => exec.run([program, '--dbpath', database, ...args], rest) },
    });
    assert.equal(found.manager, 'rpm');
    assert.deepEqual(found.packages.map(({ name, version }) => `${name} ${version}`).sort(), [
      'kubelet 1:1.34.3-5.azl3',
      'runc 1.1-1',
    ]);
  });

  it('are compared one by one', () => {
    const item = (name: string, version: string): ImagePackage => ({ name, architecture: 'amd64', version });
    const kernels = [item('kernel', '6.1'), item('kernel', '6.2')];
    assert.deepEqual(comparePackages(kernels, kernels), []);
    assert.deepEqual(comparePackages([item('a', '1'), item('b', '1')], [item('a', '2'), item('c', '1')]), [
      { type: 'version', package: item('a', '2'), wanted: '1' },
      { type: 'unexpected', package: item('c', '1') },
      { type: 'missing', package: item('b', '1') },
    ]);
    assert.deepEqual(comparePackages(kernels, [item('kernel', '6.3')]), [
      { type: 'version', package: item('kernel', '6.3'), wanted: '6.2' },
      { type: 'missing', package: item('kernel', '6.1') },
    ]);
  });
});

describe('the bill of materials', () => {
  const text = spdxDocument(lock, { toolVersion: '0.1.0', createdMs: 1_700_000_000_500 });

  it('is the same for the same lock and time', () => {
    assert.equal(spdxDocument(structuredClone(lock), { toolVersion: '0.1.0', createdMs: 1_700_000_000_000 }), text);
  });

  it('names everything once, with its digest and package URL', () => {
    const document = JSON.parse(text) as {
      creationInfo: { created: string };
      packages: { SPDXID: string; downloadLocation: string; externalRefs?: { referenceLocator: string }[] }[];
      relationships: { relatedSpdxElement: string }[];
    };
    assert.equal(document.creationInfo.created, '2023-11-14T22:13:20Z');
    assert.deepEqual(
      document.packages.flatMap(({ externalRefs = [] }) => externalRefs.map((ref) => ref.referenceLocator)),
      [
        `pkg:generic/kubelet@1.34.3?checksum=${digest}`,
        `pkg:oci/pause@${digest}?repository_url=registry.k8s.io%2Fpause&tag=3.10`,
        'pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13',
        'pkg:deb/debian/runc@1.1.15%2Bds1-2%2Bb4?arch=amd64&distro=debian-13',
      ],
    );
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
    assert.deepEqual(document.relationships.map((each) => each.relatedSpdxElement).sort(), ids.sort());
    assert.ok(document.packages.some(({ downloadLocation }) => downloadLocation === 'https://h/kubelet.deb'));
  });
});

describe('space', () => {
  it('counts each file once and says whose it is', async () => {
    const root = mkdtempSync(join(folder, 'space-'));
    const put = (path: string, bytes: number): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), Buffer.alloc(bytes, 1));
    };
    put('/opt/bin/kubelet-1.34.3', 1 << 20);
    linkSync(join(root, '/opt/bin/kubelet-1.34.3'), join(root, '/opt/bin/kubelet'));
    put('/usr/sbin/runc', 2 << 20);
    put('/var/lib/dpkg/info/runc.list', 0);
    writeFileSync(join(root, 'var/lib/dpkg/info/runc.list'), '/.\n/sbin/runc\n');
    put('/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/x', 3 << 20);
    const { components, totalBytes } = await measureSpace(createLinuxHost({ root }), lock);
    const of = (component: string): number | undefined =>
      components.find((entry) => entry.component === component)?.bytes;
    assert.equal(components[0]?.component, 'container images, as fetched');
    assert.ok((of('container images, as fetched') ?? 0) >= 3 << 20);
    assert.equal(of('package runc'), 2 << 20);
    assert.equal((of('kubelet 1.34.3') ?? 0) + (of('operating system') ?? 0) >= 1 << 20, true);
    assert.ok(totalBytes < 7 << 20, 'a hard link counted twice');
  });

  it('is read and written in the units people use', () => {
    assert.deepEqual(['3GiB', '800MB', '1.5 GiB', '3', 'GiB', '-1MB', '3gib'].map(parseSize), [
      3 * 1024 ** 3,
      800e6,
      1.5 * 1024 ** 3,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    assert.deepEqual([0, 512, 2048, 1.21 * 1024 ** 3, 760 * 1024 ** 2].map(formatSize), [
      '0 B',
      '512 B',
      '2.00 KiB',
      '1.21 GiB',
      '760 MiB',
    ]);
  });
});

describe('traces of a machine', () => {
  it('are found by pattern, and left where a document put them', async () => {
    const root = mkdtempSync(join(folder, 'traces-'));
    const put = (path: string): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), 'x');
    };
    for (const path of [
      '/etc/ssh/ssh_host_rsa_key',
      '/etc/ssh/sshd_config',
      '/home/ada/.ssh/authorized_keys',
      '/root/.ssh/authorized_keys',
      '/var/lib/dhcp/a/b.leases',
      '/var/log/app/app.log.1.gz',
      '/var/log/app/app.log',
    ])
      put(path);
    mkdirSync(join(root, 'var/lib/dbus'), { recursive: true });
    symlinkSync('/etc/machine-id', join(root, 'var/lib/dbus/machine-id'));
    const { files } = createLinuxHost({ root });
    const found = async (id: string, kept: readonly string[] = []): Promise<string[]> => {
      const trace = traces.find((each) => each.id === id);
      assert.ok(trace);
      return findTrace(files, trace, new Set(kept));
    };
    assert.deepEqual(await found('ssh-host-keys'), ['/etc/ssh/ssh_host_rsa_key']);
    assert.deepEqual(await found('leases'), ['/var/lib/dhcp/a']);
    assert.deepEqual(await found('dbus-machine-id'), []);
    assert.deepEqual(await found('logs'), ['/var/log/app/app.log.1.gz']);
    assert.deepEqual(await found('authorized-keys', ['/root/.ssh/authorized_keys']), [
      '/home/ada/.ssh/authorized_keys',
    ]);
    const logs = await findLogs(files, ['/var/log/app/app.log.1.gz']);
    assert.deepEqual(
      logs.map(({ path }) => path),
      ['/var/log/app/app.log'],
    );
    assert.match((await machineIdProblem(files)) ?? '', /is missing/);
  });
});
