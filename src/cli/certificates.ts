/** `--ca-file FILE`: the authorities a server is trusted by. */
import { readDocuments } from './documents.ts';
import { textOption, type Options } from './verb.ts';

/** Undefined without the option: those of the machine. NK_DOCUMENT_MISSING. */
export async function certificates(options: Options): Promise<string | undefined> {
  const path = textOption(options, 'ca-file');
  if (path === undefined) return undefined;
  const [file] = await readDocuments([path]);
  return file?.text;
}
