/** What was applied last, as controllers that report it are told. Not kept over restarts: the first reconciliation says it anew. */
import type { NodePart } from '../documents/kinds/kind.ts';
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
  /** Yields at once, and at each change. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<void>;
}

export function createAppliedBoard(): AppliedBoard {
  const notices = createNotices();
  let current: Applied | undefined;
  return {
    current: () => current,
    set: (applied) => {
      current = applied;
      notices.tell();
    },
    watch: (signal) => notices.listen(signal),
  };
}
