/** Planning of `file` resources: files, folders and symlinks at a path. */
import { whyRefused } from '../../config/refused-paths.ts';
import { aboveOf } from '../../model/path.ts';
import { kindOf, nameOf, type FileResource, type ResourceId } from '../../model/resources.ts';
import type { FileObservation, Step, Touched } from '../../model/steps.ts';
import {
  isOfContent,
  removalBase,
  stepBase,
  type ChangeOf,
  type KindPlanner,
  type PlanContext,
  type Together,
} from '../planner.ts';
import { compareEntry, placedFrom, wantedEntry } from './entry.ts';

export const filePlanner: KindPlanner<'file'> = {
  compare: ({ resource, observed }) => compareEntry(wantedEntry(resource), observed.entry, observed.placed),

  keepsOriginal: isFile,
  folderOf: ({ path, entry }) => (entry.type === 'directory' ? path : undefined),

  absent: () => ({ kind: 'file', entry: { type: 'absent' } }),
  reads: () => [],
  contentOf: ({ entry }) => {
    switch (entry.type) {
      case 'file':
        return 'image' in entry.content ? placedFrom(entry.content.image) : entry.content;
      case 'symlink':
        return entry.target;
      case 'directory':
        return 'directory';
    }
  },
  changesContent: isOfContent,

  steps: (change, resource) => reachSteps(change, resource).concat(entryStep(change, resource)),
  together: belowRemoved,
  definesUnits: ({ readBySystemd }) => (readBySystemd === true ? changesEntry : undefined),

  removal: (touched, observed) => {
    const path = touched.id.slice('file:'.length);
    // An earlier nodekiln asked for it there, in vain.
    if (!isLeft(observed, touched) || whyRefused(path) !== undefined) return [releaseStep(touched)];
    return [
      {
        ...removalBase(touched),
        id: removalId(touched.id),
        action: { do: 'remove', paths: [path], restoreOriginal: touched.original },
        writes: [path],
      },
    ];
  },
};

/** Whether a removal has something to take away or to bring back. */
function isLeft({ entry }: FileObservation, touched: Touched | undefined): boolean {
  return entry.type !== 'absent' || touched?.original === true;
}

/** All but what only waits or only notes. */
function changesEntry({ writes }: Step): boolean {
  return writes.length > 0;
}

function removalId(id: ResourceId): string {
  return `remove ${id}`;
}

function isFile({ entry }: FileObservation): boolean {
  return entry.type === 'file';
}

/** What is there already sends nobody to a server that nobody has asked yet. */
function reachSteps(change: ChangeOf<'file'>, resource: FileResource): Step[] {
  const { onceReachable, id } = resource;
  if (!onceReachable || !change.facets.some((facet) => facet !== 'attributes')) return [];
  return [
    {
      ...stepBase(resource),
      id: `reach ${id}`,
      action: { do: 'reach', ...onceReachable },
      reads: onceReachable.servers.flatMap(({ caFiles = [] }) => caFiles),
      writes: [],
      needs: [],
      weightMs: 100,
      why: change.details.join(', '),
    },
  ];
}

function entryStep(change: ChangeOf<'file'>, resource: FileResource): Step {
  // Intended before, but never seen done: whether the original was saved is known only where it is saved.
  const unsettled = change.touched === undefined || (change.touched.original && !change.touched.done);
  const foreign = unsettled && isFile(change.observed);
  const { id, path } = resource;
  const common = {
    ...stepBase(resource),
    reads: [],
    writes: [path],
    needs: reachSteps(change, resource).map((step) => step.id),
    why: change.details.join(', '),
  };
  const entry = wantedEntry(resource);
  if (entry.type === 'placed')
    return {
      ...common,
      id: `place ${id}`,
      action: { do: 'place', file: id, path, keepOriginal: foreign },
      reads: (entry.image.transfer?.mirrors ?? []).flatMap(({ caFiles = [] }) => caFiles),
      weightMs: 2000,
    };
  const keepOriginal = foreign && entry.type !== 'directory';
  return { ...common, id: `write ${id}`, action: { do: 'write', path, entry, keepOriginal }, weightMs: 1 };
}

interface WhatIsRead {
  /** What a resource names now, and what it named before. */
  readonly now: readonly ResourceId[];
  readonly before: readonly ResourceId[];
  readonly context: Pick<PlanContext, 'folderOf'>;
}

/**
 * Places that a resource reads beside what it names, whose steps it waits for anyway: whatever lies in the folders it
 * names, and files that it named until now.
 */
export function placesRead({ now, before, context }: WhatIsRead): string[] {
  const named = new Set(now);
  const folders = now.flatMap((id) => context.folderOf(id) ?? []);
  const files = before.flatMap((id) => (!named.has(id) && kindOf(id) === 'file' ? nameOf(id) : []));
  return [...new Set([...folders, ...files])];
}

/** Where something else stands in the way of a folder, it goes before what comes below it. */
function belowRemoved({ steps, changes }: Together<'file'>): readonly Step[] {
  const inTheWay = new Map<string, string>();
  for (const { id, desired, observed, touched } of changes) {
    const leaves = isLeft(observed, touched) && observed.entry.type !== 'directory';
    if (!desired && leaves) inTheWay.set(nameOf(id), removalId(id));
  }
  if (inTheWay.size === 0) return steps;
  const above = aboveOf((path) => inTheWay.get(path));
  return steps.map((step) => {
    const { action } = step;
    const removals = action.do === 'write' || action.do === 'place' ? above(action.path) : [];
    return removals.length === 0 ? step : { ...step, after: [...step.after, ...removals] };
  });
}

/** Nothing is left on the host; only our own note of it goes. */
export function releaseStep(touched: Parameters<typeof removalBase>[0]): Step {
  return { ...removalBase(touched), id: `release ${touched.id}`, action: { do: 'release' }, writes: [] };
}
