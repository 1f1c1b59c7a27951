/**
 * The data that flows through planning: observations and ownership in, changes and steps out. All JSON, all immutable,
 * so that a plan can be printed, compared, stored and applied elsewhere.
 */
import type { Importance, Readiness, Resource, ResourceId, Scope, ClaimSource } from './resources.ts';

// ── what is on the host ──────────────────────────────────────────────────────────────────────────────────────────

/** An entry of the file system as far as it matters for comparison. `absent` when there is none. */
export type EntryObservation =
  | { readonly type: 'absent' }
  | {
      readonly type: 'file';
      readonly digest: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'directory'; readonly mode: number; readonly uid: number; readonly gid: number }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'other' };

export interface FileObservation {
  readonly kind: 'file';
  readonly entry: EntryObservation;
}

export interface UnitObservation {
  readonly kind: 'unit';
  /** Entries at the unit file's and our drop-ins' paths, by path. */
  readonly entries: Readonly<Record<string, EntryObservation>>;
  readonly enablement: string;
  readonly loadState: string;
  readonly activeState: string;
  readonly invocationId: string;
  /** False where no systemd runs: only definitions and enablement matter. */
  readonly live: boolean;
  /** A oneshot without RemainAfterExit: being inactive after success is its normal state. */
  readonly transient: boolean;
  /** Its last run succeeded. */
  readonly succeeded: boolean;
  /** systemd has not read unit files since some changed or were enabled (NeedDaemonReload). */
  readonly stale: boolean;
}

export interface BinaryObservation {
  readonly kind: 'binary';
  /** A usable entry for the version in the cache, or why there is none. */
  readonly cached: { readonly key: string; readonly file: string; readonly digest: string } | undefined;
  readonly cacheRefusals: readonly string[];
  /** Digest of what is at the target, when activated binaries are concerned. */
  readonly targetDigest: string | undefined;
  /** Digest of what we put there ourselves, when the journal has it. */
  readonly placedDigest?: string;
}

export interface ExtensionObservation {
  readonly kind: 'extension';
  /** False where no systemd runs: the links count, systemd merges them at its start. */
  readonly live: boolean;
  /** What we made of it last; undefined when nothing of it is on the host. */
  readonly record: ExtensionRecord | undefined;
  /** Why it is not in force as recorded: `the link is gone`; empty when it is. */
  readonly deviations: readonly string[];
}

/** An extension as we put it in force; kept beside the images. */
export interface ExtensionRecord {
  readonly name: string;
  /** As asked for. */
  readonly version?: string;
  readonly path?: string;
  readonly digest?: string;
  /** The image or folder that the link names. */
  readonly file: string;
  /** `/etc/extensions/kubernetes.raw` */
  readonly link: string;
  readonly size: number;
  readonly mtimeNs: string;
  /** Links to /dev/null over what would start units. */
  readonly masks: readonly string[];
  readonly tools: readonly string[];
  /** False while it is being put in force. */
  readonly settled: boolean;
}

export interface ContainerImageObservation {
  readonly kind: 'image';
  readonly present: boolean;
}

export interface KernelObservation {
  readonly kind: 'kernel';
  /** A module is loaded or built in; a sysctl's present value (undefined: no such key). */
  readonly value: string | undefined;
}

export interface ActionObservation {
  readonly kind: 'action';
  readonly done: boolean;
}

export type Observation =
  | FileObservation
  | UnitObservation
  | BinaryObservation
  | ExtensionObservation
  | ContainerImageObservation
  | KernelObservation
  | ActionObservation;

// ── what we did before ───────────────────────────────────────────────────────────────────────────────────────────

/** What the journal knows of a resource we touched or were about to touch. The base of every diff. */
export interface Touched {
  readonly id: ResourceId;
  readonly source: ClaimSource;
  /** Every definition that may have left traces: the last one done and those intended since, oldest first. */
  readonly definitions: readonly Resource[];
  /** False while an intent has no done mark. */
  readonly done: boolean;
  /** Units: fingerprint of definition and inputs the running process was started with. */
  readonly startedWith: string | undefined;
  /** A foreign file was there before ours and lies in the state folder. */
  readonly original: boolean;
}

// ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What about a resource differs. `content` of a file or binary, `definition` of a unit, … `stale`: systemd has yet to read unit files. */
export type Facet = 'content' | 'attributes' | 'definition' | 'enablement' | 'state' | 'inputs' | 'presence' | 'stale';

export interface Change {
  readonly id: ResourceId;
  readonly type: 'create' | 'update' | 'remove';
  readonly facets: readonly Facet[];
  /** Sentences for people, without secrets: `mode 0600, wanted 0644`. */
  readonly details: readonly string[];
  readonly source: ClaimSource;
  /** The definition to reach; absent for removals. */
  readonly desired: Resource | undefined;
  readonly observed: Observation;
  readonly touched: Touched | undefined;
}

// ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One effect, as data. `kinds/<kind>/apply.ts` carries it out. */
export type StepAction =
  | { readonly do: 'write'; readonly path: string; readonly entry: WriteEntry; readonly keepOriginal: boolean }
  | { readonly do: 'remove'; readonly paths: readonly string[]; readonly restoreOriginal: boolean }
  /**
   * Makes systemd read unit files again: always, or (`unlessRead`) unless every unit named is loaded from exactly these
   * paths as they are now. A unit that nothing has loaded yet is read when it is started.
   */
  | { readonly do: 'daemon-reload'; readonly unlessRead?: Readonly<Record<string, readonly string[]>> }
  | { readonly do: 'enablement'; readonly unit: string; readonly change: 'enable' | 'disable' | 'mask' | 'unmask' }
  | { readonly do: 'start' | 'restart' | 'reload' | 'stop'; readonly unit: string; readonly startedWith: string }
  | {
      readonly do: 'ready';
      readonly unit: string;
      readonly readiness: Readiness;
      readonly deadlineMs: number;
      readonly startedWith: string;
      readonly transient: boolean;
    }
  | { readonly do: 'cache' | 'activate'; readonly binary: ResourceId }
  | { readonly do: 'forget-cached'; readonly tool: string; readonly version: string }
  /** Gets and checks the extension; changes nothing in force. */
  | { readonly do: 'fetch-extension'; readonly extension: ResourceId }
  /** Puts all that were fetched in force and takes away the others, with one refresh, or leaves everything as it was. */
  | { readonly do: 'merge-extensions'; readonly extensions: readonly ResourceId[]; readonly remove: readonly string[] }
  | { readonly do: 'import'; readonly image: ResourceId }
  | { readonly do: 'module'; readonly name: string }
  | { readonly do: 'sysctl'; readonly key: string; readonly value: string }
  | { readonly do: 'run'; readonly action: ResourceId }
  /** Forgets a resource that leaves nothing behind. */
  | { readonly do: 'release' };

export type WriteEntry =
  | {
      readonly type: 'file';
      readonly digest: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly content: Content;
    }
  | { readonly type: 'directory'; readonly mode: number; readonly uid: number; readonly gid: number }
  | { readonly type: 'symlink'; readonly target: string };

/** Content of a file to write; `sensitive` content is left out wherever a plan is printed or stored. */
export interface Content {
  readonly encoding: 'utf8' | 'base64';
  readonly data: string;
  readonly sensitive: boolean;
}

export interface Step {
  /** `write file:/etc/hosts`, `restart unit:kubelet.service`: unique in a plan, stable between equal plans. */
  readonly id: string;
  readonly resource: ResourceId;
  readonly action: StepAction;
  /** Places this step reads and writes: paths, `unit:NAME`, `systemd:definitions`, `kernel`. Two writers of one place are a plan error. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Ids of steps that must have succeeded first. */
  readonly needs: readonly string[];
  /** Ids of steps that must have ended first, whatever became of them (a failed `required` one ends the run anyway). */
  readonly after: readonly string[];
  readonly importance: Importance;
  readonly deferrable: boolean;
  readonly scope: Scope;
  /** Estimate used for ordering only. */
  readonly weightMs: number;
  /** Why it is in the plan. */
  readonly why: string;
}

export interface Plan {
  readonly changes: readonly Change[];
  readonly steps: readonly Step[];
  /** The step whose completion is the goal (kubelet is ready), if the plan contains one. */
  readonly goal: string | undefined;
  /** Units that will be started, stopped, restarted or reloaded, and why. Applying matches this exactly. */
  readonly impact: readonly Impact[];
}

export interface Impact {
  readonly unit: string;
  readonly effect: 'start' | 'restart' | 'reload' | 'stop';
  readonly why: string;
}

// ── schedule ─────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ScheduledStep {
  readonly step: Step;
  /** Before the goal is reached, or once it is. */
  readonly phase: 'goal' | 'deferred';
  /** Why it stands where it stands, one sentence. */
  readonly reason: string;
  /** Sum of weights of the longest path from the start of this step to the end of its phase. */
  readonly remainingMs: number;
}

export interface Schedule {
  /** In the order the executor prefers: by phase, then longest remaining path first, then id. */
  readonly steps: readonly ScheduledStep[];
  readonly goal: string | undefined;
}
