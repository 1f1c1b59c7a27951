/** A copy of the demo's baked root to change: on the disk of the cache, gone with the test. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bakedRoot } from '../../demo/baked.ts';
import { cacheFolder } from '../../lab/cache.ts';
import { run } from '../../lab/run.ts';

export interface BakedCopy {
  readonly root: string;
  remove(): Promise<void>;
}

export async function bakedCopy(): Promise<BakedCopy> {
  const baked = await bakedRoot();
  const base = join(cacheFolder(), 'demo');
  await mkdir(base, { recursive: true });
  const folder = await mkdtemp(join(base, 'image-'));
  const root = join(folder, 'root');
  await run(['cp', '--archive', '--reflink=auto', baked, root], { timeoutMs: 120_000 });
  return { root, remove: () => rm(folder, { recursive: true, force: true }) };
}
