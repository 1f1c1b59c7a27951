/**
 * Real programs that people put into images besides Kubernetes' and containerd's own: built from their published Go modules,
 * which Go's checksum database vouches for, with the version set at link time as each project's own build does.
 */
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, cacheFolder, exists } from './cache.ts';
import { findGo } from './go.ts';
import type { Progress } from './prerequisites.ts';
import { run } from './run.ts';

/** A tool that takes many minutes to build is used where it was built once, with `NODEKILN_TOOLS=all`. */
const tools = {
  crictl: {
    version: '1.37.0',
    package: 'sigs.k8s.io/cri-tools/cmd/crictl@v1.37.0',
    stamp: 'sigs.k8s.io/cri-tools/pkg/version.Version=v1.37.0',
    slow: false,
  },
  helm: {
    version: '3.16.4',
    package: 'helm.sh/helm/v3/cmd/helm@v3.16.4',
    stamp: 'helm.sh/helm/v3/internal/version.version=v3.16.4',
    slow: true,
  },
  oras: {
    version: '1.3.6',
    package: 'oras.land/oras/cmd/oras@v1.3.6',
    stamp: 'oras.land/oras/internal/version.Version=1.3.6',
    slow: false,
  },
} as const;

export interface ImageTool {
  readonly path: string;
  readonly version: string;
}

/** Undefined on a machine without Go, and where one that is slow to build was not built. */
export async function imageTool(name: keyof typeof tools, progress?: Progress): Promise<ImageTool | undefined> {
  const go = await findGo();
  if (go === undefined) return undefined;
  const { version, package: built, stamp, slow } = tools[name];
  const key = `tools/${name}-${version}`;
  if (slow && process.env['NODEKILN_TOOLS'] !== 'all' && !(await exists(join(cacheFolder(), key)))) return undefined;
  const dir = await cached(key, async (folder) => {
    progress?.(`building ${built} (a minute or two, once; then cached)`);
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOBIN: folder };
    await run([go, 'install', '-trimpath', '-ldflags', `-s -w -X ${stamp}`, built], { env, cwd: folder });
    const [program = ''] = await readdir(folder);
    if (program !== name) await rename(join(folder, program), join(folder, name));
  });
  return { path: join(dir, name), version };
}
