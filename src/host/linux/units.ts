/**
 * Units of the running machine, over D-Bus; nothing here forks, except that log lines come from journalctl. The
 * interface is org.freedesktop.systemd1(5).
 *
 * Errors: NK_UNIT_MISSING, NK_UNIT_FAILED (systemd refuses: masked, bad settings, in the way), NK_NOT_ROOT,
 * NK_NO_SYSTEMD, NK_TIMEOUT.
 */
import { constants } from 'node:os';
import { posix } from 'node:path';
import { NodekilnError } from '../../errors.ts';
import type { Enablement, Exec, UnitFileChange, UnitJob, Units, UnitStatus } from '../port.ts';
import { inParallel } from '../../model/parallel.ts';
import { parseUnitName } from '../unit-files/names.ts';
import { nodeDisk } from '../../disk/node-disk.ts';
import { syncFolders } from '../../disk/sync.ts';
import { readUnitLog } from './unit-log.ts';
import type { SystemdAddress, SystemdCall } from './systemd-connection.ts';
import { ConnectionLost, SystemdError } from './systemd-connection.ts';
import { createSystemdSession, lostForGood, managerCall } from './systemd-session.ts';
import type { JobType } from './unit-jobs.ts';
import { createUnitJobs } from './unit-jobs.ts';
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
/** More losses in a row than systemd executing itself anew can explain. */
const queueAttempts = 5;
const reloadTimeoutMs = 90_000;

const jobMethods: Readonly<Record<JobType, string>> = {
  start: 'StartUnit',
  stop: 'StopUnit',
  restart: 'RestartUnit',
  'reload-or-restart': 'ReloadOrRestartUnit',
};

export function createLiveUnits({ exec, address }: LiveUnitsOptions): { units: Units; close: () => Promise<void> } {
  const session = createSystemdSession(address);
  const jobs = createUnitJobs(session);

  const get = async (name: string): Promise<UnitStatus> => {
    // '' is all interfaces of the object. One call, so that the values fit together, and because systemd reads the file of
    // an idle unit again for every single one.
    const properties = await session.properties(unitPath(checkedName(name)), isService(name) ? '' : unitInterface);
    return unitStatus(properties, isService(name));
  };

  /** Queues a job. When the connection breaks, the unit tells whether systemd had taken the call. */
  const queue = async (type: JobType, name: string): Promise<UnitJob> => {
    checkedName(name);
    const release = session.hold();
    try {
      const before = type === 'restart' || type === 'reload-or-restart' ? await invocation(name) : undefined;
      const jobPath = await queueOnce(type, name, before);
      return { unit: name, result: resultOf(jobPath, name, type) };
    } finally {
      release();
    }
  };

  const queueOnce = async (
    type: JobType,
    name: string,
    before: string | undefined,
  ): Promise<readonly unknown[] | 'done'> => {
    const call = managerCall(jobMethods[type], 'ss', [name, 'replace']);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await session.call(call);
      } catch (thrown) {
        if (!(thrown instanceof ConnectionLost) || attempt === queueAttempts) throw thrown;
        const taken = await takenOver(name, before);
        if (taken) return taken;
      }
    }
  };

  const resultOf = (reply: readonly unknown[] | 'done', name: string, type: JobType): UnitJob['result'] => {
    const result = reply === 'done' ? Promise.resolve('done' as const) : jobs.result(text(reply[0]), name, type);
    // Who queues without waiting shall not be ended by a lost connection.
    result.catch(() => undefined);
    return result;
  };

  const invocation = async (name: string): Promise<string> => {
    const value = await session.property(unitPath(name), unitInterface, 'InvocationID');
    return hexOf(value);
  };

  /** The job that the lost call queued, or `done` when it has even ended; undefined when nothing shows that it was seen. */
  const takenOver = async (
    name: string,
    before: string | undefined,
  ): Promise<readonly unknown[] | 'done' | undefined> => {
    const job = await session.property(unitPath(name), unitInterface, 'Job');
    if (Array.isArray(job) && Number(job[0]) !== 0) return [job[1]];
    // Starting and stopping again does no harm; restarting again would.
    return before !== undefined && (await invocation(name)) !== before ? 'done' : undefined;
  };

  const setEnablement = async (change: Enablement, names: readonly string[]): Promise<UnitFileChange[]> => {
    names.forEach(checkedName);
    const reply = await session.read(enablementCall(change, names));
    const changes = asChanges(reply.at(-1));
    const folders = changes.map(({ path }) => posix.dirname(path));
    // systemd does not sync what it links.
    await syncFolders(nodeDisk, [...new Set([...folders, ...folders.map((folder) => posix.dirname(folder))])]);
    return changes;
  };

  const units: Units = {
    mode: 'live',
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
    start: guarded((name) => queue('start', name)),
    stop: guarded((name) => queue('stop', name)),
    restart: guarded((name) => queue('restart', name)),
    reloadOrRestart: guarded((name) => queue('reload-or-restart', name)),
    enablement: guarded(async (name) => {
      try {
        const [state] = await session.read(managerCall('GetUnitFileState', 's', [checkedName(name)]));
        return text(state);
      } catch (thrown) {
        if (isMissingFile(thrown)) return '';
        throw thrown;
      }
    }),
    setEnablement: guarded(setEnablement),
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
    log: guarded(async (name, lines) => {
      const properties = await session.properties(unitPath(checkedName(name)), unitInterface);
      const sinceUsec = number(properties['InactiveExitTimestamp']);
      return readUnitLog(exec, { name, lines, sinceUsec, invocationId: hexOf(properties['InvocationID']) });
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
  return { units, close: () => session.close() };
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
