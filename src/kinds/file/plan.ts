/** Planning of `file` resources: files, folders and symlinks at a path. */
import type { FileResource } from '../../model/resources.ts';
import type { FileObservation, Step } from '../../model/steps.ts';
import { isOfContent, removalBase, stepBase, type ChangeOf, type KindPlanner } from '../planner.ts';
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

/** Nothing is left on the host; only our own note of it goes. */
export function releaseStep(touched: Parameters<typeof removalBase>[0]): Step {
  return { ...removalBase(touched), id: `release ${touched.id}`, action: { do: 'release' }, writes: [] };
}
