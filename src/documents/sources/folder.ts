/**
 * The documents in a folder, in lexical order. Names that start with a dot or end otherwise than in `.yaml`, `.yml` or
 * `.json` are editors' and writers' own files and passed over: documents appear by rename.
 */
import type { DocumentText } from '../../config/load.ts';
import { NodekilnError } from '../../errors.ts';
import type { Files } from '../../host/port.ts';

/** One document as its source has it. */
export interface SourcedText extends DocumentText {
  /** Mode bits of the file it stands in, 0 where no other user can get at it: documents with secrets are refused by it. */
  readonly mode: number;
}

/** NK_DOCUMENT_MISSING when there is no such document, or what there is cannot be read as one. */
export async function readText(files: Files, path: string): Promise<SourcedText> {
  const [content, stat] = await Promise.all([readFile(files, path), files.stat(path)]);
  if (content === undefined)
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} does not exist`, { place: { file: path } });
  return { file: path, text: new TextDecoder().decode(content), mode: stat?.type === 'file' ? stat.mode : 0 };
}

async function readFile(files: Files, path: string): Promise<Uint8Array | undefined> {
  try {
    return await files.read(path);
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} cannot be read`, { cause, place: { file: path } });
  }
}

/** The documents of a folder; none when there is no folder. */
export async function readFolder(files: Files, folder: string): Promise<readonly SourcedText[]> {
  const names = (await files.list(folder)).filter((name) => /\.(ya?ml|json)$/.test(name) && !name.startsWith('.'));
  const texts: SourcedText[] = [];
  for (const name of names) texts.push(await readText(files, `${folder}/${name}`));
  return texts;
}
