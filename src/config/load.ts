/**
 * Reads one document: text in, checked document with its positions out. The caller reads the file.
 *
 * JSON is parsed by JSON.parse, so that a boot from JSON loads no YAML library; any other text is YAML.
 * NK_DOCUMENT_SYNTAX when it is neither, NK_DOCUMENT_KIND when its kind is not known or not the one wanted,
 * NK_DOCUMENT_INVALID with every problem at once.
 */
import type { ZodMiniType } from 'zod/mini';
import { NodekilnError } from '../errors.ts';
import type { Problem } from '../errors.ts';
import { foreignDocument, foreignDocuments } from './foreign-kind.ts';
import { invalidDocument } from './invalid.ts';
import { kinds, type DocumentKind } from './kinds.ts';
import { forbiddenKey, isMap, valueAt } from './paths.ts';
import type { Path } from './paths.ts';
import { positionAt, lineStarts, positionsOf, tooDeep } from './positions.ts';
import type { PositionNode, Positions } from './positions.ts';
import { scanJson } from './positions-json.ts';
import { placeOf, problemsOf } from './problems.ts';
import type { ParsedDocument } from './problems.ts';
import type { AgentConfigDocument } from './schema-agent.ts';
import type { ImageManifest } from './schema-image.ts';
import type { InventoryDocument } from './schema-inventory.ts';
import { withoutRemovals } from './removals.ts';
import { apiVersion } from './schema-node.ts';
import type { NodeConfigDocument } from './schema-node.ts';
import { halfCharacter } from './unwritable.ts';
import { alternatives, nearest } from './words.ts';
import { parseYaml, type OfSeveral } from './yaml.ts';

export { kinds, type DocumentKind } from './kinds.ts';

/** What a document of each kind holds once it is parsed: docs/reference/schema-*.md describe the fields. */
export interface DocumentOf {
  AgentConfig: AgentConfigDocument;
  ImageManifest: ImageManifest;
  NodeConfig: NodeConfigDocument;
  Inventory: InventoryDocument;
}

/** A document as it was read from somewhere. */
export interface DocumentText {
  /** Name for messages. */
  readonly file: string;
  readonly text: string;
}

/** A document that matches its schema, with the places of its values. */
export interface LoadedDocument<Kind extends DocumentKind = DocumentKind> {
  readonly file: string;
  readonly kind: Kind;
  readonly document: DocumentOf[Kind];
  /** The same as it was written: of a NodeConfig, with null where it takes away what an earlier document set. */
  readonly written: unknown;
  readonly positions: Positions;
}

/**
 * A document of ours, checked against its schema: JSON, or any other text as YAML. With `kind` no other kind is taken.
 *
 *      const { document } = await parseDocument({ file: 'node.yaml', text }, 'NodeConfig');
 *
 * Errors: NK_DOCUMENT_SYNTAX, NK_DOCUMENT_KIND, NK_DOCUMENT_INVALID with every problem at once.
 */
export async function parseDocument<Kind extends DocumentKind>(
  source: DocumentText,
  kind: Kind,
): Promise<LoadedDocument<Kind>>;
export async function parseDocument(source: DocumentText): Promise<LoadedDocument>;
export async function parseDocument(source: DocumentText, wanted?: DocumentKind): Promise<LoadedDocument> {
  const text = await parseText(source);
  return wanted ? checkDocument(text, wanted) : checkDocument(text);
}

/** A text that was parsed, against the schema of its kind: for callers that ask its kind first. */
export async function checkDocument<Kind extends DocumentKind>(
  text: ParsedDocument,
  kind: Kind,
): Promise<LoadedDocument<Kind>>;
export async function checkDocument(text: ParsedDocument): Promise<LoadedDocument>;
export async function checkDocument(text: ParsedDocument, wanted?: DocumentKind): Promise<LoadedDocument> {
  const kind = kindOf(text, wanted);
  const { file, positions, value: written } = text;
  switch (kind) {
    case 'NodeConfig':
      return { file, kind, positions, written, document: checkSchema(await kinds.NodeConfig(), text, kind) };
    case 'AgentConfig':
      return { file, kind, positions, written, document: checkSchema(await kinds.AgentConfig(), text, kind) };
    case 'ImageManifest':
      return {
        file,
        kind,
        positions,
        written,
        document: asWritten(checkSchema(await kinds.ImageManifest(), text, kind), written),
      };
    case 'Inventory':
      return { file, kind, positions, written, document: checkSchema(await kinds.Inventory(), text, kind) };
  }
}

/** The text as data with positions, whatever kind it is of. */
export async function parseText(source: DocumentText): Promise<ParsedDocument> {
  const { file } = source;
  refuseOtherForms(source);
  const text = source.text.startsWith('\uFEFF') ? source.text.slice(1) : source.text;
  const parsed = parseJson(file, text) ?? (await parseYaml(file, text, ofSeveral(file)));
  const document = { file, value: parsed.value, positions: positionsOf(text, parsed.root) };
  const forbidden = forbiddenKey(parsed.value);
  if (forbidden)
    throw invalid(document, [
      { message: 'a key cannot be called __proto__', place: placeOf(document, forbidden, 'key') },
    ]);
  const half = halfCharacter(parsed.value);
  if (!half) return document;
  const { path, message, isKey } = half;
  throw invalid(document, [
    { message: isKey ? `a key ${message}` : message, place: placeOf(document, path, isKey ? 'key' : 'value') },
  ]);
}

/** Of documents one behind the other, some of them nobody's here: as of one alone where none is ours. */
function ofSeveral(file: string): OfSeveral {
  return (values, place) => {
    const others = values.filter((value) => !isReadHere(value));
    const foreign = foreignDocuments(others);
    if (foreign === undefined) return undefined;
    return others.length < values.length
      ? new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is not well-formed: one file holds one document`, {
          place,
          hint: `Put what is read here into a file of its own. The rest looks like ${foreign}`,
        })
      : new NodekilnError('NK_DOCUMENT_KIND', `${file} has an apiVersion that is not known: it must be ${apiVersion}`, {
          place: { file, line: 1, column: 1 },
          hint: `It looks like ${foreign}`,
        });
  };
}

/** Kinds of other people's that are read (documents/kinds/table.ts). */
const othersRead: ReadonlySet<unknown> = new Set([
  'extensions.gardener.cloud/v1alpha1/OperatingSystemConfig',
  'nodeagent.config.gardener.cloud/v1alpha1/NodeAgentConfiguration',
]);

function isReadHere(value: unknown): boolean {
  if (!isMap(value)) return false;
  return (
    value['apiVersion'] === apiVersion || othersRead.has(`${String(value['apiVersion'])}/${String(value['kind'])}`)
  );
}

/** What begins with what, read as UTF-8. */
const otherForms: readonly (readonly [what: string, begin: string])[] = [
  ['compressed (gzip)', '\u001F\uFFFD'],
  ['compressed (zstd)', '(\uFFFD/\uFFFD'],
  ['compressed (xz)', '\uFFFD7zXZ'],
  ['an archive or an image (zip)', 'PK\u0003\u0004'],
  ['a program', '\u007FELF'],
  ['a script', '#!'],
  ['a certificate or a key (PEM)', '-----BEGIN '],
];

function otherText(text: string): string | undefined {
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text)) return 'a page of a web server';
  if (/^(?:MIME-Version|Content-Type): /i.test(text)) return 'user data in several parts (MIME)';
  if (/^(?:[#;].*\n|\s)*\[[A-Z][A-Za-z]+\]\s*\n/.test(text)) return 'a unit file of systemd';
  const [first = '', second = '', third = '', fourth = ''] = text.startsWith('\uFFFD\uFFFD') ? text.slice(2) : text;
  return [first, second, third, fourth].includes('\0') && first + second !== ''
    ? 'text in UTF-16 or UTF-32'
    : undefined;
}

/** A file that is no text at all, or none in UTF-8, is told by what it looks like. NK_DOCUMENT_SYNTAX. */
function refuseOtherForms({ file, text }: DocumentText): void {
  const unread = '\uFFFD';
  const looks = otherForms.find(([, begin]) => text.startsWith(begin))?.[0] ?? otherText(text);
  const at = text.search(/[\uFFFD\0]/);
  if (looks === undefined && at < 0) return;
  const character = text[at] === unread ? 'bytes that are no UTF-8' : 'a NUL byte';
  const message = looks === undefined ? `holds ${character} here` : `is ${looks}`;
  throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} ${message}`, {
    place: { file, ...positionAt(lineStarts(text), looks === undefined ? at : 0) },
    hint: 'Give a document as YAML or JSON, in UTF-8.',
  });
}

function parseJson(file: string, text: string): { value: unknown; root: PositionNode } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { root, duplicates, tooDeepAt } = scanJson(text);
  const lines = lineStarts(text);
  if (tooDeepAt !== undefined)
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is not well-formed: ${tooDeep}`, {
      place: { file, ...positionAt(lines, tooDeepAt) },
    });
  const [first] = duplicates;
  if (!first) return { value, root };
  const message = 'this key stands a second time in its map';
  const problems = duplicates.map(({ offset }) => ({ message, place: { file, ...positionAt(lines, offset) } }));
  throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${file} is not well-formed: ${message}`, {
    place: { file, ...positionAt(lines, first.offset) },
    problems,
  });
}

function kindOf(text: ParsedDocument, wanted: DocumentKind | undefined): DocumentKind {
  const { value } = text;
  const fail = (message: string, path: Path, hint?: string): NodekilnError =>
    new NodekilnError('NK_DOCUMENT_KIND', `${text.file} ${message}`, {
      place: placeOf(text, path, 'value'),
      ...(hint && { hint }),
    });
  if (value === null || value === undefined) throw fail('is empty', []);
  if (!isMap(value)) throw fail('is not a map with apiVersion and kind', []);
  const foreign = foreignDocument(value);
  const hint = foreign && `It looks like ${foreign}`;
  if (value['apiVersion'] === undefined)
    throw fail(`has no apiVersion: it must be ${apiVersion}`, ['apiVersion'], hint);
  if (value['apiVersion'] !== apiVersion)
    throw fail(`has an apiVersion that is not known: it must be ${apiVersion}`, ['apiVersion'], hint);
  const names = Object.keys(kinds);
  const kind = value['kind'];
  if (kind === undefined) throw fail(`has no kind: it must be ${alternatives(names)}`, ['kind']);
  if (!isKind(kind)) {
    const near = typeof kind === 'string' ? nearest(kind, names) : undefined;
    throw fail(
      `has a kind that is not known: it must be ${alternatives(names)}`,
      ['kind'],
      near && `did you mean ${near}?`,
    );
  }
  if (wanted && kind !== wanted)
    throw fail(`is of kind ${kind}, but ${wanted} is wanted here`, ['kind'], `Give a document of kind ${wanted}.`);
  return kind;
}

export function isKind(value: unknown): value is DocumentKind {
  return typeof value === 'string' && Object.hasOwn(kinds, value);
}

function checkSchema<Output>(schema: ZodMiniType<Output>, text: ParsedDocument, kind: DocumentKind): Output {
  const value = judged(text.value, kind);
  const result = schema.safeParse(value);
  // The names of what is taken away are judged as any other.
  const unknown = value === text.value ? [] : (schema.safeParse(text.value).error?.issues.filter(isUnknownKey) ?? []);
  if (result.success && unknown.length === 0) return result.data;
  const issues = result.error?.issues ?? [];
  const others = unknown.length === 0 ? issues : issues.filter((issue) => !isUnknownKey(issue));
  throw invalid(text, problemsOf([...unknown, ...others], text), kind);
}

/** Where a NodeConfig stands, null is allowed for every value of a map. */
function judged(value: unknown, kind: DocumentKind): unknown {
  if (kind === 'NodeConfig') return withoutRemovals(value);
  const spec = valueAt(value, ['spec']);
  if (kind !== 'ImageManifest' || !isMap(value) || !isMap(spec)) return value;
  const nodeConfig = withoutRemovals(spec['nodeConfig'], ['spec']);
  return nodeConfig === spec['nodeConfig'] ? value : { ...value, spec: { ...spec, nodeConfig } };
}

/** Its defaults for nodes are a document of their own, which says what it takes away. */
function asWritten(manifest: ImageManifest, written: unknown): ImageManifest {
  const nodeConfig = valueAt(written, ['spec', 'nodeConfig']) as ImageManifest['spec']['nodeConfig'];
  return nodeConfig ? { ...manifest, spec: { ...manifest.spec, nodeConfig } } : manifest;
}

function isUnknownKey({ code }: { code?: string | undefined }): boolean {
  return code === 'unrecognized_keys';
}

function invalid(text: ParsedDocument, problems: readonly Problem[], kind = 'document'): NodekilnError {
  return invalidDocument(`${text.file} is not a valid ${kind}`, problems);
}
