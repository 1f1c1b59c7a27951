/**
 * Real Kubernetes programs for the lab: kubelets, and a control plane. Where they come from, in this order:
 * `NODEKILN_KUBE_BINARIES/<version>/`, the cache, dl.k8s.io with its published checksum, a build from the published Go
 * module `k8s.io/kubernetes` (the modules beside this file, their sums committed). A build sets the version at link time
 * as the project's own build does, so that `kubelet --version` tells the truth.
 */
import { createWriteStream } from 'node:fs';
import { chmod, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { cached, exists } from './cache.ts';
import { goBuild } from './go.ts';
import type { Progress } from './prerequisites.ts';
import { run } from './run.ts';
import { digestOf } from './tree.ts';

/**
 * The releases that the lab can have; each is a Go module of its own in `kubernetes/`. Only what is asked for is made: the
 * older minor release is for updates from one to the next.
 */
export const kubernetesVersions = ['v1.33.13', 'v1.34.3', 'v1.34.4'] as const;
export type KubernetesVersion = (typeof kubernetesVersions)[number];

/** The release of the lab's control plane: the newest, since no kubelet may be newer than its API server. */
const controlPlaneVersion = 'v1.34.4' satisfies KubernetesVersion;

/** etcd is the one that the API server of the module requires, so it is built from the same module. */
const packages = {
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  kubeadm: 'k8s.io/kubernetes/cmd/kubeadm',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
} as const;
type Program = keyof typeof packages;

/** How a program says which release it is; `--version` where nothing is said. */
const versionCommands: Partial<Record<Program, readonly string[]>> = {
  kubeadm: ['version'],
  kubectl: ['version', '--client'],
};

/** Debian's and Go's name of this machine's architecture. */
export const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

const modules = fileURLToPath(new URL('kubernetes/', import.meta.url));

/** The path of a kubelet that runs on this machine; makes it in some minutes when nothing else can be had. */
export async function kubelet(version: KubernetesVersion, progress?: Progress): Promise<string> {
  return join(await folderWith(version, version, ['kubelet'], progress), 'kubelet');
}

/** The folder with etcd, the servers of a control plane, kubeadm and kubectl; one release and one build of all of them. */
export function controlPlanePrograms(progress?: Progress): Promise<string> {
  const programs = (Object.keys(packages) as Program[]).filter((name) => name !== 'kubelet');
  return folderWith(controlPlaneVersion, `${controlPlaneVersion}-control-plane`, programs, progress);
}

async function folderWith(
  version: KubernetesVersion,
  key: string,
  programs: readonly Program[],
  progress: Progress | undefined,
): Promise<string> {
  const given = process.env['NODEKILN_KUBE_BINARIES'];
  if (given) {
    for (const name of programs) {
      const path = join(given, version, name);
      if (!(await exists(path))) throw new Error(`NODEKILN_KUBE_BINARIES is ${given}, but there is no ${path}`);
    }
    return join(given, version);
  }
  return cached(`kubernetes/${key}`, async (dir) => {
    const missing = await downloadWhatThereIs(version, programs, dir, progress);
    if (missing.length > 0) await build(version, missing, dir, progress);
    for (const name of programs) if (name !== 'etcd') await assertVersion(join(dir, name), version, name);
  });
}

async function assertVersion(path: string, version: string, name: Program): Promise<void> {
  const said = (await run([path, ...(versionCommands[name] ?? ['--version'])], { timeoutMs: 30_000 })).stdout.trim();
  if (!said.split(/[\s",]/).includes(version)) throw new Error(`${path} says ${said}, not ${version}`);
}

/** Which programs have to be built: all, where dl.k8s.io cannot be reached; etcd, which it does not have. */
async function downloadWhatThereIs(
  version: string,
  programs: readonly Program[],
  dir: string,
  progress: Progress | undefined,
): Promise<readonly Program[]> {
  const missing: Program[] = [];
  let reachable = true;
  for (const name of programs) {
    if (name !== 'etcd') reachable &&= await download(version, name, join(dir, name), progress);
    if (name === 'etcd' || !reachable) missing.push(name);
  }
  return missing;
}

/** `false` when dl.k8s.io cannot be reached; throws when what it gave does not have the published digest. */
async function download(
  version: string,
  name: Program,
  path: string,
  progress: Progress | undefined,
): Promise<boolean> {
  const url = `https://dl.k8s.io/release/${version}/bin/linux/${architecture}/${name}`;
  progress?.(`looking for ${url}`);
  let expected: string;
  try {
    const answer = await fetch(`${url}.sha256`, { signal: AbortSignal.timeout(5_000) });
    expected = answer.ok ? (await answer.text()).trim().slice(0, 64) : '';
    if (!/^[0-9a-f]{64}$/.test(expected)) return false;
    const binary = await fetch(url, { signal: AbortSignal.timeout(300_000) });
    if (!binary.ok || !binary.body) return false;
    await pipeline(Readable.fromWeb(binary.body), createWriteStream(path));
  } catch (error) {
    await rm(path, { force: true });
    progress?.(`dl.k8s.io: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
  const digest = await digestOf(path);
  if (digest !== `sha256:${expected}`) throw new Error(`${url} has ${digest}, published is sha256:${expected}`);
  await chmod(path, 0o755);
  return true;
}

async function build(
  version: string,
  programs: readonly Program[],
  output: string,
  progress: Progress | undefined,
): Promise<void> {
  const [major, minor] = version.slice(1).split('.');
  const base = 'k8s.io/component-base/version';
  const stamps = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const flags = Object.entries(stamps).map(([name, value]) => `-X ${base}.${name}=${value}`);
  progress?.(`building ${programs.join(', ')} ${version} from the Go module (some minutes, once; then cached)`);
  await goBuild(
    {
      what: programs.length === 1 ? `${programs.join('')} ${version}` : `control plane ${version}`,
      module: join(modules, version),
      packages: Object.fromEntries(programs.map((name) => [name, packages[name]])),
      ldflags: ['-s', '-w', ...flags],
      output,
    },
    progress,
  );
}

/** Reads the module's own statement of what it builds; for the test that each module is what it says. */
export async function moduleVersion(version: KubernetesVersion): Promise<string | undefined> {
  const text = await readFile(join(modules, version, 'go.mod'), 'utf8');
  return /^\s*k8s\.io\/kubernetes (v\S+)/m.exec(text)?.[1];
}
