/**
 * diff(desired, observed, touched) → changes. Pure.
 *
 * `desired` is what all sources together ask for; `touched` is every resource we changed or were about to change. What is
 * touched and no longer desired is removed, also when the plan that touched it never finished.
 */
import type { Resource, ResourceId, ClaimSource } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Difference, PlanContext } from '../kinds/planner.ts';
import { changesContent, compareReads, compareResource, contentOf } from '../kinds/planners.ts';
import type { Change, Observation, Touched } from '../model/steps.ts';

export interface Claim {
  readonly resource: Resource;
  readonly source: ClaimSource;
}

export interface DiffInput {
  /** The claim in force for each id. */
  readonly desired: ReadonlyMap<ResourceId, Claim>;
  /** An observation for every id that is looked at; the others count as they should be. */
  readonly observed: ReadonlyMap<ResourceId, Observation>;
  readonly touched: ReadonlyMap<ResourceId, Touched>;
}

export interface Diff {
  /** Sorted by id; removals last. */
  readonly changes: readonly Change[];
  readonly context: PlanContext;
}

export function diff(input: DiffInput): Diff {
  const own = ownDifferences(input);
  const context: PlanContext = {
    contentOf: (id) => {
      const claim = input.desired.get(id);
      return claim && contentOf(claim.resource);
    },
    contentChanges: (id) => {
      const difference = own.get(id);
      return difference !== undefined && changesContent(id, difference);
    },
  };
  return { changes: [...keptChanges(input, own, context), ...removals(input)], context };
}

/** How each resource differs, looked at alone. Only then can be said of which what others read changes. */
function ownDifferences({ desired, observed, touched }: DiffInput): Map<ResourceId, Difference> {
  const differences = new Map<ResourceId, Difference>();
  for (const [id, { resource }] of desired) {
    const seen = observed.get(id);
    const difference = seen && compareResource(resource, { observed: seen, touched: touched.get(id) });
    if (difference) differences.set(id, difference);
  }
  return differences;
}

function keptChanges(
  input: DiffInput,
  differences: ReadonlyMap<ResourceId, Difference>,
  context: PlanContext,
): Change[] {
  return [...input.desired]
    .flatMap(([id, { resource, source }]): Change[] => {
      const observed = input.observed.get(id);
      if (!observed) return [];
      const touched = input.touched.get(id);
      const own = differences.get(id);
      const read = compareReads(resource, { observed, touched, own, context });
      if (!own && !read) return [];
      const facets = [...new Set([...(own?.facets ?? []), ...(read?.facets ?? [])])];
      const details = [...(own?.details ?? []), ...(read?.details ?? [])];
      const type = facets.includes('presence') ? 'create' : 'update';
      return [{ id, type, facets, details, source, desired: resource, observed, touched }];
    })
    .sort(byId);
}

function removals(input: DiffInput): Change[] {
  return [...input.touched.values()]
    .filter((touched) => !input.desired.has(touched.id) && input.observed.has(touched.id))
    .map((touched): Change => ({
      id: touched.id,
      type: 'remove',
      facets: ['presence'],
      details: ['no document asks for it any more'],
      source: touched.source,
      desired: undefined,
      observed: observationOf(input, touched.id),
      touched,
    }))
    .sort(byId);
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}

function observationOf(input: DiffInput, id: ResourceId): Observation {
  const observed = input.observed.get(id);
  if (!observed) throw new NodekilnError('NK_INTERNAL', `${id} was not observed`);
  return observed;
}
