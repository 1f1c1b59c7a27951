/** The port's programs. */

export interface ExecOptions {
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  /** Bytes of stdout and stderr kept each, the last ones; 64 KiB unless told. */
  readonly maxOutput?: number;
  readonly signal?: AbortSignal;
  /**
   * Behind whatever else the machine does, with all its children: processor time as of nice 10, the disk at the last of
   * the best-effort priorities where the machine has ionice(1).
   */
  readonly lowPriority?: boolean;
  /**
   * For a program that is not trusted and has only to say something: it changes nothing, reaches no network, device or other
   * process, and is ended when it prints more than a megabyte (exit status 137).
   */
  readonly confined?: boolean;
}

export interface ExecResult {
  /** Exit status, or 128 + signal number. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface Exec {
  /**
   * Runs a program in the host in a process group of its own; never a shell. When the host is a root folder the program
   * sees that alone, and can change nothing outside. Resolves with any exit status. NK_TOOL_MISSING when there is no such program, NK_TIMEOUT after the deadline
   * (the whole group is killed), NK_INTERRUPTED when the signal fires.
   */
  run(argv: readonly string[], options: ExecOptions): Promise<ExecResult>;
}
