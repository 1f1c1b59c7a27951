/** Planning of `file` resources: files, folders and symlinks at a path. */
import { parentsOf } from '../../model/path.ts';
import { kindOf, nameOf, type FileResource, type ResourceId } from '../../model/resources.ts';
import type { FileObservation, Step } from '../../model/steps.ts';
import { isOfContent, removalBase, stepBase, type ChangeOf, type KindPlanner, type Together } from '../planner.ts';
import { compareEntry, wantedEntry } from './entry.ts';

export const filePlanner: KindPlanner<'file'> = {
  compare: ({ resource, observed }) => compareEntry(wantedEntry(resource), observed.entry),

  keepsOriginal: isFile,

  absent: () => ({ kind: 'file', entry: { type: 'absent' } }),
  reads: () => [],
  contentOf: ({ entry }) => {
    switch (entry.type) {
      case 'file':
        return entry.content;
      case 'symlink':
        return entry.target;
      case 'directory':
        return 'directory';
    }
  },
  changesContent: isOfContent,

  steps: (change, resource) => [writeStep(change, resource)],
  together: belowRemoved,

  removal: (touched, observed) => {
    const path = touched.id.slice('file:'.length);
    if (observed.entry.type === 'absent' && !touched.original) return [releaseStep(touched)];
    return [
      {
        ...removalBase(touched),
        id: `remove ${touched.id}`,
        action: { do: 'remove', paths: [path], restoreOriginal: touched.original },
        writes: [path],
      },
    ];
  },
};

function isFile({ entry }: FileObservation): boolean {
  return entry.type === 'file';
}

function writeStep(change: ChangeOf<'file'>, resource: FileResource): Step {
  // Intended before, but never seen done: whether the original was saved is known only where it is saved.
  const unsettled = change.touched === undefined || (change.touched.original && !change.touched.done);
  const foreign = unsettled && isFile(change.observed);
  const entry = wantedEntry(resource);
  return {
    ...stepBase(resource),
    id: `write ${resource.id}`,
    action: { do: 'write', path: resource.path, entry, keepOriginal: foreign && entry.type !== 'directory' },
    reads: [],
    writes: [resource.path],
    needs: [],
    weightMs: 1,
    why: change.details.join(', '),
  };
}

/** Paths of the files among these, each once. */
export function filesAmong(ids: readonly ResourceId[]): string[] {
  return [...new Set(ids.flatMap((id) => (kindOf(id) === 'file' ? nameOf(id) : [])))];
}

/** Where something else stands in the way of a folder, it goes before what comes below it. */
function belowRemoved({ steps, changes }: Together<'file'>): readonly Step[] {
  const inTheWay = new Map(
    changes.flatMap(({ id, desired, observed: { entry } }) =>
      desired || entry.type === 'directory' ? [] : [[nameOf(id), `remove ${id}`] as const],
    ),
  );
  if (inTheWay.size === 0) return steps;
  const there = new Set(steps.map(({ id }) => id));
  return steps.map((step) => {
    if (step.action.do !== 'write') return step;
    const removals = parentsOf(step.action.path).flatMap((path) => inTheWay.get(path) ?? []);
    const after = removals.filter((id) => there.has(id));
    return after.length === 0 ? step : { ...step, after: [...step.after, ...after] };
  });
}

/** Nothing is left on the host; only our own note of it goes. */
export function releaseStep(touched: Parameters<typeof removalBase>[0]): Step {
  return { ...removalBase(touched), id: `release ${touched.id}`, action: { do: 'release' }, writes: [] };
}
