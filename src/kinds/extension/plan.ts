/**
 * Planning of `extension` resources. Each that changes is fetched and checked by a step of its own; then one step puts all
 * of them in force and takes away those nobody asks for, because systemd merges all extensions at once.
 */
import { nameOf, type ExtensionResource, type ResourceId } from '../../model/resources.ts';
import type { Step } from '../../model/steps.ts';
import { releaseStep } from '../file/plan.ts';
import { isOfContent, stepBase, type KindPlanner, type Together } from '../planner.ts';

const mergeStepId = 'merge extensions';

export const extensionPlanner: KindPlanner<'extension'> = {
  compare({ resource, observed: { record, deviations }, touched }) {
    if (!record) return { facets: ['presence'], details: [`${resource.name} is not in force`] };
    const details = [
      ...(record.version === resource.version
        ? []
        : [`version ${record.version ?? 'unknown'}, wanted ${resource.version ?? 'any'}`]),
      ...(record.path === localPath(resource) ? [] : ['comes from another place']),
      ...(record.digest === resource.digest ? [] : ['another digest is wanted']),
      ...(String(record.tools) === String(resource.tools) ? [] : ['other tools are wanted']),
      ...(record.settled && touched?.done !== false ? deviations : ['was not finished']),
    ];
    return details.length === 0 ? undefined : { facets: ['content'], details };
  },

  absent: () => ({ kind: 'extension', live: true, record: undefined, deviations: [] }),

  reads: () => [],
  contentOf: (resource) => [resource.name, resource.version, resource.digest, localPath(resource)],
  changesContent: isOfContent,

  steps: (change, resource) => [
    {
      ...stepBase(resource),
      id: `fetch ${resource.id}`,
      action: { do: 'fetch-extension', extension: resource.id },
      reads: resource.sources.flatMap((source) => (source.type === 'local' ? [source.path] : [])),
      writes: [`/var/lib/nodekiln/extensions/${resource.name}`],
      needs: [],
      weightMs: 1000,
      why: change.details.join(', '),
    },
  ],

  removal: (touched) => [releaseStep(touched)],
  together: withMerge,
  definesUnits: ({ live }) => (live ? (step) => step.action.do === 'merge-extensions' : undefined),
};

/** Which extension of its name it is, when no version says so. */
export function localPath({ sources }: ExtensionResource): string | undefined {
  return sources.find((source) => source.type === 'local')?.path;
}

/** Adds the one step that merges, and lets everything that changes about extensions end with it. */
function withMerge({ steps, changes }: Together<'extension'>): readonly Step[] {
  const wanted = changes.flatMap(({ desired }) => desired ?? []);
  const dropped = changes.filter(({ desired, observed }) => !desired && observed.record);
  const subject = wanted[0]?.id ?? dropped[0]?.id;
  if (subject === undefined) return steps;
  const fetches = steps.filter((step) => step.action.do === 'fetch-extension').map((step) => step.id);
  const ids = new Set<ResourceId>([...wanted, ...dropped].map(({ id }) => id));
  const merge: Step = {
    after: [],
    resource: subject,
    importance: 'required',
    deferrable: false,
    id: mergeStepId,
    action: {
      do: 'merge-extensions',
      extensions: wanted.map(({ id }) => id),
      remove: dropped.map(({ id }) => nameOf(id)),
    },
    reads: [],
    writes: wanted.flatMap(({ name, tools }) => [
      `/etc/extensions/${name}`,
      ...tools.map((tool) => `/opt/bin/${tool}`),
    ]),
    needs: fetches,
    weightMs: 300,
    why: `${[...ids].map(nameOf).join(', ')} ${ids.size === 1 ? 'changes' : 'change'}`,
  };
  // Each resource is done when the merge is, not when it is fetched.
  const given = new Set(
    changes.flatMap(({ observed }) => observed.record?.tools.map((tool) => `/opt/bin/${tool}`) ?? []),
  );
  const waiting = steps.map((step) => {
    if (ids.has(step.resource) && step.action.do === 'release') return { ...step, needs: [...step.needs, mergeStepId] };
    // What takes over a tool's place must not meet the removal of our link.
    if (step.writes.some((path) => given.has(path))) return { ...step, after: [...step.after, mergeStepId] };
    return step;
  });
  const ends = wanted
    .filter(({ id }) => id !== subject)
    .map((resource): Step => ({
      ...stepBase(resource),
      id: `merged ${resource.id}`,
      action: { do: 'release' },
      reads: [],
      writes: [],
      needs: [mergeStepId],
      weightMs: 1,
      why: 'is merged with the others',
    }));
  return [...waiting, merge, ...ends];
}
