/** Objects of an API server as they are now, kept by following them, and what changes told once. */
import { NodekilnError } from '../errors.ts';
import { orAborted } from '../host/deadline.ts';
import { createObjectStore } from './object-store.ts';
import type { Indexes } from './object-store.ts';
import { keyOf } from './objects.ts';
import type { KubeObject } from './objects.ts';
import { isBefore } from './version.ts';
import { watch } from './watch.ts';
import type { WatchNews, WatchOptions } from './watch.ts';

/** What became of one object. After a gap the changes in between are one. */
export type Change<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'modified'; readonly object: T; readonly before: T }
  | { readonly type: 'deleted'; readonly object: T };

/** What is followed, and who is told. */
export interface InformerOptions<T> extends WatchOptions {
  /** Called in the order of the changes, after the store has them. What it throws ends the informer. */
  readonly onChange?: (change: Change<T>) => void;
  /** What of each object is kept, its metadata for one; all of it unless told. */
  readonly keep?: (object: T) => T;
  /** What objects are looked up by beside their names. */
  readonly indexes?: Indexes<T>;
  /** What is listed is of an earlier state than what was known: the API server's store was put back to an older copy. */
  readonly onPutBack?: () => void;
}

export interface Informer<T> {
  /** What is there as far as is known, by `namespace/name` or name; the last state stays while the server is away. */
  readonly objects: ReadonlyMap<string, T>;
  /** Those of them that an index of `indexes` has under a key. */
  byIndex(index: string, key: string): readonly T[];
  /** False until all was listed once. */
  readonly isSynced: boolean;
  /** When all was listed once; NK_INTERRUPTED when the signal fires before. */
  readonly synced: Promise<void>;
  /** When it has ended, by the signal, with nothing left open; rejected with what `onChange` threw. */
  readonly done: Promise<void>;
}

/** Begins at once. */
export function startInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const store = createObjectStore(options.indexes);
  const { objects } = store;
  const listed = Promise.withResolvers<void>();
  let isSynced = false;
  const tell = (change: Change<T>): void => options.onChange?.(change);

  const put = (whole: T): void => {
    const key = keyOf(whole);
    const before = objects.get(key);
    if (before?.metadata.resourceVersion === whole.metadata.resourceVersion) return;
    const object = options.keep?.(whole) ?? whole;
    // Of the same name, but not the same.
    if (before && before.metadata.uid !== object.metadata.uid) remove(before);
    const known = objects.get(key);
    store.put(object);
    tell(known ? { type: 'modified', object, before: known } : { type: 'added', object });
  };
  /** `object`: its last state. */
  const remove = (object: T): void => {
    if (store.delete(keyOf(object))) tell({ type: 'deleted', object });
  };
  const isEarlier = (object: T): boolean => {
    const known = objects.get(keyOf(object))?.metadata;
    const { uid, resourceVersion = '' } = object.metadata;
    return known?.uid === uid && isBefore(resourceVersion, known?.resourceVersion ?? '');
  };
  const take = (news: WatchNews<T>): void => {
    if (news.type === 'deleted') return remove(news.object);
    if (news.type !== 'listed') return put(news.object);
    // A store that was put back may have got further than it was, by what others write.
    if (news.isEarlier || (news.isCurrent && news.objects.some(isEarlier))) options.onPutBack?.();
    const keys = new Set(news.objects.map(keyOf));
    for (const [key, object] of objects) if (!keys.has(key)) remove(object);
    for (const object of news.objects) put(object);
    isSynced = true;
    listed.resolve();
  };
  const follow = async (): Promise<void> => {
    for await (const news of watch<T>(options)) take(news);
  };

  const done = follow();
  const synced = orAborted(options.signal, Promise.race([listed.promise, done.then(() => listed.promise)])).catch(
    (thrown: unknown) => {
      if (!options.signal.aborted) throw thrown;
      throw new NodekilnError('NK_INTERRUPTED', 'stopped before everything was listed', { cause: thrown });
    },
  );
  // Nobody need wait for both.
  done.catch(() => undefined);
  synced.catch(() => undefined);
  return {
    objects,
    byIndex: (index, key) => store.byIndex(index, key),
    get isSynced() {
      return isSynced;
    },
    synced,
    done,
  };
}
