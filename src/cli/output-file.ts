/** Files that a person asks a verb to write. */
import { writeFile } from 'node:fs/promises';
import { errnoOf, NodekilnError, whyRefused } from '../errors.ts';

/** Gives the path back. NK_FILE_WRITE. */
export async function writeOutput(path: string, content: string): Promise<string> {
  try {
    await writeFile(path, content);
    return path;
  } catch (cause) {
    const why = errnoOf(cause) === 'ENOENT' ? 'its folder does not exist' : whyRefused(cause);
    throw new NodekilnError('NK_FILE_WRITE', `${path} cannot be written: ${why}`, { cause, place: { file: path } });
  }
}
