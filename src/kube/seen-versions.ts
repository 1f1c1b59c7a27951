/**
 * Versions of single objects as an API server answered them. A question about one that began when a version was known, and is
 * answered by an earlier one of the same object, shows that the server's store was put back: single objects come out of the store
 * itself, lists and watches may come out of a cache that knows nothing of it. Pure.
 */
import type { KubeObject } from './objects.ts';
import { isBefore } from './version.ts';

export interface SeenVersions {
  /** Begins a question about the object at this path; what it gives is called with the answer. */
  ask(path: string): (answer: KubeObject) => void;
  /** It is to be gone. */
  forget(path: string): void;
}

interface Version {
  readonly uid: string | undefined;
  readonly version: string;
}

export function createSeenVersions(onEarlier: () => void): SeenVersions {
  const seen = new Map<string, Version>();
  return {
    ask: (path) => {
      const known = seen.get(path);
      return ({ metadata: { uid, resourceVersion: version = '' } }) => {
        const isBeforeOne = (other: Version | undefined): boolean =>
          other?.uid === uid && isBefore(version, other?.version ?? '');
        const wentBack = isBeforeOne(known);
        // Of two questions at once the one that was answered first may have the later version.
        if (wentBack || !isBeforeOne(seen.get(path))) seen.set(path, { uid, version });
        if (wentBack) onEarlier();
      };
    },
    forget: (path) => void seen.delete(path),
  };
}
