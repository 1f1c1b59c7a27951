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
import type { Files, UnitJob, UnitSignal, UnitStatus } from '../port.ts';
import { matchesGlob } from '../unit-files/glob.ts';
import { parseUnitName } from '../unit-files/names.ts';
import type { MemoryClock } from './clock.ts';
import { reload, startUnit, stopUnit } from './systemd/jobs.ts';
import { ended } from './systemd/lifecycle.ts';
import {
  definition,
  load,
  related,
  status,
  type Job,
  type Manager,
  type StartContext,
  type UnitBehaviour,
} from './systemd/unit.ts';

export type { StartContext, UnitBehaviour } from './systemd/unit.ts';

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

export function createSystemd(files: Files, clock: MemoryClock): SimulatedSystemd {
  const manager: Manager = { files, clock, units: new Map(), behaviours: new Map(), pids: 100, invocations: 0 };
  return { ...looking(manager), ...queueing(manager), ...changing(manager) };
}

function looking(manager: Manager): Pick<SimulatedSystemd, 'get' | 'list' | 'words' | 'log'> {
  return {
    get: async (name) => status(manager, await load(manager, name)),
    list: async (patterns) => {
      for (const pattern of patterns) if (parseUnitName(pattern)) await load(manager, pattern);
      const wanted = [...manager.units.values()].filter(
        ({ name, loadState }) =>
          loadState !== 'not-found' &&
          (patterns.length === 0 || patterns.some((pattern) => matchesGlob(pattern, name))),
      );
      return Promise.all(wanted.map((unit) => status(manager, unit)));
    },
    words: async (name, key) => related(manager, await load(manager, name), key),
    log: (name, lines) => manager.units.get(name)?.log.slice(-lines) ?? [],
  };
}

function queueing(manager: Manager): Pick<SimulatedSystemd, 'start' | 'stop' | 'restart' | 'reloadOrRestart'> {
  const asUnitJob = (name: string, job: Job): UnitJob => ({ unit: name, result: job.result });
  return {
    start: async (name) => asUnitJob(name, await startUnit(manager, name)),
    stop: async (name) => asUnitJob(name, await stopUnit(manager, name)),
    restart: async (name) => asUnitJob(name, await startUnit(manager, name, 'restart')),
    reloadOrRestart: async (name) => {
      const unit = await load(manager, name);
      const canReload = unit.activeState === 'active' && unit.file.values('Service', 'ExecReload').length > 0;
      return asUnitJob(name, canReload ? await reload(manager, unit) : await startUnit(manager, name, 'restart'));
    },
  };
}

function changing(
  manager: Manager,
): Pick<SimulatedSystemd, 'behave' | 'daemonReload' | 'resetFailed' | 'kill' | 'boot'> {
  return {
    behave: (name, behaviour) =>
      void manager.behaviours.set(name, typeof behaviour === 'function' ? behaviour : () => behaviour),
    daemonReload: async () => {
      for (const unit of manager.units.values()) Object.assign(unit, await definition(manager, unit.name));
    },
    resetFailed: async (name) => {
      const unit = await load(manager, name);
      unit.recent = [];
      unit.restarts = 0;
      if (unit.activeState !== 'failed') return;
      unit.activeState = 'inactive';
      unit.subState = 'dead';
      unit.result = 'success';
    },
    kill: async (name, signal) => {
      const unit = await load(manager, name);
      if (unit.activeState !== 'active') {
        throw new NodekilnError('NK_UNIT_FAILED', `${name} has no process to kill`, { resource: `unit:${name}` });
      }
      if (signal === 'SIGTERM') ended(manager, unit, 'success', 0);
      else ended(manager, unit, 'signal', constants.signals[signal]);
    },
    boot: async () => {
      for (const unit of manager.units.values()) {
        unit.epoch += 1;
        if (unit.activeState === 'active') unit.behaviour.onInactive?.();
      }
      manager.units.clear();
      const target = (await manager.files.stat('/etc/systemd/system/default.target'))
        ? 'default.target'
        : 'multi-user.target';
      const unit = await load(manager, target);
      if (unit.loadState === 'loaded') await (await startUnit(manager, unit.name)).result;
    },
  };
}
