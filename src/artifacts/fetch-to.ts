/**
 * One artifact from any source, put at a path: whole and right or not at all, durable when this returns. What is there
 * already is replaced by a rename.
 */
import { copyFile, mkdir, open, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errnoOf, NodekilnError } from '../errors.ts';
import { discardTemporary, sweepTemporaries, temporaryIn } from '../host/linux/temporaries.ts';
import { syncFolder } from './durable.ts';
import { fetchArtifact } from './sources/table.ts';
import type { FetchContext, Fetched, SourceSpec } from './sources/source.ts';

/** Errors of the source; NK_FILE_WRITE. */
export async function fetchTo(
  spec: SourceSpec,
  to: string,
  context: Omit<FetchContext, 'folder'>,
): Promise<Omit<Fetched, 'temporary'>> {
  const target = resolve(to);
  const folder = dirname(target);
  try {
    await mkdir(folder, { recursive: true });
    await sweepTemporaries(folder);
    const temporary = temporaryIn(folder);
    try {
      await mkdir(temporary, { mode: 0o700 });
      const { temporary: ours, ...fetched } = await fetchArtifact(spec, { ...context, folder: temporary });
      const path = ours ? fetched.path : resolve(temporary, 'copy');
      if (!ours) await copyDurably(fetched.path, path);
      await rename(path, target);
      await syncFolder(folder);
      return { ...fetched, path: target };
    } finally {
      await discardTemporary(temporary);
    }
  } catch (thrown) {
    if (thrown instanceof NodekilnError || errnoOf(thrown) === undefined) throw thrown;
    throw new NodekilnError('NK_FILE_WRITE', `cannot write ${target}: ${errnoOf(thrown)}`, { cause: thrown });
  }
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const handle = await open(to, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
