/** What was applied last, as controllers that report it are told. Not kept over restarts: the first reconciliation says it anew. */
import type { NodePart } from '../documents/kinds/kind.ts';
import type { UnitResource } from '../model/resources.ts';
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

export interface AppliedBoard {
  /** Undefined until something was applied, and while what is asked for is not. */
  current(): Applied | undefined;
  set(applied: Applied | undefined): void;
  /** Units that are asked for by any source, as the last run found; empty before the first. */
  units(): readonly UnitResource[];
  setUnits(units: readonly UnitResource[]): void;
  /** Why the agent is not ready: nothing was read or reconciled yet. Undefined once it was, whatever comes later. */
  unready(): string | undefined;
  /** What it follows was read, and a run about it has ended. */
  setReady(): void;
  /** A run is under way: units may be about to start or stop. */
  isWorking: boolean;
  /** Yields at once, and at each change of what is applied. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<void>;
}

export function createAppliedBoard(): AppliedBoard {
  const notices = createNotices();
  let current: Applied | undefined;
  let units: readonly UnitResource[] = [];
  let ready = false;
  return {
    units: () => units,
    setUnits: (now) => {
      units = now;
    },
    unready: () => (ready ? undefined : 'what it follows was not read and reconciled yet'),
    setReady: () => {
      ready = true;
    },
    isWorking: false,
    current: () => current,
    set: (applied) => {
      current = applied;
      notices.tell();
    },
    watch: (signal) => notices.listen(signal),
  };
}
