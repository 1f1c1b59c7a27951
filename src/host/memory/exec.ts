/** Programs of a machine in memory: what a test says they do, on the machine's time. */
import { NodekilnError } from '../../errors.ts';
import { basename } from '../../model/path.ts';
import type { Exec, ExecOptions, ExecResult, Files } from '../port.ts';
import type { MemoryClock } from './clock.ts';
import type { Effects } from './effects.ts';

export interface ProgramCall {
  readonly argv: readonly string[];
  readonly options: ExecOptions;
  /** The machine's files; what the program does to them is its own effect, not ours. */
  readonly files: Files;
  readonly clock: MemoryClock;
}

export interface ProgramResult {
  readonly status?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  /** How long it runs, on the machine's clock; beyond the deadline it is killed. */
  readonly durationMs?: number;
}

export type Program = (call: ProgramCall) => ProgramResult | Promise<ProgramResult>;

export interface MemoryExecOptions {
  /** By path or name. */
  readonly programs: ReadonlyMap<string, Program>;
  readonly files: Files;
  readonly clock: MemoryClock;
  readonly effects: Effects;
}

export function createMemoryExec(options: MemoryExecOptions): Exec {
  const { effects } = options;
  return {
    run: async (argv, execOptions) => {
      effects.alive();
      return effects.run(`exec ${argv.join(' ')}`, () => handled(runProgram(options, argv, execOptions)));
    },
  };
}

async function runProgram(
  { programs, files, clock }: MemoryExecOptions,
  argv: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  const [name = ''] = argv;
  const program = programs.get(name) ?? programs.get(basename(name));
  if (!program) throw new NodekilnError('NK_TOOL_MISSING', `cannot run ${name}: no such program`);
  const result = await program({ argv, options, files, clock });
  const durationMs = result.durationMs ?? 0;
  await clock.sleep(Math.min(durationMs, options.timeoutMs), options.signal);
  if (durationMs > options.timeoutMs)
    throw new NodekilnError('NK_TIMEOUT', `${name} did not end within ${options.timeoutMs} ms`, {
      lines: (result.stderr ?? '').split('\n').filter(Boolean).slice(-10),
    });
  const kept = options.maxOutput ?? 64 * 1024;
  return {
    status: result.status ?? 0,
    stdout: (result.stdout ?? '').slice(-kept),
    stderr: (result.stderr ?? '').slice(-kept),
    durationMs,
  };
}

/** A crash may drop the promise of work that goes on without us; its failure is nobody's then. */
export function handled<Result>(work: Promise<Result>): Promise<Result> {
  work.catch(() => undefined);
  return work;
}
