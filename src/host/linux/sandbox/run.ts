/** Runs programs of a root in its sandbox; see sandbox.ts. */
import type { ExecOptions, ExecResult } from '../../port.ts';
import { confined, readerEnvironment, readerOutputBytes, requireSandbox, resultOfConfined } from './sandbox.ts';

/** What a run needs beyond the port. */
export interface RunOptions extends ExecOptions {
  /** Bytes of output after which the program is ended. */
  readonly endAtOutput?: number;
  /** What messages call it; the program unless told. */
  readonly name?: string;
}

/** Runs a program of this machine. */
type Run = (argv: readonly string[], options: RunOptions) => Promise<ExecResult>;

/** Lets a program say something. `root`: whose program it is. Errors as `Exec.run`. */
export async function runConfined(
  run: Run,
  { root, argv, options }: { root: string; argv: readonly string[]; options: ExecOptions },
): Promise<ExecResult> {
  requireSandbox(argv, 'reader');
  const result = await run(confined(root, 'reader', argv), {
    ...options,
    env: { ...readerEnvironment, ...options.env },
    endAtOutput: readerOutputBytes,
    name: argv[0] ?? '',
  });
  return resultOfConfined(argv, result);
}
