/**
 * diff(desired, observed, touched) → changes. Pure.
 *
 * `desired` is what all sources together ask for; `touched` is every resource we changed or were about to change. What is
 * touched and no longer desired is removed, also when the plan that touched it never finished.
 */
import type { Resource, ResourceId, ClaimSource } from '../model/resources.ts';
import type { Difference, PlanContext } from '../kinds/planner.ts';
import { changesContent, compareReads, compareResource, contentOf, folderOf } from '../kinds/planners.ts';
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
  const compared = compareAll(input);
  const own = new Map<ResourceId, Difference>();
  for (const { id, own: difference } of compared) if (difference) own.set(id, difference);
  const context: PlanContext = {
    contentOf: (id) => {
      const claim = input.desired.get(id);
      return claim && contentOf(claim.resource);
    },
    contentChanges: (id) => {
      const difference = own.get(id);
      return difference !== undefined && changesContent(id, difference);
    },
    folderOf: (id) => {
      const claim = input.desired.get(id);
      return claim && folderOf(claim.resource);
    },
  };
  const kept = compared.flatMap((one) => changeOf(one, context) ?? []).sort(byId);
  return { changes: [...kept, ...removals(input)], context };
}

/** A resource that was looked at, alone. */
interface Compared {
  readonly id: ResourceId;
  readonly claim: Claim;
  readonly observed: Observation;
  readonly touched: Touched | undefined;
  readonly own: Difference | undefined;
}

/** Only when everything was compared can be said of which what others read changes. */
function compareAll({ desired, observed: all, touched: before }: DiffInput): Compared[] {
  const compared: Compared[] = [];
  for (const [id, claim] of desired) {
    const observed = all.get(id);
    if (!observed) continue;
    const touched = before.get(id);
    compared.push({ id, claim, observed, touched, own: compareResource(claim.resource, { observed, touched }) });
  }
  return compared;
}

function changeOf({ id, claim, observed, touched, own }: Compared, context: PlanContext): Change | undefined {
  const { resource, source } = claim;
  const difference = joined(own, compareReads(resource, { observed, touched, own, context }));
  if (!difference) return undefined;
  const { facets, details } = difference;
  const type = facets.includes('presence') ? 'create' : 'update';
  return { id, type, facets, details, source, desired: resource, observed, touched };
}

function joined(own: Difference | undefined, read: Difference | undefined): Difference | undefined {
  if (!own || !read) return own ?? read;
  return {
    facets: [...new Set([...own.facets, ...read.facets])],
    details: [...own.details, ...read.details],
  };
}

function removals({ desired, observed: all, touched: before }: DiffInput): Change[] {
  return [...before.values()]
    .flatMap((touched): Change[] => {
      const { id, source } = touched;
      const observed = all.get(id);
      if (!observed || desired.has(id)) return [];
      const details = ['no document asks for it any more'];
      return [{ id, type: 'remove', facets: ['presence'], details, source, desired: undefined, observed, touched }];
    })
    .sort(byId);
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
