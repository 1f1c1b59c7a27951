/**
 * The planning half of a resource kind: pure. A planner compares a resource with what is observed and turns a difference
 * into effects as data; and it answers what `plan/` asks about every resource without knowing its kind: what it reads,
 * what of it others can notice, and how the steps of all changes of its kind belong together.
 */
import { isNeverDeferrable } from '../config/never-deferrable.ts';
import type { Facts } from '../model/facts.ts';
import type { InUse, Resource, ResourceId, ResourceKind, Resources } from '../model/resources.ts';
import type { Change, Facet, Impact, Observations, Step, Touched } from '../model/steps.ts';

export interface Difference {
  readonly facets: readonly Facet[];
  /** Sentences for people, without secrets. */
  readonly details: readonly string[];
}

export interface CompareInput<K extends ResourceKind> {
  readonly resource: Resources[K];
  readonly observed: Observations[K];
  readonly touched: Touched | undefined;
}

export interface CompareReadsInput<K extends ResourceKind> extends CompareInput<K> {
  /** What `compare` said. */
  readonly own: Difference | undefined;
  readonly context: PlanContext;
}

/** What planning one resource may know of the others. */
export interface PlanContext {
  /** What a process that reads the resource can notice of it as it is desired; undefined when nobody asks for it. */
  contentOf(id: ResourceId): unknown;
  /** True when that is about to change. */
  contentChanges(id: ResourceId): boolean;
  /** The path of the resource where it is a folder, which others may lie in. */
  folderOf(id: ResourceId): string | undefined;
}

export type ChangeOf<K extends ResourceKind> = Change & {
  readonly desired: Resources[K] | undefined;
  readonly observed: Observations[K];
};

/** Everything that changes, seen by one kind. */
export interface Together<K extends ResourceKind> {
  /** Of all kinds. */
  readonly steps: readonly Step[];
  readonly changes: readonly ChangeOf<K>[];
  /** Whether the plan works towards a goal, so that there is something that the rest may wait for. */
  readonly towardsGoal: boolean;
  /** Whether the step may bring or take away units or drop-ins, so that systemd must read unit files after it. */
  readonly definesUnits: (step: Step) => boolean;
}

export interface KindPlanner<K extends ResourceKind> {
  /** How the host differs from the resource, looked at alone; undefined when it does not. */
  compare(input: CompareInput<K>): Difference | undefined;
  /** How it differs because of what it reads; asked when everything was compared. A kind that reads nothing has none. */
  compareReads?(input: CompareReadsInput<K>): Difference | undefined;
  /** What is observed of it on a machine of these facts on which nobody has set anything up yet. */
  absent(resource: Resources[K], facts: Facts): Observations[K];
  /** Resources that must be in place before it and whose content it reads. */
  reads(resource: Resources[K]): readonly ResourceId[];
  /** The part of it that a process reading it can notice, as JSON; undefined when there is none. */
  contentOf(resource: Resources[K]): unknown;
  /** Whether such a difference changes that part. */
  changesContent(difference: Difference): boolean;
  /**
   * Steps for a create or update. Their needs stay inside the resource: dependencies between resources are the plan's
   * business, or `together`'s.
   */
  steps(change: ChangeOf<K>, resource: Resources[K], context: PlanContext): Step[];
  /** Steps that undo every definition in `touched`. */
  removal(touched: Touched, observed: Observations[K]): Step[];
  /** Joins what changes of this kind into one plan, by steps that many share or by order. Returns the steps of all kinds. */
  together?(about: Together<K>): readonly Step[];
  /** Says of the steps of a resource which may bring or take away units: see `Together.definesUnits`. None does, unless told. */
  definesUnits?(observed: Observations[K]): ((step: Step) => boolean) | undefined;
  /** Whether a step waits for what its resource needs and reads. Every one does, unless told. */
  waitsForNeeds?(step: Step): boolean;
  /** Whether the resource counts as in place for others only after the step. It does after every one, unless told. */
  completes?(step: Step): boolean;
  /** Its path, where it is a folder. It is none, unless told. */
  folderOf?(resource: Resources[K]): string | undefined;
  /** Whether what is there is somebody else's, kept before ours takes its place. Nothing is, unless told. */
  keepsOriginal?(observed: Observations[K]): boolean;
  /** The program of the cache that it uses. None, unless told. */
  usesCached?(resource: Resources[K]): InUse | undefined;
  /** What the step does to running units. Nothing, unless told. */
  impactOf?(step: Step): Impact[];
}

/** A kind without processes that read it, or whose readers only need that it came first. */
export const readByNobody = { contentOf: () => undefined, changesContent: () => false } as const;

/** Content, or that it is there at all. */
export function isOfContent({ facets }: Difference): boolean {
  return facets.includes('content') || facets.includes('presence') || facets.includes('definition');
}

/** The parts of a step that follow from its resource. */
export function stepBase(resource: Resource): Pick<Step, 'resource' | 'importance' | 'deferrable' | 'after'> {
  return {
    after: [],
    resource: resource.id,
    importance: resource.importance,
    deferrable: resource.deferrable,
  };
}

/** The definitions of a touched resource, narrowed to its kind, oldest first. */
export function definitionsOf<K extends ResourceKind>(touched: Touched | undefined, kind: K): Resources[K][] {
  return (touched?.definitions ?? []).filter((definition): definition is Resources[K] => definition.kind === kind);
}

/**
 * Base of a removal step. A removal waits for the goal, unless it takes away what may never wait; what a step before the
 * goal reads is taken away before that step (`Step.reads`), and then it is as important. Else its failure degrades a run,
 * as what is left is tried again by the next, and is only reported of what was in the background.
 */
export function removalBase(
  touched: Touched,
): Pick<Step, 'resource' | 'importance' | 'deferrable' | 'reads' | 'needs' | 'after' | 'weightMs' | 'why'> {
  const importance = touched.definitions.at(-1)?.importance ?? 'required';
  const deferrable = !isNeverDeferrable(touched.id);
  return {
    resource: touched.id,
    importance: deferrable && importance === 'required' ? 'bestEffort' : importance,
    deferrable,
    reads: [],
    needs: [],
    after: [],
    weightMs: 2,
    why: 'no document asks for it any more',
  };
}
