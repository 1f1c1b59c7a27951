/**
 * Real packages and images for bakes: kubelet as .deb and .rpm around the real binary, kubectl as Debian's own .deb of
 * two suites, two container images. The kubelet packages have maintainer scripts that would enable and start the
 * service and leave `/var/lib/nodekiln-lab/maintainer-script-ran`: where that file is missing they never ran.
 */
import { chmod, constants, copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { architecture, kubelet, type KubernetesVersion } from './binaries.ts';
import { cached, exists, keyHash } from './cache.ts';
import { debianPackage } from './debian.ts';
import { writeImage } from './images.ts';
import type { Progress } from './prerequisites.ts';
import { run } from './run.ts';
import { digestOf } from './tree.ts';

/** Left in a root or host where a maintainer script of one of the kubelet packages ran. */
export const witness = '/var/lib/nodekiln-lab/maintainer-script-ran';

export interface Artifact {
  /** Name of the file in the artifacts' folder. */
  readonly file: string;
  /** The package's version with revision, in its format's spelling; the tag of an image. */
  readonly version: string;
  /** `sha256:…` of the file. */
  readonly digest: string;
}

export interface BinaryArtifact extends Artifact {
  readonly format: 'deb' | 'rpm';
  /** Path of the program inside the package, without a leading slash. */
  readonly member: string;
  /** `sha256:…` of the program. */
  readonly memberDigest: string;
}

export interface ImageArtifact extends Artifact {
  /** Full name with tag, as containerd lists it after an import. */
  readonly name: string;
  /** `sha256:…` of the image's manifest. */
  readonly manifestDigest: string;
}

export interface Artifacts {
  readonly dir: string;
  readonly kubelet: { readonly deb: BinaryArtifact; readonly rpm: BinaryArtifact };
  readonly kubectl: { readonly trixie: BinaryArtifact; readonly forky: BinaryArtifact };
  readonly images: { readonly pause: ImageArtifact; readonly web: ImageArtifact };
}

const rpmArchitecture = architecture === 'arm64' ? 'aarch64' : 'x86_64';

const unit = `[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitIntervalSec=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`;

const script = `mkdir -p ${witness.replace(/\/[^/]*$/, '')}
echo "$0 $*" >>${witness}
systemctl enable kubelet.service || true
systemctl start kubelet.service || true
`;

const images = {
  pause: {
    name: 'lab.nodekiln.dev/pause:1',
    // PID 1 of a container gets no default action for SIGTERM: without the trap a stop would take the grace period.
    entrypoint: ['/bin/sh', '-c', 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done'],
  },
  web: {
    name: 'lab.nodekiln.dev/web:1',
    entrypoint: [
      '/bin/sh',
      '-c',
      'trap "exit 0" TERM INT; httpd -f -p "${PORT:-8080}" -h /www & echo "serving on ${PORT:-8080}"; wait $!',
    ],
    files: { 'www/index.html': 'nodekiln lab\n' },
  },
} as const;

/** Changes when the way of making something changes. */
const recipeHash = keyHash(unit, script, JSON.stringify(images));

export async function artifacts(progress?: Progress): Promise<Artifacts> {
  const [older, newer] = [await kubelet('v1.34.3', progress), await kubelet('v1.34.4', progress)];
  const [trixie, forky] = [
    await debianPackage('trixie', 'kubectl', progress),
    await debianPackage('forky', 'kubectl', progress),
  ];
  const busybox = await debianPackage('trixie', 'busybox-static', progress);
  const digests = { older: await digestOf(older), newer: await digestOf(newer) };
  const key = keyHash(recipeHash, digests.older, digests.newer, trixie.digest, forky.digest, busybox.digest);
  const dir = await cached(`artifacts/${key}`, async (dir) => {
    progress?.('making the lab’s packages and images (once; then cached)');
    const deb = await makeDeb(dir, older, '1.34.3-1.1');
    const rpm = await makeRpm(dir, newer, { version: '1.34.4', release: '150500.1.1' });
    const kubectl = {
      trixie: await takeKubectl(dir, trixie.path, trixie.version),
      forky: await takeKubectl(dir, forky.path, forky.version),
    };
    const made = {
      kubelet: { deb: { ...deb, memberDigest: digests.older }, rpm: { ...rpm, memberDigest: digests.newer } },
      kubectl,
      images: await makeImages(dir, busybox.path),
    };
    await writeFile(join(dir, 'artifacts.json'), `${JSON.stringify(made, undefined, 2)}\n`);
  });
  // Written by the lines above under the same key.
  const made = JSON.parse(await readFile(join(dir, 'artifacts.json'), 'utf8')) as Omit<Artifacts, 'dir'>;
  return { dir, ...made };
}

type Unmeasured = Omit<BinaryArtifact, 'memberDigest'>;

async function withFolder<T>(parent: string, name: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(parent, name);
  await mkdir(folder);
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lays out what both packages hold. */
async function layOut(folder: string, binary: string): Promise<void> {
  await mkdir(join(folder, 'usr/bin'), { recursive: true });
  await mkdir(join(folder, 'usr/lib/systemd/system'), { recursive: true });
  await copyFile(binary, join(folder, 'usr/bin/kubelet'), constants.COPYFILE_FICLONE);
  await chmod(join(folder, 'usr/bin/kubelet'), 0o755);
  await writeFile(join(folder, 'usr/lib/systemd/system/kubelet.service'), unit);
}

function makeDeb(dir: string, binary: string, version: string): Promise<Unmeasured> {
  return withFolder(dir, 'deb.tmp', async (folder) => {
    await layOut(folder, binary);
    const control = {
      Package: 'kubelet',
      Version: version,
      Architecture: architecture,
      Maintainer: 'nodekiln lab <lab@nodekiln.dev>',
      Section: 'admin',
      Priority: 'optional',
      Description: 'Node agent of Kubernetes, packaged for the lab',
    };
    const lines = Object.entries(control).map(([name, value]) => `${name}: ${value}\n`);
    await mkdir(join(folder, 'DEBIAN'), { mode: 0o755 });
    await writeFile(join(folder, 'DEBIAN/control'), lines.join(''));
    await writeFile(join(folder, 'DEBIAN/postinst'), `#!/bin/sh\nset -e\n${script}`, { mode: 0o755 });
    const file = `kubelet_${version}_${architecture}.deb`;
    // xz, as most published .deb files; level 1 because only the making would be slower with more.
    const options = ['-Zxz', '-z1', '--root-owner-group'];
    await run(['dpkg-deb', ...options, '--build', folder, join(dir, file)], { env: reproducible() });
    return { file, version, format: 'deb', member: 'usr/bin/kubelet', digest: await digestOf(join(dir, file)) };
  });
}

interface RpmVersion {
  readonly version: string;
  readonly release: string;
}

function makeRpm(dir: string, binary: string, { version, release }: RpmVersion): Promise<Unmeasured> {
  return withFolder(dir, 'rpm.tmp', async (folder) => {
    await layOut(join(folder, 'root'), binary);
    const spec = `Name: kubelet
Version: ${version}
Release: ${release}
Summary: Node agent of Kubernetes, packaged for the lab
License: Apache-2.0
AutoReqProv: no
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%description
Node agent of Kubernetes, packaged for the lab
%install
cp -a ${join(folder, 'root')}/. %{buildroot}/
%files
%attr(0755, root, root) /usr/bin/kubelet
%attr(0644, root, root) /usr/lib/systemd/system/kubelet.service
%post
${script}`;
    await writeFile(join(folder, 'kubelet.spec'), spec);
    const defines = [
      `_topdir ${join(folder, 'build')}`,
      '_binary_payload w3.zstdio',
      '_buildhost lab.nodekiln.dev',
      'use_source_date_epoch_as_buildtime 1',
      'clamp_mtime_to_source_date_epoch 1',
    ].flatMap((define) => ['--define', define]);
    await run(['rpmbuild', '-bb', `--target=${rpmArchitecture}`, ...defines, join(folder, 'kubelet.spec')], {
      env: reproducible(),
    });
    const made = join(folder, 'build/RPMS', rpmArchitecture);
    const [name] = await readdir(made);
    if (name === undefined) throw new Error('rpmbuild left no package');
    const file = `kubelet-${version}-${release}.${rpmArchitecture}.rpm`;
    await rename(join(made, name), join(dir, file));
    return {
      file,
      version: `${version}-${release}`,
      format: 'rpm',
      member: 'usr/bin/kubelet',
      digest: await digestOf(join(dir, file)),
    };
  });
}

function reproducible(): Record<string, string | undefined> {
  return { ...process.env, SOURCE_DATE_EPOCH: '0', LC_ALL: 'C.UTF-8' };
}

async function takeKubectl(dir: string, path: string, version: string): Promise<BinaryArtifact> {
  const file = `kubectl_${version.replace(/^\d+:/, '')}_${architecture}.deb`;
  await copyFile(path, join(dir, file));
  const memberDigest = await withFolder(dir, 'kubectl.tmp', async (folder) => {
    await run(['dpkg-deb', '--extract', path, folder]);
    return digestOf(join(folder, 'usr/bin/kubectl'));
  });
  const digest = await digestOf(join(dir, file));
  return { file, version, format: 'deb', member: 'usr/bin/kubectl', digest, memberDigest };
}

function makeImages(dir: string, busyboxPackage: string): Promise<Artifacts['images']> {
  return withFolder(dir, 'images.tmp', async (folder) => {
    await run(['dpkg-deb', '--extract', busyboxPackage, folder]);
    // Debian moved it with the merge of /bin into /usr.
    const found = (await exists(join(folder, 'usr/bin/busybox'))) ? 'usr/bin/busybox' : 'bin/busybox';
    const make = async (kind: 'pause' | 'web'): Promise<ImageArtifact> => {
      const file = `${kind}.tar`;
      const { name } = images[kind];
      const manifestDigest = await writeImage(join(dir, file), join(folder, found), images[kind]);
      return { file, name, version: '1', manifestDigest, digest: await digestOf(join(dir, file)) };
    };
    return { pause: await make('pause'), web: await make('web') };
  });
}

/** A package of any kubelet that the lab can have. */
export async function kubeletPackage(version: KubernetesVersion, progress?: Progress): Promise<string> {
  const binary = await kubelet(version, progress);
  const key = keyHash(recipeHash, await digestOf(binary));
  const dir = await cached(`artifacts/kubelet-${key}`, async (folder) => {
    await makeDeb(folder, binary, `${version.slice(1)}-1.1`);
  });
  return join(dir, `kubelet_${version.slice(1)}-1.1_${architecture}.deb`);
}
