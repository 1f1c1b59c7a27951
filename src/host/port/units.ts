/** The port's units: systemd's, by its own words; see org.freedesktop.systemd1(5). */

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

/** What `kill` sends. */
export type UnitSignal = 'SIGTERM' | 'SIGKILL' | 'SIGINT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2';

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
  kill(name: string, signal: UnitSignal): Promise<void>;
  /**
   * The last log lines of the unit's current or last start and of the runs that systemd restarted it from since, oldest
   * first; empty when there is no journal.
   */
  log(name: string, lines: number): Promise<string[]>;
  /** CLOCK_MONOTONIC microseconds of the machine's milestones; 0 when not reached. */
  milestones(): Promise<{ readonly kernelUsec: number; readonly userspaceUsec: number; readonly finishUsec: number }>;
}
