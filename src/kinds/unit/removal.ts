/**
 * Removal of units. Pure. A unit of ours is stopped, disabled and removed; a vendor's unit that we only added to lives on
 * without our drop-ins.
 *
 * Removals wait for the goal (`removalBase`), with these exceptions. What lives on is no removal: it is brought where it
 * should be, as early and as surely as it was when we added to it. And a unit that one which starts names, or that names
 * it (`Requires=`, `RequiredBy=`, …), is gone before that start: stopped after it, it would take the other along.
 */
import { kindOf, mostImportant, reveal, type ResourceId, type UnitResource } from '../../model/resources.ts';
import { roleOf, type Step, type Touched } from '../../model/steps.ts';
import { placesRead, releaseStep } from '../file/plan.ts';
import { definitionsOf, removalBase, type ChangeOf, type Together } from '../planner.ts';
import { definitionPlaces, isRunning, namedBy, owesStart, unitPaths } from './definition.ts';

interface Removal {
  readonly touched: Touched;
  readonly observed: ChangeOf<'unit'>['observed'];
  readonly definitions: readonly UnitResource[];
  readonly last: UnitResource;
  /** The unit file is ours; else only drop-ins and state are. */
  readonly ownFile: boolean;
  /** Of unit file and drop-ins, as far as they are there. */
  readonly paths: readonly string[];
  readonly base: Omit<Step, 'id' | 'action' | 'writes'>;
}

export function removalOf(touched: Touched, observed: Removal['observed']): Step[] {
  const definitions = definitionsOf(touched, 'unit');
  const last = definitions.at(-1);
  if (!last) return [releaseStep(touched)];
  const ownFile = hasOwnFile(definitions);
  const removal: Removal = {
    touched,
    observed,
    definitions,
    last,
    ownFile,
    paths: unitPaths(undefined, touched).filter((path) => observed.entries[path]?.type !== 'absent'),
    base: {
      ...removalBase(touched),
      ...(!ownFile && { importance: last.importance, deferrable: last.deferrable && removalBase(touched).deferrable }),
    },
  };
  const stop = stopStep(removal);
  const enablement = enablementSteps(removal, stop);
  const remove = removeStep(removal, [...stop, ...enablement]);
  const steps = [...stop, ...enablement, ...remove, ...restartSteps(removal, remove)];
  return steps.length === 0 ? [releaseStep(touched)] : steps;
}

function hasOwnFile(definitions: readonly UnitResource[]): boolean {
  return definitions.some(({ content }) => content !== undefined);
}

const idsOf = (steps: readonly Step[]): string[] => steps.map(({ id }) => id);

function stopStep({ touched, observed, last, ownFile, base }: Removal): Step[] {
  if (!observed.live || !ownFile || !isRunning(observed.activeState)) return [];
  return [
    {
      ...base,
      id: `stop ${touched.id}`,
      action: { do: 'stop', unit: last.name, startedWith: '' },
      writes: [touched.id],
      weightMs: 50,
    },
  ];
}

/** Takes back what we enabled or masked. */
function enablementSteps({ touched, observed, definitions, last, ownFile, base }: Removal, before: Step[]): Step[] {
  const wasOurs = ownFile || definitions.some(({ state }) => state === 'started');
  const disable = last.enablement === 'enabled' && /^(enabled|linked)/.test(observed.enablement) && wasOurs;
  const unmask = last.enablement === 'masked' && observed.enablement.startsWith('masked');
  if (!disable && !unmask) return [];
  const change = disable ? 'disable' : 'unmask';
  return [
    {
      ...base,
      id: `${change} ${touched.id}`,
      action: { do: 'enablement', unit: last.name, change },
      writes: [`enablement:${last.name}`],
      needs: idsOf(before),
    },
  ];
}

/** Unit file and drop-ins, and the folders of the drop-ins. */
function removeStep({ touched, paths, base }: Removal, before: Step[]): Step[] {
  const folders = unitPaths(undefined, touched)
    .filter((path) => path.includes('.d/'))
    .map((path) => path.slice(0, path.lastIndexOf('/')));
  // A killed removal may have left the folder of the drop-ins it removed.
  const leftovers = paths.length > 0 || !touched.done ? [...new Set([...paths, ...folders])] : [];
  if (leftovers.length === 0) return [];
  return [
    {
      ...base,
      id: `remove ${touched.id}`,
      action: { do: 'remove', paths: leftovers, restoreOriginal: false },
      writes: paths,
      needs: idsOf(before),
    },
  ];
}

/** A vendor's unit whose drop-in went away runs on without it: it must read its definition again. */
function restartSteps({ touched, observed, definitions, last, ownFile, paths, base }: Removal, before: Step[]): Step[] {
  const outdated = paths.length > 0 || (owesStart(touched) && definitions.some(({ dropIns }) => dropIns.length > 0));
  if (!observed.live || ownFile || !outdated || !isRunning(observed.activeState)) return [];
  return [
    {
      ...base,
      id: `restart ${touched.id}`,
      action: { do: 'restart', unit: last.name, startedWith: '' },
      reads: [
        ...definitionPlaces(last.name),
        ...placesRead({ now: [], before: definitions.flatMap(namedBy), context: { folderOf: () => undefined } }),
      ],
      writes: [touched.id],
      needs: idsOf(before),
      weightMs: 50,
    },
    {
      ...base,
      id: `ready ${touched.id}`,
      action: {
        do: 'ready',
        unit: last.name,
        readiness: { type: 'active' },
        deadlineMs: last.deadlineMs,
        startedWith: '',
      },
      reads: [touched.id],
      writes: [],
      needs: [`restart ${touched.id}`],
      weightMs: 500,
    },
  ];
}

// ── between units, and between a unit and what it read ───────────────────────────────────────────────────────────────

/** Adds what removals wait for, and what waits for them. */
export function inRemovalOrder(about: Together<'unit'>): Together<'unit'> {
  const gone = about.changes.filter(({ desired, touched }) => !desired && hasOwnFile(definitionsOf(touched, 'unit')));
  if (gone.length === 0) return about;
  return { ...about, steps: goneBeforeStarts(readersFirst(about.steps, gone), { ...about, gone }) };
}

/** What a unit read goes after the unit: a process must not miss what it was started with. */
function readersFirst(steps: readonly Step[], gone: readonly ChangeOf<'unit'>[]): Step[] {
  const leaving = new Set(gone.map(({ id }) => id));
  const byReader = Map.groupBy(
    steps.filter(({ resource }) => leaving.has(resource)),
    ({ resource }) => resource,
  );
  const readers = new Map<ResourceId, string[]>();
  for (const { id, touched } of gone) {
    const ends = idsOf(byReader.get(id) ?? []);
    for (const input of definitionsOf(touched, 'unit').at(-1)?.inputs ?? []) {
      const others = readers.get(input);
      if (others) others.push(...ends);
      else readers.set(input, [...ends]);
    }
  }
  return steps.map((step) => {
    // Units among them that stay are none of these: only their drop-ins go.
    const after =
      roleOf(step) === 'removal' && kindOf(step.resource) !== 'unit' ? readers.get(step.resource) : undefined;
    return after ? { ...step, after: [...step.after, ...after] } : step;
  });
}

interface Starts {
  readonly changes: readonly ChangeOf<'unit'>[];
  readonly gone: readonly ChangeOf<'unit'>[];
}

/** What a start names, or what names it, is gone before: and then it is as important as what precedes the goal. */
function goneBeforeStarts(steps: readonly Step[], { changes, gone }: Starts): Step[] {
  const starts = new Map(steps.flatMap((step) => (roleOf(step) === 'job' ? [[step.resource, step] as const] : [])));
  const named = namedPairs(
    changes.flatMap(({ id, desired }) => (desired && starts.has(id) ? [desired] : [])),
    gone.flatMap(({ touched }) => definitionsOf(touched, 'unit').at(-1) ?? []),
  );
  if (named.length === 0) return [...steps];
  const byResource = Map.groupBy(steps, ({ resource }) => resource);
  const waiting = Map.groupBy(named, ({ starting }) => starting);
  const early = Map.groupBy(named, ({ leaving }) => leaving);
  return steps.map((step) => {
    const pairs = early.get(step.resource);
    if (pairs)
      return asImportantAs(
        step,
        pairs.flatMap(({ starting }) => starts.get(starting) ?? []),
      );
    if (starts.get(step.resource) !== step) return step;
    const before = (waiting.get(step.resource) ?? []).flatMap(({ leaving }) => idsOf(byResource.get(leaving) ?? []));
    return before.length === 0 ? step : { ...step, needs: [...step.needs, ...before] };
  });
}

function asImportantAs(step: Step, others: readonly Step[]): Step {
  return {
    ...step,
    importance: mostImportant([step, ...others].map(({ importance }) => importance)),
    deferrable: [step, ...others].every(({ deferrable }) => deferrable),
  };
}

interface NamedPair {
  readonly starting: ResourceId;
  readonly leaving: ResourceId;
}

/** Which of the one units names one of the others in its unit file or drop-ins, or is named there. */
function namedPairs(starting: readonly UnitResource[], leaving: readonly UnitResource[]): NamedPair[] {
  const [startingByName, leavingByName] = [byName(starting), byName(leaving)];
  return [
    ...starting.flatMap((unit) =>
      wordsOf(unit).flatMap((word) => {
        const other = leavingByName.get(word);
        return other ? [{ starting: unit.id, leaving: other.id }] : [];
      }),
    ),
    ...leaving.flatMap((unit) =>
      wordsOf(unit).flatMap((word) => {
        const other = startingByName.get(word);
        return other ? [{ starting: other.id, leaving: unit.id }] : [];
      }),
    ),
  ];
}

function byName(units: readonly UnitResource[]): ReadonlyMap<string, UnitResource> {
  return new Map(units.map((unit) => [unit.name, unit]));
}

function wordsOf({ content = '', dropIns }: UnitResource): string[] {
  const texts = [content, ...dropIns.map((dropIn) => dropIn.content)].map((text) => reveal(text));
  return [...new Set(texts.flatMap((text) => text.split(/[\s=]+/)))];
}
