/**
 * Which tools image a cluster gets. Pure; first match wins:
 *
 * 1. a tag the operator configured → exactly that;
 * 2. the metadata's deprecations name the cluster's `major.minor` → their tag, verbatim;
 * 3. the metadata list a kubectl of that `major.minor` and a revision → `<major>.<minor>-<revision>`;
 * 4. a tag known to exist when this program was made → `<major>.<minor>`;
 * 5. the policy: the tag `latest`, the newest listed version, or NK_TOOLS_IMAGE_NONE.
 */
import { NodekilnError } from '../errors.ts';
import type { ToolsMetadata } from './metadata.ts';
import { splitTag } from './repository.ts';
import { compareMinors, newestMinor } from '../model/minor.ts';

export const latestPolicies = ['latest', 'newest', 'error'] as const;
export type LatestPolicy = (typeof latestPolicies)[number];

export type Reason = 'configured' | 'deprecated' | 'revision' | 'known-tag' | 'newest' | 'latest';

/** The tags `1.26` to `1.36`. */
export const defaultKnownTags: readonly string[] = Array.from({ length: 11 }, (_, index) => `1.${26 + index}`);

/** An image, and why it is this one. */
export interface Choice {
  /** What a pod's `image` is set to. */
  readonly image: string;
  readonly repository: string;
  readonly tag: string;
  /** Where it is known; it is part of `image` only when the metadata or the operator wrote it into the tag. */
  readonly digest?: string;
  readonly reason: Reason;
  /** The reason in a sentence. */
  readonly why: string;
}

export interface ChoiceInput {
  readonly repository: string;
  /** `major.minor`; absent when nobody said which. */
  readonly cluster?: string;
  readonly metadata?: ToolsMetadata;
  readonly knownTags: readonly string[];
  readonly policy: LatestPolicy;
}

/** `tag` may carry a digest. */
export function configuredImage(repository: string, tag: string): Choice {
  return choice(repository, tag, { reason: 'configured', why: 'the tag is configured' });
}

/** By the rules above. NK_TOOLS_IMAGE_NONE where the policy forbids a fallback. */
export function chooseImage(input: ChoiceInput): Choice {
  const { repository, cluster, metadata, knownTags } = input;
  if (cluster === undefined) return fallback(input, 'the cluster’s version was not given');
  const deprecated = metadata?.deprecated.get(cluster);
  if (deprecated !== undefined)
    return choice(repository, deprecated, {
      reason: 'deprecated',
      why: `${cluster} is deprecated: the last tag published for it`,
    });
  if (metadata?.revision !== undefined && metadata.listed.includes(cluster))
    return revisionOf(cluster, {
      repository,
      metadata,
      reason: 'revision',
      why: `the current revision for ${cluster}`,
    });
  if (knownTags.includes(cluster))
    return choice(repository, cluster, {
      reason: 'known-tag',
      why: `${metadata ? `the metadata do not list ${cluster}` : 'there are no metadata'}: a tag known to exist`,
    });
  return fallback(input, unlisted(cluster, metadata));
}

function unlisted(cluster: string, metadata: ToolsMetadata | undefined): string {
  const latest = metadata?.latest;
  return latest !== undefined && compareMinors(cluster, latest) > 0
    ? `${cluster} is newer than the newest published version, ${latest}`
    : `no image for ${cluster} is known`;
}

function fallback({ repository, metadata, knownTags, policy }: ChoiceInput, because: string): Choice {
  if (policy === 'error')
    throw new NodekilnError('NK_TOOLS_IMAGE_NONE', `no tools image: ${because}, and the policy is to use no other`);
  if (policy === 'latest') return choice(repository, 'latest', { reason: 'latest', why: `${because}: the tag latest` });
  const listed = metadata?.revision === undefined ? undefined : newestMinor(metadata.listed);
  const why = (newest: string): string => `${because}: the newest version known, ${newest}`;
  if (metadata && listed !== undefined)
    return revisionOf(listed, { repository, metadata, reason: 'newest', why: why(listed) });
  const known = newestMinor(knownTags);
  if (known !== undefined) return choice(repository, known, { reason: 'newest', why: why(known) });
  throw new NodekilnError('NK_TOOLS_IMAGE_NONE', `no tools image: ${because}, and no version at all is listed`);
}

function revisionOf(
  minor: string,
  about: { repository: string; metadata: ToolsMetadata; reason: Reason; why: string },
): Choice {
  const { repository, metadata, reason, why } = about;
  const tag = `${minor}-${metadata.revision}`;
  const image = metadata.images.get(minor);
  return choice(repository, tag, { reason, why, ...(image?.tag === tag && { digest: image.digest }) });
}

function choice(repository: string, tag: string, about: { reason: Reason; why: string; digest?: string }): Choice {
  return { image: `${repository}:${tag}`, repository, ...about, ...splitTag(tag) };
}
