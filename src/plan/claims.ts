/**
 * Claims: which source asks for which resource, and whose word is in force. Pure.
 *
 * Sources are ordered image < boot < agent. One resource may be claimed by a later source only with `takeover: true`; then
 * the later claim is in force and the earlier one waits: when the later source drops it, the earlier comes back.
 */
import { claimSourceOrder, type Resource, type ResourceId, type ClaimSource } from '../model/resources.ts';
import { NodekilnError, type Problem } from '../errors.ts';
import type { Claim } from './diff.ts';

export type Claims = Readonly<Partial<Record<ClaimSource, readonly Resource[]>>>;

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
