/** Planning of `action` resources: a command, and a guard that says when it is already done. */
import { filesAmong, releaseStep } from '../file/plan.ts';
import { definitionsOf, readByNobody, stepBase, type KindPlanner } from '../planner.ts';

export const actionPlanner: KindPlanner<'action'> = {
  compare: ({ observed }) =>
    observed.done ? undefined : { facets: ['presence'], details: ['its guard says that it is not done'] },
  absent: () => ({ kind: 'action', done: false }),
  reads: () => [],
  ...readByNobody,
  steps: (change, resource) => [
    {
      ...stepBase(resource),
      id: `run ${resource.id}`,
      action: { do: 'run', action: resource.id },
      reads: filesAmong([...resource.needs, ...definitionsOf(change.touched, 'action').flatMap(({ needs }) => needs)]),
      writes: [resource.id],
      needs: [],
      weightMs: 1000,
      why: change.details.join(', '),
    },
  ],
  removal: (touched) => [releaseStep(touched)],
};
