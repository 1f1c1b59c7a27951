/**
 * A doubt whether an API server still has what it had: its store may have been put back to an older copy while connections to it
 * stay open and say nothing of it. Whoever follows objects of the server asks for all of them anew.
 */
export interface Doubt {
  raise(): void;
  /** Calls back each time; ends when what it gives is called. */
  listen(onRaised: () => void): () => void;
}

export function createDoubt(): Doubt {
  const listeners = new Set<() => void>();
  return {
    raise: () => {
      for (const tell of listeners) tell();
    },
    listen: (onRaised) => {
      listeners.add(onRaised);
      return () => void listeners.delete(onRaised);
    },
  };
}
