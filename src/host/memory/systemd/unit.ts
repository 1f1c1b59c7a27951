/** The units of a systemd in memory, as they were loaded and as they are. */
import { textOf } from '../../../model/bytes.ts';
import { join } from '../../../model/path.ts';
import type { Files, JobResult, UnitStatus } from '../../port.ts';
import { findDropIns, findUnit, readUnitFile, searchPath } from '../../unit-files/find.ts';
import { parseUnitName } from '../../unit-files/names.ts';
import { parseUnitFile, type UnitFile } from '../../unit-files/parse.ts';
import type { MemoryClock } from '../clock.ts';

/** What the processes of a unit do in one start. */
export interface UnitBehaviour {
  /** `hang`: it never becomes ready, until TimeoutStartSec (90 s) or a stop. */
  readonly start?: 'ok' | 'fail' | 'hang';
  /** Until it is ready, or fails. */
  readonly startMs?: number;
  /** From its end to its next start, where systemd starts it again. */
  readonly restartMs?: number;
  /** It ends by itself so long after it became active. */
  readonly exit?: { readonly afterMs: number; readonly status: number };
  readonly stopMs?: number;
  readonly log?: readonly string[];
  readonly onActive?: () => void;
  readonly onInactive?: () => void;
}

export interface StartContext {
  /** The unit's definition as loaded. */
  readonly file: UnitFile;
  /** Which start of this unit since the machine's, from 1. */
  readonly start: number;
}

export interface Job {
  readonly type: 'start' | 'stop' | 'restart' | 'reload';
  readonly result: Promise<JobResult>;
  settle(result: JobResult): void;
}

export interface Unit {
  readonly name: string;
  loadState: UnitStatus['loadState'];
  file: UnitFile;
  fragmentPath: string;
  dropInPaths: readonly string[];
  /** The text it was loaded from; another one on disk means that a daemon-reload is needed. */
  loadedText: string;
  activeState: UnitStatus['activeState'];
  subState: string;
  invocationId: string;
  activeEnterUsec: number;
  inactiveExitUsec: number;
  mainPid: number;
  restarts: number;
  result: string;
  execMainStatus: number;
  job: Job | undefined;
  starts: number;
  /** Times of recent starts, for the start limit. */
  recent: number[];
  /** A new one for each start and stop, so that timers of an earlier one find out that they are late. */
  epoch: number;
  behaviour: UnitBehaviour;
  log: string[];
}

/** All that a systemd knows. */
export interface Manager {
  readonly files: Files;
  readonly clock: MemoryClock;
  readonly units: Map<string, Unit>;
  /** By name; `*` is for all that are not named. */
  readonly behaviours: Map<string, (context: StartContext) => UnitBehaviour>;
  pids: number;
  invocations: number;
}

/** What its files say, read anew. */
export async function definition(
  manager: Manager,
  name: string,
): Promise<Pick<Unit, 'loadState' | 'file' | 'fragmentPath' | 'dropInPaths' | 'loadedText'>> {
  const found = await findUnit(manager.files, name);
  const none = { file: parseUnitFile(), fragmentPath: '', dropInPaths: [], loadedText: '' };
  if (!found) return { ...none, loadState: 'not-found' };
  if (found.masked) return { ...none, fragmentPath: found.path, loadState: 'masked', loadedText: found.path };
  const dropInPaths = await findDropIns(manager.files, name);
  const file = (await readUnitFile(manager.files, found.path, dropInPaths)) ?? parseUnitFile();
  const texts = await Promise.all(
    [found.path, ...dropInPaths].map(async (path) => `${path}\n${textOf(await manager.files.read(path)) ?? ''}`),
  );
  const bad = name.endsWith('.service') && file.values('Service', 'ExecStart').length === 0;
  return {
    loadState: bad ? 'bad-setting' : 'loaded',
    file,
    fragmentPath: found.path,
    dropInPaths,
    loadedText: texts.join('\n'),
  };
}

/** The unit, loaded when it was not yet. */
export async function load(manager: Manager, name: string): Promise<Unit> {
  const known = manager.units.get(name);
  if (known && known.loadState !== 'not-found') return known;
  const found = await findUnit(manager.files, name);
  const real = found && found.name !== name && !parseUnitName(name)?.instance ? found.name : name;
  if (real !== name) return load(manager, real);
  const unit: Unit = {
    name,
    ...(await definition(manager, name)),
    activeState: 'inactive',
    subState: 'dead',
    invocationId: '',
    activeEnterUsec: 0,
    inactiveExitUsec: 0,
    mainPid: 0,
    restarts: 0,
    result: 'success',
    execMainStatus: 0,
    job: undefined,
    starts: 0,
    recent: [],
    epoch: 0,
    behaviour: {},
    log: [],
  };
  manager.units.set(name, unit);
  return unit;
}

/** The units that a dependency of it names, by its file and by folders of links. */
export async function related(manager: Manager, unit: Unit, key: string): Promise<string[]> {
  const words = [...unit.file.words('Unit', key)];
  const suffix = { Wants: 'wants', Requires: 'requires' }[key];
  if (suffix !== undefined) {
    for (const folder of searchPath) words.push(...(await manager.files.list(join(folder, `${unit.name}.${suffix}`))));
  }
  return [...new Set(words)];
}

export async function status(manager: Manager, unit: Unit): Promise<UnitStatus> {
  const fresh = await definition(manager, unit.name);
  const needDaemonReload = unit.loadState !== 'not-found' && fresh.loadedText !== unit.loadedText;
  const service = unit.name.endsWith('.service');
  return {
    name: unit.name,
    loadState: unit.loadState,
    activeState: unit.activeState,
    subState: unit.subState,
    unitFileState: unit.loadState === 'masked' ? 'masked' : '',
    invocationId: unit.invocationId,
    fragmentPath: unit.fragmentPath,
    dropInPaths: unit.dropInPaths,
    activeEnterUsec: unit.activeEnterUsec,
    inactiveExitUsec: unit.inactiveExitUsec,
    needDaemonReload,
    ...(service && {
      mainPid: unit.mainPid,
      restarts: unit.restarts,
      result: unit.result,
      execMainStatus: unit.execMainStatus,
      serviceType: unit.file.value('Service', 'Type') ?? 'simple',
      remainAfterExit: isYes(unit.file.value('Service', 'RemainAfterExit')),
    }),
  };
}

export function isYes(value: string | undefined): boolean {
  return value !== undefined && ['1', 'yes', 'true', 'on'].includes(value.toLowerCase());
}
