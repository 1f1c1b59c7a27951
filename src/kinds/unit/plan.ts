/**
 * Planning of `unit` resources: unit file, drop-ins, enablement and state.
 *
 * A unit is restarted when its definition or anything it reads changed since its process was started (`startedWith`),
 * once, after one daemon-reload. A unit to be enabled that is also to be started is enabled only after it was ready: a
 * machine whose boot failed must not start it at the next boot behind our back.
 */
import type { UnitResource } from '../../model/resources.ts';
import { fingerprint } from '../../host/digest.ts';
import { roleOf, type ActionOf, type Facet, type JobName, type Step, type StepAction } from '../../model/steps.ts';
import { definitionsOf, isOfContent, stepBase, type ChangeOf, type KindPlanner, type PlanContext } from '../planner.ts';
import { placesRead } from '../file/plan.ts';
import { definitionDifferences, definitionPlaces, isRunning, namedBy, owesStart } from './definition.ts';
import { inRemovalOrder, removalOf } from './removal.ts';
import { isDefinition, isLateReload, withReload } from './reload.ts';

/** Differences after which a unit that should run must be started or restarted. */
const startFacets: ReadonlySet<Facet> = new Set(['definition', 'inputs', 'state']);

export const unitPlanner: KindPlanner<'unit'> = {
  compare({ resource, observed, touched }) {
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
    if (observed.live) {
      if (observed.stale) note('stale', 'systemd has not read unit files since they changed');
      const now = observed.restartWaits === true ? 'has ended and waits for its restart' : `is ${observed.activeState}`;
      if (resource.state === 'started' && !isUp(observed)) note('state', `${now}, wanted started`);
      if (resource.state === 'stopped' && isRunning(observed.activeState))
        note('state', `is ${observed.activeState}, wanted stopped`);
    }
    return facets.size === 0 ? undefined : { facets: [...facets], details };
  },

  absent: (resource) => ({
    kind: 'unit',
    entries: {},
    enablement: '',
    // A unit without a file of ours is a package's.
    loadState: resource.content === undefined ? 'loaded' : 'not-found',
    activeState: 'inactive',
    invocationId: '',
    live: true,
    transient: false,
    succeeded: false,
    stale: false,
  }),

  compareReads({ resource, observed, touched, own, context }) {
    if (!observed.live || resource.state !== 'started' || !isUp(observed)) return undefined;
    const redefined = own?.facets.includes('definition') === true;
    if (owesStart(touched) && !redefined)
      return { facets: ['inputs'], details: ['an earlier run did not get to its start'] };
    if (resource.onChange === 'none') return undefined;
    const read = [...resource.inputs, ...(resource.startInputs ?? [])];
    const changed = read.filter((input) => input !== resource.id && context.contentChanges(input));
    if (changed.length > 0) return { facets: ['inputs'], details: [`reads ${changed.join(', ')}, which changes`] };
    const outdated = touched?.startedWith !== undefined && touched.startedWith !== startFingerprint(resource, context);
    if (!outdated || redefined) return undefined;
    return { facets: ['inputs'], details: ['was started with an earlier state of what it reads'] };
  },

  reads: ({ inputs, startInputs = [] }) => [...inputs, ...startInputs],
  contentOf: ({ content, dropIns }) => [content, dropIns],
  changesContent: isOfContent,

  steps(change, resource, context) {
    const about: UnitChange = {
      change,
      resource,
      base: { ...stepBase(resource), reads: [], weightMs: 1, why: change.details.join(', ') },
      reads: [
        ...definitionPlaces(resource.name),
        ...placesRead({
          now: namedBy(resource),
          before: definitionsOf(change.touched, 'unit').flatMap(namedBy),
          context,
        }),
      ],
      enablement: enablementChange(resource, change.observed.enablement),
      starts:
        change.observed.live && resource.state === 'started' && change.facets.some((facet) => startFacets.has(facet)),
      startedWith: startFingerprint(resource, context),
    };
    const definition = definitionSteps(about);
    const unmask = unmaskSteps(about, definition);
    const stop = stopSteps(about);
    const start = startSteps(about, [...definition, ...unmask]);
    return [
      ...definition,
      ...unmask,
      ...stop,
      ...start,
      ...enablementSteps(about, [...definition, ...unmask, ...stop]),
    ];
  },

  removal: removalOf,

  together: (about) => withReload(inRemovalOrder(about)),
  definesUnits: ({ live }) => (live ? isDefinition : undefined),
  // Unit files are written as soon as possible; what waits is jobs, and enablement of a unit that a package brings.
  waitsForNeeds: (step) => ['job', 'stop', 'enablement'].includes(roleOf(step)),
  // Who needs the unit does not wait until systemd reads again what was enabled after the unit was ready.
  completes: (step) => !isLateReload(step) && (roleOf(step) !== 'enablement' || !step.deferrable),
  impactOf: ({ action, why }) => (isJob(action) ? [{ unit: action.unit, effect: action.do, why }] : []),
};

function isJob(action: StepAction): action is ActionOf<JobName> {
  return action.do === 'start' || action.do === 'restart' || action.do === 'reload' || action.do === 'stop';
}

/** What the stages of a change share. */
interface UnitChange {
  readonly change: ChangeOf<'unit'>;
  readonly resource: UnitResource;
  readonly base: Omit<Step, 'id' | 'action' | 'writes' | 'needs'>;
  readonly enablement: EnablementChange | undefined;
  /** Places that its start reads. */
  readonly reads: readonly string[];
  /** Its process is to be started, or started anew. */
  readonly starts: boolean;
  readonly startedWith: string;
}

const idsOf = (steps: readonly Step[]): string[] => steps.map(({ id }) => id);

/** Unit file and drop-ins: those that differ are written, those of earlier definitions removed. */
function definitionSteps({ change, resource, base }: UnitChange): Step[] {
  return definitionDifferences(resource, change.observed.entries, change.touched).map(({ path, wanted }) => ({
    ...base,
    id: `${wanted ? 'write' : 'remove'} ${resource.id} ${path}`,
    action: wanted
      ? { do: 'write', path, entry: wanted, keepOriginal: false }
      : { do: 'remove', paths: [path], restoreOriginal: false },
    writes: [path],
    needs: [],
  }));
}

/** A masked unit can be neither started nor enabled. */
function unmaskSteps({ change, resource, base, enablement }: UnitChange, before: readonly Step[]): Step[] {
  const masked = change.observed.enablement.startsWith('masked') && resource.enablement !== 'masked';
  if (enablement !== 'unmask' && !masked) return [];
  return [
    {
      ...base,
      id: `unmask ${resource.id}`,
      action: { do: 'enablement', unit: resource.name, change: 'unmask' },
      writes: [`enablement:${resource.name}#mask`],
      needs: idsOf(before),
    },
  ];
}

function stopSteps({ change, resource, base }: UnitChange): Step[] {
  if (!change.observed.live || resource.state !== 'stopped' || !change.facets.includes('state')) return [];
  return [
    {
      ...base,
      id: `stop ${resource.id}`,
      action: { do: 'stop', unit: resource.name, startedWith: '' },
      writes: [resource.id],
      needs: [],
      weightMs: 50,
    },
  ];
}

/** A job and the step that joins it. */
function startSteps(
  { change, resource, base, reads, starts, startedWith }: UnitChange,
  before: readonly Step[],
): Step[] {
  if (!starts) return [];
  const { observed, touched, facets } = change;
  const reloads = resource.onChange === 'reload' && !facets.includes('definition') && !owesStart(touched);
  const effect = !isRunning(observed.activeState) ? 'start' : reloads && isUp(observed) ? 'reload' : 'restart';
  return [
    {
      ...base,
      id: `${effect} ${resource.id}`,
      action: { do: effect, unit: resource.name, startedWith },
      reads,
      writes: [resource.id],
      needs: idsOf(before),
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
      },
      writes: [],
      reads: [resource.id],
      needs: [`${effect} ${resource.id}`],
      weightMs: 500,
    },
  ];
}

/** What is to be started is enabled only after it was ready. */
function enablementSteps({ resource, base, enablement, starts }: UnitChange, before: readonly Step[]): Step[] {
  if (!enablement || enablement === 'unmask') return [];
  const afterReady = enablement === 'enable' && starts;
  return [
    {
      ...base,
      id: `${enablement} ${resource.id}`,
      action: { do: 'enablement', unit: resource.name, change: enablement },
      writes: [`enablement:${resource.name}`],
      needs: [...idsOf(before), ...(afterReady ? [`ready ${resource.id}`] : [])],
      deferrable: base.deferrable || afterReady,
      weightMs: 10,
    },
  ];
}

/** Running, or a oneshot that did its work. */
function isUp({ activeState, restartWaits, transient, succeeded }: ChangeOf<'unit'>['observed']): boolean {
  return (isRunning(activeState) && restartWaits !== true) || (transient && succeeded);
}

/** What a process of this unit is started with: its definition and the content of everything it reads while it runs. */
function startFingerprint(unit: UnitResource, context: PlanContext): string {
  const inputs = [...unit.inputs].sort().map((id) => [id, context.contentOf(id)]);
  return fingerprint({ content: unit.content, dropIns: unit.dropIns, inputs });
}

type EnablementChange = ActionOf<'enablement'>['change'];

/** Units without [Install] (`static`, `generated`, …) cannot be enabled and count as they are. */
function enablementChange(unit: UnitResource, observed: string): EnablementChange | undefined {
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
