/**
 * The critical path of a boot: back from the goal, from each step to the one it waited longest for; and what of documents
 * stood on it that need not have. Pure. Times are CLOCK_MONOTONIC milliseconds.
 */
import { isNeverDeferrable } from '../config/never-deferrable.ts';
import { isResourceId, kindOf } from '../model/resources.ts';
import type { Delay, ResultStep } from './result.ts';

const kubeletReady = 'ready unit:kubelet.service';

/**
 * The goal is kubelet being ready; in a plan without kubelet, the last step before the deferred ones. Of a boot that ended before
 * kubelet was started, what it had waited for longest by then.
 */
export function goalOf<Step extends ResultStep>(steps: readonly Step[]): Step | undefined {
  const done = steps.filter((step) => step.phase === 'goal' && step.status !== 'skipped');
  const interrupted = done.filter(({ status }) => status === 'interrupted').sort((a, b) => a.startMs - b.startMs);
  return done.find((step) => step.id === kubeletReady) ?? interrupted[0] ?? latest(done);
}

function latest<Step extends ResultStep>(steps: readonly Step[]): Step | undefined {
  return steps.reduce<Step | undefined>(
    (last, step) =>
      !last || step.endMs > last.endMs || (step.endMs === last.endMs && step.startMs > last.startMs) ? step : last,
    undefined,
  );
}

/** From the first step to the goal: each waited longest for the one before it. */
export function pathTo<Step extends ResultStep>(goal: Step, steps: readonly Step[]): Step[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const path: Step[] = [];
  for (let step: Step | undefined = goal; step && !path.includes(step);) {
    path.unshift(step);
    const needs: Step[] = step.needs.map((id) => byId.get(id)).filter((need) => need !== undefined);
    step = latest(needs);
  }
  return path;
}

/** Less than this is nothing that anybody would move. */
const leastMs = 1;

/**
 * What kubelet's being ready waited for on the critical path, longest first: units, actions and programs that `deferrable`
 * would have taken off it. Nothing of a boot whose kubelet did not become ready.
 */
export function delaysIn(steps: readonly ResultStep[]): Delay[] {
  const goal = steps.find(({ id, status }) => id === kubeletReady && status === 'done');
  if (!goal) return [];
  const times = new Map<string, number>();
  let clock = -Infinity;
  for (const { id, resource, startMs, endMs } of pathTo(goal, steps)) {
    const ms = Math.max(0, endMs - Math.max(startMs, clock));
    clock = Math.max(clock, endMs);
    if (couldWait(resource) && !isUnitFile(id)) times.set(resource, (times.get(resource) ?? 0) + ms);
  }
  return [...times]
    .filter(([, ms]) => ms >= leastMs)
    .map(([resource, ms]) => ({ resource, ms: Math.round(ms * 1000) / 1000 }))
    .sort((a, b) => b.ms - a.ms);
}

/** Unit files are written and systemd reads all of them anew before kubelet, whenever their units start. */
function isUnitFile(id: string): boolean {
  return /^(?:write|daemon-reload)\b/.test(id);
}

function couldWait(resource: string): boolean {
  if (!isResourceId(resource) || isNeverDeferrable(resource)) return false;
  const kind = kindOf(resource);
  return kind === 'unit' || kind === 'action' || kind === 'binary';
}
