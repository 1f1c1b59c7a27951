/** A unit ordered after the one that runs us would wait for us while we wait for it: an error of the plan, not a deadlock. */
import { NodekilnError } from '../../errors.ts';
import type { Host } from '../../host/port.ts';
import type { ResourceId } from '../../model/resources.ts';
import type { Plan, Step } from '../../model/steps.ts';

/** NK_PLAN_SELF_WAIT, also for an order that the plan itself is about to write. */
export async function checkSelfWait(host: Host, plan: Plan, selfUnit: string | undefined): Promise<void> {
  if (selfUnit === undefined) return;
  const steps = Map.groupBy(plan.steps, ({ resource }) => resource);
  for (const { unit, effect } of plan.impact) {
    if (effect === 'stop') continue;
    const resource: ResourceId = `unit:${unit}`;
    const after: readonly string[] = await host.units.dependencies(unit, 'After').catch(() => []);
    if (after.includes(selfUnit) || (steps.get(resource) ?? []).some((step) => writesOrderAfter(step, selfUnit))) {
      throw new NodekilnError(
        'NK_PLAN_SELF_WAIT',
        `${unit} is ordered After=${selfUnit}, which starts it and waits for it`,
        { resource },
      );
    }
  }
}

function writesOrderAfter({ action }: Step, selfUnit: string): boolean {
  return (
    action.do === 'write' &&
    action.entry.type === 'file' &&
    action.entry.content.data
      .split('\n')
      .some((line) => line.startsWith('After=') && line.slice('After='.length).split(/\s+/).includes(selfUnit))
  );
}
