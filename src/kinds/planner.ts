/**
 * The planning half of a resource kind: pure. `compare` says whether and how the host differs from what is desired;
 * `steps` turns a difference into effects as data; `removal` does so for a resource nobody asks for any more.
 */
import type { Resource, ResourceId, ResourceKind } from '../model/resources.ts';
import type { Change, Facet, Observation, Step, Touched } from '../model/steps.ts';

export interface Difference {
  readonly facets: readonly Facet[];
  readonly details: readonly string[];
}

export type ResourceOf<K extends ResourceKind> = Extract<Resource, { kind: K }>;
export type ObservationOf<K extends ResourceKind> = Extract<Observation, { kind: K }>;

export interface CompareInput<K extends ResourceKind> {
  readonly resource: ResourceOf<K>;
  readonly observed: ObservationOf<K>;
  readonly touched: Touched | undefined;
  readonly context: PlanContext;
}

/** What planning one resource may know of the others. */
export interface PlanContext {
  /** Fingerprint of a unit's definition and everything it reads: what a running process was started with. */
  startFingerprint(unit: ResourceOf<'unit'>): string;
  /** True when the content of this resource is about to change. */
  contentChanges(id: ResourceId): boolean;
}

export interface KindPlanner<K extends ResourceKind> {
  compare(input: CompareInput<K>): Difference | undefined;
  /** Steps for a create or update; `needs` only inside the resource, dependencies between resources are the plan's business. */
  steps(change: Change, resource: ResourceOf<K>, context: PlanContext): Step[];
  /** Steps that undo every definition in `touched`. */
  removal(touched: Touched, observed: ObservationOf<K>): Step[];
}

/** The parts of a step that follow from its resource. */
export function stepBase(resource: Resource): Pick<Step, 'resource' | 'importance' | 'deferrable' | 'scope' | 'after'> {
  return {
    after: [],
    resource: resource.id,
    importance: resource.importance,
    deferrable: resource.deferrable,
    scope: resource.scope,
  };
}

/** The last definition of a touched resource, narrowed to its kind. */
export function definitionsOf<K extends ResourceKind>(touched: Touched | undefined, kind: K): ResourceOf<K>[] {
  return (touched?.definitions ?? []).filter((definition): definition is ResourceOf<K> => definition.kind === kind);
}

/** Base of a removal step: as important as the rest of convergence, never before the goal. */
export function removalBase(
  touched: Touched,
): Pick<Step, 'resource' | 'importance' | 'deferrable' | 'scope' | 'reads' | 'needs' | 'after' | 'weightMs' | 'why'> {
  return {
    resource: touched.id,
    importance: 'required',
    deferrable: false,
    scope: 'node',
    reads: [],
    needs: [],
    after: [],
    weightMs: 2,
    why: 'no document asks for it any more',
  };
}
