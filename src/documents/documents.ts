/**
 * The documents a machine is made from: what the bake left, then those of a source, in the order in which they merge. Read
 * as texts first, so that their digest is known even when they are wrong; then each kind makes of its own what they ask for.
 *
 * Errors: NK_DOCUMENT_* with place; NK_DOCUMENT_EXPOSED when one with secrets can be read by others.
 */
import { documentPaths } from '../config/defaults.ts';
import { checkDocument, parseText } from '../config/load.ts';
import type { ParsedDocument } from '../config/problems.ts';
import { NodekilnError } from '../errors.ts';
import type { Files } from '../host/port.ts';
import type { Facts } from '../model/facts.ts';
import { keyOf, type KindText, type NodeAsk } from './kinds/kind.ts';
import { documentKinds, type KindTable } from './kinds/table.ts';
import { readFolder, readText } from './sources/folder.ts';
import type { SourcedText } from './sources/source.ts';

/** What the bake says of every node made from its image; none where nothing was baked. */
async function imageDefaults(files: Files): Promise<readonly SourcedText[]> {
  return (await files.stat(documentPaths.image)) ? [await readText(files, documentPaths.image)] : [];
}

/** What a source of its own asks for: its documents over what the image says of every node; without any it asks for nothing. */
export async function overImage(files: Files, own: readonly SourcedText[]): Promise<readonly SourcedText[]> {
  return own.length === 0 ? [] : [...(await imageDefaults(files)), ...own];
}

/** The texts a boot is made from. NK_DOCUMENT_MISSING when there is none. */
export async function bootTexts(files: Files): Promise<readonly SourcedText[]> {
  const texts = [...(await imageDefaults(files)), ...(await readFolder(files, documentPaths.folder))];
  if (texts.length > 0) return texts;
  throw new NodekilnError(
    'NK_DOCUMENT_MISSING',
    `there is no node configuration: neither ${documentPaths.image} nor a document in ${documentPaths.folder}`,
    { hint: `Put a NodeConfig into ${documentPaths.folder}/10-node.yaml.` },
  );
}

/** Texts named one by one, in that order. */
export async function namedTexts(files: Files, paths: readonly string[]): Promise<readonly SourcedText[]> {
  const texts = [];
  for (const path of paths) texts.push(await readText(files, path));
  return texts;
}

/**
 * Checks the documents of a node and merges them; what they ask for follows with the facts. All must be of one kind that
 * describes a node: NK_DOCUMENT_KIND. What the image says of every node has a say only where it is of that kind, too.
 */
export async function loadNodeDocuments(
  texts: readonly SourcedText[],
  kinds: KindTable = documentKinds,
): Promise<(facts: Facts) => NodeAsk> {
  const all: KindText[] = [];
  for (const { file, text, mode, secrets } of texts)
    all.push({ parsed: await parseText({ file, text }), mode, ...(secrets && { secrets }) });
  const ofImage = ({ parsed: { file } }: KindText): boolean => file === documentPaths.image;
  const own = all.find((text) => !ofImage(text));
  const parsed = own ? all.filter((text) => !ofImage(text) || keyOf(text.parsed) === keyOf(own.parsed)) : all;
  const keys = parsed.map((text) => keyOf(text.parsed));
  const [key = ''] = keys;
  const other = keys.findIndex((candidate) => candidate !== key);
  const kind = Object.hasOwn(kinds, key) ? await kinds[key]?.() : undefined;
  const odd = other < 0 ? undefined : parsed[other];
  if (odd && kind?.describes === 'node') throw await ofAnotherKind(odd.parsed, key);
  if (kind?.describes === 'node') return kind.load(parsed);
  // Whatever it is, it is none for a node: the schema of ours says what is wrong with it.
  for (const text of parsed) await checkDocument(text.parsed, 'NodeConfig');
  throw new NodekilnError('NK_INTERNAL', `nothing is wrong with ${key}, but no kind of it is known`);
}

async function ofAnotherKind(parsed: ParsedDocument, wanted: string): Promise<NodekilnError> {
  // One that is of no kind at all says so itself.
  if (wanted.endsWith('/NodeConfig')) await checkDocument(parsed, 'NodeConfig');
  return new NodekilnError(
    'NK_DOCUMENT_KIND',
    `${parsed.file} is of kind ${keyOf(parsed)}, the documents before it of ${wanted}`,
    {
      place: { file: parsed.file, ...parsed.positions.locate(['kind'], 'value') },
      hint: 'Give one source documents of one kind.',
    },
  );
}
