/**
 * Baked roots: a fresh Debian root that `nodekiln bake` made into an image of the demo's manifest. One per state of
 * program, manifest and artifacts, kept in the cache: tests and benchmarks boot hosts from it without baking again.
 */
import { chmod, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buildBundle, nodeBinary } from '../../tools/build.ts';
import { cached, keyHash } from '../lab/cache.ts';
import { artifacts } from '../lab/packages.ts';
import type { Progress } from '../lab/prerequisites.ts';
import { unpackRoot } from '../lab/root.ts';
import { run } from '../lab/run.ts';

export const demoFolder = join(import.meta.dirname, '..', '..', 'examples', 'demo');
export const manifestPath = join(demoFolder, 'image.yaml');

/** Makes `examples/demo/artifacts` lead to the packages and images of this machine's cache. */
export async function linkArtifacts(progress?: Progress): Promise<void> {
  const { dir } = await artifacts(progress);
  const link = join(demoFolder, 'artifacts');
  await rm(link, { recursive: true, force: true });
  await symlink(dir, link);
}

/** Runs this checkout's command-line tool on this machine. */
export async function nodekiln(args: readonly string[], options: { onLine?: (line: string) => void; timeoutMs?: number } = {}): Promise<{ status: number; stdout: string; stderr: string }> {
  const { tryRun } = await import('../lab/run.ts');
  return tryRun([nodeBinary, '--disable-warning=ExperimentalWarning', await buildBundle(), ...args], { timeoutMs: options.timeoutMs ?? 600_000, ...(options.onLine && { onLine: options.onLine }) });
}

/** The root that the demo's manifest makes, from the cache or baked now. Must not be changed: hosts are overlays of it. */
export async function bakedRoot(progress: Progress = () => undefined): Promise<string> {
  await linkArtifacts(progress);
  const bundle = await buildBundle();
  const about = await artifacts();
  const key = keyHash(await readFile(`${bundle}.stamp`, 'utf8'), await readFile(manifestPath, 'utf8'), JSON.stringify(about));
  return cached(`baked/${key}`, async (dir) => {
    progress('baking the demo root');
    await mkdir(dir, { recursive: true });
    await unpackRoot('trixie', dir, progress);
    await chmod(dir, 0o755);
    await run([nodeBinary, '--disable-warning=ExperimentalWarning', bundle, 'bake', manifestPath, '--root', dir], { timeoutMs: 600_000 });
  });
}
