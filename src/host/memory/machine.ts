/**
 * A machine in memory: files, a systemd, programs, endpoints and a clock. `open` starts a process of ours on it, which
 * is a `Host`; a process can be made to crash at any of its effects, and another one can be opened on what it left.
 *
 *     const machine = createMemoryMachine();
 *     machine.units.behave('kubelet.service', { startMs: 300 });
 *     const host = machine.open({ crash: { at: 3, when: 'after' } });
 */
import { NodekilnError } from '../../errors.ts';
import type { Files, Host, StoredContainerImage, Units } from '../port.ts';
import { changeEnablement, readEnablement } from '../unit-files/enablement.ts';
import { createMemorySignatures } from './signatures.ts';
import { createMemoryArchives } from './archives.ts';
import type { MemoryClock } from './clock.ts';
import { createVirtualClock } from './clock.ts';
import { createTree } from './tree.ts';
import { createMemoryDatabases } from './databases.ts';
import { createMemoryLocks, type MemoryLocksOptions } from './locks.ts';
import { createMemoryProgram } from './program.ts';
import { createMemoryContainers } from './containers.ts';
import { createMemoryExec, handled, type Program } from './exec.ts';
import type { CrashPoint, Effects } from './effects.ts';
import { createEffects } from './effects.ts';
import { createMemoryFiles } from './files.ts';
import { createMemoryNet, type Endpoint } from './net.ts';
import type { SimulatedSystemd } from './systemd.ts';
import { createSystemd } from './systemd.ts';

export type { Program, ProgramCall, ProgramResult } from './exec.ts';
export type { Endpoint, EndpointResponse } from './net.ts';

export interface OpenOptions {
  /** Of the process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly crash?: CrashPoint;
}

export interface MemoryMachine {
  readonly clock: MemoryClock;
  /** The machine's files without effects being counted: for setting up and looking. */
  readonly files: Files;
  readonly units: SimulatedSystemd;
  /** A process on the machine. */
  open(options?: OpenOptions): Host;
  /** Every effect of every process, in order: `write /etc/x`, `start kubelet.service`, `exec modprobe overlay`. */
  readonly effects: readonly string[];
  /** Makes an effect fail with this error whenever it is tried, until called with undefined. */
  breakEffect(effect: string, error: Error | undefined): void;
  /** A program, by its path or name. */
  program(name: string, program: Program): void;
  /** Puts a FIFO at a path: what reading must refuse. */
  makeFifo(path: string): void;
  /** What importing this archive brings: the references. Others are missing. */
  archive(path: string, references: readonly string[]): void;
  /** Something that answers at an origin (`http://127.0.0.1:10248`) or a Unix socket's path; call the result to end it. */
  serve(address: string, endpoint: Endpoint): () => void;
  /** Loses /run, /tmp and every running unit, then starts what is enabled. */
  reboot(): Promise<void>;
  /** Every path with type, mode, owner and content, for comparing whole trees. */
  snapshot(): Record<string, string>;
}

export interface MemoryMachineOptions {
  /** False: a root folder at image-build time, with offline units. */
  readonly systemd?: boolean;
  /** Of another machine, for what the two do with each other. */
  readonly clock?: MemoryClock;
}

export function createMemoryMachine({
  systemd = true,
  clock = createVirtualClock(),
}: MemoryMachineOptions = {}): MemoryMachine {
  const tree = createTree();
  const journal: string[] = [];
  const broken = new Map<string, Error>();
  const programs = new Map<string, Program>();
  const endpoints = new Map<string, Endpoint>();
  const archives = new Map<string, readonly string[]>();
  const images = new Map<string, StoredContainerImage>();
  const holders: MemoryLocksOptions['holders'] = new Map();
  let pids = 1;
  const quiet = createEffects({ onEffect: () => undefined });
  const files = createMemoryFiles({ tree, effects: quiet, clock });
  const units = createSystemd(files, clock);

  const onEffect = (effect: string): void => {
    const error = broken.get(effect);
    if (error) throw error;
    journal.push(effect);
  };

  const open = ({ crash, environment = {} }: OpenOptions = {}): Host => {
    pids += 1;
    const pid = pids;
    const effects = createEffects({ crash, onEffect });
    const ownFiles = createMemoryFiles({ tree, effects, clock });
    const exec = createMemoryExec({ programs, files, clock, effects });
    return {
      root: '/',
      files: ownFiles,
      local: ownFiles,
      databases: createMemoryDatabases({ tree, effects }),
      locks: createMemoryLocks({ tree, effects, clock, pid, holders }),
      program: createMemoryProgram({ pid, startedMs: clock.monotonic(), environment }),
      units: createMemoryUnits({ units, files: ownFiles, effects, live: systemd }),
      exec,
      localExec: exec,
      containers: createMemoryContainers({ archives, images, effects, files: ownFiles }),
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        sleep: async (ms, signal) => {
          effects.alive();
          await clock.sleep(ms, signal);
          effects.alive();
        },
      },
      net: createMemoryNet({ endpoints, clock, alive: () => effects.alive() }),
      archives: createMemoryArchives(),
      // Arithmetic is the same everywhere.
      signatures: createMemorySignatures(clock),
      close: () => Promise.resolve(),
    };
  };

  return {
    clock,
    files,
    units,
    open,
    effects: journal,
    breakEffect: (effect, error) => void (error ? broken.set(effect, error) : broken.delete(effect)),
    program: (name, program) => void programs.set(name, program),
    makeFifo: (path) => tree.put(tree.entry(path), tree.make({ type: 'other' })),
    archive: (path, references) => void archives.set(path, references),
    serve: (address, endpoint) => {
      endpoints.set(address, endpoint);
      return () => void (endpoints.get(address) === endpoint && endpoints.delete(address));
    },
    reboot: async () => {
      tree.clearVolatile();
      await units.boot();
    },
    snapshot: () => tree.snapshot(),
  };
}

/** A host on a machine of its own, for tests that need nothing of the machine. */
export function createMemoryHost(options: MemoryMachineOptions & OpenOptions = {}): Host {
  return createMemoryMachine(options).open(options);
}

interface MemoryUnitsOptions {
  readonly units: SimulatedSystemd;
  readonly files: Files;
  readonly effects: Effects;
  readonly live: boolean;
}

function createMemoryUnits({ units, files, effects, live }: MemoryUnitsOptions): Units {
  const ask = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    effects.alive();
    if (live) return work();
    throw new NodekilnError('NK_NO_SYSTEMD', 'no systemd runs in a root folder');
  };
  const act = async <Result>(effect: string, work: () => Promise<Result>): Promise<Result> =>
    ask(() => effects.run(effect, () => handled(work())));
  const unitFileState = async (name: string): Promise<string> => readEnablement(files, name);
  return {
    mode: live ? 'live' : 'offline',
    list: (patterns = []) =>
      ask(async () => {
        const found = await units.list(patterns);
        return Promise.all(found.map(async (unit) => ({ ...unit, unitFileState: await unitFileState(unit.name) })));
      }),
    get: (name) => ask(async () => ({ ...(await units.get(name)), unitFileState: await unitFileState(name) })),
    dependencies: (name, property) => ask(() => units.words(name, property)),
    start: (name) => act(`start ${name}`, () => units.start(name)),
    stop: (name) => act(`stop ${name}`, () => units.stop(name)),
    restart: (name) => act(`restart ${name}`, () => units.restart(name)),
    reloadOrRestart: (name) => act(`reload-or-restart ${name}`, () => units.reloadOrRestart(name)),
    enablement: unitFileState,
    setEnablement: (change, names) => changeEnablement(files, change, names),
    daemonReload: () => act('daemon-reload', () => units.daemonReload()),
    resetFailed: (name) => act(`reset-failed ${name}`, () => units.resetFailed(name)),
    kill: (name, signal) => act(`kill ${name} ${signal}`, () => units.kill(name, signal)),
    log: (name, lines) => ask(() => Promise.resolve(units.log(name, lines))),
    milestones: () => ask(() => Promise.resolve({ kernelUsec: 0, userspaceUsec: 1_000_000, finishUsec: 5_000_000 })),
  };
}
