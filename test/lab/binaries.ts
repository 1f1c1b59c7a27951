/**
 * Real Kubernetes binaries for the lab. Where they come from, in this order: `NODEKILN_KUBE_BINARIES/<version>/`, the
 * cache, dl.k8s.io with its published checksum, a build from the published Go module `k8s.io/kubernetes` (the modules
 * beside this file, their sums committed). A build sets the version at link time as the project's own build does, so
 * that `kubelet --version` tells the truth.
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

/** The two patch releases that the lab has; each is a Go module of its own in `kubernetes/`. */
export const kubernetesVersions = ['v1.34.3', 'v1.34.4'] as const;
export type KubernetesVersion = (typeof kubernetesVersions)[number];

/** Debian's and Go's name of this machine's architecture. */
export const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

const modules = fileURLToPath(new URL('kubernetes/', import.meta.url));

/** The path of a kubelet that runs on this machine; makes it in some minutes when nothing else can be had. */
export async function kubelet(version: KubernetesVersion, progress?: Progress): Promise<string> {
  const given = process.env['NODEKILN_KUBE_BINARIES'];
  if (given) {
    const path = join(given, version, 'kubelet');
    if (!(await exists(path))) throw new Error(`NODEKILN_KUBE_BINARIES is ${given}, but there is no ${path}`);
    return path;
  }
  const dir = await cached(`kubernetes/${version}`, async (dir) => {
    const path = join(dir, 'kubelet');
    if (!(await download(version, path, progress))) await build(version, path, progress);
    await assertVersion(path, version);
  });
  return join(dir, 'kubelet');
}

async function assertVersion(path: string, version: string): Promise<void> {
  const said = (await run([path, '--version'], { timeoutMs: 30_000 })).stdout.trim();
  if (said !== `Kubernetes ${version}`) throw new Error(`${path} --version says ${said}, not Kubernetes ${version}`);
}

/** `false` when dl.k8s.io cannot be reached; throws when what it gave does not have the published digest. */
async function download(version: string, path: string, progress: Progress | undefined): Promise<boolean> {
  const url = `https://dl.k8s.io/release/${version}/bin/linux/${architecture}/kubelet`;
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

async function build(version: string, path: string, progress: Progress | undefined): Promise<void> {
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
  progress?.(`building kubelet ${version} from its Go module (some minutes, once; then cached)`);
  await goBuild(
    {
      what: `kubelet ${version}`,
      module: join(modules, version),
      package: 'k8s.io/kubernetes/cmd/kubelet',
      ldflags: ['-s', '-w', ...flags],
      output: path,
    },
    progress,
  );
}

/** Reads the module's own statement of what it builds; for the test that both modules are what they say. */
export async function moduleVersion(version: KubernetesVersion): Promise<string | undefined> {
  const text = await readFile(join(modules, version, 'go.mod'), 'utf8');
  return /^\s*k8s\.io\/kubernetes (v\S+)/m.exec(text)?.[1];
}
