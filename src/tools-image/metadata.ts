/**
 * The metadata document that says which revision of the tools image is current. Pure.
 *
 *     { "tools": { "kubectl": ["1.31.1", …] }, "latest": "1.30", "revisionHash": "Juaa5J",
 *       "deprecations": { "1.26": { "latestTag": "1.26@sha256:…" } },
 *       "images": { "1.31": { "tag": "1.31-Juaa5J", "digest": "sha256:…" } } }
 *
 * `images` is our addition; readers that do not know it pass over it. Every part may be missing, or null: what is missing
 * is not listed; keys that are not known are passed over unread. What is there must be right: NK_DOCUMENT_SYNTAX, or
 * NK_DOCUMENT_INVALID naming the path.
 */
import { array, object, nullish, record, refine } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { invalidDocument } from '../config/invalid.ts';
import { positionsOf, type PositionNode } from '../config/positions.ts';
import { scanJson } from '../config/positions-json.ts';
import { problemsOf } from '../config/problems.ts';
import { matching, text, wants } from '../config/schema-builders.ts';
import { formatPlace, NodekilnError } from '../errors.ts';
import { digestPattern, revisionPattern, splitTag, tagPattern } from './repository.ts';
import { isMinorOfVersion, minorOf } from '../model/minor.ts';

const map = { error: wants('a map') };
const minorKey = matching(/^(?:0|[1-9]\d{0,8})\.(?:0|[1-9]\d{0,8})$/, 'a minor version like "1.31"');
const version = text('a version like "1.31.1"').check(
  refine(isMinorOfVersion, { error: wants('a version like "1.31.1"') }),
);
const tag = matching(tagPattern, 'a tag, with or without a digest');

const schema = object(
  {
    tools: nullish(object({ kubectl: nullish(array(version, { error: wants('a list') })) }, map)),
    latest: nullish(version),
    revisionHash: nullish(matching(revisionPattern, 'a part of a tag: letters, digits, ".", "_" and "-"')),
    deprecations: nullish(record(minorKey, nullish(object({ latestTag: nullish(tag) }, map)), map)),
    images: nullish(
      record(
        minorKey,
        nullish(
          object(
            { tag: nullish(tag), digest: nullish(matching(digestPattern, 'a digest like "sha256:" and 64 digits')) },
            map,
          ),
        ),
        map,
      ),
    ),
  },
  map,
);

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

/** `where` names the document in messages: a path, or an address without credentials. */
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

function checked(value: unknown, { json, where }: { json: string; where: string }): Infer<typeof schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const positions = positionsOf(json, positionTree(json));
  const problems = problemsOf(result.error.issues, { file: where, value, positions });
  const [first] = problems;
  const { message } = invalidDocument(`${where} is no valid metadata document`, problems);
  const detail = first
    ? ` (${first.place ? `${formatPlace({ ...first.place, file: 'line' })}: ` : ''}${first.message})`
    : '';
  throw new NodekilnError('NK_DOCUMENT_INVALID', `${message}${detail}`, {
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

function normalised(document: Infer<typeof schema>): ToolsMetadata {
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
