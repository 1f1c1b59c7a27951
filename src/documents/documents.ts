/**
 * Reads NodeConfig documents from a host, in the order they merge: what the bake left, then `conf.d` in lexical order.
 * Names that start with a dot or end in `~` or `.tmp` are editors' and writers' temporary files and passed over: documents
 * appear by rename.
 *
 * Errors: NK_DOCUMENT_* with place; NK_DOCUMENT_EXPOSED when one with secrets can be read by others.
 */
import { documentPaths } from '../config/defaults.ts';
import { refuseExposed } from '../config/inspect.ts';
import { parseDocument, type LoadedDocument } from '../config/load.ts';
import { sha256 } from '../host/digest.ts';
import { NodekilnError } from '../errors.ts';
import type { Files } from '../host/port.ts';

export interface Documents {
  readonly loaded: readonly LoadedDocument<'NodeConfig'>[];
  /** Fingerprint of the texts: equal texts, equal fingerprint. */
  readonly digest: string;
}

/** The documents a boot is made from. NK_DOCUMENT_MISSING when there is none. */
export async function readBootDocuments(files: Files): Promise<Documents> {
  const documents = await loadAll(files, [
    ...(await imageDefaults(files)),
    ...(await documentsIn(files, documentPaths.folder)),
  ]);
  if (documents.loaded.length > 0) return documents;
  throw new NodekilnError(
    'NK_DOCUMENT_MISSING',
    `there is no node configuration: neither ${documentPaths.image} nor a document in ${documentPaths.folder}`,
    {
      hint: `Put a NodeConfig into ${documentPaths.folder}/10-node.yaml.`,
    },
  );
}

/** The documents of a folder the agent follows, over what the image says of every node made from it; none is an answer too. */
export async function readFolder(files: Files, folder: string): Promise<Documents> {
  const paths = await documentsIn(files, folder);
  return loadAll(files, paths.length === 0 ? [] : [...(await imageDefaults(files)), ...paths]);
}

async function imageDefaults(files: Files): Promise<string[]> {
  return (await files.stat(documentPaths.image)) ? [documentPaths.image] : [];
}

/** Documents named one by one, in that order. */
export async function readNamed(files: Files, paths: readonly string[]): Promise<Documents> {
  return loadAll(files, paths);
}

async function documentsIn(files: Files, folder: string): Promise<string[]> {
  const names = await files.list(folder);
  return names
    .filter((name) => /\.(ya?ml|json)$/.test(name) && !name.startsWith('.'))
    .map((name) => `${folder}/${name}`);
}

async function loadAll(files: Files, paths: readonly string[]): Promise<Documents> {
  const texts: string[] = [];
  const loaded: LoadedDocument<'NodeConfig'>[] = [];
  for (const path of paths) {
    const [content, stat] = await Promise.all([readDocument(files, path), files.stat(path)]);
    const document = await parseDocument({ file: path, text: content }, 'NodeConfig');
    refuseExposed(document, stat?.type === 'file' ? stat.mode : 0);
    texts.push(path, content);
    loaded.push(document);
  }
  return { loaded, digest: sha256(texts.join('\0')) };
}

async function readDocument(files: Files, path: string): Promise<string> {
  let content;
  try {
    content = await files.read(path);
  } catch (cause) {
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} cannot be read`, { cause, place: { file: path } });
  }
  if (content === undefined)
    throw new NodekilnError('NK_DOCUMENT_MISSING', `${path} does not exist`, { place: { file: path } });
  return content.toString('utf8');
}
