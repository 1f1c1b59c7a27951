/**
 * The metadata document of a list of images. Pure and deterministic: the same images and the same previous document give
 * the same bytes, and publishing again gives them again.
 *
 * The revision is a hash of the images' digests: it changes exactly when an image does. What the previous document listed
 * and the new one does not becomes deprecated, with the last tag and, where it is known, the digest; what was deprecated
 * stays so until it is listed again.
 */
import { createDigest } from '../host/digest.ts';
import type { ToolsMetadata } from './metadata.ts';
import type { ToolsImages } from './schema-images.ts';
import { compareMinors, minorOf, newestMinor } from '../model/minor.ts';

export interface Publication {
  readonly revision: string;
  /** The tags the images must be pushed under before the document is published. */
  readonly tags: readonly { readonly minor: string; readonly tag: string; readonly digest: string }[];
  readonly deprecated: readonly string[];
  /** The document: JSON, two blanks of indentation, a newline at the end. */
  readonly text: string;
}

/** Hexadecimal digits of the revision. */
const revisionLength = 10;

/** `previous`: the document that is published now; what it lists and the new one does not becomes deprecated. */
export function publish({ spec: { images, latest, tools } }: ToolsImages, previous?: ToolsMetadata): Publication {
  const current = images
    .map(({ kubectl, digest }) => ({ minor: minorOf(kubectl), kubectl: kubectl.replace(/^v/, ''), digest }))
    .sort((left, right) => compareMinors(left.minor, right.minor));
  const revision = revisionOf(current);
  const tags = current.map(({ minor, digest }) => ({ minor, tag: `${minor}-${revision}`, digest }));
  const deprecated = deprecations(new Set(tags.map(({ minor }) => minor)), previous);
  const newest = latest === undefined ? newestMinor(tags.map(({ minor }) => minor)) : minorOf(latest);
  const document = {
    tools: {
      ...Object.fromEntries(
        Object.entries(tools ?? {})
          .sort(([left], [right]) => (left < right ? -1 : 1))
          .map(([tool, versions]) => [tool, [...new Set(versions)].sort()]),
      ),
      kubectl: current.map(({ kubectl }) => kubectl),
    },
    ...(newest !== undefined && { latest: newest }),
    revisionHash: revision,
    deprecations: Object.fromEntries(deprecated.map(([minor, latestTag]) => [minor, { latestTag }])),
    images: Object.fromEntries(tags.map(({ minor, tag, digest }) => [minor, { tag, digest }])),
  };
  return {
    revision,
    tags,
    deprecated: deprecated.map(([minor]) => minor),
    text: `${JSON.stringify(document, null, 2)}\n`,
  };
}

function revisionOf(images: readonly { readonly minor: string; readonly digest: string }[]): string {
  const hash = createDigest();
  for (const { minor, digest } of images) hash.update(`${minor} ${digest}\n`);
  return hash.hex().slice(0, revisionLength);
}

function deprecations(listed: ReadonlySet<string>, previous: ToolsMetadata | undefined): [string, string][] {
  if (!previous) return [];
  const gone = previous.listed.map((minor): [string, string] => [minor, lastTag(minor, previous)]);
  // What was deprecated by hand in the previous document keeps its tag.
  return [...new Map([...gone, ...previous.deprecated])]
    .filter(([minor]) => !listed.has(minor))
    .sort(([left], [right]) => compareMinors(left, right));
}

function lastTag(minor: string, { revision, images }: ToolsMetadata): string {
  const tag = revision === undefined ? minor : `${minor}-${revision}`;
  const image = images.get(minor);
  return image?.tag === tag ? `${tag}@${image.digest}` : tag;
}
