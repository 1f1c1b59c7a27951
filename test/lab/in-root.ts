/** What real programs of a lab's root make of files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';

/** A shell script in the root, `$2`, with a folder lent to it as /mnt, `$1`; whatever it mounts and starts is gone with it. */
export async function inRoot(
  root: string,
  folder: string,
  script: string,
  ...more: readonly string[]
): Promise<string> {
  const begin = 'mount --bind "$1" "$2/mnt"; mount -t tmpfs run "$2/run"';
  const apart = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  const { stdout } = await run([...apart, 'sh', '-euc', `${begin}; ${script}`, 'sh', folder, root, ...more], {
    timeoutMs: 120_000,
  });
  return stdout;
}

export async function withFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-formats-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
