/**
 * A plan as it may be shown: what, why, where each step stands and why, what restarts. Sensitive content never, nor a digest
 * of it. Pure.
 */
import { shownAddress } from '../model/shown-address.ts';
import type { Decision } from '../plan/decide.ts';
import { isNeverDeferrable } from '../config/never-deferrable.ts';
import { nameOf } from '../model/resources.ts';
import { roleOf, type Change, type Impact, type ScheduledStep, type StepAction } from '../model/steps.ts';
import { plannedSources, type LocalSources, type PlannedSources } from './plan-sources.ts';
import { unservedIn, type Unserved } from './plan-unserved.ts';

/** A plan as it may be shown: without secrets. */
export interface PlanReport {
  readonly changes: readonly Pick<Change, 'id' | 'type' | 'facets' | 'details' | 'source'>[];
  readonly steps: readonly PlannedStep[];
  /** Where the programs that change come from. */
  readonly sources: readonly PlannedSources[];
  /** Programs of them that no source can serve, with what follows. Their steps, and those that need them, are not done. */
  readonly unserved: readonly Unserved[];
  readonly goal: string | undefined;
  /** Units whose start, restart or reload the goal waits for, in the order of the steps; without the goal's own. */
  readonly beforeGoal: readonly UnitBeforeGoal[];
  /** What happens to units; without what does not because of `unserved`. */
  readonly impact: readonly Impact[];
  /** Resources that a later source has taken over: nothing is done for them. */
  readonly overridden: readonly string[];
  readonly warnings: readonly string[];
  /** What follows from what the documents do not say, or is known only later. */
  readonly notes: readonly string[];
}

export interface UnitBeforeGoal {
  readonly unit: string;
  /** False for what kubelet cannot do without, and for what another step before the goal needs. */
  readonly mayWait: boolean;
}

/** One effect of a plan, and why it is where it is. */
export interface PlannedStep {
  /** 1 is first: the order the executor prefers. */
  readonly position: number;
  readonly id: string;
  readonly resource: string;
  readonly action: unknown;
  readonly phase: ScheduledStep['phase'];
  /** Why it is in the plan. */
  readonly why: string;
  /** Why it stands where it stands. */
  readonly reason: string;
  readonly needs: readonly string[];
  readonly importance: string;
  readonly deferrable: boolean;
  readonly remainingMs: number;
  /** False when a program that no source serves stands in its way. */
  readonly possible: boolean;
}

/** What is said of a plan beside itself. */
export interface PlanRemarks {
  readonly warnings: readonly string[];
  readonly notes?: readonly string[] | undefined;
  /** Absent where the machine is not at hand. */
  readonly looked?: LocalSources;
}

export function planReport(decision: Decision, { warnings, notes = [], looked }: PlanRemarks): PlanReport {
  const sources = plannedSources(decision.plan.changes, looked);
  const unserved = unservedIn(decision.schedule, { sources, impact: decision.plan.impact });
  const lost = new Set(unserved.flatMap(({ impact }) => impact));
  const undone = new Set(unserved.flatMap(({ steps }) => steps));
  return {
    changes: decision.plan.changes.map(({ id, type, facets, details, source }) => ({
      id,
      type,
      facets,
      details,
      source,
    })),
    steps: decision.schedule.steps.map(({ step, phase, reason, remainingMs }, index) => ({
      position: index + 1,
      id: step.id,
      resource: step.resource,
      action: shownAction(step.action),
      phase,
      why: step.why,
      reason,
      needs: step.needs,
      importance: step.importance,
      deferrable: step.deferrable,
      remainingMs,
      possible: !undone.has(step.id),
    })),
    sources,
    unserved,
    goal: decision.schedule.goal,
    beforeGoal: unitsBeforeGoal(decision),
    impact: decision.plan.impact.filter((one) => !lost.has(one)),
    overridden: decision.overridden,
    warnings,
    notes,
  };
}

function unitsBeforeGoal({ schedule: { steps, goal } }: Decision): UnitBeforeGoal[] {
  const goalUnit = steps.find(({ step }) => step.id === goal)?.step.resource;
  if (goalUnit === undefined) return [];
  const before = steps.filter(({ precedes }) => precedes).map(({ step }) => step);
  const runs = before.filter((step) => roleOf(step) === 'job' || roleOf(step) === 'join');
  const resources = new Map(runs.map(({ id, resource }) => [id, resource]));
  const needed = new Set(
    before.flatMap((step) => step.needs.map((id) => resources.get(id)).filter((one) => one !== step.resource)),
  );
  const units = before.filter((step) => roleOf(step) === 'job' && step.resource !== goalUnit);
  return [...new Set(units.map(({ resource }) => resource))].map((id) => ({
    unit: nameOf(id),
    mayWait: !isNeverDeferrable(id) && !needed.has(id),
  }));
}

/**
 * Content is named by its digest; of sensitive content, and of what others cannot read on the host, even that would allow
 * guessing. Addresses without their secrets.
 */
export function shownAction(action: StepAction): unknown {
  if (action.do === 'ready' && action.readiness.type === 'http')
    return { ...action, readiness: { ...action.readiness, url: shownAddress(action.readiness.url) } };
  if (action.do === 'reach')
    return { ...action, servers: action.servers.map((server) => ({ ...server, url: shownAddress(server.url) })) };
  if (action.do !== 'write' || action.entry.type !== 'file') return action;
  const { content, digest, ...entry } = action.entry;
  const isHidden = content.sensitive || (entry.mode & 0o004) === 0;
  return { ...action, entry: isHidden ? { ...entry, sensitive: true } : { ...entry, digest } };
}
