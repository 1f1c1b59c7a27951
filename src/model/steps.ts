/**
 * The data that flows through planning: observations and ownership in, changes and steps out. All JSON, all immutable,
 * so that a plan can be printed, compared, stored and applied elsewhere.
 */
import type {
  ClaimSource,
  Importance,
  Reachability,
  Readiness,
  Resource,
  ResourceId,
  ResourceKind,
} from './resources.ts';

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
  /** systemd runs here and reads unit files at this path. */
  readonly readBySystemd?: true;
  /** What we last took out of an image for this path: its digest, and which file it was. */
  readonly placed?: { readonly digest: string; readonly from: string };
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
  /** It ended, and systemd waits to start it again: it does so when its time has come, whoever asks for a start meanwhile. */
  readonly restartWaits?: true;
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

/** What observing each kind gives. */
export interface Observations {
  readonly file: FileObservation;
  readonly unit: UnitObservation;
  readonly binary: BinaryObservation;
  readonly extension: ExtensionObservation;
  readonly image: ContainerImageObservation;
  readonly kernel: KernelObservation;
  readonly action: ActionObservation;
}

/** What is there of a resource: the form depends on its kind. */
export type Observation = Observations[ResourceKind];

// ── what we did before ───────────────────────────────────────────────────────────────────────────────────────────

/** What the journal knows of a resource we touched or were about to touch. The base of every diff. */
export interface Touched {
  readonly id: ResourceId;
  readonly source: ClaimSource;
  /** Every definition that may have left traces: the last one done and those intended since, oldest first. */
  readonly definitions: readonly Resource[];
  /** False while an intent has no done mark. */
  readonly done: boolean;
  /** Not known to be done, because the journal was lost: its own source looks, nobody else takes it up. */
  readonly unsure?: true;
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

/** What the steps of each kind do; `kinds/<kind>/apply.ts` carries it out. A kind may use another's: units are files as well. */
export interface Actions {
  readonly file: WriteAction | PlaceAction | ReachAction | RemoveAction;
  readonly unit: ReloadAction | EnablementAction | JobAction | ReadyAction;
  readonly binary: ProgramAction | ForgetAction;
  readonly extension: FetchAction | MergeAction;
  readonly image: { readonly do: 'import'; readonly image: ResourceId };
  readonly kernel:
    | { readonly do: 'module'; readonly name: string }
    | { readonly do: 'sysctl'; readonly key: string; readonly value: string };
  readonly action: { readonly do: 'run'; readonly action: ResourceId };
}

/** Forgets a resource that leaves nothing behind, or ends one whose work another step did. */
export interface ReleaseAction {
  readonly do: 'release';
}

/** One effect, as data. */
export type StepAction = Actions[ResourceKind] | ReleaseAction;
export type ActionName = StepAction['do'];
export type ActionOf<D extends ActionName> = Extract<StepAction, { do: D }>;

interface WriteAction {
  readonly do: 'write';
  readonly path: string;
  readonly entry: WriteEntry;
  readonly keepOriginal: boolean;
}

/** Puts a file out of an image at its path. */
interface PlaceAction {
  readonly do: 'place';
  readonly file: ResourceId;
  readonly path: string;
  readonly keepOriginal: boolean;
}

/** Waits until servers answer. */
interface ReachAction extends Reachability {
  readonly do: 'reach';
}

interface RemoveAction {
  readonly do: 'remove';
  readonly paths: readonly string[];
  readonly restoreOriginal: boolean;
  /** What was there before is wanted no more: something else has these places. */
  readonly dropOriginals?: readonly string[];
}

/**
 * Makes systemd read unit files again: always, or (`unlessRead`) unless every unit named is loaded from exactly these
 * paths as they are now. A unit that nothing has loaded yet is read when it is started.
 */
interface ReloadAction {
  readonly do: 'daemon-reload';
  readonly unlessRead?: Readonly<Record<string, readonly string[]>>;
}

interface EnablementAction {
  readonly do: 'enablement';
  readonly unit: string;
  readonly change: 'enable' | 'disable' | 'mask' | 'unmask';
}

export type JobName = 'start' | 'restart' | 'reload' | 'stop';
type JobAction = {
  readonly [D in JobName]: { readonly do: D; readonly unit: string; readonly startedWith: string };
}[JobName];

interface ReadyAction {
  readonly do: 'ready';
  readonly unit: string;
  readonly readiness: Readiness;
  readonly deadlineMs: number;
  readonly startedWith: string;
}

type ProgramAction = { readonly [D in 'cache' | 'activate']: { readonly do: D; readonly binary: ResourceId } }[
  | 'cache'
  | 'activate'];

interface ForgetAction {
  readonly do: 'forget-cached';
  readonly tool: string;
  readonly version: string;
}

/** Gets and checks the extension; changes nothing in force. */
interface FetchAction {
  readonly do: 'fetch-extension';
  readonly extension: ResourceId;
}

/** Puts all that were fetched in force and takes away the others, with one refresh, or leaves everything as it was. */
interface MergeAction {
  readonly do: 'merge-extensions';
  readonly extensions: readonly ResourceId[];
  readonly remove: readonly string[];
}

/** The part a step plays in the order of a plan, whatever kind it belongs to. */
export type Role =
  /** Puts a file, a folder or a link at a path. */
  | 'entry'
  | 'removal'
  /** Makes systemd read unit files again. */
  | 'reload'
  | 'enablement'
  /** Queues a job that starts a process, or starts it anew. */
  | 'job'
  | 'stop'
  /** Waits until what a job started is ready, or servers answer. */
  | 'join'
  /** Fetches, places or imports. */
  | 'artifact'
  /** Of the kernel. */
  | 'setting'
  /** A program of a document, which may read anything. */
  | 'program'
  /** Only our own note of a resource. */
  | 'note';

const roles: { readonly [D in ActionName]: Role } = {
  write: 'entry',
  place: 'artifact',
  reach: 'join',
  remove: 'removal',
  'daemon-reload': 'reload',
  enablement: 'enablement',
  start: 'job',
  restart: 'job',
  reload: 'job',
  stop: 'stop',
  ready: 'join',
  cache: 'artifact',
  activate: 'artifact',
  'forget-cached': 'removal',
  'fetch-extension': 'artifact',
  'merge-extensions': 'artifact',
  import: 'artifact',
  module: 'setting',
  sysctl: 'setting',
  run: 'program',
  release: 'note',
};

export function roleOf(step: Step): Role {
  return roles[step.action.do];
}

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
  /**
   * Places this step reads, with everything below them. It comes after whatever else writes them, and needs whatever takes
   * them away. What a resource reads as such (`needs`, a unit's inputs) is told by its ids.
   */
  readonly reads: readonly string[];
  /**
   * Places this step writes or takes away: paths, or words of the kind (`unit:NAME`, `enablement:NAME`, `sysctl:KEY`,
   * `cache:TOOL-VERSION`). Two resources that write one place are a plan error.
   */
  readonly writes: readonly string[];
  /** Ids of steps that must have succeeded first. */
  readonly needs: readonly string[];
  /** Ids of steps that must have ended first, whatever became of them (a failed `required` one ends the run anyway). */
  readonly after: readonly string[];
  readonly importance: Importance;
  readonly deferrable: boolean;
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

/** What a plan does to a running unit. */
export interface Impact {
  readonly unit: string;
  readonly effect: JobName;
  readonly why: string;
}

// ── schedule ─────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ScheduledStep {
  readonly step: Step;
  /** Before the goal is reached, or once it is. */
  readonly phase: 'goal' | 'deferred';
  /** The goal waits for it. */
  readonly precedes: boolean;
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
