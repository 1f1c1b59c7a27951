/** A folder for as long as a piece of work takes. */
import type { Files } from './port.ts';

/**
 * Works in a new folder within `parent`, which goes with all that is in it. What the work fails on is what is thrown: where no
 * descriptor is left, none is to look into the folder either. NK_FILE_WRITE.
 */
export async function inTemporaryFolder<Result>(
  files: Pick<Files, 'temporaryFolder' | 'removeTree'>,
  parent: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = await files.temporaryFolder(parent);
  let result: Result;
  try {
    result = await work(folder);
  } catch (thrown) {
    await files.removeTree(folder).catch(() => undefined);
    throw thrown;
  }
  await files.removeTree(folder);
  return result;
}
