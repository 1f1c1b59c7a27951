/**
 * The port `Host`: every effect on a machine goes through one of these objects, so that the same plan applies to a
 * running machine, to a root folder at image-build time and to memory. Implementations: `linux/` and `memory/`;
 * `conformance.ts` holds the expectations both must meet.
 *
 * Units of measure: milliseconds, bytes, mode bits as numbers (0o644), absolute paths as seen inside the host
 * (`/etc/…` even when the host is a root folder). Times of systemd stay in its microseconds where the name says `Usec`.
 */

export interface Host {
  /** Where the host's `/` is in our own file system: `/` for the machine itself. */
  readonly root: string;
  readonly files: Files;
  /** `undefined` never: a root folder has offline units (enablement only). */
  readonly units: Units;
  readonly exec: Exec;
  readonly containers: Containers;
  readonly clock: Clock;
  readonly net: Net;
  /** Releases connections and watches. Idempotent. */
  close(): Promise<void>;
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type FileType = 'file' | 'directory' | 'symlink' | 'other';

export interface FileStat {
  readonly type: FileType;
  readonly size: number;
  /** Permission bits including setuid, setgid and sticky, without the file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  /** The target of a symlink, as stored. */
  readonly target?: string;
}

/** One exact thing to put at a path. Parent folders are made 0755 root:root when missing. */
export type FileWrite =
  | {
      readonly type: 'file';
      readonly path: string;
      readonly content: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: 'directory';
      readonly path: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string };

/** `unchanged`: content, mode and owner were right already and nothing was written. `attributes`: only mode or owner. */
export type WriteOutcome = 'created' | 'replaced' | 'attributes' | 'unchanged';

/** How a placed file came to be; see `Files.place`. */
export type PlaceMethod = 'reflink' | 'hardlink' | 'copy' | 'unchanged';

export interface Files {
  /** The entry at the path itself (a symlink is not followed), or undefined when there is none. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Whole content; follows symlinks inside the host. NK_FILE_WRITE never: reading errors other than "missing" throw the system error. */
  read(path: string): Promise<Buffer | undefined>;
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(path: string): Promise<string[]>;
  /**
   * Writes all, durably and exactly: temporary file in the target folder, mode and owner set on the descriptor whatever
   * the umask, fsync, rename, fsync of each folder once. A symlink at a target path is replaced, never followed; a
   * folder where a file must be is an error. After it returns, every write survives power loss. On failure: NK_FILE_WRITE,
   * no temporary files left; single writes are whole or absent.
   */
  write(writes: readonly FileWrite[]): Promise<WriteOutcome[]>;
  /** Writes a value into a file of /proc or /sys in one call: no temporary file, no fsync. Throws the system error. */
  writeKernel(path: string, value: string): Promise<void>;
  /** Removes files, symlinks and empty folders durably; missing ones and folders in use are passed over. Returns those removed. */
  remove(paths: readonly string[]): Promise<string[]>;
  /**
   * Puts the content of `source` at `target` without consuming the source: reflink, else hard link, else copy, under a
   * temporary name, then rename over the target. `unchanged` when target already is that content (same inode, mode and owner).
   */
  place(source: string, target: string, attributes: { mode: number; uid: number; gid: number }): Promise<PlaceMethod>;
  /** `sha256:…` of a regular file. */
  digest(path: string): Promise<string>;
  /**
   * Where the entry lies in our own file system, parent symlinks resolved inside the host: for streaming content too
   * large for `write`. Absent when the host's files lie in no file system (memory).
   */
  realPath?(path: string): Promise<string>;
  /** Reads the files once so that the page cache holds them; never fails; missing files and those that seem to be there already are passed over. Returns bytes read. */
  warm(paths: readonly string[]): Promise<number>;
}

// ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** systemd's own words; see org.freedesktop.systemd1(5). `UnitFileState` is '' when there is no unit file. */
export interface UnitStatus {
  readonly name: string;
  readonly loadState: 'loaded' | 'not-found' | 'bad-setting' | 'error' | 'masked' | 'stub' | 'merged';
  readonly activeState:
    | 'active'
    | 'reloading'
    | 'inactive'
    | 'failed'
    | 'activating'
    | 'deactivating'
    | 'maintenance'
    | 'refreshing';
  readonly subState: string;
  readonly unitFileState: string;
  /** Hex text, '' before the first start. A new one per start: how a restart is proved. */
  readonly invocationId: string;
  readonly fragmentPath: string;
  readonly dropInPaths: readonly string[];
  /** CLOCK_MONOTONIC of the host, microseconds; 0 when it never happened. */
  readonly activeEnterUsec: number;
  readonly inactiveExitUsec: number;
  readonly needDaemonReload: boolean;
  /** Services only. */
  readonly mainPid?: number;
  readonly restarts?: number;
  /** `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`, …; services only. */
  readonly result?: string;
  readonly execMainStatus?: number;
  /** systemd's service type (`oneshot`, `notify`, …) and RemainAfterExit; services only. */
  readonly serviceType?: string;
  readonly remainAfterExit?: boolean;
}

/** Result of a systemd job, as `JobRemoved` reports it. */
export type JobResult =
  | 'done'
  | 'canceled'
  | 'timeout'
  | 'failed'
  | 'dependency'
  | 'skipped'
  | 'invalid'
  | 'assert'
  | 'unsupported'
  | 'collected'
  | 'once';

/** A queued job. `result` settles when systemd removes the job, also when the connection was lost meanwhile (state is read again). */
export interface UnitJob {
  readonly unit: string;
  readonly result: Promise<JobResult>;
}

/** A change systemd made to unit files: `symlink` (path → source) or `unlink`. */
export interface UnitFileChange {
  readonly type: string;
  readonly path: string;
  readonly source: string;
}

export type Enablement = 'enable' | 'disable' | 'mask' | 'unmask';

export interface Units {
  /** `live`: a running systemd answers. `offline`: a root folder; only `enablement` and `setEnablement` work, the rest throws NK_NO_SYSTEMD. */
  readonly mode: 'live' | 'offline';
  /** All units systemd has loaded that match the patterns (globs as in systemctl), all when none is given. */
  list(patterns?: readonly string[]): Promise<UnitStatus[]>;
  /** One unit's state; `loadState: 'not-found'` when there is none. */
  get(name: string): Promise<UnitStatus>;
  /** Values of `After=`, `Requires=`, `Wants=` as systemd resolved them, for plan checks. */
  dependencies(name: string, property: 'After' | 'Requires' | 'Wants' | 'BindsTo' | 'Before'): Promise<string[]>;
  /** Queues a job and returns at once; NK_UNIT_MISSING when there is no such unit, NK_UNIT_FAILED when it cannot be queued (masked, bad settings). */
  start(name: string): Promise<UnitJob>;
  stop(name: string): Promise<UnitJob>;
  restart(name: string): Promise<UnitJob>;
  /** Reload when the unit can, else restart. */
  reloadOrRestart(name: string): Promise<UnitJob>;
  /** `is-enabled` words: enabled, disabled, static, masked, …; '' when there is no unit file. */
  enablement(name: string): Promise<string>;
  setEnablement(change: Enablement, names: readonly string[]): Promise<UnitFileChange[]>;
  /** systemctl daemon-reload; returns when systemd has read all unit files. */
  daemonReload(): Promise<void>;
  resetFailed(name: string): Promise<void>;
  /** Sends a signal to all processes of the unit. */
  kill(name: string, signal: NodeJS.Signals): Promise<void>;
  /** The last log lines of the unit's current or last start, oldest first; empty when there is no journal. */
  log(name: string, lines: number): Promise<string[]>;
  /** CLOCK_MONOTONIC microseconds of the machine's milestones; 0 when not reached. */
  milestones(): Promise<{ readonly kernelUsec: number; readonly userspaceUsec: number; readonly finishUsec: number }>;
}

// ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ExecOptions {
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  /** Bytes of stdout and stderr kept each, the last ones; 64 KiB unless told. */
  readonly maxOutput?: number;
  readonly signal?: AbortSignal;
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
   * Runs a program in the host (in the root folder by chroot when the host is one) in a process group of its own; never
   * a shell. Resolves with any exit status. NK_TOOL_MISSING when there is no such program, NK_TIMEOUT after the deadline
   * (the whole group is killed), NK_INTERRUPTED when the signal fires.
   */
  run(argv: readonly string[], options: ExecOptions): Promise<ExecResult>;
}

// ── container images ─────────────────────────────────────────────────────────────────────────────────────────────

/** Whether an image's layers are made into snapshots when it is imported. `auto`: below a size, see `unpackBelowBytes`. */
export type Unpack = 'auto' | 'always' | 'never';

/**
 * Archives smaller than this are unpacked under `auto`: a large one costs its size again in the image and minutes of the
 * bake, and containerd unpacks it when its first container starts.
 */
export const unpackBelowBytes = 200 * 1024 * 1024;

export interface ImportOptions {
  /** Of the archive. */
  readonly digest?: string;
  readonly pin: boolean;
  /** `auto` unless told. */
  readonly unpack?: Unpack;
  /** Go's name; refused when no image of the archive is for it. */
  readonly architecture?: string;
}

export interface Imported {
  /** Every reference in the store. */
  readonly references: string[];
  /** Of the archive. */
  readonly digest: string;
  readonly size: number;
  readonly unpacked: boolean;
}

/** An image as containerd's store has it. */
export interface StoredImage {
  readonly reference: string;
  /** Of what the reference points at: a manifest, or an index of several systems. */
  readonly digest: string;
  readonly pinned: boolean;
}

export interface Containers {
  /**
   * Imports the images of an archive (OCI layout or docker-archive tar; a path in our own file system) for the host's
   * system into containerd's content store, namespace `k8s.io`; `pin` keeps kubelet from collecting them. In a root
   * folder the root's own containerd is started for this and stopped by `Host.close`. NK_ARTIFACT_MISSING,
   * NK_ARTIFACT_DIGEST (of the archive), NK_ARTIFACT_ARCHITECTURE, NK_IMAGE_IMPORT.
   */
  importArchive(archive: string, options: ImportOptions): Promise<Imported>;
  /**
   * The images in the store. Where no containerd answers, the host's own is started on a private socket and stopped by
   * `Host.close`; it changes no unit. NK_IMAGE_IMPORT when it cannot be started.
   */
  list(): Promise<StoredImage[]>;
}

// ── clock ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** CLOCK_MONOTONIC in milliseconds with fractions: the clock systemd's timestamps are on. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

// ── network ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface HttpRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeoutMs: number;
  /** A Unix socket to speak to instead of the URL's host. */
  readonly socketPath?: string;
  /** PEM certificates trusted instead of the system's. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
  /** Response bytes kept at most; NK_SOURCE_UNAVAILABLE beyond. 1 MiB unless told. */
  readonly maxBytes?: number;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Net {
  /** One request, no redirects, no retries. NK_SOURCE_UNAVAILABLE when no response came, NK_TIMEOUT after the deadline. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /** True when something accepts connections at the Unix socket. */
  socketAnswers(path: string, timeoutMs: number): Promise<boolean>;
}
