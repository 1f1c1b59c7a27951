/**
 * Programs in a process group of their own, with a deadline: the whole group gets SIGTERM, then SIGKILL. Never a shell.
 * The environment is small and the same everywhere (PATH, HOME, LANG) plus what is asked for. Programs of a root folder:
 * root-exec.ts.
 *
 * Errors: NK_TOOL_MISSING, NK_TIMEOUT, NK_INTERRUPTED; any exit status is a result.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { errnoOf, NodekilnError } from '../../errors.ts';
import type { Exec, ExecOptions, ExecResult } from '../port.ts';
import { missingProgram } from '../program-packages.ts';
import type { RunOptions } from './sandbox/run.ts';
import { timerMs } from './timers.ts';

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const graceMs = 2000;
const defaultMaxOutput = 64 * 1024;
/** nice(1): "127 if COMMAND cannot be found"; ionice(1) ends alike. */
const wrapperNotFound = 127;

export function createLinuxExec(): Exec {
  return {
    run: async (argv, options) => {
      if (options.confined !== true) return runProgram(argv, options);
      const { runConfined } = await import('./sandbox/run.ts');
      return runConfined(runProgram, { root: '/', argv, options });
    },
  };
}

/** Runs a program of this machine. Errors above. */
export async function runProgram(argv: readonly string[], options: RunOptions): Promise<ExecResult> {
  const started = performance.now();
  const [file = '', ...args] =
    options.lowPriority === true ? [...yieldingProcessor(), ...yieldingDisk(), ...argv] : argv;
  const child = spawn(file, args, {
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? searchPath, HOME: '/root', LANG: 'C.UTF-8', ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const stop = stopper(child, options.name ?? argv[0] ?? '', options);
  const stdout = keepTail(child, 'stdout', options.maxOutput ?? defaultMaxOutput);
  const stderr = keepTail(child, 'stderr', options.maxOutput ?? defaultMaxOutput);
  endAtOutput(child, options.endAtOutput);
  // A program that exits before it has read its input is no failure of ours.
  child.stdin?.on('error', () => undefined).end(options.input);
  try {
    const status = await exitStatus(child, stop);
    const result = { status, stdout: stdout(), stderr: stderr(), durationMs: performance.now() - started };
    if (stop.reason) throw stop.reason(result);
    if (status === wrapperNotFound && /^(?:nice|ionice):/.test(result.stderr) && file !== argv[0])
      throw missingProgram(argv[0] ?? '', { cause: result.stderr });
    return result;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'EACCES')
      throw missingProgram(argv[0] ?? '', { cause: thrown });
    throw thrown;
  } finally {
    stop.clear();
  }
}

const lowNice = 10;

function wrapper(name: string): string | undefined {
  return [`/usr/bin/${name}`, `/bin/${name}`].find((path) => existsSync(path));
}

/** Before the program begins: what is set on a process that runs already comes too late for a quick one. What it starts is as low. */
function yieldingProcessor(): string[] {
  const nice = wrapper('nice');
  const own = getPriority();
  return nice === undefined ? [] : [nice, '-n', String(Math.max(lowNice, own) - own)];
}

/** Without ionice the kernel derives the disk's priority from the processor's, which is nearly the same. */
function yieldingDisk(): string[] {
  const ionice = wrapper('ionice');
  return ionice === undefined ? [] : [ionice, '-c', '2', '-n', '7'];
}

/** Resolves when the program has ended and its output is read; after a stop, when it has ended. */
function exitStatus(child: ChildProcess, stop: Stopper): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (code: number | null, signal: NodeJS.Signals | null): void =>
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    child.once('error', reject);
    child.once('close', settle);
    // A grandchild may keep the pipes open for ever; after the deadline nobody waits for it.
    child.once('exit', (code, signal) => {
      if (stop.reason) settle(code, signal);
      else stop.onStop = () => settle(code, signal);
    });
  });
}

interface Stopper {
  reason: ((result: ExecResult) => NodekilnError) | undefined;
  onStop: () => void;
  clear(): void;
}

function stopper(child: ChildProcess, program: string, options: ExecOptions): Stopper {
  let killer: NodeJS.Timeout | undefined;
  const stopBy = (reason: Stopper['reason']): void => {
    if (stop.reason) return;
    stop.reason = reason;
    killGroup(child, 'SIGTERM');
    killer = setTimeout(() => killGroup(child, 'SIGKILL'), graceMs);
    stop.onStop();
  };
  const onAbort = (): void =>
    stopBy(() => new NodekilnError('NK_INTERRUPTED', `${program} was interrupted`, { cause: options.signal?.reason }));
  const timer = setTimeout(
    () =>
      stopBy(
        ({ stdout, stderr }) =>
          new NodekilnError('NK_TIMEOUT', `${program} did not end within ${options.timeoutMs} ms`, {
            lines: [stdout, stderr].flatMap((text) => text.split('\n').filter(Boolean).slice(-10)),
          }),
      ),
    timerMs(options.timeoutMs),
  );
  const stop: Stopper = {
    reason: undefined,
    onStop: () => undefined,
    clear: () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      child.stdout?.destroy();
      child.stderr?.destroy();
      if (killer === undefined) return;
      clearTimeout(killer);
      // Whoever of the group outlived SIGTERM.
      killGroup(child, 'SIGKILL');
    },
  };
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  return stop;
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ESRCH') throw thrown;
  }
}

function keepTail(child: ChildProcess, stream: 'stdout' | 'stderr', limit: number): () => string {
  let chunks: Buffer[] = [];
  let length = 0;
  child[stream]?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length < 2 * limit) return;
    chunks = [Buffer.concat(chunks).subarray(-limit)];
    length = limit;
  });
  return () => Buffer.concat(chunks).subarray(-limit).toString('utf8');
}

/** Nobody waits for the end of what never ends: killed, its status is 137. */
function endAtOutput(child: ChildProcess, limit: number | undefined): void {
  if (limit === undefined) return;
  let length = 0;
  const count = (chunk: Buffer): void => {
    length += chunk.length;
    if (length > limit) killGroup(child, 'SIGKILL');
  };
  child.stdout?.on('data', count);
  child.stderr?.on('data', count);
}
