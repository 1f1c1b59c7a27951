/**
 * Units of the running machine, over D-Bus; nothing here forks, except that log lines come from journalctl. The
 * interface is org.freedesktop.systemd1(5).
 *
 * Errors: NK_UNIT_MISSING, NK_UNIT_FAILED (systemd refuses: masked, bad settings, in the way), NK_NOT_ROOT,
 * NK_NO_SYSTEMD, NK_TIMEOUT.
 */
import { constants } from 'node:os';
import { NodekilnError } from '../../errors.ts';
import type { Enablement, Exec, UnitFileChange, Units, UnitStatus } from '../port.ts';
import { inParallel } from '../../model/parallel.ts';
import { dirname } from '../../model/path.ts';
import { parseUnitName } from '../unit-files/names.ts';
import { nodeDisk } from '../../disk/node-disk.ts';
import { syncFolders } from '../../disk/sync.ts';
import { readUnitLog } from './unit-log.ts';
import type { SystemdAddress, SystemdCall } from './systemd-connection.ts';
import { SystemdError } from './systemd-connection.ts';
import { createSystemdSession, lostForGood, managerCall, type SystemdSession } from './systemd-session.ts';
import { createUnitQueue } from './unit-queue.ts';
import type { JobType } from './unit-jobs.ts';
import { hexOf, isService, number, text, texts, unitPath, unitStatus } from './unit-properties.ts';

export interface LiveUnitsOptions {
  readonly exec: Exec;
  readonly address: SystemdAddress;
}

const unitInterface = 'org.freedesktop.systemd1.Unit';
const managerPath = '/org/freedesktop/systemd1';
const managerInterface = 'org.freedesktop.systemd1.Manager';
/** The bus refuses more than 128 calls at once from one client. */
const listLanes = 12;
const reloadTimeoutMs = 90_000;

export function createLiveUnits({ exec, address }: LiveUnitsOptions): { units: Units; close: () => Promise<void> } {
  const session = createSystemdSession(address);
  const units: Units = { mode: 'live', ...looking(session, exec), ...queueing(session), ...changing(session) };
  return { units, close: () => session.close() };
}

/** What is asked and changes nothing. */
function looking(
  session: SystemdSession,
  exec: Exec,
): Pick<Units, 'list' | 'get' | 'dependencies' | 'enablement' | 'log' | 'milestones'> {
  const get = async (name: string): Promise<UnitStatus> => {
    // '' is all interfaces of the object. One call, so that the values fit together, and because systemd reads the file of
    // an idle unit again for every single one.
    const properties = await session.properties(unitPath(checkedName(name)), isService(name) ? '' : unitInterface);
    return unitStatus(properties, isService(name));
  };
  return {
    list: guarded(async (patterns: readonly string[] = []) => {
      const [found] = await session.read(managerCall('ListUnitsByPatterns', 'asas', [[], [...patterns]]));
      const names = Array.isArray(found)
        ? found.map((unit: unknown) => (Array.isArray(unit) ? text(unit[0]) : ''))
        : [];
      return inParallel(names, listLanes, get);
    }),
    get: guarded(get),
    dependencies: guarded(async (name, property) =>
      texts(await session.property(unitPath(checkedName(name)), unitInterface, property)),
    ),
    enablement: guarded(async (name) => {
      try {
        const [state] = await session.read(managerCall('GetUnitFileState', 's', [checkedName(name)]));
        return text(state);
      } catch (thrown) {
        if (isMissingFile(thrown)) return '';
        throw thrown;
      }
    }),
    log: guarded(async (name, lines) => {
      const properties = await session.properties(unitPath(checkedName(name)), isService(name) ? '' : unitInterface);
      const restarts = number(properties['NRestarts']);
      const sinceUsec = number(properties['InactiveExitTimestamp']);
      return readUnitLog(exec, { name, lines, sinceUsec, restarts, invocationId: hexOf(properties['InvocationID']) });
    }),
    milestones: guarded(async () => {
      const stamp = async (milestone: string): Promise<number> =>
        number(await session.property(managerPath, managerInterface, `${milestone}TimestampMonotonic`));
      const [kernelUsec, userspaceUsec, finishUsec] = await Promise.all([
        stamp('Kernel'),
        stamp('Userspace'),
        stamp('Finish'),
      ]);
      return { kernelUsec, userspaceUsec, finishUsec };
    }),
  };
}

/** What ends with a job. */
function queueing(session: SystemdSession): Pick<Units, 'start' | 'stop' | 'restart' | 'reloadOrRestart'> {
  const queue = createUnitQueue(session);
  const queued = (type: JobType): Units['start'] => guarded((name) => queue(type, checkedName(name)));
  return {
    start: queued('start'),
    stop: queued('stop'),
    restart: queued('restart'),
    reloadOrRestart: queued('reload-or-restart'),
  };
}

/** What is done when it returns. */
function changing(session: SystemdSession): Pick<Units, 'setEnablement' | 'daemonReload' | 'resetFailed' | 'kill'> {
  return {
    setEnablement: guarded(async (change, names) => {
      names.forEach(checkedName);
      const reply = await session.read(enablementCall(change, names));
      const changes = asChanges(reply.at(-1));
      const folders = changes.map(({ path }) => dirname(path));
      // systemd does not sync what it links.
      await syncFolders(nodeDisk, [...new Set([...folders, ...folders.map(dirname)])]);
      return changes;
    }),
    daemonReload: guarded(async () => {
      await session.read({ ...managerCall('Reload'), timeoutMs: reloadTimeoutMs });
    }),
    resetFailed: guarded(async (name) => {
      try {
        await session.read(managerCall('ResetFailedUnit', 's', [checkedName(name)]));
      } catch (thrown) {
        // A unit that is not even loaded has no failure to forget.
        if (!isMissingUnit(thrown)) throw thrown;
      }
    }),
    kill: guarded(async (name, signal) => {
      await session.call(managerCall('KillUnit', 'ssi', [checkedName(name), 'all', constants.signals[signal]]));
    }),
  };
}

/** Turns what systemd and the connection throw into our errors, with the unit's name where the first argument is one. */
function guarded<Arguments extends readonly unknown[], Result>(
  work: (...given: Arguments) => Promise<Result>,
): (...given: Arguments) => Promise<Result> {
  return async (...given) => {
    try {
      return await work(...given);
    } catch (thrown) {
      throw unitError(
        thrown,
        given.flat().find((value) => typeof value === 'string' && parseUnitName(value)),
      );
    }
  };
}

const refusals: Readonly<Record<string, 'NK_UNIT_MISSING' | 'NK_NOT_ROOT'>> = {
  'org.freedesktop.systemd1.NoSuchUnit': 'NK_UNIT_MISSING',
  'org.freedesktop.DBus.Error.FileNotFound': 'NK_UNIT_MISSING',
  'org.freedesktop.DBus.Error.AccessDenied': 'NK_NOT_ROOT',
  'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired': 'NK_NOT_ROOT',
};

function unitError(thrown: unknown, unit: unknown): unknown {
  if (!(thrown instanceof SystemdError)) return lostForGood(thrown);
  const resource = typeof unit === 'string' ? { resource: `unit:${unit}` } : {};
  const code = isMissingFile(thrown) ? 'NK_UNIT_MISSING' : (refusals[thrown.dbusName] ?? 'NK_UNIT_FAILED');
  return new NodekilnError(code, `systemd refuses: ${thrown.message}`, {
    ...resource,
    ...(thrown.dbusName.endsWith('UnitMasked') && { hint: `Unmask it first: \`systemctl unmask ${String(unit)}\`.` }),
    cause: thrown,
  });
}

function isMissingUnit(thrown: unknown): boolean {
  return thrown instanceof SystemdError && thrown.dbusName === 'org.freedesktop.systemd1.NoSuchUnit';
}

function isMissingFile(thrown: unknown): boolean {
  return (
    thrown instanceof SystemdError &&
    (thrown.dbusName.endsWith('.FileNotFound') || thrown.dbusName === 'System.Error.ENOENT')
  );
}

function checkedName(name: string): string {
  if (parseUnitName(name)) return name;
  throw new NodekilnError('NK_UNIT_FAILED', `${JSON.stringify(name)} is not a unit name`, {
    hint: 'Unit names end in their type, such as `.service`.',
  });
}

function enablementCall(change: Enablement, names: readonly string[]): SystemdCall {
  const files = [...names];
  switch (change) {
    case 'enable':
      return managerCall('EnableUnitFiles', 'asbb', [files, false, true]);
    case 'disable':
      return managerCall('DisableUnitFiles', 'asb', [files, false]);
    case 'mask':
      return managerCall('MaskUnitFiles', 'asbb', [files, false, false]);
    case 'unmask':
      return managerCall('UnmaskUnitFiles', 'asb', [files, false]);
  }
}

function asChanges(value: unknown): UnitFileChange[] {
  if (!Array.isArray(value)) return [];
  return value.map((change: unknown) => {
    const [type, path, source] = Array.isArray(change) ? change : [];
    return { type: text(type), path: text(path), source: text(source) };
  });
}
