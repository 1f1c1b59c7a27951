/** The port's program: our own process, and whoever started it. */

/** Where text goes. */
export interface Output {
  /** Present when somebody reads it on a terminal. */
  readonly terminal?: Terminal | undefined;
  /** Whether it shows colours: a terminal that can, and a person who does not forbid them (NO_COLOR, FORCE_COLOR). */
  readonly colours: boolean;
  /** It goes to systemd's journal, which takes a priority before each line, `<6>` (sd-daemon(3)). */
  readonly journal: boolean;
  /** Resolves when the text has left us, or with why it could not; a reader that went away is no failure. */
  write(text: string): Promise<Error | undefined>;
}

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  /** Lines at its end; one who writes there otherwise closes them first. Absent where a cursor cannot be moved (`TERM=dumb`). */
  readonly live?: () => Promise<LiveLines>;
}

/** Lines that change in place, each on one line of the terminal however long its text is, until they are taken away. */
export interface LiveLines {
  /** Below the others. */
  add(): LiveLine;
  /** For good, above them, with the next frame. */
  say(line: string): void;
  close(): void;
}

export interface LiveLine {
  /** `share`: how much is done, of 1. A bar shows it. `short`: instead of both on a narrow terminal. */
  set(text: string, about?: { readonly share?: number | undefined; readonly short?: string }): void;
  remove(): void;
}

/** The signals that ask for an orderly end. */
export type EndSignal = 'SIGHUP' | 'SIGINT' | 'SIGTERM';

export interface Program {
  readonly pid: number;
  /** The effective ones: whose files we make. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** The words after the program's name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What relative paths of the command line and of the environment start from. */
  readonly workingDirectory: string;
  /** Our own files in our own file system, symlinks resolved: what runs us, and what is run, if that is a file of its own. */
  readonly executable: string;
  readonly script: string | undefined;
  /** What carries our TypeScript: `Node 24.21.0`, `native`. */
  readonly runtime: string;
  /** Go's name of the processor's architecture; what it says itself when Go has none. */
  readonly architecture: string;
  /** Processors that we may use. */
  readonly processors: number;
  /** When we were started, on the host's monotonic clock. */
  readonly startedMs: number;
  /**
   * All of what a person named, also a pipe or the standard input (`/dev/stdin`), to its end. Throws the system's
   * error; EINVAL, EFBIG and ETIMEDOUT for what has no end or never begins.
   */
  readInput(path: string): Promise<Uint8Array>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Calls back for each signal, until the returned call; without a listener the system ends us. */
  onSignal(listener: (signal: EndSignal) => void): () => void;
  /** Calls back when nothing is left that anything could still come of; without it the process would end as if all was well. */
  onIdle(listener: () => void): void;
  /** From now on memory counts more than speed, or no longer. */
  saveMemory(yes: boolean): void;
  /** Ends us at once. */
  exit(status: number): never;
  /** Ends us by the signal, so that who waits for us knows: a shell ends its loop as well. */
  endBy(signal: EndSignal): Promise<never>;
}
