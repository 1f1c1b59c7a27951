/**
 * The verdict over the units that documents ask for, as the condition `SystemdUnitsReady` tells it. What systemd says of a unit
 * is set against what is asked: a unit that is to run runs, one that is to be stopped does not, and what starts or stops has its
 * time. Pure.
 */
import type { UnitStatus } from '../../host/port.ts';
import { visibleLine } from '../../model/printable.ts';
import type { UnitResource } from '../../model/resources.ts';

export type UnitVerdict =
  | { readonly verdict: 'healthy' }
  | { readonly verdict: 'progressing'; readonly why: string }
  | { readonly verdict: 'unhealthy'; readonly why: string };

/** A unit that is asked for, as systemd has it. */
export interface JudgedUnit {
  readonly wanted: Pick<UnitResource, 'name' | 'state' | 'enablement'>;
  readonly status: UnitStatus;
  /** For how long it has been starting or stopping, milliseconds; undefined when it does neither. */
  readonly changingMs: number | undefined;
  /** Something starts it when it is needed: a socket, a timer, a path. */
  readonly isTriggered: boolean;
}

const healthy: UnitVerdict = { verdict: 'healthy' };

export function judgeUnit({ wanted, status, changingMs, isTriggered }: JudgedUnit, stuckAfterMs: number): UnitVerdict {
  const isWanted = wanted.state === 'started';
  const unhealthy = (why: string): UnitVerdict => ({ verdict: 'unhealthy', why: `${wanted.name} ${why}` });
  const { activeState, subState, loadState, serviceType } = status;
  if (wanted.enablement === 'masked')
    return loadState === 'masked' || activeState !== 'active' ? healthy : unhealthy('is masked and runs');
  if (loadState === 'not-found') return isWanted ? unhealthy('is not loaded') : healthy;
  switch (activeState) {
    case 'active':
      return wanted.state === 'stopped' ? unhealthy('is active but should be stopped') : healthy;
    case 'failed':
      return isWanted ? unhealthy('has failed') : healthy;
    case 'activating':
    case 'deactivating':
      if (subState === 'auto-restart') return healthy;
      return changingMs !== undefined && changingMs >= stuckAfterMs
        ? unhealthy(`is stuck in ${activeState}`)
        : { verdict: 'progressing', why: `${wanted.name} is ${activeState}` };
    case 'inactive':
      if (!isWanted) return healthy;
      if (subState !== 'dead') return unhealthy(`is inactive (${subState})`);
      return serviceType === 'oneshot' || isTriggered ? healthy : unhealthy('is inactive but should run');
    case 'maintenance':
    case 'refreshing':
    case 'reloading':
      return healthy;
  }
}

/** The condition, without times. */
export interface UnitsCondition {
  readonly type: 'SystemdUnitsReady';
  readonly status: 'True' | 'False';
  readonly reason: 'AllUnitsHealthy' | 'ProgressingUnits' | 'UnhealthyUnits';
  readonly message: string;
}

/** Messages of conditions are for people: they end somewhere. */
const longestMessage = 1000;

export function unitsCondition(verdicts: readonly UnitVerdict[]): UnitsCondition {
  const told = (wanted: UnitVerdict['verdict']): string =>
    shortened(
      verdicts
        .flatMap((one) => (one.verdict === wanted && one.verdict !== 'healthy' ? [one.why] : []))
        .sort((a, b) => (a < b ? -1 : 1))
        .join('; '),
    );
  const type = 'SystemdUnitsReady';
  const bad = told('unhealthy');
  if (bad !== '') return { type, status: 'False', reason: 'UnhealthyUnits', message: bad };
  const changing = told('progressing');
  if (changing !== '') return { type, status: 'True', reason: 'ProgressingUnits', message: changing };
  return { type, status: 'True', reason: 'AllUnitsHealthy', message: 'all units are as their documents ask' };
}

/** What units say of themselves is on one line, and nothing for a terminal. */
function shortened(said: string): string {
  const text = visibleLine(said);
  return text.length > longestMessage ? `${text.slice(0, longestMessage - 1)}…` : text;
}
