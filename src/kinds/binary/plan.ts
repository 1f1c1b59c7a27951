/** Planning of `binary` resources: kept in the cache at bake, activated at boot and when tending. The cache is never consumed. */
import { cacheKey, parseVersion } from '../../model/version.ts';
import type { ResourceId } from '../../model/resources.ts';
import type { Step } from '../../model/steps.ts';
import { releaseStep } from '../file/plan.ts';
import { definitionsOf, isOfContent, removalBase, stepBase, type KindPlanner } from '../planner.ts';

export const binaryPlanner: KindPlanner<'binary'> = {
  compare({ resource, observed, touched }) {
    if (resource.place.type === 'cache') {
      return observed.cached
        ? undefined
        : { facets: ['presence'], details: [`${resource.tool} ${resource.version} is not in the cache`] };
    }
    if (observed.targetDigest === undefined)
      return { facets: ['presence'], details: [`${resource.place.target} is missing`] };
    if (observed.cached !== undefined) {
      if (observed.cached.digest === observed.targetDigest) return undefined;
      return { facets: ['content'], details: [`${resource.place.target} is not ${resource.tool} ${resource.version}`] };
    }
    if (observed.placedDigest !== undefined && observed.placedDigest !== observed.targetDigest)
      return { facets: ['content'], details: [`${resource.place.target} was changed since it was placed`] };
    // Not from the cache (a custom URL, a package): what we placed ourselves for this very definition stays.
    const last = definitionsOf(touched, 'binary').at(-1);
    const same =
      touched?.done === true &&
      last?.version === resource.version &&
      JSON.stringify(last.sources) === JSON.stringify(resource.sources);
    return same
      ? undefined
      : {
          facets: ['content'],
          details: [`${resource.place.target} is not known to be ${resource.tool} ${resource.version}`],
        };
  },

  absent({ tool, version }, { cache }) {
    const key = cacheKey(parseVersion(version));
    const keys = Object.hasOwn(cache, tool) ? cache[tool] : undefined;
    const cached = keys?.includes(key) ? { key, file: `/opt/bin/${tool}-${key}`, digest: '' } : undefined;
    const cacheRefusals = cached ? [] : [`${tool} ${version} is not in the cache`];
    return { kind: 'binary', cached, cacheRefusals, targetDigest: undefined };
  },

  reads: () => [],
  contentOf: ({ tool, version, place }) => [tool, version, place],
  changesContent: isOfContent,

  steps: (change, resource) => {
    const target =
      resource.place.type === 'activate' ? resource.place.target : `cache:${resource.tool}-${resource.version}`;
    const verb = resource.place.type === 'activate' ? 'activate' : 'cache';
    return [
      {
        ...stepBase(resource),
        id: `${verb} ${resource.id}`,
        action: { do: verb, binary: resource.id },
        reads: [],
        writes: [target],
        needs: [],
        weightMs: verb === 'activate' ? 5 : 1000,
        why: change.details.join(', '),
      },
    ];
  },

  removal: (touched, observed) => {
    const last = definitionsOf(touched, 'binary').at(-1);
    if (!last) return [releaseStep(touched)];
    if (last.place.type === 'cache') {
      if (!observed.cached) return [releaseStep(touched)];
      return [
        {
          ...removalBase(touched),
          id: `forget ${touched.id}`,
          action: { do: 'forget-cached', tool: last.tool, version: last.version },
          writes: [`cache:${last.tool}-${last.version}`],
        },
      ];
    }
    if (observed.targetDigest === undefined) return [releaseStep(touched)];
    return [
      {
        ...removalBase(touched),
        id: `remove ${touched.id}`,
        action: { do: 'remove', paths: [last.place.target], restoreOriginal: false },
        writes: [last.place.target],
      },
    ];
  },

  usesCached: ({ tool, version, place, sources }) => {
    if (place.type !== 'activate') return undefined;
    if (sources.some(({ type }) => type === 'cache')) return { tool, version };
    // What a bake places itself has a digest for a version, and the cache never has it.
    const isOfManifest = sources.every((source) => source.type !== 'cache' && source.role === 'manifest');
    return isOfManifest ? undefined : { tool };
  },

  together: ({ steps, changes }) =>
    changes.every(({ desired }) => desired) ? steps : yieldTargets(steps, new Set(changes.map(({ id }) => id))),
};

/** What another resource writes is not removed for the sake of the program that was there before. */
function yieldTargets(steps: readonly Step[], programs: ReadonlySet<ResourceId>): Step[] {
  const written = new Set(steps.filter(({ action }) => action.do !== 'remove').flatMap(({ writes }) => writes));
  return steps.map((step) =>
    step.action.do === 'remove' && programs.has(step.resource) && step.writes.every((path) => written.has(path))
      ? { ...step, action: { do: 'release' }, writes: [] }
      : step,
  );
}
