/**
 * Planning of `unit` resources: unit file, drop-ins, enablement and state.
 *
 * A unit is restarted when its definition or anything it reads changed since its process was started (`startedWith`),
 * once, after one daemon-reload. A unit to be enabled that is also to be started is enabled only after it was ready: a
 * machine whose boot failed must not start it at the next boot behind our back.
 */
import type { UnitResource } from '../../model/resources.ts';
import type { Change, EntryObservation, Facet, Step, Touched, WriteEntry } from '../../model/steps.ts';
import { compareEntry, textEntry } from '../file/entry.ts';
import { releaseStep } from '../file/plan.ts';
import { definitionsOf, removalBase, stepBase, type KindPlanner } from '../planner.ts';

const unitFolder = '/etc/systemd/system';

/** Paths of ours and what belongs there. */
export function unitEntries(unit: UnitResource): Map<string, WriteEntry> {
  const entries = new Map<string, WriteEntry>();
  if (unit.content !== undefined) entries.set(`${unitFolder}/${unit.name}`, textEntry(unit.content));
  for (const dropIn of unit.dropIns) {
    entries.set(`${unitFolder}/${unit.name}.d/${dropIn.name}`, textEntry(dropIn.content));
  }
  return entries;
}

/** Every path that this definition and the earlier ones may have left, for observation. */
export function unitPaths(unit: UnitResource | undefined, touched: Touched | undefined): string[] {
  const definitions = [...definitionsOf(touched, 'unit'), ...(unit ? [unit] : [])];
  return [...new Set(definitions.flatMap((definition) => [...unitEntries(definition).keys()]))].sort();
}

/** Differences after which a unit that should run must be started or restarted. */
const startFacets: ReadonlySet<Facet> = new Set(['definition', 'inputs', 'state']);

export const unitPlanner: KindPlanner<'unit'> = {
  compare({ resource, observed, touched, context }) {
    const facets = new Set<Facet>();
    const details: string[] = [];
    const note = (facet: Facet, detail: string): void => {
      facets.add(facet);
      details.push(detail);
    };
    for (const { path, detail } of definitionDifferences(resource, observed.entries, touched)) {
      note('definition', `${path} ${detail}`);
    }
    const enablement = enablementChange(resource, observed.enablement);
    if (enablement) note('enablement', `is ${observed.enablement || 'not enabled'}, wanted ${resource.enablement}`);
    if (!observed.live) return facets.size === 0 ? undefined : { facets: [...facets], details };

    if (observed.stale) note('stale', 'systemd has not read unit files since they changed');
    const running = isRunning(observed.activeState) || (observed.transient && observed.succeeded);
    if (resource.state === 'started' && !running) note('state', `is ${observed.activeState}, wanted started`);
    if (resource.state === 'stopped' && isRunning(observed.activeState))
      note('state', `is ${observed.activeState}, wanted stopped`);
    if (resource.state === 'started' && running && owesStart(touched) && !facets.has('definition')) {
      note('inputs', 'an earlier run did not get to its start');
    } else if (resource.state === 'started' && running && resource.onChange !== 'none') {
      const changed = resource.inputs.filter((input) => context.contentChanges(input));
      const outdated = touched?.startedWith !== undefined && touched.startedWith !== context.startFingerprint(resource);
      if (changed.length > 0) note('inputs', `reads ${changed.join(', ')}, which changes`);
      else if (outdated && !facets.has('definition'))
        note('inputs', 'was started with an earlier state of what it reads');
    }
    return facets.size === 0 ? undefined : { facets: [...facets], details };
  },

  steps(change, resource, context) {
    const observed = change.observed.kind === 'unit' ? change.observed : undefined;
    const live = observed?.live ?? false;
    const steps: Step[] = [];
    const base = { ...stepBase(resource), reads: [], weightMs: 1, why: change.details.join(', ') };

    for (const difference of definitionDifferences(resource, observed?.entries ?? {}, change.touched)) {
      steps.push(
        difference.wanted
          ? {
              ...base,
              id: `write ${resource.id} ${difference.path}`,
              action: { do: 'write', path: difference.path, entry: difference.wanted, keepOriginal: false },
              writes: [difference.path],
              needs: [],
            }
          : {
              ...base,
              id: `remove ${resource.id} ${difference.path}`,
              action: { do: 'remove', paths: [difference.path], restoreOriginal: false },
              writes: [difference.path],
              needs: [],
            },
      );
    }
    const written = steps.map((step) => step.id);
    const startedWith = context.startFingerprint(resource);
    const change_ = enablementChange(resource, observed?.enablement ?? '');
    const mustStart = live && resource.state === 'started' && change.facets.some((facet) => startFacets.has(facet));
    const unmask =
      change_ === 'unmask' || (observed?.enablement.startsWith('masked') === true && resource.enablement !== 'masked');

    if (unmask) {
      steps.push({
        ...base,
        id: `unmask ${resource.id}`,
        action: { do: 'enablement', unit: resource.name, change: 'unmask' },
        writes: [`enablement:${resource.name}#mask`],
        needs: written,
      });
    }
    if (live && resource.state === 'stopped' && change.facets.includes('state')) {
      steps.push({
        ...base,
        id: `stop ${resource.id}`,
        action: { do: 'stop', unit: resource.name, startedWith: '' },
        writes: [resource.id],
        needs: [],
        weightMs: 50,
      });
    }
    if (mustStart) {
      const running = observed !== undefined && isRunning(observed.activeState);
      const effect = !running
        ? 'start'
        : resource.onChange === 'reload' && !change.facets.includes('definition') && !owesStart(change.touched)
          ? 'reload'
          : 'restart';
      steps.push(
        {
          ...base,
          id: `${effect} ${resource.id}`,
          action: { do: effect, unit: resource.name, startedWith },
          writes: [resource.id],
          needs: [...written, ...(unmask ? [`unmask ${resource.id}`] : [])],
          weightMs: 5,
        },
        {
          ...base,
          id: `ready ${resource.id}`,
          action: {
            do: 'ready',
            unit: resource.name,
            readiness: resource.readiness,
            deadlineMs: resource.deadlineMs,
            startedWith,
            transient: observed?.transient ?? false,
          },
          writes: [],
          reads: [resource.id],
          needs: [`${effect} ${resource.id}`],
          weightMs: 500,
        },
      );
    }
    if (change_ && change_ !== 'unmask') {
      const afterReady = change_ === 'enable' && mustStart;
      steps.push({
        ...base,
        id: `${change_} ${resource.id}`,
        action: { do: 'enablement', unit: resource.name, change: change_ },
        writes: [`enablement:${resource.name}`],
        needs: [
          ...written,
          ...(afterReady ? [`ready ${resource.id}`] : []),
          ...(unmask ? [`unmask ${resource.id}`] : []),
          ...steps.filter((step) => step.action.do === 'stop').map((step) => step.id),
        ],
        deferrable: base.deferrable || afterReady,
        weightMs: 10,
      });
    }
    return steps;
  },

  removal(touched, observed) {
    const definitions = definitionsOf(touched, 'unit');
    const last = definitions.at(-1);
    if (!last) return [releaseStep(touched)];
    const base = removalBase(touched);
    const steps: Step[] = [];
    const ownFile = definitions.some((definition) => definition.content !== undefined);
    const known = unitPaths(undefined, touched);
    const paths = known.filter((path) => observed.entries[path]?.type !== 'absent');
    const folders = known.filter((path) => path.includes('.d/')).map((path) => path.slice(0, path.lastIndexOf('/')));
    // A killed removal may have left the folder of the drop-ins it removed.
    const leftovers = paths.length > 0 || !touched.done ? [...new Set([...paths, ...folders])] : [];
    const wasOurs = ownFile || definitions.some((definition) => definition.state === 'started');
    if (observed.live && ownFile && isRunning(observed.activeState)) {
      steps.push({
        ...base,
        id: `stop ${touched.id}`,
        action: { do: 'stop', unit: last.name, startedWith: '' },
        writes: [touched.id],
        weightMs: 50,
      });
    }
    if (last.enablement === 'enabled' && /^(enabled|linked)/.test(observed.enablement) && wasOurs) {
      steps.push({
        ...base,
        id: `disable ${touched.id}`,
        action: { do: 'enablement', unit: last.name, change: 'disable' },
        writes: [`enablement:${last.name}`],
        needs: steps.map((step) => step.id),
      });
    }
    if (last.enablement === 'masked' && observed.enablement.startsWith('masked')) {
      steps.push({
        ...base,
        id: `unmask ${touched.id}`,
        action: { do: 'enablement', unit: last.name, change: 'unmask' },
        writes: [`enablement:${last.name}`],
        needs: steps.map((step) => step.id),
      });
    }
    if (leftovers.length > 0) {
      steps.push({
        ...base,
        id: `remove ${touched.id}`,
        action: { do: 'remove', paths: leftovers, restoreOriginal: false },
        writes: paths,
        needs: steps.map((step) => step.id),
      });
    }
    // A vendor's unit whose drop-in went away runs on without it: it must read its definition again.
    const outdated = paths.length > 0 || (owesStart(touched) && definitions.some(({ dropIns }) => dropIns.length > 0));
    if (observed.live && !ownFile && outdated && isRunning(observed.activeState)) {
      steps.push(
        {
          ...base,
          id: `restart ${touched.id}`,
          action: { do: 'restart', unit: last.name, startedWith: '' },
          writes: [touched.id],
          needs: leftovers.length > 0 ? [`remove ${touched.id}`] : [],
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
            transient: observed.transient,
          },
          writes: [],
          reads: [touched.id],
          needs: [`restart ${touched.id}`],
          weightMs: 500,
        },
      );
    }
    return steps.length === 0 ? [releaseStep(touched)] : steps;
  },
};

/** Its start was intended, and nothing says that it came to that: what runs may be older than what is in place. */
function owesStart(touched: Touched | undefined): boolean {
  return touched?.startedWith === '';
}

export function isRunning(activeState: string): boolean {
  return (
    activeState === 'active' ||
    activeState === 'activating' ||
    activeState === 'reloading' ||
    activeState === 'refreshing'
  );
}

interface DefinitionDifference {
  readonly path: string;
  readonly detail: string;
  /** Absent: an earlier definition left it and it must go. */
  readonly wanted: WriteEntry | undefined;
}

function definitionDifferences(
  unit: UnitResource,
  observed: Readonly<Record<string, EntryObservation>>,
  touched: Touched | undefined,
): DefinitionDifference[] {
  const wanted = unitEntries(unit);
  const differences: DefinitionDifference[] = [];
  for (const [path, entry] of wanted) {
    const difference = compareEntry(entry, observed[path] ?? { type: 'absent' });
    if (difference) differences.push({ path, detail: difference.details.join(', '), wanted: entry });
  }
  for (const path of unitPaths(undefined, touched)) {
    const present = observed[path] !== undefined && observed[path].type !== 'absent';
    if (!wanted.has(path) && present) differences.push({ path, detail: 'is not wanted any more', wanted: undefined });
  }
  return differences;
}

/** Units without [Install] (`static`, `generated`, …) cannot be enabled and count as they are. */
function enablementChange(unit: UnitResource, observed: string): 'enable' | 'disable' | 'mask' | 'unmask' | undefined {
  const masked = observed.startsWith('masked');
  switch (unit.enablement) {
    case undefined:
      return undefined;
    case 'masked':
      return masked ? undefined : 'mask';
    case 'enabled':
      return ['enabled', 'enabled-runtime', 'static', 'alias', 'generated', 'indirect'].includes(observed)
        ? undefined
        : 'enable';
    case 'disabled':
      if (masked) return 'unmask';
      return ['enabled', 'enabled-runtime', 'linked'].includes(observed) ? 'disable' : undefined;
  }
}

/** Changes after which a unit that reads the resource must be started anew. Of kernel settings and actions it only needs that they came first. */
export function changesContent(change: Change): boolean {
  if (change.observed.kind === 'kernel' || change.observed.kind === 'action') return false;
  return (
    change.facets.includes('content') || change.facets.includes('presence') || change.facets.includes('definition')
  );
}
