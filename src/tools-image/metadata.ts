/**
 * The metadata document that says which revision of the tools image is current. Pure.
 *
 *     { "tools": { "kubectl": ["1.31.1", …] }, "latest": "1.30", "revisionHash": "Juaa5J",
 *       "deprecations": { "1.26": { "latestTag": "1.26@sha256:…" } },
 *       "images": { "1.31": { "tag": "1.31-Juaa5J", "digest": "sha256:…" } } }
 *
 * `images` is our addition; readers that do not know it pass over it. Every part may be missing, or null: what is missing
 * is not listed; keys that are not known are passed over unread. An entry that cannot be read costs that entry and no
 * other: it is passed over and named, by those who use a document. For those who write one on, it must be right.
 */
import type { infer as Infer } from 'zod/mini';
import { formatProblem, invalidDocument } from '../config/invalid.ts';
import { isMap } from '../config/paths.ts';
import { positionsOf, type PositionNode } from '../config/positions.ts';
import { scanJson } from '../config/positions-json.ts';
import { problemsOf, type Issue } from '../config/problems.ts';
import { formatPlace, NodekilnError, type Problem } from '../errors.ts';
import { splitTag } from './repository.ts';
import { metadataDocument } from './schema-metadata.ts';
import { minorOf } from '../model/minor.ts';

/** The document with the missing parts filled by nothing; versions as `major.minor`. */
export interface ToolsMetadata {
  /** Minor versions an image is published for, in the document's order, each once. */
  readonly listed: readonly string[];
  readonly latest?: string;
  readonly revision?: string;
  /** The last tag of versions no longer published, as written. */
  readonly deprecated: ReadonlyMap<string, string>;
  /** What the document knows about the current images. */
  readonly images: ReadonlyMap<string, { readonly tag: string; readonly digest: string }>;
}

/** What can be used of a document. */
export interface ReadMetadata {
  readonly metadata: ToolsMetadata;
  /** Each entry that cannot be read: its place, and what is wrong. */
  readonly passedOver: readonly string[];
}

/** More of them are counted, not named. */
const mostNamed = 20;

/** NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID for what is no map and for what nothing can be read of; `where` as below. */
export function readMetadata(json: string, where: string): ReadMetadata {
  const value = parseJson(json, where);
  const result = metadataDocument.safeParse(value);
  if (result.success) return { metadata: normalised(result.data), passedOver: [] };
  const { issues } = result.error;
  if (!isMap(value)) throw invalid(issues, { value, json, where });
  const metadata = normalised(checked(withoutEntries(value, issues), { json, where }));
  if (isEmpty(metadata)) throw invalid(issues, { value, json, where });
  const places = onePerPlace(issues);
  const named = problemsIn(places.slice(0, mostNamed), { value, json, where }).map(formatProblem);
  const more = places.length - mostNamed;
  return { metadata, passedOver: more <= 0 ? named : [...named, `and ${more} more`] };
}

function isEmpty({ listed, latest, revision, deprecated, images }: ToolsMetadata): boolean {
  return listed.length + deprecated.size + images.size === 0 && latest === undefined && revision === undefined;
}

function onePerPlace(issues: readonly Issue[]): Issue[] {
  const seen = new Set<string>();
  return issues.filter(({ path }) => seen.size < seen.add(JSON.stringify(path)).size);
}

/** The document without the smallest entry around each issue: a version of the list, a minor version's, a value. */
function withoutEntries(document: Record<string, unknown>, issues: readonly Issue[]): unknown {
  const spoilt = new Set(issues.map(({ path }) => JSON.stringify(entryOf(path))));
  const isSpoilt = (...path: readonly PropertyKey[]): boolean => spoilt.has(JSON.stringify(path));
  const left = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (Array.isArray(value)) return value.filter((_, index) => !isSpoilt(...path, index));
    // Two floors are looked at; whatever is below goes with them.
    if (!isMap(value) || path.length > 1) return value;
    const kept = Object.entries(value).filter(([key]) => !isSpoilt(...path, key));
    return Object.fromEntries(kept.map(([key, each]) => [key, left(each, [...path, key])]));
  };
  return left(document, []);
}

function entryOf(path: readonly PropertyKey[]): readonly PropertyKey[] {
  return path[0] === 'tools' ? path.slice(0, 3) : path.slice(0, 2);
}

/**
 * A document that is right as a whole. NK_DOCUMENT_SYNTAX, or NK_DOCUMENT_INVALID naming the path; `where` names the
 * document in messages: a path, or an address without credentials.
 */
export function parseMetadata(json: string, where: string): ToolsMetadata {
  return normalised(checked(parseJson(json, where), { json, where }));
}

function parseJson(json: string, where: string): unknown {
  try {
    return JSON.parse(json.startsWith('\uFEFF') ? json.slice(1) : json);
  } catch (cause) {
    const html = /^\s*</.test(json) ? ': it looks like a web page' : '';
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `${where} is not JSON${html}`, { cause, place: { file: where } });
  }
}

interface Text {
  readonly json: string;
  readonly where: string;
}

function checked(value: unknown, text: Text): Infer<typeof metadataDocument> {
  const result = metadataDocument.safeParse(value);
  if (result.success) return result.data;
  throw invalid(result.error.issues, { value, ...text });
}

function problemsIn(issues: readonly Issue[], { value, json, where }: Text & { readonly value: unknown }): Problem[] {
  return problemsOf(issues, { file: where, value, positions: positionsOf(json, positionTree(json)) });
}

function invalid(issues: readonly Issue[], about: Text & { readonly value: unknown }): NodekilnError {
  const { where } = about;
  const problems = problemsIn(issues, about);
  const [first] = problems;
  const { message } = invalidDocument(`${where} is no valid metadata document`, problems);
  const detail = first
    ? ` (${first.place ? `${formatPlace({ ...first.place, file: 'line' })}: ` : ''}${first.message})`
    : '';
  return new NodekilnError('NK_DOCUMENT_INVALID', `${message}${detail}`, {
    problems,
    ...(first?.place && { place: first.place }),
    hint: 'Correct the document; docs/tools-image.md describes it.',
  });
}

/** Nesting too deep to be followed, in parts nobody looks at, must not hide what is wrong elsewhere. */
function positionTree(json: string): PositionNode {
  try {
    return scanJson(json).root;
  } catch {
    return { start: 0, children: new Map() };
  }
}

function normalised(document: Infer<typeof metadataDocument>): ToolsMetadata {
  const { latest, revisionHash, tools, deprecations, images } = document;
  return {
    listed: [...new Set((tools?.kubectl ?? []).map(minorOf))],
    deprecated: new Map(
      Object.entries(deprecations ?? {}).flatMap(([minor, entry]) =>
        typeof entry?.latestTag === 'string' ? [[minor, entry.latestTag] as const] : [],
      ),
    ),
    images: new Map(
      Object.entries(images ?? {}).flatMap(([minor, entry]) =>
        typeof entry?.tag === 'string' && typeof entry.digest === 'string'
          ? [[minor, { tag: splitTag(entry.tag).tag, digest: entry.digest }] as const]
          : [],
      ),
    ),
    ...(typeof latest === 'string' && { latest: minorOf(latest) }),
    ...(typeof revisionHash === 'string' && { revision: revisionHash }),
  };
}
