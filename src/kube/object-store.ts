/** Objects by their key, and by what else they are looked up by. Pure. */
import { NodekilnError } from '../errors.ts';
import { keyOf } from './objects.ts';
import type { KubeObject } from './objects.ts';

/** By its name, what an index has an object under: none, one or several keys, the same each time it is asked. */
export type Indexes<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

export interface ObjectStore<T> {
  /** By `namespace/name` or name. */
  readonly objects: ReadonlyMap<string, T>;
  /** In the place of one of the same key. */
  put(object: T): void;
  /** False when there was none. */
  delete(key: string): boolean;
  /** Those that an index has under a key, in the order in which they came there. */
  byIndex(index: string, key: string): readonly T[];
}

export function createObjectStore<T extends KubeObject>(indexes: Indexes<T> = {}): ObjectStore<T> {
  const objects = new Map<string, T>();
  const kept = new Map(
    Object.entries(indexes).map(([name, keysOf]) => [name, { keysOf, keys: new Map<string, Set<string>>() }]),
  );
  const forget = (key: string): boolean => {
    const before = objects.get(key);
    if (!before) return false;
    for (const { keysOf, keys } of kept.values())
      for (const under of keysOf(before)) {
        const found = keys.get(under);
        found?.delete(key);
        if (found?.size === 0) keys.delete(under);
      }
    return objects.delete(key);
  };
  return {
    objects,
    put: (object) => {
      const key = keyOf(object);
      forget(key);
      objects.set(key, object);
      for (const { keysOf, keys } of kept.values())
        for (const under of keysOf(object)) keys.set(under, (keys.get(under) ?? new Set()).add(key));
    },
    delete: forget,
    byIndex: (index, under) => {
      const found = kept.get(index);
      if (!found) throw new NodekilnError('NK_INTERNAL', `there is no index ${index}`);
      return [...(found.keys.get(under) ?? [])].flatMap((key) => objects.get(key) ?? []);
    },
  };
}
