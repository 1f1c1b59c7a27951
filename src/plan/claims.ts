/**
 * Claims: which source asks for which resource, and whose word is in force. Pure.
 *
 * Sources are ordered image < boot < agent. One resource may be claimed by a later source only with `takeover: true`; then
 * the later claim is in force and the earlier one waits: when the later source drops it, the earlier comes back. What both
 * ask for in the same words is taken over unasked.
 */
import { claimSourceOrder, type Resource, type ResourceId, type ClaimSource } from '../model/resources.ts';
import { canonicalJson } from '../model/canonical.ts';
import { NodekilnError, type Problem } from '../errors.ts';
import type { Claim } from './diff.ts';

export type Claims = Readonly<Partial<Record<ClaimSource, readonly Resource[]>>>;

/**
 * What a source asks for, where it takes over what an earlier source asks for in the same words: there is nothing to decide
 * between the two. It stays taken over when the earlier source asks for something else later.
 */
export function takingOverEqual(
  asked: readonly Resource[],
  { source, claims }: { readonly source: ClaimSource; readonly claims: Claims },
): Resource[] {
  const earlier = claimSourceOrder.slice(0, claimSourceOrder.indexOf(source));
  const equals = new Set(earlier.flatMap((other) => (claims[other] ?? []).map(withoutTakeover)));
  if (equals.size === 0) return [...asked];
  return asked.map((resource) =>
    resource.takeover !== true && equals.has(withoutTakeover(resource)) ? { ...resource, takeover: true } : resource,
  );
}

function withoutTakeover({ takeover: _takeover, ...rest }: Resource): string {
  return canonicalJson(rest);
}

/**
 * The claims in force. Throws NK_PLAN_CONFLICT naming every id that two sources claim without a takeover.
 */
export function effectiveClaims(claims: Claims): Map<ResourceId, Claim> {
  const effective = new Map<ResourceId, Claim>();
  const conflicts: Problem[] = [];
  for (const source of claimSourceOrder) {
    for (const resource of claims[source] ?? []) {
      const earlier = effective.get(resource.id);
      if (earlier && resource.takeover !== true) {
        conflicts.push({ message: `${resource.id} belongs to source ${earlier.source} and is claimed by ${source}` });
        continue;
      }
      effective.set(resource.id, { resource, source });
    }
  }
  const [first] = conflicts;
  if (first) {
    throw new NodekilnError(
      'NK_PLAN_CONFLICT',
      conflicts.length === 1 ? first.message : `${conflicts.length} resources are claimed by two sources`,
      { problems: conflicts },
    );
  }
  return effective;
}
