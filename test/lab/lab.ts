/**
 * Labs: hosts with a real systemd as PID 1 (systemd-nspawn over an overlay of a root folder), each with its own disk,
 * network namespace and control groups, on this machine. The demo, the tests and the benchmarks share this.
 *
 * A lab ends with `close()`, or with the process that opened it, whatever ends that; `keeper.ts` sees to it. Times are
 * milliseconds; paths given to a host's methods are guest paths.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from './cache.ts';
import { assertCapable } from './prerequisites.ts';
import { startTicks } from './process.ts';
import type {
  Answer,
  CreatedHost,
  HostSpecification,
  LaunchedHost,
  Notice,
  OwnerRecord,
  Reply,
  Request,
} from './protocol.ts';
import { runFolder } from './protocol.ts';
import type { RunResult } from './run.ts';
import { run, tryRun } from './run.ts';
import { sweepDeadLabs, sweepLab } from './sweep.ts';
import type { TreeEntry, TreeOptions } from './tree.ts';
import { snapshotTree } from './tree.ts';

export interface LabOptions {
  /** Receives one line per thing the lab does. */
  readonly log?: (line: string) => void;
}

export interface HostOptions {
  /** Lower-case letters, digits and hyphens; the guest's host name. */
  readonly name: string;
  /** An unpacked root (a baked one, `rootFolder`, `derivedRoot`); it must not change while the host exists. */
  readonly root: string;
  /** Folders copied from the root to the real disk, such as `/opt` and `/var/lib/containerd`. */
  readonly seeds?: readonly string[];
  /** `true`: a cable to the lab's switch, where other hosts and `lab.spawnInNetwork` are. Default: no way out. */
  readonly network?: boolean;
  /** Changes the host's disk before its first start; gets the folder that will be the guest's `/`. */
  readonly prepare?: (root: string) => Promise<void>;
}

export interface ExecOptions {
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly onLine?: (line: string) => void;
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdio?: StdioOptions;
}

export interface Timestamps {
  /** CLOCK_MONOTONIC, which machine and guests share, just before nspawn was started. */
  readonly launchedMs: number;
  /** The same clock when the guest's PID 1 was created, in steps of 10 ms. */
  readonly pid1Ms: number;
}

export interface LabHost {
  readonly name: string;
  readonly address: string;
  readonly machineId: string;
  /** The host's folder on the machine's disk: `upper` (what it changed), `seeds`, `console.log`. */
  readonly disk: string;
  /** The guest's PID 1 in the machine's numbering; `undefined` while it does not run. */
  readonly pid1: number | undefined;
  readonly timestamps: Timestamps | undefined;
  /** Starts the guest's systemd and returns as soon as PID 1 exists. */
  start(): Promise<void>;
  /** Waits until systemd says `running`; throws with the failed units when it says `degraded`, or at the deadline. */
  waitRunning(timeoutMs?: number): Promise<void>;
  /** Runs a program in the guest; 124 when the deadline ended it. No shell is involved. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<RunResult>;
  /** `exec` that throws, with what the program said, when it fails; returns its standard output. */
  check(argv: readonly string[], options?: ExecOptions): Promise<string>;
  /** Starts a program in the guest and gives its process; for programs that stay. */
  spawn(argv: readonly string[], options?: SpawnOptions): ChildProcess;
  /** What to type on the machine for a shell in the guest. */
  enterCommand(): string;
  /** Where a guest path is on the machine, running or not; symlinks are resolved inside the guest. */
  path(guestPath: string): Promise<string>;
  readFile(guestPath: string): Promise<string>;
  /** Writes a whole file by renaming it into place; makes parent folders. */
  writeFile(guestPath: string, content: string | Uint8Array, options?: { readonly mode?: number }): Promise<void>;
  /** Listing of guest folders, running or stopped; see tree.ts. */
  tree(folders: readonly string[], options?: TreeOptions): Promise<readonly TreeEntry[]>;
  /** What the guest's systemd and nspawn said on the console, of all starts. */
  console(): Promise<string>;
  /** Copies the stopped host's whole disk into a new folder, which can be the root of further hosts. */
  saveRoot(dir: string): Promise<void>;
  /** An orderly reboot from inside; resolves when the guest is `running` again. */
  reboot(timeoutMs?: number): Promise<void>;
  /** An orderly shutdown from inside; resolves when nothing of the guest runs. */
  poweroff(timeoutMs?: number): Promise<void>;
  /** A power cut: SIGKILL to everything at once. The disk stays; `start` boots it again. */
  kill(): Promise<void>;
  cutNetwork(): Promise<void>;
  restoreNetwork(): Promise<void>;
  /** Kills the guest and removes its disk, network and control groups. */
  remove(): Promise<void>;
}

export interface Lab {
  readonly id: string;
  /** The lab's folder on the machine's disk, with a folder per host; goes with the lab. */
  readonly disk: string;
  host(options: HostOptions): Promise<LabHost>;
  /** Starts a program of the machine in the network that hosts with `network: true` are in, at 10.77.0.254. */
  spawnInNetwork(argv: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program of the machine there to its end; 124 when the deadline ended it. */
  execInNetwork(argv: readonly string[], options?: ExecOptions): Promise<RunResult>;
  /** Leaves the lab up when this process ends; returns what to type to enter its hosts and to remove it. */
  keep(): Promise<readonly string[]>;
  /** Removes every host and all that belongs to the lab. Idempotent. */
  close(): Promise<void>;
}

const keeperProgram = fileURLToPath(new URL('keeper.ts', import.meta.url));
const guestPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** The address of the lab's own network, where `spawnInNetwork` and `execInNetwork` run. */
export const networkAddress = '10.77.0.254';

// ── the keeper's other end ───────────────────────────────────────────────────────────────────────────────────────

type OwnNotice = Exclude<Notice, { readonly notice: 'ready' }>;

interface Keeper {
  readonly pid: number;
  /** Control groups for programs in the lab's network. */
  readonly groups: readonly string[];
  call(request: Request): Promise<Answer>;
  onNotice(listener: (notice: OwnNotice) => void): void;
  /** Resolves when the keeper is gone; only awaiting it through here keeps the event loop alive. */
  exit(): Promise<void>;
  readonly exited: Promise<void>;
}

async function startKeeper(id: string, disk: string): Promise<Keeper> {
  const folder = join(runFolder, id);
  await mkdir(folder, { recursive: true });
  await mkdir(disk, { recursive: true });
  await writeOwner(folder, process.pid, disk);
  const log = openSync(join(folder, 'keeper.log'), 'a');
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const child = spawn(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      keeperProgram,
      id,
      disk,
    ],
    // Detached: a Ctrl-C meant for us must not reach it before it knows that we are gone.
    { detached: true, stdio: ['ignore', log, log, 'ipc'], env, cwd: '/' },
  );
  closeSync(log);
  const waiting = new Map<number, { resolve: (reply: Answer) => void; reject: (error: Error) => void }>();
  const listeners: ((notice: OwnNotice) => void)[] = [];
  let next = 1;
  let gone = false;
  const ready = Promise.withResolvers<readonly string[]>();
  const exited = Promise.withResolvers<void>();
  const fail = async (): Promise<void> => {
    if (gone) return;
    gone = true;
    const said = await readFile(join(folder, 'keeper.log'), 'utf8').catch(() => '');
    const error = new Error(`the keeper of lab ${id} ended${said === '' ? '' : `:\n${said.trim()}`}`);
    ready.reject(error);
    for (const each of waiting.values()) each.reject(error);
    waiting.clear();
    exited.resolve();
  };
  child.on('error', () => void fail());
  child.on('exit', () => void fail());
  child.on('message', (message: Reply | Notice) => {
    if ('notice' in message) {
      if (message.notice === 'ready') ready.resolve(message.groups);
      else for (const listener of listeners) listener(message);
      return;
    }
    const call = waiting.get(message.reply);
    waiting.delete(message.reply);
    if ('error' in message) call?.reject(new Error(message.error));
    else call?.resolve(message);
  });
  const groups = await ready.promise;
  if (child.pid === undefined) throw new Error(`the keeper of lab ${id} has no process number`);
  await writeOwner(folder, child.pid, disk);
  // An idle lab does not keep its opener's event loop alive; a call that waits does.
  child.unref();
  child.channel?.unref();
  const call = (request: Request): Promise<Answer> => {
    if (gone) return Promise.reject(new Error(`lab ${id} is closed`));
    const number = next;
    next += 1;
    child.channel?.ref();
    return new Promise<Answer>((resolve, reject) => {
      waiting.set(number, { resolve, reject });
      child.send({ id: number, request });
    }).finally(() => {
      if (waiting.size === 0) child.channel?.unref();
    });
  };
  const exit = (): Promise<void> => {
    child.ref();
    return exited.promise;
  };
  return {
    pid: child.pid,
    groups,
    call,
    exit,
    onNotice: (listener) => listeners.push(listener),
    exited: exited.promise,
  };
}

async function writeOwner(folder: string, pid: number, disk: string): Promise<void> {
  const owner: OwnerRecord = { pid, startTicks: startTicks(pid) ?? '', disk };
  await writeFile(join(folder, 'owner.json.new'), JSON.stringify(owner));
  await rename(join(folder, 'owner.json.new'), join(folder, 'owner.json'));
}

// ── labs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function openLab(options: LabOptions = {}): Promise<Lab> {
  assertCapable();
  const log = options.log ?? (() => undefined);
  for (const dead of await sweepDeadLabs()) log(`removed what the dead lab ${dead} had left`);
  const id = randomBytes(4).toString('hex');
  const disk = join(cacheFolder(), 'labs', id);
  const keeper = await startKeeper(id, disk).catch(async (error: unknown) => {
    await sweepLab(id, disk);
    throw error;
  });
  const hosts = new Map<string, LabHost>();
  let kept = false;
  let closed: Promise<void> | undefined;
  void keeper.exited.then(async () => {
    // It ended by itself only when somebody killed it: nothing else would clean up before the next lab.
    if (!kept) await sweepLab(id, disk);
  });
  log(`lab ${id} opened`);
  const inNetwork = (argv: readonly string[]): readonly string[] => [
    ...joining(keeper.groups),
    'nsenter',
    `--net=/proc/${keeper.pid}/root${runFolder}/${id}/net/switch`,
    '--',
    ...argv,
  ];
  return {
    id,
    disk,
    async host(options) {
      const host = await makeHost({ keeper, id, log, forget: (name) => hosts.delete(name) }, options);
      hosts.set(options.name, host);
      return host;
    },
    spawnInNetwork(argv, options = {}) {
      const [program = '', ...args] = inNetwork(argv);
      const env = { ...process.env, ...options.env };
      return spawn(program, args, { stdio: options.stdio ?? 'pipe', env, cwd: options.cwd });
    },
    execInNetwork: (argv, options = {}) =>
      tryRun(inNetwork(argv), { ...options, env: { ...process.env, ...options.env } }),
    async keep() {
      kept = true;
      await keeper.call({ method: 'keep' });
      return [...[...hosts.values()].map((host) => host.enterCommand()), `kill ${keeper.pid}   # removes the lab`];
    },
    close() {
      closed ??= (async () => {
        kept = false;
        await keeper.call({ method: 'close' }).catch(() => undefined);
        await keeper.exit();
        await sweepLab(id, disk);
        log(`lab ${id} closed`);
      })();
      return closed;
    },
  };
}

interface HostContext {
  readonly keeper: Keeper;
  readonly id: string;
  readonly log: (line: string) => void;
  readonly forget: (name: string) => void;
}

async function makeHost(context: HostContext, options: HostOptions): Promise<LabHost> {
  const { keeper, log } = context;
  const { name } = options;
  const specification: HostSpecification = {
    name,
    root: options.root,
    seeds: options.seeds ?? [],
    network: options.network ?? false,
  };
  const { created } = await keeper.call({ method: 'create', host: specification });
  if (!created) throw new Error(`lab ${context.id}: the keeper did not describe host ${name}`);
  const merged = `/proc/${keeper.pid}/root${created.merged}`;
  await options.prepare?.(merged);
  return connectHost(context, { name, merged, created, log });
}

/**
 * The beginning of a command line that joins control groups first: what it starts is accounted there and ends there. A host's
 * systemd may take away a group that is empty between two programs.
 */
function joining(groups: readonly string[]): readonly string[] {
  const join = 'mkdir -p "$group"; echo $$ >"$group/cgroup.procs"';
  return ['sh', '-euc', `for group in ${groups.join(' ')}; do ${join}; done; exec "$@"`, 'sh'];
}

interface HostParts {
  readonly name: string;
  readonly merged: string;
  readonly created: CreatedHost;
  readonly log: (line: string) => void;
}

function connectHost(context: HostContext, parts: HostParts): LabHost {
  const { name, created } = parts;
  const power = watchPower(context.keeper, parts);
  const programs = guestPrograms(name, power);
  return {
    name,
    address: created.address,
    machineId: created.machineId,
    disk: created.disk,
    get pid1() {
      return power.running?.pid1;
    },
    get timestamps() {
      return power.running && { launchedMs: power.running.launchedMs, pid1Ms: power.running.pid1Ms };
    },
    ...programs,
    ...guestFiles(parts, power),
    ...guestLife(context, parts, { power, programs }),
  };
}

/** Whether the guest runs, as the keeper tells it. */
interface Power {
  /** Undefined while it does not run. */
  running: LaunchedHost | undefined;
  /** Counts starts, so that a reboot can be told from what ran before. */
  readonly launches: number;
  /** Of the last end. */
  readonly status: number | undefined;
  launched(value: LaunchedHost): void;
  until(what: string, timeoutMs: number, done: () => boolean): Promise<void>;
}

function watchPower(keeper: Keeper, { name, created }: HostParts): Power {
  let launches = 0;
  let status: number | undefined;
  let lost: Error | undefined;
  const waiters = new Set<() => void>();
  const changed = (): void => {
    // Each waiter adds itself anew when it goes on waiting.
    const woken = Array.from(waiters);
    for (const wake of woken) wake();
  };
  const power: Power = {
    running: undefined,
    get launches() {
      return launches;
    },
    get status() {
      return status;
    },
    launched(value) {
      power.running = value;
      lost = undefined;
      launches += 1;
      changed();
    },
    async until(what, timeoutMs, done) {
      const deadline = performance.now() + timeoutMs;
      while (!done()) {
        if (lost) throw lost;
        const left = deadline - performance.now();
        if (left <= 0) throw new Error(`host ${name}: not ${what} after ${timeoutMs} ms\n${await consoleOf(created)}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.add(resolve);
        const timer = setTimeout(resolve, Math.min(left, 1_000));
        await promise;
        clearTimeout(timer);
        waiters.delete(resolve);
      }
    },
  };
  keeper.onNotice((notice) => {
    if (notice.name !== name) return;
    if (notice.notice === 'launched') return power.launched(notice.launched);
    if (notice.notice === 'lost') lost = new Error(`host ${name} did not come back: ${notice.reason}`);
    else status = notice.status;
    power.running = undefined;
    changed();
  });
  return power;
}

function consoleOf({ disk }: CreatedHost): Promise<string> {
  return readFile(join(disk, 'console.log'), 'utf8').catch(() => '');
}

type Programs = Pick<LabHost, 'exec' | 'check' | 'spawn' | 'enterCommand'>;

function guestPrograms(name: string, power: Power): Programs {
  const guest = (): LaunchedHost => {
    if (!power.running) throw new Error(`host ${name} does not run`);
    return power.running;
  };
  const command = (argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string): readonly string[] => {
    const { pid1, groups } = guest();
    const variables = Object.entries({ PATH: guestPath, HOME: '/root', LANG: 'C.UTF-8', TERM: 'dumb', ...env });
    const namespaces = ['-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w'];
    const enter = [...joining(groups), 'nsenter', '--target', String(pid1), ...namespaces, '--', 'env', '-i'];
    const settings = variables.map(([key, value]) => `${key}=${value}`);
    return [...enter, ...(cwd === '/' ? [] : ['--chdir', cwd]), ...settings, ...argv];
  };
  const exec: LabHost['exec'] = async (argv, options = {}) =>
    tryRun(command(argv, options.env ?? {}, options.cwd ?? '/'), options);
  return {
    exec,
    async check(argv, options = {}) {
      const result = await exec(argv, options);
      if (result.status === 0) return result.stdout;
      throw new Error(
        `host ${name}: ${argv.join(' ')}: exit status ${result.status}\n${result.stdout}${result.stderr}`,
      );
    },
    spawn(argv, options = {}) {
      const [program = '', ...args] = command(argv, options.env ?? {}, options.cwd ?? '/');
      return spawn(program, args, { stdio: options.stdio ?? 'pipe', cwd: '/' });
    },
    enterCommand() {
      return `nsenter --target ${guest().pid1} -m -u -i -n -p -C -r -w -- env -i PATH=${guestPath} HOME=/root TERM="$TERM" bash -l`;
    },
  };
}

type Files = Pick<LabHost, 'path' | 'readFile' | 'writeFile' | 'tree' | 'console' | 'saveRoot'>;

function guestFiles({ name, merged, created }: HostParts, power: Power): Files {
  const base = (): string => (power.running ? `/proc/${power.running.pid1}/root` : merged);
  const path: LabHost['path'] = (guestPath) => resolveInside(base(), guestPath);
  return {
    path,
    async readFile(guestPath) {
      return readFile(await path(guestPath), 'utf8');
    },
    async writeFile(guestPath, content, options = {}) {
      const real = await path(guestPath);
      await mkdir(dirname(real), { recursive: true });
      const temporary = join(dirname(real), `.${basename(real)}.lab-new`);
      await writeFile(temporary, content, { mode: options.mode ?? 0o644 });
      await rename(temporary, real).catch(async (error: unknown) => {
        await rm(temporary, { force: true });
        throw error;
      });
    },
    tree: (folders, options) => snapshotTree(base(), folders, options),
    console: () => consoleOf(created),
    async saveRoot(dir) {
      if (power.running) throw new Error(`host ${name} runs: its disk can be copied when it is stopped`);
      await mkdir(dirname(dir), { recursive: true });
      await run(['cp', '--archive', '--reflink=auto', '--no-target-directory', merged, dir]);
    },
  };
}

type Life = Pick<
  LabHost,
  'start' | 'waitRunning' | 'reboot' | 'poweroff' | 'kill' | 'cutNetwork' | 'restoreNetwork' | 'remove'
>;

function guestLife(
  { keeper, forget }: HostContext,
  { name, created, log }: HostParts,
  { power, programs: { exec, check } }: { readonly power: Power; readonly programs: Programs },
): Life {
  const waitRunning = async (timeoutMs = 30_000): Promise<void> => {
    const deadline = performance.now() + timeoutMs;
    let state = '';
    for (;;) {
      const left = deadline - performance.now();
      if (left <= 0 || !power.running) break;
      // --wait blocks until the boot is over, but fails at once while there is no bus yet.
      const answer = await exec(['systemctl', 'is-system-running', '--wait'], { timeoutMs: Math.max(left, 1) });
      state = answer.stdout.trim();
      if (state === 'running') return;
      if (state === 'degraded' || state === 'maintenance') break;
      await sleep(50);
    }
    if (!power.running)
      throw new Error(`host ${name} ended (status ${power.status ?? '?'})\n${await consoleOf(created)}`);
    const failed = await exec(['systemctl', '--failed', '--no-legend', '--plain'], { timeoutMs: 5_000 });
    const jobs = await exec(['systemctl', 'list-jobs', '--no-legend', '--plain'], { timeoutMs: 5_000 });
    throw new Error(
      `host ${name} is not running but ${state || 'silent'} after ${timeoutMs} ms\nfailed:\n${failed.stdout}jobs:\n${jobs.stdout}`,
    );
  };
  return {
    async start() {
      const answer = await keeper.call({ method: 'start', name });
      if (answer.launched) power.launched(answer.launched);
      log(`host ${name} started`);
    },
    waitRunning,
    async reboot(timeoutMs = 60_000) {
      const before = power.launches;
      await check(['systemctl', 'reboot', '--no-block']);
      await power.until('started again', timeoutMs, () => power.launches > before && power.running !== undefined);
      log(`host ${name} rebooted`);
      await waitRunning(timeoutMs);
    },
    async poweroff(timeoutMs = 60_000) {
      if (!power.running) return;
      await check(['systemctl', 'poweroff', '--no-block']);
      await power.until('off', timeoutMs, () => power.running === undefined);
      log(`host ${name} powered off`);
    },
    async kill() {
      await keeper.call({ method: 'kill', name });
      power.running = undefined;
      log(`host ${name} killed`);
    },
    async cutNetwork() {
      await keeper.call({ method: 'cable', name, connected: false });
    },
    async restoreNetwork() {
      await keeper.call({ method: 'cable', name, connected: true });
    },
    async remove() {
      await keeper.call({ method: 'remove', name });
      power.running = undefined;
      forget(name);
      log(`host ${name} removed`);
    },
  };
}

/** Resolves symlinks of a guest path inside `base`, so that an absolute one does not lead out to the machine. */
export async function resolveInside(base: string, guestPath: string): Promise<string> {
  let rest = guestPath.split('/').filter((part) => part !== '' && part !== '.');
  let done: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const [part = '', ...after] = rest;
    rest = after;
    if (part === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const target = await readlink(join(base, ...done, part)).catch(() => undefined);
    if (target === undefined) {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > 40) throw new Error(`${guestPath}: too many symbolic links`);
    if (target.startsWith('/')) done = [];
    rest = [...target.split('/').filter((each) => each !== '' && each !== '.'), ...rest];
  }
  return join(base, ...done);
}
