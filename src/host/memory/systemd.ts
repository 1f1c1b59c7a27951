/**
 * A small systemd for machines in memory: it reads real unit files with drop-ins, resolves Wants, Requires and After,
 * runs jobs on the machine's virtual time and restarts services as `Restart=` says. What the processes of a unit do is
 * set by `behave`. It outlives the processes of ours that talk to it.
 *
 * Stricter than systemd in one respect: a unit once loaded keeps its old definition until daemon-reload, also when it is
 * inactive and systemd might have read it again.
 */
import { constants } from 'node:os';
import { NodekilnError } from '../../errors.ts';
import type { Files, JobResult, UnitJob, UnitSignal, UnitStatus } from '../port.ts';
import { findDropIns, findUnit, readUnitFile, searchPath } from '../unit-files/find.ts';
import { matchesGlob } from '../unit-files/glob.ts';
import { parseUnitName } from '../unit-files/names.ts';
import type { UnitFile } from '../unit-files/parse.ts';
import { parseUnitFile } from '../unit-files/parse.ts';
import type { MemoryClock } from './clock.ts';
import { join } from '../../model/path.ts';
import { textOf } from '../../model/bytes.ts';

/** What the processes of a unit do in one start. */
export interface UnitBehaviour {
  /** `hang`: it never becomes ready, until TimeoutStartSec (90 s) or a stop. */
  readonly start?: 'ok' | 'fail' | 'hang';
  /** Until it is ready, or fails. */
  readonly startMs?: number;
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

export interface SimulatedSystemd {
  /** What a unit does; `*` is for all that are not named. */
  behave(name: string, behaviour: UnitBehaviour | ((context: StartContext) => UnitBehaviour)): void;
  get(name: string): Promise<UnitStatus>;
  list(patterns: readonly string[]): Promise<UnitStatus[]>;
  words(name: string, key: string): Promise<string[]>;
  start(name: string): Promise<UnitJob>;
  stop(name: string): Promise<UnitJob>;
  restart(name: string): Promise<UnitJob>;
  reloadOrRestart(name: string): Promise<UnitJob>;
  daemonReload(): Promise<void>;
  resetFailed(name: string): Promise<void>;
  kill(name: string, signal: UnitSignal): Promise<void>;
  log(name: string, lines: number): string[];
  /** Everything stops without a word, then what default.target wants is started. */
  boot(): Promise<void>;
}

interface Job {
  readonly type: 'start' | 'stop' | 'restart' | 'reload';
  readonly result: Promise<JobResult>;
  settle(result: JobResult): void;
}

interface Unit {
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

const startLimit = { burst: 5, intervalMs: 10_000 };
const startTimeoutMs = 90_000;
const restartDelayMs = 100;

export function createSystemd(files: Files, clock: MemoryClock): SimulatedSystemd {
  const units = new Map<string, Unit>();
  const behaviours = new Map<string, (context: StartContext) => UnitBehaviour>();
  let pids = 100;
  let invocations = 0;

  const usec = (): number => Math.round(clock.monotonic() * 1000);

  async function definition(
    name: string,
  ): Promise<Pick<Unit, 'loadState' | 'file' | 'fragmentPath' | 'dropInPaths' | 'loadedText'>> {
    const found = await findUnit(files, name);
    const none = { file: parseUnitFile(), fragmentPath: '', dropInPaths: [], loadedText: '' };
    if (!found) return { ...none, loadState: 'not-found' };
    if (found.masked) return { ...none, fragmentPath: found.path, loadState: 'masked', loadedText: found.path };
    const dropInPaths = await findDropIns(files, name);
    const file = (await readUnitFile(files, found.path, dropInPaths)) ?? parseUnitFile();
    const texts = await Promise.all(
      [found.path, ...dropInPaths].map(async (path) => `${path}\n${textOf(await files.read(path)) ?? ''}`),
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

  async function load(name: string): Promise<Unit> {
    const known = units.get(name);
    if (known && known.loadState !== 'not-found') return known;
    const found = await findUnit(files, name);
    const real = found && found.name !== name && !parseUnitName(name)?.instance ? found.name : name;
    if (real !== name) return load(real);
    const unit: Unit = {
      name,
      ...(await definition(name)),
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
    units.set(name, unit);
    return unit;
  }

  async function related(unit: Unit, key: string): Promise<string[]> {
    const words = [...unit.file.words('Unit', key)];
    const suffix = { Wants: 'wants', Requires: 'requires' }[key];
    if (suffix !== undefined) {
      for (const folder of searchPath) words.push(...(await files.list(join(folder, `${unit.name}.${suffix}`))));
    }
    return [...new Set(words)];
  }

  function queue(unit: Unit, type: Job['type']): Job {
    // What is under way already does what is asked for: a restart starts, too (job_type_is_superset in systemd's job.c).
    if (unit.job && (unit.job.type === type || unit.job.type === 'restart')) return unit.job;
    unit.job?.settle('canceled');
    const { promise, resolve } = Promise.withResolvers<JobResult>();
    const job: Job = {
      type,
      result: promise,
      settle: (result) => {
        if (unit.job === job) unit.job = undefined;
        resolve(result);
      },
    };
    unit.job = job;
    return job;
  }

  function startable(unit: Unit): void {
    const place = { resource: `unit:${unit.name}` };
    if (!parseUnitName(unit.name)) throw new NodekilnError('NK_UNIT_FAILED', `${unit.name} is not a unit name`);
    if (unit.loadState === 'not-found')
      throw new NodekilnError('NK_UNIT_MISSING', `Unit ${unit.name} not found.`, place);
    if (unit.loadState === 'masked') throw new NodekilnError('NK_UNIT_FAILED', `Unit ${unit.name} is masked.`, place);
    if (unit.loadState !== 'loaded') {
      throw new NodekilnError('NK_UNIT_FAILED', `Unit ${unit.name} has a bad unit file setting.`, place);
    }
  }

  async function startUnit(name: string, type: 'start' | 'restart' = 'start'): Promise<Job> {
    const unit = await load(name);
    startable(unit);
    if (type === 'start' && unit.activeState === 'active' && unit.job === undefined) {
      const job = queue(unit, 'start');
      job.settle('done');
      return job;
    }
    if (unit.job?.type === type) return unit.job;
    const job = queue(unit, type);
    const required = [...(await related(unit, 'Requires')), ...(await related(unit, 'BindsTo'))];
    for (const dependency of required) startable(await load(dependency));
    for (const dependency of required) await startUnit(dependency);
    for (const dependency of await related(unit, 'Wants')) await startUnit(dependency).catch(() => undefined);
    void carryOut(unit, job, new Set(required));
    return job;
  }

  async function carryOut(unit: Unit, job: Job, required: ReadonlySet<string>): Promise<void> {
    for (const name of await related(unit, 'After')) {
      const before = await load(name);
      const result = await (before.job && before.job.type !== 'reload' ? before.job.result : undefined);
      const broken = result !== undefined && result !== 'done' && required.has(name);
      if (broken && unit.job === job) return job.settle('dependency');
    }
    if (unit.job !== job) return;
    const active = unit.activeState === 'active' || unit.activeState === 'activating';
    if (job.type === 'restart' && active) {
      await dependents(unit, async (other) => void (await startUnit(other.name, 'restart')));
      deactivate(unit, () => activate(unit));
      return;
    }
    activate(unit);
  }

  function activate(unit: Unit): void {
    const now = clock.monotonic();
    unit.recent = [...unit.recent.filter((time) => now - time < startLimit.intervalMs), now];
    if (unit.recent.length > startLimit.burst && unit.file.value('Unit', 'StartLimitIntervalSec') !== '0') {
      return fail(unit, 'start-limit-hit', unit.execMainStatus);
    }
    unit.epoch += 1;
    unit.starts += 1;
    invocations += 1;
    unit.invocationId = invocations.toString(16).padStart(32, '0');
    unit.inactiveExitUsec = usec();
    unit.activeState = 'activating';
    unit.subState = 'start';
    unit.result = 'success';
    unit.execMainStatus = 0;
    pids += 1;
    unit.mainPid = unit.name.endsWith('.service') ? pids : 0;
    const behave = behaviours.get(unit.name) ?? behaviours.get('*');
    unit.behaviour = behave?.({ file: unit.file, start: unit.starts }) ?? {};
    unit.log = [...(unit.behaviour.log ?? [])];
    const { start = 'ok', startMs = 0 } = unit.behaviour;
    if (start === 'hang') {
      return later(unit, startTimeout(unit), () => ended(unit, 'timeout', 0));
    }
    later(unit, startMs, () => (start === 'fail' ? ended(unit, 'exit-code', 1) : becameReady(unit)));
  }

  /** Calls back unless the unit was started or stopped in the meantime. */
  function later(unit: Unit, ms: number, callback: () => void): void {
    const { epoch } = unit;
    clock.after(ms, () => {
      if (unit.epoch === epoch) callback();
    });
  }

  function becameReady(unit: Unit): void {
    const oneshot = unit.file.value('Service', 'Type') === 'oneshot';
    unit.activeEnterUsec = usec();
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
      later(unit, exit.afterMs, () => ended(unit, exit.status === 0 ? 'success' : 'exit-code', exit.status));
    unit.job?.settle('done');
  }

  /** Its main process ended by itself, or was ended for taking too long to start. */
  function ended(unit: Unit, result: 'success' | 'exit-code' | 'signal' | 'timeout', status: number): void {
    const restart = unit.file.value('Service', 'Restart') ?? 'no';
    const clean = result === 'success';
    const again = restart === 'always' || (!clean && restart === 'on-failure') || (clean && restart === 'on-success');
    if (unit.activeState === 'active') unit.behaviour.onInactive?.();
    if (!again) {
      if (clean) return becameInactive(unit);
      return fail(unit, result, status);
    }
    unit.epoch += 1;
    unit.mainPid = 0;
    unit.execMainStatus = status;
    unit.result = result;
    unit.activeState = 'activating';
    unit.subState = 'auto-restart';
    // Of a service that fails while it starts, systemd ends the job at the first failure.
    if (unit.job?.type !== 'stop') unit.job?.settle(clean ? 'done' : 'failed');
    later(unit, restartDelayMs, () => {
      unit.restarts += 1;
      activate(unit);
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

  function deactivate(unit: Unit, then: () => void): void {
    const wasActive = unit.activeState === 'active';
    unit.epoch += 1;
    unit.activeState = 'deactivating';
    unit.subState = 'stop-sigterm';
    later(unit, unit.behaviour.stopMs ?? 0, () => {
      if (wasActive) unit.behaviour.onInactive?.();
      unit.epoch += 1;
      unit.activeState = 'inactive';
      unit.subState = 'dead';
      unit.mainPid = 0;
      then();
    });
  }

  /** Units that go where this one goes, by Requires=, BindsTo= or PartOf=. */
  async function dependents(unit: Unit, work: (other: Unit) => Promise<void>): Promise<void> {
    for (const other of units.values()) {
      if (other === unit || other.activeState !== 'active') continue;
      const tied = ['Requires', 'BindsTo', 'PartOf'].some((key) => other.file.words('Unit', key).includes(unit.name));
      if (tied) await work(other);
    }
  }

  async function stopUnit(name: string): Promise<Job> {
    const unit = await load(name);
    if (unit.loadState === 'not-found') startable(unit);
    if (unit.job?.type === 'stop') return unit.job;
    const job = queue(unit, 'stop');
    await dependents(unit, async (other) => void (await stopUnit(other.name)));
    if (unit.activeState === 'inactive' || unit.activeState === 'failed') {
      job.settle('done');
      return job;
    }
    deactivate(unit, () => job.settle('done'));
    return job;
  }

  async function reload(unit: Unit): Promise<Job> {
    const job = queue(unit, 'reload');
    clock.after(0, () => job.settle('done'));
    return job;
  }

  async function status(unit: Unit): Promise<UnitStatus> {
    const fresh = await definition(unit.name);
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

  const asUnitJob = (name: string, job: Job): UnitJob => ({ unit: name, result: job.result });

  return {
    behave: (name, behaviour) =>
      void behaviours.set(name, typeof behaviour === 'function' ? behaviour : () => behaviour),
    get: async (name) => status(await load(name)),
    list: async (patterns) => {
      for (const pattern of patterns) if (parseUnitName(pattern)) await load(pattern);
      const wanted = [...units.values()].filter(
        ({ name, loadState }) =>
          loadState !== 'not-found' &&
          (patterns.length === 0 || patterns.some((pattern) => matchesGlob(pattern, name))),
      );
      return Promise.all(wanted.map(status));
    },
    words: async (name, key) => related(await load(name), key),
    start: async (name) => asUnitJob(name, await startUnit(name)),
    stop: async (name) => asUnitJob(name, await stopUnit(name)),
    restart: async (name) => asUnitJob(name, await startUnit(name, 'restart')),
    reloadOrRestart: async (name) => {
      const unit = await load(name);
      const canReload = unit.activeState === 'active' && unit.file.values('Service', 'ExecReload').length > 0;
      return asUnitJob(name, canReload ? await reload(unit) : await startUnit(name, 'restart'));
    },
    daemonReload: async () => {
      for (const unit of units.values()) Object.assign(unit, await definition(unit.name));
    },
    resetFailed: async (name) => {
      const unit = await load(name);
      unit.recent = [];
      unit.restarts = 0;
      if (unit.activeState !== 'failed') return;
      unit.activeState = 'inactive';
      unit.subState = 'dead';
      unit.result = 'success';
    },
    kill: async (name, signal) => {
      const unit = await load(name);
      if (unit.activeState !== 'active') {
        throw new NodekilnError('NK_UNIT_FAILED', `${name} has no process to kill`, { resource: `unit:${name}` });
      }
      if (signal === 'SIGTERM') ended(unit, 'success', 0);
      else ended(unit, 'signal', constants.signals[signal]);
    },
    log: (name, lines) => units.get(name)?.log.slice(-lines) ?? [],
    boot: async () => {
      for (const unit of units.values()) {
        unit.epoch += 1;
        if (unit.activeState === 'active') unit.behaviour.onInactive?.();
      }
      units.clear();
      const target = (await files.stat('/etc/systemd/system/default.target')) ? 'default.target' : 'multi-user.target';
      const unit = await load(target);
      if (unit.loadState === 'loaded') await (await startUnit(unit.name)).result;
    },
  };
}

/** Seconds only: that is all the tests need. */
function startTimeout({ file }: Unit): number {
  const seconds = Number(file.value('Service', 'TimeoutStartSec') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : startTimeoutMs;
}

function isYes(value: string | undefined): boolean {
  return value !== undefined && ['1', 'yes', 'true', 'on'].includes(value.toLowerCase());
}
