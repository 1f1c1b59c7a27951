/**
 * Events of a watched folder on their way to whoever iterates them: what nobody has taken yet becomes one event, so that a
 * slow listener neither falls behind nor misses anything.
 */
import type { FolderEvent } from '../model/files.ts';

export interface FolderEvents extends AsyncIterable<FolderEvent> {
  push(event: FolderEvent): void;
  /** Ends the iteration; with an error by throwing it. Idempotent. */
  end(error?: unknown): void;
}

export function createFolderEvents(): FolderEvents {
  let pending: FolderEvent | undefined;
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = (): void => undefined;
  return {
    push(event) {
      pending = merged(pending, event);
      wake();
    },
    end(error) {
      if (ended) return;
      ended = true;
      if (error !== undefined) failure = { error };
      wake();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (!ended && !pending) await new Promise<void>((resolve) => (wake = resolve));
        const event = pending;
        pending = undefined;
        if (failure) throw failure.error;
        if (ended) return;
        if (event) yield event;
      }
    },
  };
}

/** Whether the folder is there at all outweighs what changed in it, before and after. */
function merged(before: FolderEvent | undefined, event: FolderEvent): FolderEvent {
  if (event.type !== 'changed' || !before) return event;
  if (before.type !== 'changed') return before;
  // What another took the place of was written to in vain.
  const inPlace = before.inPlace.filter((name) => !event.names.includes(name));
  return {
    type: 'changed',
    names: [...new Set([...before.names, ...event.names])],
    inPlace: [...inPlace, ...event.inPlace],
  };
}
