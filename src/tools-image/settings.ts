/**
 * Settings of the tools image: what the command line, a ToolsImageConfig document or a caller of the library gives, over
 * the defaults. NK_DOCUMENT_INVALID for a repository or tag that no image reference can be made of.
 */
import type { infer as Infer } from 'zod/mini';
import { parseDuration } from '../config/duration.ts';
import { NodekilnError } from '../errors.ts';
import { defaultKnownTags, type LatestPolicy } from './choose.ts';
import type { Owner } from './cache.ts';
import { repositoryPattern, tagPattern } from './repository.ts';
import type { toolsImageConfig } from './schema-settings.ts';
import { minorOf } from '../model/minor.ts';

/** Where a tools image comes from, and what happens when none is listed. */
export interface ToolsImageSettings {
  /** Where the images are: `registry.example/team/tools`. */
  readonly repository: string;
  /** Exactly this tag, with or without a digest; then neither the cluster nor the metadata are asked. */
  readonly tag?: string;
  /** Address or absolute path of the metadata document. Absent: only the tags known to exist. */
  readonly metadata?: string;
  /** When nothing is listed for the cluster. Default: `latest`. */
  readonly policy?: LatestPolicy;
  /** Minor versions whose plain tag exists. Default: 1.26 to 1.36. */
  readonly knownTags?: readonly string[];
  /** For the whole request, redirects included. Default: 2 s. */
  readonly deadlineMs?: number;
  /** Default: 1 MiB. */
  readonly maxBytes?: number;
  /** How long a document counts as fresh. Default: 1 h. */
  readonly cacheForMs?: number;
  /** From one failed attempt to the next; doubles with each. Default: 5 s, at most `retryMaxMs`, 5 min. */
  readonly retryMs?: number;
  readonly retryMaxMs?: number;
  /** Absolute path of a folder for the last good document. Absent: it is kept in memory only. */
  readonly cacheFolder?: string;
  /** Whose the cache files are. Default: root. */
  readonly owner?: Owner;
}

export type CompleteSettings = Required<Omit<ToolsImageSettings, 'tag' | 'metadata' | 'cacheFolder'>> &
  Pick<ToolsImageSettings, 'tag' | 'metadata' | 'cacheFolder'>;

/** With the defaults; NK_DOCUMENT_INVALID for a repository or tag that no image reference can be made of. */
export function completeSettings(settings: ToolsImageSettings): CompleteSettings {
  if (!repositoryPattern.test(settings.repository))
    throw invalid(
      `the repository ${JSON.stringify(settings.repository)}`,
      'registry.example/team/tools, without a tag',
    );
  if (settings.tag !== undefined && !tagPattern.test(settings.tag))
    throw invalid(`the tag ${JSON.stringify(settings.tag)}`, '1.31 or 1.31@sha256:…');
  return {
    policy: 'latest',
    deadlineMs: 2000,
    maxBytes: 1024 * 1024,
    cacheForMs: 3_600_000,
    retryMs: 5000,
    retryMaxMs: 300_000,
    owner: { uid: 0, gid: 0 },
    ...settings,
    knownTags: (settings.knownTags ?? defaultKnownTags).map(minorOf),
  };
}

function invalid(what: string, example: string): NodekilnError {
  return new NodekilnError('NK_DOCUMENT_INVALID', `${what} is not valid`, { hint: `Write it like ${example}.` });
}

/** The part of the settings that a document gives. */
export function settingsOf({ spec }: Infer<typeof toolsImageConfig>): Partial<ToolsImageSettings> {
  const { deadline, cacheFor, retry, retryMax, ...same } = spec;
  const set = Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined));
  return {
    ...set,
    ...(deadline !== undefined && { deadlineMs: parseDuration(deadline) }),
    ...(cacheFor !== undefined && { cacheForMs: parseDuration(cacheFor) }),
    ...(retry !== undefined && { retryMs: parseDuration(retry) }),
    ...(retryMax !== undefined && { retryMaxMs: parseDuration(retryMax) }),
  };
}
