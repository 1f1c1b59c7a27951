/**
 * The lock file of a manifest: what every artifact resolved to. With `--frozen` nothing may differ from it. Pure: text
 * and data in, text and data out. Sizes in bytes, digests `sha256:<hex>`.
 *
 * Errors: NK_DOCUMENT_SYNTAX, NK_DOCUMENT_INVALID (a damaged lock file), NK_CHECK_DIFFERENCES (frozen).
 */
import { array, literal, number, object, regex, string } from 'zod/mini';
import type { infer as Infer } from 'zod/mini';
import { NodekilnError } from '../errors.ts';
import type { Problem } from '../errors.ts';

const lockedArtifact = object({
  /** Unique in the lock: `kubelet 1.34.3 ubuntu/24.04 amd64`. */
  id: string(),
  /** The address, path or reference it was taken from, without secrets. */
  location: string(),
  digest: string().check(regex(/^sha256:[0-9a-f]{64}$/)),
  size: number(),
});
const lockFile = object({
  apiVersion: literal('nodekiln.dev/v1alpha1'),
  kind: literal('ArtifactLock'),
  artifacts: array(lockedArtifact),
});

export type LockedArtifact = Infer<typeof lockedArtifact>;

export function parseLock(text: string, file: string): LockedArtifact[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (thrown) {
    throw new NodekilnError('NK_DOCUMENT_SYNTAX', `the lock file ${file} is no JSON`, {
      cause: thrown,
      place: { file },
      hint: 'Write it again by baking without --frozen.',
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
      hint: 'Write it again by baking without --frozen.',
    });
  }
  const ids = parsed.data.artifacts.map((artifact) => artifact.id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined)
    throw new NodekilnError('NK_DOCUMENT_INVALID', `the lock file ${file} has ${twice} twice`, { place: { file } });
  return parsed.data.artifacts;
}

/** Sorted by id and one field per line, so that a change is a small difference in version control. */
export function formatLock(artifacts: readonly LockedArtifact[]): string {
  const sorted = artifacts
    .map(({ id, location, digest, size }) => ({ id, location, digest, size }))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return `${JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'ArtifactLock', artifacts: sorted }, undefined, 2)}\n`;
}

export type LockDifference =
  | { readonly type: 'unlocked'; readonly id: string }
  | { readonly type: 'gone'; readonly id: string }
  | {
      readonly type: 'changed';
      readonly id: string;
      readonly field: 'location' | 'digest' | 'size';
      readonly locked: string;
      readonly resolved: string;
    };

export function compareLock(locked: readonly LockedArtifact[], resolved: readonly LockedArtifact[]): LockDifference[] {
  const before = new Map(locked.map((artifact) => [artifact.id, artifact]));
  const after = new Map(resolved.map((artifact) => [artifact.id, artifact]));
  const differences: LockDifference[] = [];
  for (const [id, now] of after) {
    const then = before.get(id);
    if (!then) {
      differences.push({ type: 'unlocked', id });
      continue;
    }
    for (const field of ['location', 'digest', 'size'] as const) {
      if (then[field] !== now[field])
        differences.push({ type: 'changed', id, field, locked: String(then[field]), resolved: String(now[field]) });
    }
  }
  for (const id of before.keys()) if (!after.has(id)) differences.push({ type: 'gone', id });
  return differences;
}

/** NK_CHECK_DIFFERENCES with every difference, unless there is none. */
export function requireFrozen(
  locked: readonly LockedArtifact[],
  resolved: readonly LockedArtifact[],
  file: string,
): void {
  const differences = compareLock(locked, resolved);
  if (differences.length === 0) return;
  throw new NodekilnError('NK_CHECK_DIFFERENCES', `the manifest does not resolve to what ${file} holds`, {
    hint: 'Bake without --frozen to accept the changes, and review the lock file.',
    problems: differences.map((difference) => ({ message: describeDifference(difference), place: { file } })),
  });
}

function describeDifference(difference: LockDifference): string {
  switch (difference.type) {
    case 'unlocked':
      return `${difference.id} is not in the lock file`;
    case 'gone':
      return `${difference.id} is in the lock file and no longer in the manifest`;
    case 'changed':
      return `${difference.id} has the ${difference.field} ${difference.resolved}, and ${difference.locked} is locked`;
  }
}
