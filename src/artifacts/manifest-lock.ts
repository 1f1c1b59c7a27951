/**
 * The lock file of a manifest (`image.yaml` → `image.lock.json`): what every artifact resolved to, for each system the
 * manifest was baked for (its *target*, `debian/13 amd64`). Pure: text and data in, text and data out. Sizes in bytes,
 * digests `sha256:<hex>`.
 *
 * As cargo and terraform do: what is locked is held (an artifact that changed under the same source is refused) until
 * the person asks for new ones; what the manifest adds is added, what it drops is dropped. Frozen, as `npm ci`: nothing
 * may differ at all. Packages of the distribution move with its mirrors and are held only when frozen.
 *
 * Errors: NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID (a damaged lock file), NK_CHECK_DIFFERENCES (frozen).
 */
import type { infer as Infer } from 'zod/mini';
import { NodekilnError } from '../errors.ts';
import type { Problem } from '../errors.ts';
import type { lockedArtifact, lockedPackage } from './schema-manifest-lock.ts';
import { lockFile } from './schema-manifest-lock.ts';

export type LockedArtifact = Infer<typeof lockedArtifact>;
export type LockedPackage = Infer<typeof lockedPackage>;

export interface ManifestLock {
  readonly artifacts: readonly LockedArtifact[];
  readonly packages: readonly LockedPackage[];
}

export const emptyManifestLock: ManifestLock = { artifacts: [], packages: [] };

/** `image.yaml` → `image.lock.json`, beside it. */
export function manifestLockPath(manifest: string): string {
  return `${manifest.replace(/\.(ya?ml|json)$/i, '')}.lock.json`;
}

/** `file`: for messages. NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID. */
export function parseManifestLock(text: string, file: string): ManifestLock {
  const hint = 'Take it back from version control, or remove it and bake again.';
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (thrown) {
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `the lock file ${file} is no JSON`, {
      cause: thrown,
      place: { file },
      hint,
    });
  }
  const parsed = lockFile.safeParse(data);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue): Problem => ({
      message: issue.message,
      place: { file, path: issue.path.join('.') },
    }));
    throw new NodekilnError('NK_DOCUMENT_INVALID', `the lock file ${file} is not valid`, {
      place: { file },
      problems,
      hint,
    });
  }
  const { artifacts, packages } = parsed.data;
  const ids = [...artifacts, ...packages].map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined)
    throw new NodekilnError('NK_DOCUMENT_INVALID', `the lock file ${file} has ${twice} twice`, { place: { file } });
  return { artifacts, packages };
}

/** Sorted by id and one field per line, so that a change is a small difference in version control. */
export function formatManifestLock(lock: ManifestLock): string {
  const artifacts = lock.artifacts
    .map(({ id, asked, location, version, digest, size }) => ({
      id,
      asked,
      location,
      ...(version !== undefined && { version }),
      digest,
      size,
    }))
    .toSorted(byId);
  const packages = lock.packages
    .map(({ id, version, digest, size }) => ({
      id,
      version,
      ...(digest !== undefined && { digest }),
      ...(size !== undefined && { size }),
    }))
    .toSorted(byId);
  const document = { apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ArtifactLock', artifacts, packages };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function byId(left: { id: string }, right: { id: string }): number {
  return left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
}

// ── targets ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** `binary:kubelet-1.34.3 debian/13 amd64` */
export function lockedId(id: string, target: string): string {
  return `${id} ${target}`;
}

/** The part of a lock that is about one target. */
export function targetLock(lock: ManifestLock, target: string): ManifestLock {
  const mine = ({ id }: { id: string }): boolean => id.endsWith(` ${target}`);
  return { artifacts: lock.artifacts.filter(mine), packages: lock.packages.filter(mine) };
}

/** The lock with what one target resolved to now in place of what it had; other targets keep theirs. */
export function replaceTarget(lock: ManifestLock, target: string, resolved: ManifestLock): ManifestLock {
  const others = ({ id }: { id: string }): boolean => !id.endsWith(` ${target}`);
  return {
    artifacts: [...lock.artifacts.filter(others), ...resolved.artifacts],
    packages: [...lock.packages.filter(others), ...resolved.packages],
  };
}

// ── differences ──────────────────────────────────────────────────────────────────────────────────────────────────

type Field = 'asked' | 'location' | 'version' | 'digest' | 'size';

export type ManifestLockDifference =
  | { readonly type: 'unlocked'; readonly id: string }
  | { readonly type: 'gone'; readonly id: string }
  | {
      readonly type: 'changed';
      readonly id: string;
      readonly field: Field;
      readonly locked: string;
      readonly resolved: string;
    };

type Locked = { readonly id: string } & { readonly [F in Field]?: string | number | undefined };

/** Every difference of two locks; a field that one of them does not know differs from none. */
export function compareManifestLocks(locked: ManifestLock, resolved: ManifestLock): ManifestLockDifference[] {
  return [
    ...compareEntries(locked.artifacts, resolved.artifacts, ['asked', 'location', 'version', 'digest', 'size']),
    ...compareEntries(locked.packages, resolved.packages, ['version', 'digest', 'size']),
  ];
}

function compareEntries(
  locked: readonly Locked[],
  resolved: readonly Locked[],
  fields: readonly Field[],
): ManifestLockDifference[] {
  const before = new Map(locked.map((entry) => [entry.id, entry]));
  const after = new Map(resolved.map((entry) => [entry.id, entry]));
  const differences: ManifestLockDifference[] = [];
  for (const [id, now] of after) {
    const then = before.get(id);
    if (!then) {
      differences.push({ type: 'unlocked', id });
      continue;
    }
    for (const field of fields) {
      const [was, is] = [then[field], now[field]];
      if (was !== undefined && is !== undefined && was !== is)
        differences.push({ type: 'changed', id, field, locked: String(was), resolved: String(is) });
    }
  }
  for (const id of before.keys()) if (!after.has(id)) differences.push({ type: 'gone', id });
  return differences;
}

/** NK_CHECK_DIFFERENCES with every difference, unless there is none. */
export function requireFrozen(locked: ManifestLock, resolved: ManifestLock, file: string): void {
  const differences = compareManifestLocks(locked, resolved);
  if (differences.length === 0) return;
  throw new NodekilnError('NK_CHECK_DIFFERENCES', `the manifest does not resolve to what ${file} holds`, {
    hint: 'Bake without --frozen (with --update-lock where artifacts changed) and review the lock file.',
    problems: differences.map((difference) => ({ message: describeDifference(difference), place: { file } })),
  });
}

/** What changed under the same source: refused until the person asks for new artifacts. */
export function requireUnchanged(locked: ManifestLock, resolved: ManifestLock, file: string): void {
  const before = new Map(locked.artifacts.map((artifact) => [artifact.id, artifact]));
  const changed = resolved.artifacts.flatMap((now) => {
    const then = before.get(now.id);
    return then && then.asked === now.asked && then.digest !== now.digest ? [{ was: then, now }] : [];
  });
  const [first] = changed;
  if (!first) return;
  throw new NodekilnError('NK_ARTIFACT_DIGEST', `${first.now.id} is not the artifact that ${file} holds`, {
    hint: unchangedHint,
    problems: changed.map(({ was, now }) => ({
      message: `${now.id} has the digest ${now.digest}, and ${was.digest} is locked`,
      place: { file },
    })),
  });
}

export const unchangedHint =
  'Find out why it changed at its source. If the new one is wanted, bake with --update-lock and review the lock file.';

/** A difference as a sentence. */
export function describeDifference(difference: ManifestLockDifference): string {
  switch (difference.type) {
    case 'unlocked':
      return `${difference.id} is not in the lock file`;
    case 'gone':
      return `${difference.id} is in the lock file and no longer in the manifest`;
    case 'changed':
      return `${difference.id} has the ${difference.field} ${difference.resolved}, and ${difference.locked} is locked`;
  }
}
