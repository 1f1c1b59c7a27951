/** Reading the documents a person names; `-` is standard input. NK_DOCUMENT_MISSING with the reason when one cannot be read. */
import type { DocumentText } from '../config/load.ts';
import { program } from '../host/program.ts';
import { textOf } from '../model/bytes.ts';
import { errnoOf, NodekilnError, whyRefused } from '../errors.ts';

export async function readDocuments(paths: readonly string[]): Promise<DocumentText[]> {
  return Promise.all(paths.map(async (file) => ({ file, text: await readText(file) })));
}

async function readText(file: string): Promise<string> {
  try {
    return textOf(await program.readInput(file === '-' ? '/dev/stdin' : file));
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${file} ${reason(cause)}`, { cause, place: { file } });
  }
}

function reason(cause: unknown): string {
  const errno = errnoOf(cause);
  if (errno === 'ENOENT') return 'does not exist';
  if (errno === 'EISDIR') return 'is a folder, and a document is wanted';
  if (errno === 'ETIMEDOUT') return 'is a pipe to which nobody writes';
  return `cannot be read: ${whyRefused(cause)}`;
}
