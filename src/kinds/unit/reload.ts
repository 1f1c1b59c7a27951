/**
 * When systemd reads unit files again. Pure.
 *
 * One daemon-reload after all unit files are in place, before the first job that depends on them. A second one, which
 * nothing waits for, after units were enabled or disabled (until then systemd counts every unit as changed on disk), and
 * after units that nobody asks for any more were removed.
 */
import { mostImportant, type ResourceId } from '../../model/resources.ts';
import { roleOf, type Step } from '../../model/steps.ts';
import type { ChangeOf, Together } from '../planner.ts';
import { definitionPlaces, isRunning, unitEntries } from './definition.ts';

const firstReloadId = 'daemon-reload';
const lateReloadIds = { enablement: 'daemon-reload after enablement', removal: 'daemon-reload after removal' } as const;

/** Whether it is the reload that nothing waits for. */
export function isLateReload({ id }: Step): boolean {
  return Object.values<string>(lateReloadIds).includes(id);
}

/** Writes or removes a unit file or a drop-in. */
export function isDefinition(step: Step): boolean {
  return roleOf(step) === 'entry' || roleOf(step) === 'removal';
}

export function withReload({ steps, changes, towardsGoal, definesUnits }: Together<'unit'>): Step[] {
  const live = changes.filter((change) => change.observed.live);
  const units = new Map<ResourceId, ChangeOf<'unit'>>(live.map((change) => [change.id, change]));
  const defining = steps.filter((step) => definesUnits(step));
  const stale = live.filter((change) => change.observed.stale);
  const mayBeLate = (step: Step): boolean =>
    towardsGoal &&
    step.deferrable &&
    (units.has(step.resource) ? units.get(step.resource)?.desired === undefined : roleOf(step) === 'removal');
  const early = defining.filter((step) => !mayBeLate(step));
  const nothingEarly = early.length === 0 && stale.length === 0;
  const read = nothingEarly ? defining : early;
  // Another kind may bring any unit or drop-in.
  const foreign = read.filter((step) => !units.has(step.resource));
  const definitions = read.filter((step) => units.has(step.resource));
  const changed = new Set([...definitions.map((step) => step.resource), ...stale.map((change) => change.id)]);
  const first = firstReload({ definitions, foreign, live, stale, changed });
  const late = nothingEarly ? [] : defining.filter(mayBeLate);
  const reloads = [...first, ...lateReload({ steps, units, first, late })];
  const waits = (step: Step): boolean => roleOf(step) === 'job' && (foreign.length > 0 || changed.has(step.resource));
  return [
    ...steps.map((step) => (waits(step) ? { ...step, needs: [...step.needs, firstReloadId] } : step)),
    ...reloads,
  ];
}

interface FirstReload {
  readonly definitions: readonly Step[];
  readonly foreign: readonly Step[];
  readonly live: readonly ChangeOf<'unit'>[];
  readonly stale: readonly ChangeOf<'unit'>[];
  readonly changed: ReadonlySet<ResourceId>;
}

function firstReload({ definitions, foreign, live, stale, changed }: FirstReload): Step[] {
  const subject = foreign[0]?.resource ?? [...changed][0];
  if (subject === undefined) return [];
  const unlessRead = foreign.length > 0 || stale.length > 0 ? undefined : unreadPaths(definitions, live);
  const defining = [...definitions, ...foreign];
  const merges = foreign.some(({ action }) => action.do === 'merge-extensions');
  const removals = defining.length > 0 && defining.every((step) => roleOf(step) === 'removal');
  return [
    reloadStep({
      id: firstReloadId,
      resource: subject,
      // A unit file that need not be there holds nothing up; the jobs of its own unit need it themselves.
      needs: defining.flatMap(({ id, importance }) => (importance === 'required' ? id : [])),
      after: defining.flatMap(({ id, importance }) => (importance === 'required' ? [] : id)),
      reads: live.flatMap(({ id, desired }) => (desired && changed.has(id) ? definitionPlaces(desired.name) : [])),
      importance: removals ? mostImportant(defining.map(({ importance }) => importance)) : 'required',
      deferrable: !merges && stale.length === 0 && defining.every((step) => step.deferrable),
      why: merges ? 'extensions change' : 'unit files change',
      ...(unlessRead && { unlessRead }),
    }),
  ];
}

/**
 * Paths by unit that systemd must have read, when asking it could spare the reload: units that do not run yet, with files
 * that are written and none that go.
 */
function unreadPaths(
  definitions: readonly Step[],
  live: readonly ChangeOf<'unit'>[],
): Readonly<Record<string, readonly string[]>> | undefined {
  if (definitions.some((step) => roleOf(step) !== 'entry')) return undefined;
  const defined = new Set(definitions.map(({ resource }) => resource));
  const paths: Record<string, string[]> = {};
  for (const { id, desired, observed } of live) {
    if (!defined.has(id)) continue;
    if (!desired || isRunning(observed.activeState)) return undefined;
    paths[desired.name] = [...unitEntries(desired).keys()];
  }
  return paths;
}

interface LateReload {
  readonly steps: readonly Step[];
  readonly units: ReadonlyMap<ResourceId, unknown>;
  readonly first: readonly Step[];
  /** Definitions that the first reload does not wait for. */
  readonly late: readonly Step[];
}

function lateReload({ steps, units, first, late }: LateReload): Step[] {
  const enablements = steps.filter((step) => roleOf(step) === 'enablement' && units.has(step.resource));
  // What a removal disables is done before its unit file goes, hence before a reload that comes after that.
  const read =
    enablements.length === 0
      ? new Set<string>()
      : neededBy([...steps.filter(({ resource }) => units.has(resource)), ...first], first);
  const unread = enablements.find(({ id }) => !read.has(id));
  const subject = unread ?? late[0];
  if (!subject) return [];
  return [
    reloadStep({
      id: unread ? lateReloadIds.enablement : lateReloadIds.removal,
      resource: subject.resource,
      after: [...(unread ? enablements : []), ...late].map(({ id }) => id),
      importance: unread ? 'required' : mostImportant(late.map(({ importance }) => importance)),
      deferrable: true,
      why: unread ? 'units are enabled or disabled' : 'unit files are removed',
    }),
  ];
}

/** Ids of everything that these steps need or come after, directly or not. */
function neededBy(steps: readonly Step[], from: readonly Step[]): ReadonlySet<string> {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const found = new Set<string>();
  const open = [...from];
  for (let step = open.pop(); step; step = open.pop()) {
    for (const id of [...step.needs, ...step.after]) {
      const earlier = byId.get(id);
      if (!earlier || found.has(id)) continue;
      found.add(id);
      open.push(earlier);
    }
  }
  return found;
}

function reloadStep(
  about: Pick<Step, 'id' | 'resource' | 'deferrable' | 'importance' | 'why'> &
    Partial<Pick<Step, 'needs' | 'after' | 'reads'>> & {
      unlessRead?: Readonly<Record<string, readonly string[]>>;
    },
): Step {
  const { unlessRead, ...rest } = about;
  return {
    needs: [],
    after: [],
    reads: [],
    ...rest,
    action: { do: 'daemon-reload', ...(unlessRead && { unlessRead }) },
    writes: [],
    weightMs: 40,
  };
}
