/** How the resources of a run are, as the Node tells it. Pure. */
import type { Prepared } from '../../apply/reconcile.ts';
import type { Result } from '../../apply/reconcile.ts';
import { asNodekilnError, type NodekilnError } from '../../errors.ts';
import type { ResourcesState } from '../applied.ts';

/** An annotation has room for so many of each kind. */
const most = 20;

export interface Judged {
  readonly prepared: Prepared;
  /** Undefined of a run that was put off. */
  readonly result: Result | undefined;
  /** Manifests whose pods are not run, by path. */
  readonly unrun: readonly string[];
  /** It was put off because what is in place is no longer as it was, and that is only reported. */
  readonly isDrift: boolean;
  /** Why the agent is not the one that is asked for. */
  readonly refusal: NodekilnError | undefined;
}

export function resourcesState({ prepared, result, unrun, isDrift, refusal }: Judged): ResourcesState {
  const changing = prepared.plan.changes.map(({ id }) => id);
  const failed = new Map<string, string>();
  if (refusal?.resource !== undefined) failed.set(refusal.resource, `${refusal.resource}: ${refusal.code}`);
  const pending = new Set<string>();
  for (const path of unrun) failed.set(`file:${path}`, `file:${path}: NK_STATIC_POD`);
  for (const { resource, status, error } of result?.steps ?? []) {
    if (error !== undefined) failed.set(resource, `${resource}: ${asNodekilnError(error).code}`);
    else if (status === 'skipped') pending.add(resource);
  }
  const waiting = result ? [...pending].filter((id) => !failed.has(id)) : changing;
  return {
    resources: prepared.effective.size,
    failed: firstOf([...failed.values()]),
    pending: isDrift ? [] : firstOf(waiting),
    drifted: isDrift ? firstOf(waiting) : [],
  };
}

function firstOf(ids: readonly string[]): readonly string[] {
  const sorted = [...ids].sort();
  return sorted.length <= most ? sorted : [...sorted.slice(0, most), `and ${sorted.length - most} more`];
}
