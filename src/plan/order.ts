/** What waits for what between resources, and what precedes the goal. Pure; linear in steps and their needs. */
import type { ResourceId } from '../model/resources.ts';
import { roleOf, type ActionOf, type Role, type Step, type StepAction } from '../model/steps.ts';
import { completes, readsOf, waitsForNeeds } from '../kinds/planners.ts';
import type { Claim } from './diff.ts';
import { createGraph, reached } from './graph.ts';

/** Adds what follows from `needs`, from what resources read, from parent folders and from the order of kernel settings. */
export function joinDependencies(steps: readonly Step[], desired: ReadonlyMap<ResourceId, Claim>): Step[] {
  const byResource = Map.groupBy(steps, (step) => step.resource);
  const folders = new Map(steps.flatMap(({ id, action }) => (isFolder(action) ? [[action.path, id] as const] : [])));
  const required = (...wanted: readonly Role[]): readonly string[] =>
    steps.filter((step) => !step.deferrable && wanted.includes(roleOf(step))).map(({ id }) => id);
  const settings = required('setting');
  const everything = required('entry', 'setting');
  const lists = createLists();

  return steps.map((step) => {
    const resource = desired.get(step.resource)?.resource;
    const role = roleOf(step);
    const needs = new Set(step.needs);
    const after = [step.after];
    if (step.action.do === 'write') after.push(parentsOf(step.action.path).flatMap((path) => folders.get(path) ?? []));
    if (resource && waitsForNeeds(step)) {
      if (isJob(role)) after.push(settings);
      if (role === 'program' && resource.needs.length === 0) after.push(everything);
      for (const id of [...resource.needs, ...readsOf(resource)])
        for (const earlier of byResource.get(id) ?? [])
          if (earlier.id !== step.id && isAwaited(earlier, role)) needs.add(earlier.id);
    }
    return { ...step, needs: [...needs].sort(), after: lists.joined(after, [...needs, step.id]) };
  });
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

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) parents.push(path.slice(0, end));
  return parents;
}

interface Lists {
  /** The ids of all lists in order, each once, without these. One list that stays as it is stays the same array. */
  joined(lists: readonly (readonly string[])[], without: readonly string[]): readonly string[];
}

/** Long lists that many steps share are sorted once, and stay shared: see `graph.ts`. */
function createLists(): Lists {
  const known = new Map<readonly string[], { sorted: readonly string[]; members: ReadonlySet<string> }>();
  const about = (list: readonly string[]): { sorted: readonly string[]; members: ReadonlySet<string> } => {
    const found = known.get(list) ?? { sorted: [...list].sort(), members: new Set(list) };
    known.set(list, found);
    return found;
  };
  return {
    joined(lists, without) {
      const [only, ...more] = lists.filter(({ length }) => length > 0);
      if (!only) return [];
      if (more.length === 0) {
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
  const graph = createGraph(steps);
  const behind = reached([graph.numberOf(start.id) ?? -1], graph.after);
  // systemd itself orders the goal's start after these: they need only be queued.
  const queued = new Set(
    start.needs.flatMap((id) => {
      const step = steps[graph.numberOf(id) ?? -1];
      return step && isJob(roleOf(step)) ? [step.resource] : [];
    }),
  );
  const precedes = (step: Step, number: number): boolean =>
    !step.deferrable &&
    step.importance !== 'background' &&
    behind[number] !== true &&
    !(roleOf(step) === 'join' && queued.has(step.resource));
  const needs = new Set(start.needs);
  const before = new Set([...start.after, ...steps.filter(precedes).map(({ id }) => id)]);
  const after = [...before].filter((id) => !needs.has(id)).sort();
  return steps.map((step) => (step === start ? { ...step, after } : step));
}

/** Everything that must have ended before the step may start. */
export function prerequisites(step: Step): readonly string[] {
  return [...step.needs, ...step.after];
}
