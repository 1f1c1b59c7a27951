/**
 * plan(changes) → steps. Pure: turns differences into effects as data and decides what waits for what.
 *
 * Dependencies come from three places: inside a resource from its kind; between resources from `needs`, a unit's `inputs`
 * and paths; and from the goal, which every step that is not deferrable precedes.
 */
import type { Resource, ResourceId } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import { withMerge } from '../kinds/extension/plan.ts';
import { removalSteps, stepsFor } from '../kinds/planners.ts';
import { isRunning, unitEntries } from '../kinds/unit/plan.ts';
import type { Claim, Diff } from './diff.ts';
import type { Change, Impact, Plan, Step } from '../model/steps.ts';

export interface PlanInput extends Diff {
  readonly desired: ReadonlyMap<ResourceId, Claim>;
  /** The resource whose readiness is the goal, `unit:kubelet.service`. */
  readonly goal: ResourceId | undefined;
}

export function plan(input: PlanInput): Plan {
  const own = input.changes.flatMap((change) => {
    if (change.desired) return stepsFor(change, change.desired, input.context);
    return change.touched ? removalSteps(change.touched, change.observed) : [];
  });
  const merged = yieldTargets(withMerge(own, input.changes));
  const steps = precedeGoal(joinDependencies(withReload(merged, input.changes), input.desired), input.goal);
  checkWriters(steps);
  checkNeeds(steps);
  return {
    changes: input.changes,
    steps,
    goal: steps.find((step) => step.action.do === 'ready' && step.resource === input.goal)?.id,
    impact: steps.flatMap((step) => impactOf(step)),
  };
}

/** What another resource writes is not removed for the sake of the one it belonged to before. */
function yieldTargets(steps: readonly Step[]): Step[] {
  const written = new Set(steps.filter(({ action }) => action.do !== 'remove').flatMap(({ writes }) => writes));
  return steps.map((step) =>
    step.action.do === 'remove' && step.resource.startsWith('binary:') && step.writes.every((path) => written.has(path))
      ? { ...step, action: { do: 'release' }, writes: [] }
      : step,
  );
}

export const reloadStepId = 'daemon-reload';

export const reloadAfterEnablementId = 'daemon-reload after enablement';

/**
 * One daemon-reload after all unit files are in place, before the first job that depends on them; and one after units were
 * enabled or disabled, which nothing waits for: until then systemd counts every unit as changed on disk.
 */
function withReload(steps: readonly Step[], changes: readonly Change[]): Step[] {
  const live = changes.filter((change) => change.observed.kind === 'unit' && change.observed.live);
  const units = new Set(live.map((change) => change.id));
  const definitions = steps.filter((step) => isDefinitionStep(step) && units.has(step.resource));
  const stale = live.filter((change) => change.observed.kind === 'unit' && change.observed.stale);
  const changed = new Set([...definitions.map((step) => step.resource), ...stale.map((change) => change.id)]);
  const enablements = steps.filter((step) => step.action.do === 'enablement' && units.has(step.resource));
  const reloads: Step[] = [];
  // An extension may bring units and drop-ins.
  const merge = steps.find((step) => step.action.do === 'merge-extensions' && isLive(changes, step));
  const subject = merge?.resource ?? [...changed][0];
  if (subject !== undefined) {
    const ids = [...definitions, ...(merge ? [merge] : [])].map((step) => step.id);
    const deferrable = !merge && definitions.every((step) => step.deferrable) && stale.length === 0;
    const unlessRead = merge ? undefined : unreadPaths(definitions, live, stale.length > 0);
    reloads.push(
      reloadStep({
        id: reloadStepId,
        resource: subject,
        needs: ids,
        deferrable,
        why: merge ? 'extensions change' : 'unit files change',
        ...(unlessRead && { unlessRead }),
      }),
    );
  }
  // What a removal disables is done before its unit file goes, hence before the first reload.
  const [enabled] = enablements.filter(
    (step) => !reloads.some((reload) => reload.needs.some((id) => neededBy(steps, id, step.id))),
  );
  if (enabled) {
    const ids = enablements.map((step) => step.id);
    reloads.push(
      reloadStep({
        id: reloadAfterEnablementId,
        resource: enabled.resource,
        after: ids,
        deferrable: true,
        why: 'units are enabled or disabled',
      }),
    );
  }
  const waits = (step: Step): boolean =>
    isJob(step) && step.action.do !== 'stop' && (merge !== undefined || changed.has(step.resource));
  return [...steps.map((step) => (waits(step) ? { ...step, needs: [...step.needs, reloadStepId] } : step)), ...reloads];
}

function isLive(changes: readonly Change[], step: Step): boolean {
  const observed = changes.find(({ id }) => id === step.resource)?.observed;
  return observed?.kind === 'extension' && observed.live;
}

function neededBy(steps: readonly Step[], id: string, needed: string): boolean {
  return descendants(steps, needed).has(id);
}

/**
 * Paths by unit that systemd must have read, when asking it could spare the reload: units that do not run yet, with files
 * that are written and none that go.
 */
function unreadPaths(
  definitions: readonly Step[],
  live: readonly Change[],
  stale: boolean,
): Readonly<Record<string, readonly string[]>> | undefined {
  if (stale || definitions.some((step) => step.action.do !== 'write')) return undefined;
  const paths: Record<string, string[]> = {};
  for (const { id, desired, observed } of live) {
    if (!definitions.some((step) => step.resource === id)) continue;
    if (desired?.kind !== 'unit' || observed.kind !== 'unit' || isRunning(observed.activeState)) return undefined;
    paths[desired.name] = [...unitEntries(desired).keys()];
  }
  return paths;
}

function reloadStep(
  about: Pick<Step, 'id' | 'resource' | 'deferrable' | 'why'> & {
    needs?: readonly string[];
    after?: readonly string[];
    unlessRead?: Readonly<Record<string, readonly string[]>>;
  },
): Step {
  const { unlessRead, ...rest } = about;
  return {
    needs: [],
    after: [],
    ...rest,
    action: { do: 'daemon-reload', ...(unlessRead && { unlessRead }) },
    reads: [],
    writes: [],
    importance: 'required',
    scope: 'node',
    weightMs: 40,
  };
}

function isDefinitionStep(step: Step): boolean {
  return (step.action.do === 'write' || step.action.do === 'remove') && step.resource.startsWith('unit:');
}

function isJob(step: Step): boolean {
  return (
    step.action.do === 'start' ||
    step.action.do === 'restart' ||
    step.action.do === 'reload' ||
    step.action.do === 'stop'
  );
}

/** Adds what follows from `needs`, inputs, parent folders and the order of kernel settings. */
function joinDependencies(steps: readonly Step[], desired: ReadonlyMap<ResourceId, Claim>): Step[] {
  const byResource = Map.groupBy(steps, (step) => step.resource);
  const folders = new Map(
    steps.flatMap((step) =>
      step.action.do === 'write' && step.action.entry.type !== 'file' ? [[step.action.path, step.id] as const] : [],
    ),
  );
  const modules = steps.filter((step) => step.action.do === 'module').map((step) => step.id);
  const kernel = steps
    .filter((step) => !step.deferrable && (step.action.do === 'module' || step.action.do === 'sysctl'))
    .map((step) => step.id);
  const written = steps.filter((step) => !step.deferrable && step.action.do === 'write').map((step) => step.id);

  return steps.map((step) => {
    const resource = desired.get(step.resource)?.resource;
    const needs = new Set(step.needs);
    const after = new Set(step.after);
    const addTo = (set: Set<string>, ids: Iterable<string>): void => {
      for (const id of ids) if (id !== step.id) set.add(id);
    };
    if (step.action.do === 'write') {
      addTo(
        after,
        parentsOf(step.action.path).flatMap((folder) => folders.get(folder) ?? []),
      );
    }
    if (step.action.do === 'sysctl') addTo(after, modules);
    if (resource && waitsForNeeds(step)) {
      if (isJob(step)) addTo(after, kernel);
      if (step.action.do === 'run' && resource.needs.length === 0) addTo(after, [...written, ...kernel]);
      for (const id of [...resource.needs, ...(resource.kind === 'unit' ? resource.inputs : [])]) {
        addTo(needs, completion(byResource.get(id) ?? [], step));
      }
    }
    return { ...step, needs: [...needs].sort(), after: [...after].filter((id) => !needs.has(id)).sort() };
  });
}

/** Unit files are written as soon as possible; jobs and enablement (of a unit that a package brings) wait for what the unit needs. */
function waitsForNeeds(step: Step): boolean {
  if (!step.resource.startsWith('unit:')) return true;
  return isJob(step) || step.action.do === 'enablement';
}

/**
 * The steps that complete a needed resource. Between units systemd itself orders the jobs (rendering writes `After=`), so a
 * start waits only until the other start is queued.
 */
function completion(steps: readonly Step[], dependent: Step): string[] {
  const betweenUnits = isJob(dependent);
  return steps
    .filter((step) => step.id !== reloadAfterEnablementId && (step.action.do !== 'enablement' || !step.deferrable))
    .filter((step) => !(betweenUnits && step.action.do === 'ready'))
    .map((step) => step.id);
}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) parents.push(path.slice(0, end));
  return parents;
}

/** Everything that is not deferrable is done before the goal's unit is started. */
function precedeGoal(steps: readonly Step[], goal: ResourceId | undefined): Step[] {
  const start = steps.find((step) => step.resource === goal && isJob(step) && step.action.do !== 'stop');
  if (!start) return [...steps];
  const behind = descendants(steps, start.id);
  const queuedOnly = new Set(
    start.needs
      .map((id) => steps.find((step) => step.id === id))
      .filter((step) => step !== undefined && isJob(step))
      .map((step) => step?.resource),
  );
  const before = steps
    .filter(
      (step) => !step.deferrable && step.importance !== 'background' && !behind.has(step.id) && step.id !== start.id,
    )
    .filter((step) => !(step.action.do === 'ready' && queuedOnly.has(step.resource)))
    .map((step) => step.id);
  const after = [...new Set([...start.after, ...before])].filter((id) => !start.needs.includes(id)).sort();
  return steps.map((step) => (step.id === start.id ? { ...step, after } : step));
}

/** Everything that must have ended before the step may start. */
export function prerequisites(step: Step): readonly string[] {
  return [...step.needs, ...step.after];
}

/** Ids of all steps that directly or indirectly wait for the given one. */
export function descendants(steps: readonly Step[], id: string): Set<string> {
  const dependents = new Map<string, string[]>();
  for (const step of steps) {
    for (const need of prerequisites(step)) dependents.set(need, [...(dependents.get(need) ?? []), step.id]);
  }
  const found = new Set<string>();
  const queue = [id];
  for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
    for (const dependent of dependents.get(current) ?? []) {
      if (!found.has(dependent)) {
        found.add(dependent);
        queue.push(dependent);
      }
    }
  }
  return found;
}

function impactOf(step: Step): Impact[] {
  const { action } = step;
  if (action.do !== 'start' && action.do !== 'restart' && action.do !== 'reload' && action.do !== 'stop') return [];
  return [{ unit: action.unit, effect: action.do, why: step.why }];
}

function checkWriters(steps: readonly Step[]): void {
  const writers = new Map<string, Step>();
  for (const step of steps) {
    for (const place of step.writes) {
      const other = writers.get(place);
      if (other && other.resource !== step.resource) {
        throw new NodekilnError('NK_PLAN_CONFLICT', `${other.resource} and ${step.resource} both write ${place}`, {
          hint: 'Keep one of the two in the document.',
        });
      }
      writers.set(place, step);
    }
  }
}

function checkNeeds(steps: readonly Step[]): void {
  const known = new Set(steps.map((step) => step.id));
  for (const step of steps) {
    const missing = prerequisites(step).find((need) => !known.has(need));
    if (missing) throw new NodekilnError('NK_INTERNAL', `${step.id} needs ${missing}, which is not in the plan`);
  }
}

/** Names in `needs` and `inputs` that no document brings. Checked before planning, where the origin is still known. */
export function unknownNeeds(resources: Iterable<Resource>): { resource: Resource; missing: ResourceId }[] {
  const all = [...resources];
  const known = new Set(all.map((resource) => resource.id));
  return all.flatMap((resource) =>
    [...resource.needs, ...(resource.kind === 'unit' ? resource.inputs : [])]
      .filter((id) => !known.has(id))
      .map((missing) => ({ resource, missing })),
  );
}
