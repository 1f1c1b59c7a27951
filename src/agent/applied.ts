/** What was applied last, as controllers that report it are told. Not kept over restarts: the first reconciliation says it anew. */
import type { NodePart } from '../documents/kinds/kind.ts';
import type { UnitResource } from '../model/resources.ts';
import type { InPlaceUpdates } from '../desired/in-place.ts';
import type { DueUpdate } from './in-place/due.ts';
import { createNotices } from './cluster.ts';

/** Documents that are in force. */
export interface Applied {
  /** Of the documents; absent when something that may fail did: then they are not in force as a whole. */
  readonly digest?: string;
  /** Of a Secret that many nodes share: what they report once it is applied. */
  readonly checksum?: string;
  /** What they say of the Node itself. */
  readonly node?: NodePart;
}

/** What documents ask to be updated in place, and how far it is. */
export interface InPlaceState {
  readonly asked: InPlaceUpdates;
  /** As the last run found it. */
  readonly due: readonly DueUpdate[];
  /** `waiting`: nothing was touched. `applied`, `failed`: how the rest of the documents went. */
  readonly state: 'waiting' | 'applied' | 'failed';
  /** Why it failed. */
  readonly reason?: string;
}

/** What is not as documents ask, by the ids of resources. */
export interface ResourcesState {
  /** How many are asked for. */
  readonly resources: number;
  /** `unit:a.service: NK_UNIT_FAILED` */
  readonly failed: readonly string[];
  /** What waits for its turn, or for what failed. */
  readonly pending: readonly string[];
  /** What is no longer as it was put in place, where that is only reported. */
  readonly drifted: readonly string[];
}

/** How a run ended. */
export interface RunEnd {
  readonly outcome: 'converged' | 'degraded' | 'failed';
  /** Of the documents: `secret:kube-system/pool`. */
  readonly source: string;
  /** What failed first; absent where nothing did. */
  readonly error?: { readonly code: string; readonly message: string };
}

export interface AppliedBoard {
  /** Undefined until something was applied, and while what is asked for is not. */
  current(): Applied | undefined;
  set(applied: Applied | undefined): void;
  /** The Node says it. */
  readonly isTold: boolean;
  /** By whoever wrote this to the Node. */
  told(applied: Applied): void;
  /** Undefined before the first run that came so far. */
  resources(): ResourcesState | undefined;
  setResources(state: ResourcesState): void;
  /** How the last run about the documents ended; undefined before the first. */
  ended(): RunEnd | undefined;
  setEnded(end: RunEnd): void;
  /** Units that are asked for by any source, as the last run found; empty before the first. */
  units(): readonly UnitResource[];
  setUnits(units: readonly UnitResource[]): void;
  /** What is updated in place; undefined while no document says anything of that. */
  inPlace(): InPlaceState | undefined;
  setInPlace(state: InPlaceState | undefined): void;
  /** Why the agent is not ready: nothing was read or reconciled yet. Undefined once it was, whatever comes later. */
  unready(): string | undefined;
  /** What it follows was read, and a run about it has ended. */
  setReady(): void;
  /** A run is under way: units may be about to start or stop. */
  isWorking: boolean;
  /** Yields at once, and at each change of what is applied or updated. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<void>;
}

export function createAppliedBoard(): AppliedBoard {
  const notices = createNotices();
  let current: Applied | undefined;
  let units: readonly UnitResource[] = [];
  let resources: ResourcesState | undefined;
  let inPlace: InPlaceState | undefined;
  let ended: RunEnd | undefined;
  let isToldOnce = false;
  let told: Applied | undefined;
  let ready = false;
  return {
    units: () => units,
    setUnits: (now) => {
      units = now;
    },
    resources: () => resources,
    setResources: (state) => {
      const isSame = JSON.stringify(state) === JSON.stringify(resources);
      resources = state;
      if (!isSame) notices.tell();
    },
    ended: () => ended,
    setEnded: (end) => {
      const isSame = JSON.stringify(end) === JSON.stringify(ended);
      ended = end;
      if (!isSame) notices.tell();
    },
    inPlace: () => inPlace,
    setInPlace: (state) => {
      const isSame = JSON.stringify(state) === JSON.stringify(inPlace);
      inPlace = state;
      if (!isSame) notices.tell();
    },
    unready: () => (ready ? undefined : 'what it follows was not read and reconciled yet'),
    setReady: () => {
      ready = true;
    },
    isWorking: false,
    current: () => current,
    get isTold() {
      return current === told;
    },
    told: (applied) => {
      told = applied;
    },
    set: (applied) => {
      const isSame = isToldOnce && JSON.stringify(applied) === JSON.stringify(current);
      isToldOnce = true;
      if (isSame) return;
      current = applied;
      notices.tell();
    },
    watch: (signal) => notices.listen(signal),
  };
}
