/**
 * Follows objects of an API server for as long as it is let: lists them, watches from the list's version, goes on from the
 * last version when the connection ends and the next one comes about. Lists again when that version is gone, and after any
 * doubt whether the server is still the same: it could not be reached, failed, or fell silent, or somebody else who asks it
 * doubts it. Trouble of any kind is reported, waited out and tried again.
 */
import { NodekilnError } from '../errors.ts';
import { orAborted, withDeadline } from '../host/deadline.ts';
import type { Clock } from '../host/port.ts';
import { selectionOf } from './api.ts';
import type { KubeApi, KubeList } from './api.ts';
import { createBackOff } from './back-off.ts';
import { unusableServer } from './client.ts';
import type { Doubt } from './doubt.ts';
import { isGone, KubeApiError } from './error.ts';
import { linesOf } from './lines.ts';
import { fieldOf, isKubeObject, pathOf } from './objects.ts';
import type { KubeObject, Resource, Selection } from './objects.ts';
import { concealed } from './secrets.ts';
import { isBefore } from './version.ts';

/** What is followed, and how patiently. */
export interface WatchOptions extends Selection {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly resource: Resource;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told of everything that went wrong, before it is tried again. */
  readonly onTrouble?: (trouble: unknown) => void;
  /** Of others who ask the same server. */
  readonly doubt?: Doubt;
  /**
   * A connection that brings neither event nor bookmark for so long is dead: API servers send a bookmark a minute. Two
   * minutes unless told.
   */
  readonly silenceMs?: number;
  /** From 0 to below 1; spreads what many clients would do at once. */
  readonly random?: () => number;
}

/** One change since, or all there are now, which replaces what was known. */
export type WatchNews<T> =
  | {
      readonly type: 'listed';
      readonly objects: readonly T[];
      /** No older than the request; what comes out of a server's cache may be. */
      readonly isCurrent: boolean;
      /** Of a state before what was known. */
      readonly isEarlier: boolean;
    }
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T };

/** One line of a watch. */
type Line<T> =
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T; readonly version: string }
  | { readonly type: 'bookmark'; readonly version: string };

/** An object has 1.5 MiB at most in etcd; JSON and managed fields are more than that. */
const maxLineBytes = 8 * 1024 * 1024;
const headersTimeoutMs = 30_000;
/** A server ends a watch after five to ten minutes, each at its own time. */
const shortestWatchSeconds = 300;
/** Longer than the longest pause between two tries. */
const lastingMs = 45_000;
const types = { ADDED: 'added', MODIFIED: 'modified', DELETED: 'deleted' } as const;

/** Ends when the signal fires, and throws nothing of what an API server does. */
export async function* watch<T extends KubeObject>(options: WatchOptions): AsyncGenerator<WatchNews<T>, void> {
  const trust: Trust = { isDoubted: false, connection: undefined };
  const unheard = options.doubt?.listen(() => {
    trust.isDoubted = true;
    trust.connection?.abort();
  });
  try {
    yield* follow<T>(options, trust);
  } finally {
    unheard?.();
  }
}

/** What others have said of the server since it was last listed, and what they end by that. */
interface Trust {
  isDoubted: boolean;
  connection: AbortController | undefined;
}

async function* follow<T extends KubeObject>(options: WatchOptions, trust: Trust): AsyncGenerator<WatchNews<T>, void> {
  const { api, clock, resource, signal, onTrouble, random = Math.random } = options;
  const backOff = createBackOff({ clock, random });
  /** What is gone on from; undefined: nothing is known, or all is to be asked for anew. */
  let version: string | undefined;
  /** The last one of all. */
  let known: string | undefined;
  let fresh = false;
  let wentBack = false;
  for (;;) {
    let waitMs: number | undefined;
    // Whether the connection came about.
    const heard = { answer: false };
    let connectedAtMs: number | undefined;
    try {
      if (trust.isDoubted) [version, fresh] = [undefined, true];
      if (version === undefined) {
        trust.isDoubted = false;
        const list: KubeList<T> = await api.list<T>(resource, { ...selectionOf(options), signal, fresh });
        version = list.resourceVersion;
        const isEarlier = wentBack || (fresh && known !== undefined && isBefore(version, known));
        yield { type: 'listed', objects: list.items, isCurrent: fresh, isEarlier };
        [known, fresh, wentBack] = [version, false, false];
      }
      connectedAtMs = clock.monotonic();
      for await (const line of connection<T>(options, version, { heard, trust })) {
        if (isBefore(line.version, version)) {
          version = undefined;
          wentBack = true;
          throw unusableServer(api.where, 'has gone back to an earlier state');
        }
        version = known = line.version;
        if (line.type !== 'bookmark') yield { type: line.type, object: line.object };
      }
    } catch (thrown) {
      if (signal.aborted) return;
      // A server that could not be asked may have been put back to an older copy meanwhile, and got further than it was
      // before we ask again: nothing would tell. Nor does it say anything to who asks from a version to come. One that is
      // only busy is not asked for more.
      const isBusy = thrown instanceof KubeApiError && thrown.status === 429;
      const mayBeAnother = (!heard.answer && !isBusy) || isSilence(thrown) || wentBack || trust.isDoubted;
      if (isGone(thrown) || mayBeAnother) version = undefined;
      // Until it could be listed: a server that has just come refuses at first.
      fresh ||= mayBeAnother;
      if (thrown instanceof KubeApiError) waitMs = thrown.retryAfterMs;
      onTrouble?.(trust.isDoubted ? unusableServer(api.where, 'may have gone back to an earlier state') : thrown);
    }
    if (signal.aborted) return;
    // One that lasted; a server that accepts, says a line and hangs up would be asked as fast as it can.
    if (connectedAtMs !== undefined && clock.monotonic() - connectedAtMs >= lastingMs) backOff.reset();
    try {
      await backOff.wait(waitMs, signal);
    } catch {
      return;
    }
  }
}

/** One connection, until it ends in order; throws when it breaks off, falls silent or brings what makes no sense. */
async function* connection<T extends KubeObject>(
  options: WatchOptions,
  version: string,
  { heard, trust }: { readonly heard: { answer: boolean }; readonly trust: Trust },
): AsyncGenerator<Line<T>> {
  const { api, resource, random = Math.random } = options;
  const end = new AbortController();
  const stop = (): void => end.abort(options.signal.reason);
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    if (options.signal.aborted) return;
    trust.connection = end;
    if (trust.isDoubted) end.abort();
    const body = await api.stream({
      path: pathOf(resource),
      query: {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: version,
        timeoutSeconds: String(Math.round(shortestWatchSeconds * (1 + random()))),
        ...selectionOf(options),
      },
      headersTimeoutMs,
      signal: end.signal,
    });
    heard.answer = true;
    yield* eventsOf<T>(options, body, end);
  } finally {
    options.signal.removeEventListener('abort', stop);
    end.abort();
  }
}

/** `end`: ends the connection, also while it says nothing. */
async function* eventsOf<T extends KubeObject>(
  { api, clock, resource, silenceMs = 120_000 }: WatchOptions,
  body: AsyncIterable<Uint8Array>,
  end: AbortController,
): AsyncGenerator<Line<T>> {
  const path = pathOf(resource);
  const lines = linesOf(body, maxLineBytes);
  try {
    for (;;) {
      const line = await withDeadline(
        { clock, ms: silenceMs, about: `the next event of ${path}`, signal: end.signal },
        (signal) => orAborted(signal, lines.next()),
      );
      if (line.done === true) return;
      yield read<T>(line.value, api.where, resource);
    }
  } finally {
    end.abort();
    await lines.return(undefined);
  }
}

function read<T extends KubeObject>(line: string, where: string, resource: Resource): Line<T> {
  const path = pathOf(resource);
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    event = undefined;
  }
  const type = fieldOf(event, 'type');
  const object = fieldOf(event, 'object');
  if (type === 'ERROR') throw failure(object, where, path);
  const version = fieldOf(fieldOf(object, 'metadata'), 'resourceVersion');
  if (typeof version === 'string' && version !== '') {
    if (type === 'BOOKMARK') return { type: 'bookmark', version };
    if ((type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') && isKubeObject(object))
      return { type: types[type], object: concealed(resource, object as T), version };
  }
  throw unusableServer(where, `sent what is no event of ${path}`);
}

/** A Status in place of an event. */
function failure(status: unknown, where: string, path: string): KubeApiError {
  const code = fieldOf(status, 'code');
  const reason = fieldOf(status, 'reason');
  const seconds = fieldOf(fieldOf(status, 'details'), 'retryAfterSeconds');
  return new KubeApiError({
    where,
    method: 'WATCH',
    path,
    status: typeof code === 'number' ? code : 500,
    ...(typeof reason === 'string' && { reason }),
    ...(typeof seconds === 'number' && { retryAfterMs: seconds * 1000 }),
  });
}

function isSilence(thrown: unknown): boolean {
  return thrown instanceof NodekilnError && thrown.code === 'NK_TIMEOUT';
}
