/**
 * The programs whose manner of printing a version is known, each the real one: asked in the sandbox, as where its file states
 * nothing, and read without being started, as far as its file states it.
 */
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { createLinuxHost } from '../../src/host/linux/host.ts';
import { printsLine, readVersion } from '../../src/image/version-output.ts';
import { nodeBinary } from '../../tools/build.ts';
import { bakedRoot } from '../demo/baked.ts';
import { controlPlanePrograms, kubelet, kubernetesVersions } from './binaries.ts';
import { containerdPackages, containerds } from './containerds.ts';
import { imageTool } from './image-tools.ts';
import { installPrerequisites } from './prerequisites.ts';
import { derivedRoot } from './root.ts';
import { run } from './run.ts';

interface Real {
  readonly root?: string;
  readonly path: string;
  readonly version: string | undefined;
}

const folder = await mkdtemp(join(tmpdir(), 'nodekiln-tools-'));
// Readers are nobody's users.
await chmod(folder, 0o755);
after(() => rm(folder, { recursive: true }));
before(() => installPrerequisites(console.error), { timeout: 300_000 });

/** Where readers can reach it. */
async function reachable(path: string, version: string): Promise<Real> {
  const copy = join(folder, `${basename(path)}-${version}`);
  await copyFile(path, copy);
  return { path: copy, version };
}

/** A program of a Debian, with the version of its package. */
async function packaged(suite: 'bookworm' | 'trixie', path: string): Promise<Real> {
  const root = await derivedRoot(suite, { packages: containerdPackages }, console.error);
  const owner = (await run(['chroot', root, 'dpkg', '-S', path])).stdout.split(':')[0] ?? '';
  const { stdout } = await run(['chroot', root, 'dpkg-query', '-W', '-f', '${Version}', owner]);
  return { root, path, version: stdout.replace(/^\d+:/, '').replace(/[~+-].*$/, '') };
}

async function ofContainerd2(name: string): Promise<Real> {
  const newest = containerds.find(({ line }) => line === '2');
  const made = await newest?.made(console.error);
  const [, from = ''] = new RegExp(`mount --bind (\\S+/${name}) `).exec(made?.prepare ?? '') ?? [];
  return reachable(from, made?.version ?? '');
}

async function built(name: Parameters<typeof imageTool>[0]): Promise<Real | undefined> {
  const tool = await imageTool(name, console.error);
  return tool && reachable(tool.path, tool.version);
}

type Made = () => Promise<Real | undefined>;
const programs: readonly (readonly [tool: string, where: string, made: Made])[] = [
  ...(['bookworm', 'trixie'] as const).flatMap((suite) =>
    ['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'].map(
      (tool) =>
        [tool, `Debian’s ${suite}`, () => packaged(suite, `/usr/${tool === 'runc' ? 's' : ''}bin/${tool}`)] as const,
    ),
  ),
  ...['containerd', 'containerd-shim-runc-v2', 'ctr'].map(
    (tool) => [tool, 'the next Debian', () => ofContainerd2(tool)] as const,
  ),
  ...kubernetesVersions.map(
    (version) =>
      ['kubelet', `Kubernetes ${version}`, async () => reachable(await kubelet(version), version.slice(1))] as const,
  ),
  ...['kubeadm', 'kubectl'].map(
    (tool) =>
      [tool, 'Kubernetes v1.34.4', async () => reachable(join(await controlPlanePrograms(), tool), '1.34.4')] as const,
  ),
  ...(['crictl', 'helm', 'oras'] as const).map((tool) => [tool, 'its module', () => built(tool)] as const),
  ['node', 'our own runtime', () => reachable(nodeBinary, process.versions.node)],
  [
    'nodekiln',
    'a baked image',
    async () => ({ root: await bakedRoot(console.error), path: '/opt/nodekiln/bin/nodekiln', version: undefined }),
  ],
];

describe('the version of a real program', { concurrency: 1 }, () => {
  for (const [tool, where, made] of programs)
    test(`is what it is named for: ${tool} of ${where}`, { timeout: 600_000 }, async (context: TestContext) => {
      const real = await made();
      if (!real) return context.skip('it is not built here');
      const host = createLinuxHost(real.root === undefined ? {} : { root: real.root });
      try {
        const program = { path: real.path, tool, version: real.version };
        const unread = { ...host, files: { ...host.files, open: () => Promise.resolve(undefined) } };
        const { prints, why } = await readVersion(unread, program);
        assert.ok(prints, why);
        context.diagnostic(JSON.stringify(prints));
        assert.equal(await printsLine(host.exec, real.path, prints), true);
        const { states, ...asked } = await readVersion(host, program);
        context.diagnostic(`states ${states?.version ?? 'nothing'} (${states?.from ?? ''})`);
        assert.ok(states || asked.prints, asked.why);
        if (real.version !== undefined)
          for (const from of [host, unread])
            await assert.rejects(readVersion(from, { ...program, version: `${real.version}9` }), {
              code: 'NK_ARTIFACT_VERSION',
            });
      } finally {
        await host.close();
      }
    });
});
