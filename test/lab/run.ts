/**
 * Programs of the machine, as the lab runs them: argument vectors only, output captured as text, a deadline in
 * milliseconds. `run` throws with the last lines of what the program said; `tryRun` returns whatever happened.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment; the machine's own when missing. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  /** After this the program's process group is killed and `status` is 124. */
  readonly timeoutMs?: number;
  /** Receives each complete line of both streams as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  /** Exit status; 128 + signal number when a signal ended it, 124 when the deadline did, 127 when it could not start. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

function collect(stream: Readable, onLine: ((line: string) => void) | undefined): () => string {
  const chunks: Buffer[] = [];
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (!onLine) return;
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

export function tryRun(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('run: no program given');
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: options.timeoutMs !== undefined,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const stdout = collect(child.stdout, options.onLine);
    const stderr = collect(child.stderr, options.onLine);
    let timedOut = false;
    const deadline =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            // Negative: the whole group, so that no grandchild keeps the pipes open.
            if (child.pid !== undefined) {
              try {
                process.kill(-child.pid, 'SIGKILL');
              } catch {
                child.kill('SIGKILL');
              }
            }
          }, options.timeoutMs);
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      clearTimeout(deadline);
      resolve({ status: 127, stdout: stdout(), stderr: `${stderr()}${error.message}\n` });
    });
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      const ended = code ?? 128 + (signalNumbers[signal ?? ''] ?? 0);
      resolve({ status: timedOut ? 124 : ended, stdout: stdout(), stderr: stderr() });
    });
  });
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await tryRun(argv, options);
  if (result.status === 0) return result;
  const said = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n  ');
  throw new Error(`${argv.join(' ')}: exit status ${result.status}\n  ${said}`);
}
