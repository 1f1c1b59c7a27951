/** Planning of `image` resources: container images in containerd's content store. Images stay when a document drops them: containerd's own collection decides. */
import { releaseStep } from '../file/plan.ts';
import { isOfContent, stepBase, type KindPlanner } from '../planner.ts';

export const imagePlanner: KindPlanner<'image'> = {
  compare: ({ resource, observed }) =>
    observed.present
      ? undefined
      : { facets: ['presence'], details: [`${resource.reference} is not in the content store`] },
  absent: () => ({ kind: 'image', present: false }),
  reads: () => [],
  contentOf: ({ reference, digest }) => [reference, digest],
  changesContent: isOfContent,
  steps: (change, resource) => [
    {
      ...stepBase(resource),
      id: `import ${resource.id}`,
      action: { do: 'import', image: resource.id },
      reads: resource.archive === undefined ? [] : [resource.archive],
      writes: [`image:${resource.reference}`],
      needs: [],
      weightMs: 2000,
      why: change.details.join(', '),
    },
  ],
  removal: (touched) => [releaseStep(touched)],
};
