/** What becomes of a unit that is started or stopped, on the machine's virtual time. */
import { isYes, type Manager, type Unit } from './unit.ts';

const startLimit = { burst: 5, intervalMs: 10_000 };
const startTimeoutMs = 90_000;
const restartDelayMs = 100;

/** `again`: by systemd itself, which keeps what the runs before said. */
export function activate(manager: Manager, unit: Unit, again = false): void {
  const now = manager.clock.monotonic();
  unit.recent = [...unit.recent.filter((time) => now - time < startLimit.intervalMs), now];
  if (unit.recent.length > startLimit.burst && unit.file.value('Unit', 'StartLimitIntervalSec') !== '0') {
    return fail(unit, 'start-limit-hit', unit.execMainStatus);
  }
  unit.epoch += 1;
  unit.starts += 1;
  manager.invocations += 1;
  unit.invocationId = manager.invocations.toString(16).padStart(32, '0');
  unit.inactiveExitUsec = usec(manager);
  unit.activeState = 'activating';
  unit.subState = 'start';
  unit.result = 'success';
  unit.execMainStatus = 0;
  manager.pids += 1;
  unit.mainPid = unit.name.endsWith('.service') ? manager.pids : 0;
  const behave = manager.behaviours.get(unit.name) ?? manager.behaviours.get('*');
  unit.behaviour = behave?.({ file: unit.file, start: unit.starts }) ?? {};
  unit.log = [...(again ? unit.log : []), ...(unit.behaviour.log ?? [])];
  const { start = 'ok', startMs = 0 } = unit.behaviour;
  if (start === 'hang') {
    return later(manager, unit, startTimeout(unit), () => ended(manager, unit, 'timeout', 0));
  }
  later(manager, unit, startMs, () =>
    start === 'fail' ? ended(manager, unit, 'exit-code', 1) : becameReady(manager, unit),
  );
}

/** Calls back unless the unit was started or stopped in the meantime. */
function later(manager: Manager, unit: Unit, ms: number, callback: () => void): void {
  const { epoch } = unit;
  manager.clock.after(ms, () => {
    if (unit.epoch === epoch) callback();
  });
}

function becameReady(manager: Manager, unit: Unit): void {
  const oneshot = unit.file.value('Service', 'Type') === 'oneshot';
  unit.activeEnterUsec = usec(manager);
  unit.activeState = 'active';
  unit.subState = oneshot ? 'exited' : unit.name.endsWith('.service') ? 'running' : 'active';
  if (oneshot) unit.mainPid = 0;
  unit.behaviour.onActive?.();
  if (oneshot && !isYes(unit.file.value('Service', 'RemainAfterExit'))) {
    unit.activeState = 'inactive';
    unit.subState = 'dead';
  }
  const exit = unit.behaviour.exit;
  if (exit && !oneshot)
    later(manager, unit, exit.afterMs, () =>
      ended(manager, unit, exit.status === 0 ? 'success' : 'exit-code', exit.status),
    );
  unit.job?.settle('done');
}

/** Its main process ended by itself, or was ended for taking too long to start. */
export function ended(
  manager: Manager,
  unit: Unit,
  result: 'success' | 'exit-code' | 'signal' | 'timeout',
  status: number,
): void {
  const restart = unit.file.value('Service', 'Restart') ?? 'no';
  const clean = result === 'success';
  const again = restart === 'always' || (!clean && restart === 'on-failure') || (clean && restart === 'on-success');
  if (unit.activeState === 'active') unit.behaviour.onInactive?.();
  if (!again) {
    if (clean) return becameInactive(unit);
    return fail(unit, result, status);
  }
  const how = result === 'signal' ? `code=killed, status=${status}/KILL` : `code=exited, status=${status}/FAILURE`;
  unit.log.push(`${unit.name}: Main process exited, ${how}`);
  unit.epoch += 1;
  unit.mainPid = 0;
  unit.execMainStatus = status;
  unit.result = result;
  unit.activeState = 'activating';
  unit.subState = 'auto-restart';
  // Of a service that fails while it starts, systemd ends the job at the first failure.
  if (unit.job?.type !== 'stop') unit.job?.settle(clean ? 'done' : 'failed');
  later(manager, unit, unit.behaviour.restartMs ?? restartDelayMs, () => {
    unit.restarts += 1;
    activate(manager, unit, true);
  });
}

function becameInactive(unit: Unit): void {
  unit.epoch += 1;
  unit.activeState = 'inactive';
  unit.subState = 'dead';
  unit.mainPid = 0;
  unit.job?.settle('done');
}

function fail(unit: Unit, result: string, status: number): void {
  unit.epoch += 1;
  unit.activeState = 'failed';
  unit.subState = 'failed';
  unit.result = result;
  unit.execMainStatus = status;
  unit.mainPid = 0;
  unit.job?.settle('failed');
}

export function deactivate(manager: Manager, unit: Unit, then: () => void): void {
  const wasActive = unit.activeState === 'active';
  unit.epoch += 1;
  unit.activeState = 'deactivating';
  unit.subState = 'stop-sigterm';
  later(manager, unit, unit.behaviour.stopMs ?? 0, () => {
    if (wasActive) unit.behaviour.onInactive?.();
    unit.epoch += 1;
    unit.activeState = 'inactive';
    unit.subState = 'dead';
    unit.mainPid = 0;
    then();
  });
}

/** Seconds only: that is all the tests need. */
function startTimeout({ file }: Unit): number {
  const seconds = Number(file.value('Service', 'TimeoutStartSec') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : startTimeoutMs;
}

function usec({ clock }: Manager): number {
  return Math.round(clock.monotonic() * 1000);
}
