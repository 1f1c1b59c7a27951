/** What waits for what between resources, and what precedes the goal. Pure; linear in steps and what they wait for, but for sorting. */
import { mostImportant, type Importance, type Resource, type ResourceId } from '../model/resources.ts';
import { roleOf, type ActionOf, type Role, type Step, type StepAction } from '../model/steps.ts';
import { completes, readsOf, waitsForNeeds } from '../kinds/planners.ts';
import type { Claim } from './diff.ts';
import { createGraph, reached, shortList } from './graph.ts';
import { aboveOf } from '../model/path.ts';
import { writersOfWhatIsRead } from './places.ts';

type Desired = ReadonlyMap<ResourceId, Claim>;

/** What joining one step asks of all of them. */
interface AllSteps {
  readonly desired: Desired;
  /** Those that need or read others. */
  readonly needy: ReadonlyMap<ResourceId, Resource>;
  /** Most resources have one step: that one, without a list. */
  readonly byResource: ReadonlyMap<ResourceId, Step | Step[]>;
  /** Steps that put a folder or a link above a path. */
  readonly folders: (path: string) => readonly string[];
  /** Ids of kernel settings that precede the goal; and of those and all entries of the file system that do. */
  readonly settings: readonly string[];
  readonly everything: readonly string[];
  readonly writers: ReadonlyMap<string, readonly Step[]>;
  readonly lists: Lists;
}

/**
 * Adds what follows from `needs`, from what resources and steps read, from parent folders and from the order of kernel
 * settings. A removal that a step needs is as important as that step.
 */
export function joinDependencies(steps: readonly Step[], desired: Desired): Step[] {
  const all = lookAt(steps, desired);
  const raised = new Map<string, Importance>();
  const joined = steps.map((step) => joinStep(step, all, raised));
  if (raised.size === 0) return joined;
  return joined.map((step) => ({ ...step, importance: raised.get(step.id) ?? step.importance }));
}

function lookAt(steps: readonly Step[], desired: Desired): AllSteps {
  const byResource = new Map<ResourceId, Step | Step[]>();
  const folders = new Map<string, string>();
  const settings: string[] = [];
  const everything: string[] = [];
  for (const step of steps) {
    const { id, resource, action, deferrable } = step;
    const others = byResource.get(resource);
    if (others === undefined) byResource.set(resource, step);
    else if (Array.isArray(others)) others.push(step);
    else byResource.set(resource, [others, step]);
    if (isFolder(action)) folders.set(action.path, id);
    const role = roleOf(step);
    if (!deferrable && (role === 'entry' || role === 'setting')) everything.push(id);
    if (!deferrable && role === 'setting') settings.push(id);
  }
  const needy = new Map<ResourceId, Resource>();
  for (const { resource } of desired.values())
    if (resource.needs.length > 0 || readsOf(resource).length > 0) needy.set(resource.id, resource);
  return {
    desired,
    needy,
    byResource,
    folders: folders.size === 0 ? () => nothing : aboveOf((path) => folders.get(path)),
    settings,
    everything,
    writers: writersOfWhatIsRead(steps),
    lists: createLists(),
  };
}

const nothing: readonly string[] = [];

function joinStep(step: Step, all: AllSteps, raised: Map<string, Importance>): Step {
  const resource = waitingFor(step, all);
  const read = readBy(step, all);
  const parents = parentsIn(all.folders, step);
  const asItIs = step.needs.length + step.after.length < 2 && parents.length === 0 && read === nothingRead;
  if (asItIs && !resource) return step;
  for (const { id, importance } of read.removed)
    raised.set(id, mostImportant([step.importance, importance, raised.get(id) ?? importance]));
  const named = resource ? neededBy(step, resource, all) : nothing;
  const needs = [...new Set([...step.needs, ...named, ...read.removed.map(({ id }) => id)])].sort();
  const after = [...parents, ...read.written.map(({ id }) => id)];
  const shared = resource ? sharedBy(roleOf(step), resource, all) : nothing;
  return { ...step, needs, after: all.lists.joined([step.after, after, shared], [...needs, step.id]) };
}

/** The resource, when the step waits for what it needs or for what all of its role wait for. */
function waitingFor(step: Step, { desired, needy }: AllSteps): Resource | undefined {
  const role = roleOf(step);
  const resource = isJob(role) || role === 'program' ? desired.get(step.resource)?.resource : needy.get(step.resource);
  return resource && waitsForNeeds(step) ? resource : undefined;
}

/** The steps that complete what the resource needs and reads. */
function neededBy(step: Step, resource: Resource, { byResource }: AllSteps): readonly string[] {
  const role = roleOf(step);
  const ids: string[] = [];
  const look = (earlier: Step): void => {
    if (earlier.id !== step.id && isAwaited(earlier, role)) ids.push(earlier.id);
  };
  for (const id of [...resource.needs, ...readsOf(resource)]) {
    const found = byResource.get(id);
    if (Array.isArray(found)) found.forEach(look);
    else if (found) look(found);
  }
  return ids;
}

/** What jobs and programs come after, whatever they are about: one list for all of them. */
function sharedBy(role: Role, resource: Resource, { settings, everything }: AllSteps): readonly string[] {
  if (isJob(role)) return settings;
  return role === 'program' && resource.needs.length === 0 ? everything : nothing;
}

interface Read {
  readonly removed: readonly Step[];
  readonly written: readonly Step[];
}

const nothingRead: Read = { removed: [], written: [] };

/** Steps of others that take away or write what the step reads, unless a document says that they come after its resource. */
function readBy(step: Step, { writers, desired }: AllSteps): Read {
  if (step.reads.length === 0) return nothingRead;
  const writing = step.reads
    .flatMap((place) => writers.get(place) ?? [])
    .filter(
      ({ resource }) =>
        resource !== step.resource && desired.get(resource)?.resource.needs.includes(step.resource) !== true,
    );
  return {
    removed: writing.filter(({ resource }) => !desired.has(resource)),
    written: writing.filter(({ resource }) => desired.has(resource)),
  };
}

/** What may stand in the path of other entries. */
function isFolder(action: StepAction): action is ActionOf<'write'> {
  return action.do === 'write' && (action.entry.type === 'directory' || action.entry.type === 'symlink');
}

function isJob(role: Role): boolean {
  return role === 'job' || role === 'stop';
}

/**
 * Whether a step of a needed resource is waited for. Between units systemd itself orders the jobs (rendering writes
 * `After=`), so a start waits only until the other start is queued.
 */
function isAwaited(earlier: Step, role: Role): boolean {
  return completes(earlier) && !(isJob(role) && roleOf(earlier) === 'join');
}

/** Steps that make the folders above what the step writes. */
function parentsIn(folders: AllSteps['folders'], { action }: Step): readonly string[] {
  return action.do === 'write' || action.do === 'place' ? folders(action.path) : nothing;
}

interface Lists {
  /** The ids of all lists in order, each once, without these. One list that stays as it is stays the same array. */
  joined(lists: readonly (readonly string[])[], without: readonly string[]): readonly string[];
}

/** Long lists that many steps may share are sorted once, and stay shared: see `graph.ts`. */
function createLists(): Lists {
  const known = new Map<readonly string[], { sorted: readonly string[]; members: ReadonlySet<string> }>();
  const about = (list: readonly string[]): { sorted: readonly string[]; members: ReadonlySet<string> } => {
    const found = known.get(list);
    if (found) return found;
    const members = new Set(list);
    const made = { sorted: [...members].sort(), members };
    known.set(list, made);
    return made;
  };
  return {
    joined(lists, without) {
      const [only, ...more] = lists.filter(({ length }) => length > 0);
      if (!only) return [];
      if (more.length === 0 && only.length > shortList) {
        const { sorted, members } = about(only);
        if (!without.some((id) => members.has(id))) return sorted;
      }
      const excluded = new Set(without);
      return [...new Set([only, ...more].flat())].filter((id) => !excluded.has(id)).sort();
    },
  };
}

/** Everything that is not deferrable is done before the goal's unit is started. */
export function precedeGoal(steps: readonly Step[], goal: ResourceId | undefined): Step[] {
  const start = steps.find((step) => step.resource === goal && roleOf(step) === 'job');
  if (!start) return [...steps];
  const needs = new Set(start.needs);
  // systemd itself orders the goal's start after these: they need only be queued.
  const queued = new Set(
    steps.filter((step) => isJob(roleOf(step)) && needs.has(step.id)).map(({ resource }) => resource),
  );
  const behind = behindStep(start, steps);
  const precedes = (step: Step): boolean =>
    !step.deferrable &&
    step.importance !== 'background' &&
    !behind.has(step) &&
    !(roleOf(step) === 'join' && queued.has(step.resource));
  const earlier = new Set(start.after);
  const after: string[] = [];
  for (const step of steps) if ((earlier.has(step.id) || precedes(step)) && !needs.has(step.id)) after.push(step.id);
  after.sort();
  return steps.map((step) => (step === start ? { ...step, after } : step));
}

/** The step and all that waits for it, directly or not. Most steps wait for nothing: of those it is known without looking. */
function behindStep(start: Step, steps: readonly Step[]): ReadonlySet<Step> {
  const waiting = steps.filter((step) => step === start || step.needs.length > 0 || step.after.length > 0);
  const graph = createGraph(waiting, { partial: true });
  const found = reached(graph.numberOf(start.id) ?? -1, graph.after);
  return new Set(waiting.filter((_step, number) => found[number] === 1));
}

/** Everything that must have ended before the step may start. */
export function prerequisites(step: Step): readonly string[] {
  return [...step.needs, ...step.after];
}
