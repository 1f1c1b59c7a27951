/**
 * The effect half of a resource kind. `observe` reads what planning needs; performers carry out one step each. They get
 * everything through the context: the host, the journal and what is desired.
 */
import type { Resource, ResourceId } from '../model/resources.ts';
import type { Progress } from '../artifacts/sources/download.ts';
import type { Gate } from '../model/parallel.ts';
import type { Host, UnitJob } from '../host/port.ts';
import type { RecordedArtifact, FileSeal } from '../model/records.ts';
import type { Touched } from '../model/steps.ts';
import type { Downloads } from './downloads.ts';

/** The notes of the journal that kinds use. */
export interface Notes {
  seal(path: string): FileSeal | undefined;
  setSeal(path: string, seal: FileSeal): void;
  markStarted(id: ResourceId, startedWith: string): void;
  /** The boot in which a oneshot last did its work: systemd forgets that when it unloads the unit. */
  lastRun(unit: string): string | undefined;
  setLastRun(unit: string, bootId: string): void;
  /** What a resource's artifact resolved to, for the lock file. */
  setArtifact(id: ResourceId, artifact: RecordedArtifact): void;
}

export type { ActionOf } from '../model/steps.ts';

export interface ObserveContext {
  readonly host: Host;
  readonly notes: Pick<Notes, 'seal' | 'setSeal' | 'lastRun'> | undefined;
  touched(id: ResourceId): Touched | undefined;
}

export interface PerformContext {
  /** Of deferred work: with programs at low priority. */
  readonly host: Host;
  readonly notes: Notes;
  readonly signal: AbortSignal | undefined;
  /** Folder that relative artifact paths are resolved against. */
  readonly artifactBase: string;
  resource(id: ResourceId): Resource;
  /** Jobs queued by `start`, `restart`, `reload`, joined by `ready`. Shared by all steps of a run. */
  readonly jobs: Map<string, UnitJob>;
  /** What this run fetches; shared by all steps. */
  readonly downloads: Downloads;
  /** Work for a processor and the disk, few at a time; shared by all steps. */
  readonly unpacking: Gate;
  /** Digests of artifacts that a lock file holds, by resource; they stand in where the resource names none. */
  readonly lockedDigests: ReadonlyMap<ResourceId, string>;
  /** How far long work is; `transfer` with the figures of a transfer. */
  progress(message: string, transfer?: Progress): void;
  /** Before the run ends: whether what the step did has held. What it throws is the step's failure after all. */
  lookAgain(hasHeld: () => Promise<void>): void;
  /** A fact worth keeping with the step's record: `activated by hardlink`. */
  detail(text: string): void;
}
