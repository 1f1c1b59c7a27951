/**
 * Planning as it is meant, told plainly and without a thought for speed: every rule looks at all steps. What `plan/` makes
 * must be exactly this, step by step; it may only be faster.
 */
import { NodekilnError } from '../../src/errors.ts';
import { stepsFor } from '../../src/kinds/planners.ts';
import { stepBase } from '../../src/kinds/planner.ts';
import { isRunning, unitEntries } from '../../src/kinds/unit/definition.ts';
import { placesOf } from '../../src/desired/places.ts';
import { reveal, type Resource, type ResourceId, type UnitResource } from '../../src/model/resources.ts';
import type { Change, ExtensionObservation, Plan, Schedule, ScheduledStep, Step } from '../../src/model/steps.ts';
import type { Claim } from '../../src/plan/diff.ts';
import type { PlanInput } from '../../src/plan/plan.ts';

export function referencePlan(input: PlanInput): Pick<Plan, 'steps' | 'goal'> {
  const own = yieldPlaces(
    input.changes.flatMap((change) => stepsFor(change, input.context)),
    [...input.desired.values()].map(({ resource }) => resource),
  );
  const merged = belowRemoved(yieldTargets(withMerge(own, input.changes)), input.changes);
  const towardsGoal = own.some((step) => step.resource === input.goal && isStart(step));
  const removed = goneBeforeStarts(readersFirst(merged, input.changes), input.changes);
  const reloaded = withReload(removed, input.changes, towardsGoal);
  const steps = precedeGoal(asImportantAsReaders(joinDependencies(reloaded, input.desired), input.desired), input.goal);
  checkWriters(steps);
  return { steps, goal: steps.find((step) => step.action.do === 'ready' && step.resource === input.goal)?.id };
}

const mergeStepId = 'merge extensions';

/** What a resource has for itself is not removed for the sake of another that stood there. */
function yieldPlaces(steps: readonly Step[], desired: readonly Resource[]): Step[] {
  return steps.map((step) => {
    const { action } = step;
    if (action.do !== 'remove') return step;
    const others = desired.filter(({ id }) => id !== step.resource).flatMap((resource) => placesOf(resource));
    const yielded = action.paths.filter((path) => others.includes(path));
    if (yielded.length === 0) return step;
    const paths = action.paths.filter((path) => !yielded.includes(path));
    const writes = step.writes.filter((path) => !others.includes(path));
    if (paths.length === 0 && !action.restoreOriginal) return { ...step, action: { do: 'release' }, writes };
    const dropped = action.restoreOriginal ? { dropOriginals: yielded } : {};
    return { ...step, action: { ...action, paths, ...dropped }, writes };
  });
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

/** What stands in the way of a folder goes before what comes below it. */
function belowRemoved(steps: readonly Step[], changes: readonly Change[]): Step[] {
  const gone = changes.filter(
    ({ desired, observed }) => !desired && observed.kind === 'file' && observed.entry.type !== 'directory',
  );
  return steps.map((step) => {
    const { action } = step;
    if (action.do !== 'write') return step;
    const above = steps.filter(
      (other) =>
        other.action.do === 'remove' &&
        gone.some(({ id }) => id === other.resource && action.path.startsWith(`${id.slice('file:'.length)}/`)),
    );
    return { ...step, after: [...step.after, ...above.map(({ id }) => id)] };
  });
}

function isStart(step: Step): boolean {
  return isJob(step) && step.action.do !== 'stop';
}

/** Units that go, with the definition they had last. */
function goneUnits(changes: readonly Change[]): UnitResource[] {
  return changes.flatMap(({ desired, touched }) => {
    const definitions = (touched?.definitions ?? []).filter(({ kind }) => kind === 'unit') as UnitResource[];
    const last = definitions.at(-1);
    return !desired && last && definitions.some(({ content }) => content !== undefined) ? [last] : [];
  });
}

/** Files and programs that a unit read go after it. */
function readersFirst(steps: readonly Step[], changes: readonly Change[]): Step[] {
  return steps.map((step) => {
    if (step.resource.startsWith('unit:') || !['remove', 'forget-cached'].includes(step.action.do)) return step;
    const readers = goneUnits(changes).filter(({ inputs }) => inputs.includes(step.resource));
    const ends = steps.filter(({ resource }) => readers.some(({ id }) => id === resource));
    return { ...step, after: [...step.after, ...ends.map(({ id }) => id)] };
  });
}

function names(unit: UnitResource, other: UnitResource): boolean {
  return [unit.content ?? '', ...unit.dropIns.map(({ content }) => content)]
    .flatMap((text) => reveal(text).split(/[\s=]+/))
    .includes(other.name);
}

/** A unit that goes and that a starting one names, or that names it, is gone before, as surely as the other starts. */
function goneBeforeStarts(steps: readonly Step[], changes: readonly Change[]): Step[] {
  const gone = goneUnits(changes);
  const starting = changes.flatMap(({ id, desired }) =>
    desired?.kind === 'unit' && steps.some((step) => step.resource === id && isStart(step)) ? [desired] : [],
  );
  const tied = (one: UnitResource, other: UnitResource): boolean => names(one, other) || names(other, one);
  return steps.map((step) => {
    const leaving = gone.find(({ id }) => id === step.resource);
    const starts = starting.filter((unit) => leaving && tied(unit, leaving)).map(({ id }) => id);
    const jobs = [step, ...steps.filter((other) => isStart(other) && starts.includes(other.resource))];
    if (leaving)
      return {
        ...step,
        importance: importanceOf(jobs),
        deferrable: jobs.every(({ deferrable }) => deferrable),
      };
    const start = starting.find(({ id }) => id === step.resource && isStart(step));
    const before = gone.filter((unit) => start && tied(start, unit)).map(({ id }) => id);
    const needs = steps.filter(({ resource }) => before.includes(resource)).map(({ id }) => id);
    return { ...step, needs: [...step.needs, ...needs] };
  });
}

function importanceOf(steps: readonly Step[]): Step['importance'] {
  if (steps.some(({ importance }) => importance === 'required')) return 'required';
  return steps.some(({ importance }) => importance === 'bestEffort') ? 'bestEffort' : 'background';
}

const lateReloads: readonly string[] = ['daemon-reload after enablement', 'daemon-reload after removal'];

/**
 * One daemon-reload after all unit files are in place, before the first job that depends on them. A second one, which
 * nothing waits for, after units were enabled or disabled and after units were removed that may be removed late: where
 * there is a goal, and something that is read before.
 */
function withReload(steps: readonly Step[], changes: readonly Change[], towardsGoal: boolean): Step[] {
  const live = changes.filter((change) => change.observed.kind === 'unit' && change.observed.live);
  const change = (step: Step): Change | undefined => live.find(({ id }) => id === step.resource);
  const ofUnits = steps.filter((step) => isDefinitionStep(step) && change(step));
  const stale = live.filter((each) => each.observed.kind === 'unit' && each.observed.stale);
  const enablements = steps.filter((step) => step.action.do === 'enablement' && change(step));
  // An extension may bring units and drop-ins, and so may a file below a folder of units.
  const merge = steps.find((step) => step.action.do === 'merge-extensions' && isLive(changes, step));
  const files = steps.filter(
    (step) => (step.action.do === 'write' || step.action.do === 'remove') && isLiveFile(changes, step),
  );
  const brought = steps.filter((step) => step === merge || files.includes(step));

  const unhurried = [
    ...ofUnits.filter((step) => towardsGoal && step.deferrable && !change(step)?.desired),
    ...files.filter((step) => towardsGoal && step.deferrable && step.action.do === 'remove'),
  ];
  const defining = steps.filter((step) => ofUnits.includes(step) || brought.includes(step));
  const hurried = defining.filter((step) => !unhurried.includes(step));
  const read = hurried.length > 0 || stale.length > 0 ? hurried : defining;
  const late = defining.filter((step) => !read.includes(step));
  const early = read.filter((step) => ofUnits.includes(step));
  const foreign = read.filter((step) => brought.includes(step));
  const changed = [...early.map(({ resource }) => resource), ...stale.map(({ id }) => id)];
  const reloads: Step[] = [];
  const subject = foreign[0]?.resource ?? changed[0];
  if (subject !== undefined) {
    const before = [...early, ...foreign];
    const removals = before.length > 0 && before.every(({ action }) => action.do === 'remove');
    const unlessRead = foreign.length > 0 ? undefined : unreadPaths(early, live, stale.length > 0);
    reloads.push({
      id: 'daemon-reload',
      resource: subject,
      action: { do: 'daemon-reload', ...(unlessRead && { unlessRead }) },
      needs: before.filter(({ importance }) => importance === 'required').map(({ id }) => id),
      after: before.filter(({ importance }) => importance !== 'required').map(({ id }) => id),
      reads: live.flatMap(({ id, desired }) =>
        desired?.kind === 'unit' && changed.includes(id)
          ? [`/etc/systemd/system/${desired.name}`, `/etc/systemd/system/${desired.name}.d`]
          : [],
      ),
      writes: [],
      importance: removals ? importanceOf(before) : 'required',
      deferrable: !merge && before.every((step) => step.deferrable) && stale.length === 0,
      weightMs: 40,
      why: merge ? 'extensions change' : 'unit files change',
    });
  }
  const first = reloads[0];
  // What a removal disables is done before its unit file goes, hence before a reload that comes after that.
  const all = [...steps, ...reloads];
  const unread = enablements.find(({ id }) => !first || !descendants(all, id).has(first.id));
  const trigger = unread ?? late[0];
  if (trigger)
    reloads.push({
      id: unread ? 'daemon-reload after enablement' : 'daemon-reload after removal',
      resource: trigger.resource,
      action: { do: 'daemon-reload' },
      needs: [],
      after: [...(unread ? enablements : []), ...late].map(({ id }) => id),
      reads: [],
      writes: [],
      importance: unread ? 'required' : importanceOf(late),
      deferrable: true,
      weightMs: 40,
      why: unread ? 'units are enabled or disabled' : 'unit files are removed',
    });
  const waits = (step: Step): boolean => isStart(step) && (foreign.length > 0 || changed.includes(step.resource));
  return [
    ...steps.map((step) => (waits(step) ? { ...step, needs: [...step.needs, 'daemon-reload'] } : step)),
    ...reloads,
  ];
}

function isLive(changes: readonly Change[], step: Step): boolean {
  const observed = changes.find(({ id }) => id === step.resource)?.observed;
  return observed?.kind === 'extension' && observed.live;
}

function isLiveFile(changes: readonly Change[], step: Step): boolean {
  const observed = changes.find(({ id }) => id === step.resource)?.observed;
  return observed?.kind === 'file' && observed.readBySystemd === true;
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
    addTo(needs, gone(steps, step, desired));
    addTo(
      after,
      readBy(steps, step, desired)
        .filter((writer) => desired.has(writer.resource))
        .map(({ id }) => id),
    );
    return { ...step, needs: [...needs].sort(), after: [...after].filter((id) => !needs.has(id)).sort() };
  });
}

/** Steps that write what the step reads, unless a document says that they come after its resource. */
function readBy(steps: readonly Step[], { reads, resource }: Step, desired: ReadonlyMap<ResourceId, Claim>): Step[] {
  return steps.filter(
    (writer) =>
      writer.resource !== resource &&
      !desired.get(writer.resource)?.resource.needs.includes(resource) &&
      writer.writes.some((place) => reads.some((read) => place === read || place.startsWith(`${read}/`))),
  );
}

/** Those of them that take away what nobody asks for any more. */
function gone(steps: readonly Step[], step: Step, desired: ReadonlyMap<ResourceId, Claim>): string[] {
  return readBy(steps, step, desired)
    .filter((writer) => !desired.has(writer.resource))
    .map(({ id }) => id);
}

/** What is taken away for a step is as important as it. */
function asImportantAsReaders(steps: readonly Step[], desired: ReadonlyMap<ResourceId, Claim>): Step[] {
  return steps.map((step) => {
    const readers = steps.filter((reader) => gone(steps, reader, desired).includes(step.id));
    return { ...step, importance: importanceOf([step, ...readers]) };
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
    .filter((step) => !lateReloads.includes(step.id) && (step.action.do !== 'enablement' || !step.deferrable))
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
function prerequisites(step: Step): readonly string[] {
  return [...step.needs, ...step.after];
}

/** Ids of all steps that directly or indirectly wait for the given one. */
function descendants(steps: readonly Step[], id: string): Set<string> {
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

/** Adds the one step that merges, and lets everything that changes about extensions end with it. */
function withMerge(steps: readonly Step[], changes: readonly Change[]): Step[] {
  const concerned = changes.filter(isOfExtension);
  const wanted = concerned.flatMap(({ desired }) => (desired?.kind === 'extension' ? [desired] : []));
  const dropped = concerned.filter(({ desired, observed }) => !desired && observed.record);
  const subject = wanted[0]?.id ?? dropped[0]?.id;
  if (subject === undefined) return [...steps];
  const fetches = steps.filter((step) => step.action.do === 'fetch-extension').map((step) => step.id);
  const ids = new Set<ResourceId>([...wanted, ...dropped].map(({ id }) => id));
  const merge: Step = {
    after: [],
    resource: subject,
    importance: 'required',
    deferrable: false,
    id: mergeStepId,
    action: {
      do: 'merge-extensions',
      extensions: wanted.map(({ id }) => id),
      remove: dropped.map(({ id }) => id.slice('extension:'.length)),
    },
    reads: [],
    writes: wanted.flatMap(({ name, tools }) => [
      `/etc/extensions/${name}`,
      ...tools.map((tool) => `/opt/bin/${tool}`),
    ]),
    needs: fetches,
    weightMs: 300,
    why: `${[...ids].map((id) => id.slice('extension:'.length)).join(', ')} ${ids.size === 1 ? 'changes' : 'change'}`,
  };
  // Each resource is done when the merge is, not when it is fetched.
  const given = new Set(
    concerned.flatMap(({ observed }) => observed.record?.tools.map((tool) => `/opt/bin/${tool}`) ?? []),
  );
  const waiting = steps.map((step) => {
    if (ids.has(step.resource) && step.action.do === 'release') return { ...step, needs: [...step.needs, mergeStepId] };
    // What takes over a tool's place must not meet the removal of our link.
    if (step.writes.some((path) => given.has(path))) return { ...step, after: [...step.after, mergeStepId] };
    return step;
  });
  const ends = wanted
    .filter(({ id }) => id !== subject)
    .map((resource): Step => ({
      ...stepBase(resource),
      id: `merged ${resource.id}`,
      action: { do: 'release' },
      reads: [],
      writes: [],
      needs: [mergeStepId],
      weightMs: 1,
      why: 'is merged with the others',
    }));
  return [...waiting, merge, ...ends];
}

function isOfExtension(change: Change): change is Change & { observed: ExtensionObservation } {
  return change.observed.kind === 'extension';
}

export function referenceSchedule(plan: Pick<Plan, 'steps' | 'goal'>): Schedule {
  const steps = new Map(plan.steps.map((step) => [step.id, step]));
  checkCycles(steps);
  const before = plan.goal === undefined ? undefined : ancestors(steps, plan.goal);
  const remaining = remainingTimes(steps);
  const scheduled = plan.steps.map((step): ScheduledStep => {
    const phase =
      before === undefined || before.has(step.id) ? 'goal' : mayWait(step, plan.goal, steps) ? 'deferred' : 'goal';
    return {
      step,
      phase,
      precedes: before?.has(step.id) === true,
      reason: reasonFor(step, { phase, goal: plan.goal, before }),
      remainingMs: remaining.get(step.id) ?? 0,
    };
  });
  const order = { goal: 0, deferred: 1 } as const;
  scheduled.sort(
    (a, b) => order[a.phase] - order[b.phase] || b.remainingMs - a.remainingMs || (a.step.id < b.step.id ? -1 : 1),
  );
  return { steps: scheduled, goal: plan.goal };
}

/** A step beside the goal's path waits for the goal when it may, or when it needs the goal itself. */
function mayWait(step: Step, goal: string | undefined, steps: ReadonlyMap<string, Step>): boolean {
  return (
    step.deferrable || step.importance === 'background' || (goal !== undefined && ancestors(steps, step.id).has(goal))
  );
}

/** The step and everything it directly or indirectly needs. */
export function ancestors(steps: ReadonlyMap<string, Step>, id: string): Set<string> {
  const found = new Set<string>([id]);
  const queue = [id];
  for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
    const step = steps.get(current);
    for (const need of step ? prerequisites(step) : []) {
      if (!found.has(need)) {
        found.add(need);
        queue.push(need);
      }
    }
  }
  return found;
}

function reasonFor(
  step: Step,
  where: { phase: 'goal' | 'deferred'; goal: string | undefined; before: Set<string> | undefined },
): string {
  if (where.goal === undefined) return 'nothing in this plan has to be reached first';
  if (where.phase === 'deferred') {
    return step.deferrable ? 'may wait: runs once the goal is reached' : 'needs the goal itself';
  }
  if (step.id === where.goal) return 'is the goal';
  if (step.deferrable) return 'may wait, but a step before the goal needs it';
  return where.before?.has(step.id) === true ? 'precedes the goal: not declared deferrable' : 'joined beside the goal';
}

/** Longest weighted path from each step's start to the end of everything that needs it. */
function remainingTimes(steps: ReadonlyMap<string, Step>): Map<string, number> {
  const dependents = new Map<string, string[]>();
  for (const step of steps.values()) {
    for (const need of prerequisites(step)) dependents.set(need, [...(dependents.get(need) ?? []), step.id]);
  }
  const times = new Map<string, number>();
  const timeOf = (id: string): number => {
    const known = times.get(id);
    if (known !== undefined) return known;
    const after = Math.max(0, ...(dependents.get(id) ?? []).map(timeOf));
    const time = (steps.get(id)?.weightMs ?? 0) + after;
    times.set(id, time);
    return time;
  };
  for (const id of steps.keys()) timeOf(id);
  return times;
}

function checkCycles(steps: ReadonlyMap<string, Step>): void {
  const state = new Map<string, 'open' | 'done'>();
  const visit = (id: string, path: readonly string[]): void => {
    if (state.get(id) === 'done') return;
    if (state.get(id) === 'open') {
      const cycle = [...path.slice(path.indexOf(id)), id];
      throw new NodekilnError('NK_PLAN_CYCLE', `steps wait for each other: ${cycle.join(' → ')}`);
    }
    state.set(id, 'open');
    const step = steps.get(id);
    for (const need of step ? prerequisites(step) : []) visit(need, [...path, id]);
    state.set(id, 'done');
  };
  for (const id of steps.keys()) visit(id, []);
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
