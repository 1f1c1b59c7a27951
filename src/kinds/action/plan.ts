/** Planning of `action` resources: a command, and a guard that says when it is already done. */
import { placesRead, releaseStep } from '../file/plan.ts';
import { definitionsOf, readByNobody, stepBase, type KindPlanner } from '../planner.ts';

export const actionPlanner: KindPlanner<'action'> = {
  compare: ({ observed }) =>
    observed.done ? undefined : { facets: ['presence'], details: ['its guard says that it is not done'] },
  absent: () => ({ kind: 'action', done: false }),
  reads: () => [],
  ...readByNobody,
  steps: (change, resource, context) => [
    {
      ...stepBase(resource),
      id: `run ${resource.id}`,
      action: { do: 'run', action: resource.id },
      reads: placesRead({
        now: resource.needs,
        before: definitionsOf(change.touched, 'action').flatMap(({ needs }) => needs),
        context,
      }),
      writes: [resource.id],
      needs: [],
      weightMs: 1000,
      why: [...(resource.title === undefined ? [] : [resource.title]), change.details.join(', ')].join(': '),
    },
  ],
  removal: (touched) => [releaseStep(touched)],
};
