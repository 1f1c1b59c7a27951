/**
 * The table of kinds, planning half: one planner per kind, and the questions `plan/` asks of whatever kind a resource
 * is. Exhaustive by its type, no magic.
 */
import type { Facts } from '../model/facts.ts';
import {
  kindOf,
  resourceKinds,
  type InUse,
  type Resource,
  type ResourceId,
  type ResourceKind,
} from '../model/resources.ts';
import type { Resources } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import {
  roleOf,
  type Change,
  type Impact,
  type Observation,
  type Observations,
  type Step,
  type Touched,
} from '../model/steps.ts';
import { placesOf } from '../desired/places.ts';
import { actionPlanner } from './action/plan.ts';
import { binaryPlanner } from './binary/plan.ts';
import { extensionPlanner } from './extension/plan.ts';
import { filePlanner } from './file/plan.ts';
import { imagePlanner } from './image/plan.ts';
import { kernelPlanner } from './kernel/plan.ts';
import type { ChangeOf, Difference, KindPlanner, PlanContext, Together } from './planner.ts';
import { unitPlanner } from './unit/plan.ts';

const planners: { readonly [K in ResourceKind]: KindPlanner<K> } = {
  file: filePlanner,
  unit: unitPlanner,
  binary: binaryPlanner,
  extension: extensionPlanner,
  image: imagePlanner,
  kernel: kernelPlanner,
  action: actionPlanner,
};

/**
 * In which order the kinds join what belongs together: what merges extensions may stand in for what a program's removal
 * does, and systemd reads units after all of it.
 */
const togetherRank: { readonly [K in ResourceKind]: number } = {
  extension: 0,
  binary: 1,
  file: 2,
  image: 3,
  kernel: 4,
  action: 5,
  unit: 6,
};

function plannerOf<K extends ResourceKind>(kind: K): KindPlanner<K> {
  return planners[kind];
}

interface Compared {
  readonly observed: Observation;
  readonly touched: Touched | undefined;
}

/** How the host differs from the resource, looked at alone; undefined when it does not. */
export function compareResource(resource: Resource, about: Compared): Difference | undefined {
  return compareOf(resource.kind, resource, about);
}

function compareOf<K extends ResourceKind>(
  kind: K,
  resource: Resources[K],
  { observed, touched }: Compared,
): Difference | undefined {
  return plannerOf(kind).compare({ resource, observed: of(kind, observed), touched });
}

/** How the host differs from the resource because of what it reads. */
export function compareReads(
  resource: Resource,
  about: Compared & { own: Difference | undefined; context: PlanContext },
): Difference | undefined {
  return compareReadsOf(resource.kind, resource, about);
}

function compareReadsOf<K extends ResourceKind>(
  kind: K,
  resource: Resources[K],
  { observed, ...about }: Compared & { own: Difference | undefined; context: PlanContext },
): Difference | undefined {
  return plannerOf(kind).compareReads?.({ resource, observed: of(kind, observed), ...about });
}

/** What is observed of it where nobody has set anything up. */
export function absentOn(resource: Resource, facts: Facts): Observation {
  return absentOf(resource.kind, resource, facts);
}

function absentOf<K extends ResourceKind>(kind: K, resource: Resources[K], facts: Facts): Observations[K] {
  return plannerOf(kind).absent(resource, facts);
}

/** Resources whose content it reads. */
export function readsOf(resource: Resource): readonly ResourceId[] {
  return plannerOf(resource.kind).reads(resource);
}

/** What a process that reads it can notice of it. */
export function contentOf(resource: Resource): unknown {
  return plannerOf(resource.kind).contentOf(resource);
}

/** Whether the difference is one that a process reading the resource can notice. */
export function changesContent(id: ResourceId, difference: Difference): boolean {
  return plannerOf(kindOf(id)).changesContent(difference);
}

/** The steps that bring a change about: those of its kind, or those that undo everything we ever did for the resource. */
export function stepsFor(change: Change, context: PlanContext): Step[] {
  const { kind } = change.observed;
  return stepsOf(kind, changeOf(kind, change), context);
}

function stepsOf<K extends ResourceKind>(kind: K, change: ChangeOf<K>, context: PlanContext): Step[] {
  const planner = plannerOf(kind);
  if (change.desired) return planner.steps(change, change.desired, context);
  return change.touched ? planner.removal(change.touched, change.observed) : [];
}

/** What a resource has for itself is not removed for the sake of another that stood in its place before. */
export function yieldPlaces(steps: readonly Step[], desired: Iterable<Resource>): readonly Step[] {
  if (!steps.some(({ action }) => action.do === 'remove')) return steps;
  const owners = new Map<string, ResourceId[]>();
  for (const resource of desired)
    for (const place of placesOf(resource)) owners.set(place, [...(owners.get(place) ?? []), resource.id]);
  return steps.map((step) => {
    if (step.action.do !== 'remove') return step;
    const isOurs = (path: string): boolean => (owners.get(path) ?? []).every((id) => id === step.resource);
    const paths = step.action.paths.filter(isOurs);
    if (paths.length === step.action.paths.length) return step;
    const { restoreOriginal } = step.action;
    const yielded = restoreOriginal ? step.action.paths.filter((path) => !isOurs(path)) : [];
    const nothingLeft = paths.length === 0 && yielded.length === 0;
    const action = nothingLeft
      ? ({ do: 'release' } as const)
      : { ...step.action, paths, ...(yielded.length > 0 && { dropOriginals: yielded }) };
    return { ...step, action, writes: step.writes.filter(isOurs) };
  });
}

/** Lets every kind join the steps of what changes. */
export function joinKinds(
  steps: readonly Step[],
  changes: readonly Change[],
  goal: ResourceId | undefined,
): readonly Step[] {
  const towardsGoal = steps.some((step) => step.resource === goal && roleOf(step) === 'job');
  const byKind = Map.groupBy(changes, ({ observed }) => observed.kind);
  const defining = new Map<ResourceId, (step: Step) => boolean>();
  for (const { id, observed } of changes) {
    const defines = definesUnitsOf(observed.kind, observed);
    if (defines) defining.set(id, defines);
  }
  const definesUnits = (step: Step): boolean => defining.get(step.resource)?.(step) ?? false;
  const joined = (before: readonly Step[], kind: ResourceKind): readonly Step[] => {
    const own = (byKind.get(kind) ?? []).map((change) => changeOf(kind, change));
    return joinKind(kind, { steps: before, changes: own, towardsGoal, definesUnits });
  };
  return resourceKinds.toSorted((a, b) => togetherRank[a] - togetherRank[b]).reduce(joined, steps);
}

function joinKind<K extends ResourceKind>(kind: K, about: Together<K>): readonly Step[] {
  return plannerOf(kind).together?.(about) ?? about.steps;
}

function definesUnitsOf<K extends ResourceKind>(kind: K, observed: Observations[K]): ReturnType<DefinesUnits<K>> {
  return plannerOf(kind).definesUnits?.(observed);
}

type DefinesUnits<K extends ResourceKind> = NonNullable<KindPlanner<K>['definesUnits']>;

/** Whether the step waits for what its resource needs and reads. */
export function waitsForNeeds(step: Step): boolean {
  return plannerOf(kindOf(step.resource)).waitsForNeeds?.(step) ?? true;
}

/** Whether the step's resource counts as in place for others only after it. */
export function completes(step: Step): boolean {
  return plannerOf(kindOf(step.resource)).completes?.(step) ?? true;
}

/** The path of the resource where it is a folder. */
export function folderOf(resource: Resource): string | undefined {
  return plannerOf(resource.kind).folderOf?.(resource);
}

/** Whether what was observed is somebody else's, which must be kept before ours takes its place. */
export function keepsOriginal(observed: Observation): boolean {
  return keepsOriginalOf(observed.kind, observed);
}

function keepsOriginalOf<K extends ResourceKind>(kind: K, observed: Observations[K]): boolean {
  return plannerOf(kind).keepsOriginal?.(observed) ?? false;
}

/** The program of the cache that the resource uses, if any. */
export function cachedUseOf(resource: Resource): InUse | undefined {
  return plannerOf(resource.kind).usesCached?.(resource);
}

export function impactOf(step: Step): Impact[] {
  return plannerOf(kindOf(step.resource)).impactOf?.(step) ?? [];
}

function changeOf<K extends ResourceKind>(kind: K, change: Change): ChangeOf<K> {
  if (isChangeOf(kind, change)) return change;
  throw mismatch(kind, change.observed.kind);
}

function isChangeOf<K extends ResourceKind>(kind: K, change: Change): change is ChangeOf<K> {
  return change.observed.kind === kind && (change.desired === undefined || change.desired.kind === kind);
}

function of<K extends ResourceKind>(kind: K, observed: Observation): Observations[K] {
  if (isOf(kind, observed)) return observed;
  throw mismatch(kind, observed.kind);
}

function isOf<K extends ResourceKind>(kind: K, observed: Observation): observed is Observations[K] {
  return observed.kind === kind;
}

function mismatch(kind: ResourceKind, other: ResourceKind): NodekilnError {
  return new NodekilnError('NK_INTERNAL', `a ${other} stands where a ${kind} is planned`);
}
