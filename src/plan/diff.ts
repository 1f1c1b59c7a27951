/**
 * diff(desired, observed, touched) → changes. Pure.
 *
 * `desired` is what all sources together ask for; `touched` is every resource we changed or were about to change. What is
 * touched and no longer desired is removed, also when the plan that touched it never finished.
 */
import { fingerprint } from '../host/digest.ts';
import type { Resource, ResourceId, ClaimSource, UnitResource } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { PlanContext } from '../kinds/planner.ts';
import { localPath } from '../kinds/extension/plan.ts';
import { compareResource } from '../kinds/planners.ts';
import { changesContent } from '../kinds/unit/plan.ts';
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
  const changes = new Map<ResourceId, Change | undefined>();
  const context: PlanContext = {
    startFingerprint: (unit) => startFingerprint(unit, input.desired),
    contentChanges: (id) => {
      const change = changeOf(id);
      return change !== undefined && changesContent(change);
    },
  };
  const visiting = new Set<ResourceId>();

  function changeOf(id: ResourceId): Change | undefined {
    if (changes.has(id)) return changes.get(id);
    const claim = input.desired.get(id);
    if (!claim || visiting.has(id) || !input.observed.has(id)) return undefined;
    visiting.add(id);
    const observed = observationOf(input, id);
    const touched = input.touched.get(id);
    const difference = compareResource(claim.resource, observed, { touched, context });
    visiting.delete(id);
    const change = difference && {
      id,
      type: difference.facets.includes('presence') ? ('create' as const) : ('update' as const),
      ...difference,
      source: claim.source,
      desired: claim.resource,
      observed,
      touched,
    };
    changes.set(id, change);
    return change;
  }

  for (const id of [...input.desired.keys()].sort()) changeOf(id);
  const kept = [...changes.values()].filter((change) => change !== undefined).sort(byId);
  const removals = [...input.touched.values()]
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
  return { changes: [...kept, ...removals], context };
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}

function observationOf(input: DiffInput, id: ResourceId): Observation {
  const observed = input.observed.get(id);
  if (!observed) throw new NodekilnError('NK_INTERNAL', `${id} was not observed`);
  return observed;
}

/** What a process of this unit is started with: its definition and the content of everything it reads. */
function startFingerprint(unit: UnitResource, desired: ReadonlyMap<ResourceId, Claim>): string {
  const inputs = [...unit.inputs].sort().map((id) => {
    const claim = desired.get(id);
    return [id, claim ? readContent(claim.resource) : undefined];
  });
  return fingerprint({ content: unit.content, dropIns: unit.dropIns, inputs });
}

/** The part of a resource that a process reading it can notice. */
function readContent(resource: Resource): unknown {
  switch (resource.kind) {
    case 'file':
      return resource.entry.type === 'file'
        ? resource.entry.content
        : resource.entry.type === 'symlink'
          ? resource.entry.target
          : 'directory';
    case 'unit':
      return [resource.content, resource.dropIns];
    case 'binary':
      return [resource.tool, resource.version, resource.place];
    case 'extension':
      return [resource.name, resource.version, resource.digest, localPath(resource)];
    case 'image':
      return [resource.reference, resource.digest];
    case 'kernel':
    case 'action':
      return undefined;
  }
}
