/**
 * Baked roots: a fresh Debian root that `nodekiln bake` made into an image of the demo's manifest. One per state of
 * program, manifest and artifacts, kept in the cache: tests and benchmarks boot hosts from it without baking again.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildBundle, nodeBinary, nodeFlag } from '../../tools/build.ts';
import { cached, forgetOlder, keyHash } from '../lab/cache.ts';
import { artifacts } from '../lab/packages.ts';
import type { Progress } from '../lab/prerequisites.ts';
import { unpackRoot, type Suite } from '../lab/root.ts';
import { run, tryRun, type RunResult } from '../lab/run.ts';
import { bakeEnvironment, programStamp } from './host-program.ts';

export const demoFolder = join(import.meta.dirname, '..', '..', 'examples', 'demo');
export const manifestPath = join(demoFolder, 'image.yaml');

/** Makes `examples/demo/artifacts` lead to the packages and images of this machine's cache. Several may do so at once. */
export async function linkArtifacts(progress?: Progress): Promise<void> {
  const { dir } = await artifacts(progress);
  const link = join(demoFolder, 'artifacts');
  if ((await readlink(link).catch(() => undefined)) === dir) return;
  const temporary = `${link}.${randomUUID()}`;
  await symlink(dir, temporary);
  await rename(temporary, link);
}

/** Runs this checkout's command-line tool on this machine. */
export async function nodekiln(
  args: readonly string[],
  options: { onLine?: (line: string) => void } = {},
): Promise<RunResult> {
  const argv = [nodeBinary, nodeFlag, await buildBundle(), ...args];
  return tryRun(argv, {
    env: await bakeEnvironment(),
    timeoutMs: 600_000,
    ...(options.onLine && { onLine: options.onLine }),
  });
}

/**
 * The demo's manifest. Debian's newest suite moves on: where its kubectl is another version by now, or the text is to be
 * changed, a copy beside the manifest.
 */
export async function demoManifest(progress: Progress, change?: (text: string) => string): Promise<string> {
  const { kubectl } = await artifacts();
  const text = await readFile(manifestPath, 'utf8');
  const pinned = /version: (1\.3[3-9]\.\S+)\n\s+source: \{ type: deb, path: "artifacts\/kubectl_/.exec(text)?.[1];
  const moved = pinned !== undefined && pinned !== kubectl.forky.version;
  if (moved) progress(`Debian has kubectl ${kubectl.forky.version} now; the manifest pins ${pinned}`);
  const wanted = moved ? text.replaceAll(pinned, kubectl.forky.version) : text;
  const final = change ? change(wanted) : wanted;
  if (final === text) return manifestPath;
  const copy = join(demoFolder, '.image.generated.yaml');
  await writeFile(copy, final);
  return copy;
}

/** The root that the demo's manifest makes, from the cache or baked now. Must not be changed: hosts are overlays of it. */
export async function bakedRoot(progress: Progress = () => undefined, suite: Suite = 'trixie'): Promise<string> {
  await linkArtifacts(progress);
  const bundle = await buildBundle();
  const about = await artifacts();
  const manifest = await demoManifest(progress);
  const key = keyHash(await programStamp(), await readFile(manifest, 'utf8'), JSON.stringify(about), suite);
  const root = await cached(`baked/${key}`, async (dir) => {
    progress(`baking the demo root of ${suite}`);
    await mkdir(dir, { recursive: true });
    await unpackRoot(suite, dir, progress);
    await chmod(dir, 0o755);
    // The packages of each machine's cache are its own: their lock file is not the example's.
    const lock = `${dir}.lock.json`;
    await run([nodeBinary, nodeFlag, bundle, 'bake', manifest, '--root', dir, '--lock', lock], {
      env: await bakeEnvironment(),
      timeoutMs: 600_000,
    });
    await rm(lock, { force: true });
  });
  await forgetOlder('baked', 6);
  return root;
}
