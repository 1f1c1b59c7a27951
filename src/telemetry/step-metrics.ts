/** Metrics made of the executor's events: how many steps ended how, and how long they took, by kind of resource. */
import type { StepEvent } from './events.ts';
import type { Metrics } from './metrics.ts';

const seconds = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];

/** What to call with every event. */
export function measureSteps(metrics: Metrics): (event: StepEvent) => void {
  const ended = metrics.counter({ name: 'nodekiln_steps_total', help: 'Steps of plans, by kind and how they ended.' });
  const durations = metrics.histogram({
    name: 'nodekiln_step_seconds',
    help: 'Time of steps that were carried out.',
    buckets: seconds,
  });
  return (event) => {
    if (event.type !== 'end') return;
    const { resource, status, startMs, endMs } = event.record;
    // Steps of no resource, such as a daemon-reload, are named by what they do.
    const kind = resource.includes(':') ? resource.slice(0, resource.indexOf(':')) : resource;
    ended.add(1, { kind, status });
    if (status !== 'skipped') durations.observe((endMs - startMs) / 1000, { kind });
  };
}
