/** `--ca-file FILE`: the authorities a server is trusted by. */
import { readFile } from 'node:fs/promises';
import { errnoOf, NodekilnError } from '../errors.ts';
import { textOption, type Options } from './verb.ts';

/** Undefined without the option: those of the machine. NK_DOCUMENT_MISSING. */
export async function certificates(options: Options): Promise<string | undefined> {
  const path = textOption(options, 'ca-file');
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} cannot be read: ${errnoOf(cause) ?? ''}`, { cause });
  }
}
