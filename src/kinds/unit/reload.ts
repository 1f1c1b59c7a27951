/**
 * When systemd reads unit files again. Pure.
 *
 * One daemon-reload after all unit files are in place, before the first job that depends on them; and one after units were
 * enabled or disabled, which nothing waits for: until then systemd counts every unit as changed on disk.
 */
import { roleOf, type Step } from '../../model/steps.ts';
import type { ResourceId } from '../../model/resources.ts';
import type { ChangeOf, Together } from '../planner.ts';
import { isRunning, unitEntries } from './definition.ts';

const reloadStepId = 'daemon-reload';

export const reloadAfterEnablementId = 'daemon-reload after enablement';

/** Writes or removes a unit file or a drop-in. */
export function isDefinition(step: Step): boolean {
  return roleOf(step) === 'entry' || roleOf(step) === 'removal';
}

export function withReload({ steps, changes, definesUnits }: Together<'unit'>): Step[] {
  const live = changes.filter((change) => change.observed.live);
  const units = new Set<ResourceId>(live.map((change) => change.id));
  const defining = steps.filter((step) => definesUnits(step));
  const definitions = defining.filter((step) => units.has(step.resource));
  // Another kind may bring any unit or drop-in.
  const foreign = defining.find((step) => !units.has(step.resource));
  const stale = live.filter((change) => change.observed.stale);
  const changed = new Set([...definitions.map((step) => step.resource), ...stale.map((change) => change.id)]);
  const first = firstReload({ definitions, foreign, live, stale, changed });
  const reloads = [...first, ...reloadAfterEnablement({ steps, units, before: first.flatMap(({ needs }) => needs) })];
  const waits = (step: Step): boolean =>
    roleOf(step) === 'job' && (foreign !== undefined || changed.has(step.resource));
  return [...steps.map((step) => (waits(step) ? { ...step, needs: [...step.needs, reloadStepId] } : step)), ...reloads];
}

interface FirstReload {
  readonly definitions: readonly Step[];
  readonly foreign: Step | undefined;
  readonly live: readonly ChangeOf<'unit'>[];
  readonly stale: readonly ChangeOf<'unit'>[];
  readonly changed: ReadonlySet<ResourceId>;
}

function firstReload({ definitions, foreign, live, stale, changed }: FirstReload): Step[] {
  const subject = foreign?.resource ?? [...changed][0];
  if (subject === undefined) return [];
  const unlessRead = foreign || stale.length > 0 ? undefined : unreadPaths(definitions, live);
  return [
    reloadStep({
      id: reloadStepId,
      resource: subject,
      needs: [...definitions, ...(foreign ? [foreign] : [])].map((step) => step.id),
      deferrable: !foreign && stale.length === 0 && definitions.every((step) => step.deferrable),
      why: foreign ? 'extensions change' : 'unit files change',
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
  readonly units: ReadonlySet<ResourceId>;
  /** What the first reload comes after. */
  readonly before: readonly string[];
}

function reloadAfterEnablement({ steps, units, before }: LateReload): Step[] {
  const enablements = steps.filter((step) => roleOf(step) === 'enablement' && units.has(step.resource));
  if (enablements.length === 0) return [];
  // What a removal disables is done before its unit file goes, hence before the first reload.
  const read = neededBy(steps, before);
  const enabled = enablements.find(({ id }) => !read.has(id));
  if (!enabled) return [];
  return [
    reloadStep({
      id: reloadAfterEnablementId,
      resource: enabled.resource,
      after: enablements.map(({ id }) => id),
      deferrable: true,
      why: 'units are enabled or disabled',
    }),
  ];
}

/** Ids of everything that these steps need or come after, directly or not. */
function neededBy(steps: readonly Step[], ids: readonly string[]): ReadonlySet<string> {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const found = new Set<string>();
  const open = [...ids];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const step = byId.get(id);
    for (const earlier of step ? [...step.needs, ...step.after] : []) {
      if (found.has(earlier)) continue;
      found.add(earlier);
      open.push(earlier);
    }
  }
  return found;
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
