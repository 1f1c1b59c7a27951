/**
 * From a tag or digest to the one manifest for a platform, and from an artifact's manifest to the one file asked for.
 * Strict: nothing for another architecture is ever taken. Architectures in Go's names.
 */
import { NodekilnError } from '../../../errors.ts';
import { emptyType, parseManifest, titleAnnotation } from './model.ts';
import type { Descriptor, Index, Manifest } from './model.ts';
import type { Repository } from './repository.ts';

/** The manifest that a tag or digest leads to. */
export interface Resolved {
  readonly digest: string;
  readonly manifest: Manifest;
  /** The digest that a signature of the whole stands for: the index's when there is one. */
  readonly signedDigest: string;
}

const maxDepth = 3;

/** NK_ARTIFACT_ARCHITECTURE with what is there; errors of the repository. */
export async function resolveManifest(
  repository: Repository,
  tagOrDigest: string,
  architecture: string | undefined,
): Promise<Resolved> {
  let next = tagOrDigest;
  let signedDigest: string | undefined;
  for (let depth = 0; depth < maxDepth; depth++) {
    const parsed = parseManifest(await repository.manifest(next), repository.reference(next));
    signedDigest ??= parsed.digest;
    if (parsed.type === 'manifest') return { digest: parsed.digest, manifest: parsed.manifest, signedDigest };
    next = choosePlatform(parsed.index, architecture, repository.reference(tagOrDigest)).digest;
  }
  throw new NodekilnError('NK_ARTIFACT_UNREADABLE', `${repository.reference(tagOrDigest)} is an index of indexes`);
}

function choosePlatform(index: Index, architecture: string | undefined, what: string): Descriptor {
  // Attestations stand in indexes as manifests for a platform "unknown".
  const candidates = index.manifests.filter(({ platform }) => platform?.architecture !== 'unknown');
  const [only] = candidates;
  if (only && candidates.length === 1 && (architecture === undefined || only.platform === undefined)) return only;
  const found = candidates.find(({ platform }) => platform?.os === 'linux' && platform.architecture === architecture);
  if (found) return found;
  const there = candidates.map(({ platform }) =>
    platform ? `${platform.os}/${platform.architecture}` : 'any platform',
  );
  throw new NodekilnError(
    'NK_ARTIFACT_ARCHITECTURE',
    architecture === undefined
      ? `${what} is for several platforms, and none is asked for`
      : `${what} has nothing for linux/${architecture}`,
    { resource: what, lines: there.length === 0 ? ['it is empty'] : there.map((platform) => `it has ${platform}`) },
  );
}

/** The only file of an artifact, or the one of that title. NK_ARTIFACT_MEMBER with what is there. */
export function chooseFile(manifest: Manifest, title: string | undefined, what: string): Descriptor {
  const files = manifest.layers.filter(({ mediaType }) => mediaType !== emptyType);
  const fitting = title === undefined ? files : files.filter((file) => file.annotations?.[titleAnnotation] === title);
  const [found] = fitting;
  if (found && fitting.length === 1) return found;
  const problem =
    fitting.length > 1
      ? `${what} holds ${fitting.length} files${title === undefined ? ', and none is named' : ` called ${title}`}`
      : title === undefined
        ? `${what} holds no file`
        : `${what} holds no file called ${title}`;
  throw new NodekilnError('NK_ARTIFACT_MEMBER', problem, {
    resource: what,
    hint: 'Name one of its files.',
    lines: files.map((file) => `it holds ${file.annotations?.[titleAnnotation] ?? `an untitled ${file.mediaType}`}`),
  });
}
