/**
 * An API server of one kind of objects on a machine in memory: lists in pages, watches with bookmarks each minute, forgets
 * old versions; and whatever goes wrong with one. As kube-apiserver answers, as far as a client can tell.
 */
import type { Endpoint, EndpointResponse, MemoryMachine } from '../../src/host/memory/machine.ts';
import type { KubeObject } from '../../src/kube/objects.ts';

export const serverAddress = 'https://10.0.0.1:6443';
export const things = { apiVersion: 'example.org/v1', plural: 'things', namespace: 'here' } as const;
const path = '/apis/example.org/v1/namespaces/here/things';

export interface Thing extends KubeObject {
  readonly value: string;
}

/** One watch, as the server has it. */
export interface Connection {
  push(text: string): void;
  /** `cut`: in the middle, without an end. */
  end(how: 'end' | 'cut'): void;
  /** Takes what is pushed, and sends none of it. */
  silence(): void;
}

export interface KubeServer {
  /** Puts or changes a thing, and tells watches. */
  put(name: string, value: string): void;
  delete(name: string): void;
  /** Something else has changed: a version that no event of ours tells. */
  elsewhere(): void;
  readonly things: ReadonlyMap<string, Thing>;
  /** Every request so far: `list`, `list continue`, `watch 7`, and when, in milliseconds of the machine's clock. */
  readonly asked: readonly { readonly what: string; readonly atMs: number }[];
  readonly open: ReadonlySet<Connection>;
  /** Sends every watch a bookmark of the present version. */
  bookmark(): void;
  /** No watch can go on from before the present version. */
  forget(): void;
  /** A copy of before is put back: versions, too. Watches from later versions hear nothing. */
  restore(copy: { readonly things: ReadonlyMap<string, Thing>; readonly version: number }): void;
  save(): { readonly things: ReadonlyMap<string, Thing>; readonly version: number };
  /** Answers instead, while it gives an answer. */
  instead: ((what: string) => EndpointResponse | undefined) | undefined;
  stop(): void;
  start(): void;
}

export function createKubeServer(machine: MemoryMachine): KubeServer {
  let version = 1;
  let oldest = 1;
  let stored = new Map<string, Thing>();
  let history: { readonly version: number; readonly line: string }[] = [];
  const asked: { what: string; atMs: number }[] = [];
  const open = new Set<Connection>();

  const record = (type: string, object: Thing): void => {
    const line = `${JSON.stringify({ type, object })}\n`;
    history.push({ version, line });
    for (const connection of open) connection.push(line);
  };
  const thing = (name: string, value: string): Thing => ({
    metadata: {
      name,
      namespace: 'here',
      uid: stored.get(name)?.metadata.uid ?? `uid-${version}`,
      resourceVersion: String(version),
    },
    value,
  });
  const bookmarkLine = (): string =>
    `${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Thing', metadata: { resourceVersion: String(version) } } })}\n`;

  const follow = (query: URLSearchParams): EndpointResponse => {
    const from = Number(query.get('resourceVersion'));
    if (from < oldest) return { body: expired };
    const { connection, body } = createConnection(machine, {
      timeoutMs: Number(query.get('timeoutSeconds')) * 1000,
      bookmark: bookmarkLine,
      onEnd: () => open.delete(connection),
    });
    if (from > version) connection.silence();
    for (const event of history) if (event.version > from) connection.push(event.line);
    open.add(connection);
    return { body };
  };

  const endpoint: Endpoint = ({ url }) => {
    const { searchParams, pathname } = new URL(url);
    const watched = searchParams.get('watch') === 'true';
    const what = watched
      ? `watch ${searchParams.get('resourceVersion')}`
      : searchParams.has('continue')
        ? 'list continue'
        : 'list';
    asked.push({ what, atMs: machine.clock.monotonic() });
    const instead = server.instead?.(what);
    if (instead) return instead;
    if (pathname !== path) return { status: 404, body: '{"kind":"Status","reason":"NotFound"}' };
    return watched ? follow(searchParams) : page(stored, version, searchParams);
  };
  let unserve: (() => void) | undefined;

  const server: KubeServer = {
    put: (name, value) => {
      const type = stored.has(name) ? 'MODIFIED' : 'ADDED';
      version += 1;
      const object = thing(name, value);
      stored.set(name, object);
      record(type, object);
    },
    delete: (name) => {
      version += 1;
      const object = thing(name, stored.get(name)?.value ?? '');
      stored.delete(name);
      record('DELETED', object);
    },
    elsewhere: () => {
      version += 1;
    },
    get things() {
      return stored;
    },
    asked,
    open,
    bookmark: () => {
      for (const connection of open) connection.push(bookmarkLine());
    },
    forget: () => {
      oldest = version;
      history = [];
    },
    save: () => ({ things: new Map(stored), version }),
    restore: (copy) => {
      stored = new Map(copy.things);
      ({ version } = copy);
      history = history.filter((event) => event.version <= version);
    },
    instead: undefined,
    stop: () => {
      unserve?.();
      for (const connection of open) connection.end('cut');
    },
    start: () => {
      unserve = machine.serve(serverAddress, endpoint);
    },
  };
  server.start();
  return server;
}

const expired = `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`;

/** `continue` is the number of things before. */
function page(stored: ReadonlyMap<string, Thing>, version: number, query: URLSearchParams): EndpointResponse {
  const from = Number(query.get('continue') ?? 0);
  const limit = Number(query.get('limit') ?? Infinity);
  const next = from + limit < stored.size ? String(from + limit) : '';
  const items = [...stored.values()].slice(from, from + limit);
  return { body: JSON.stringify({ metadata: { resourceVersion: String(version), continue: next }, items }) };
}

export interface ConnectionOptions {
  readonly timeoutMs: number;
  readonly bookmark: () => string;
  readonly onEnd: () => void;
}

export function createConnection(
  { clock }: MemoryMachine,
  { timeoutMs, bookmark, onEnd }: ConnectionOptions,
): { readonly connection: Connection; readonly body: AsyncIterable<Uint8Array> } {
  const queue: string[] = [];
  let ended: 'end' | 'cut' | undefined;
  let silent = false;
  let wake = Promise.withResolvers<void>();
  const remind = (): void => {
    connection.push(bookmark());
    cancelBookmark = clock.after(60_000, remind);
  };
  let cancelBookmark = clock.after(60_000, remind);
  const cancelEnd = clock.after(timeoutMs, () => connection.end('end'));
  const connection: Connection = {
    push: (text) => {
      if (!silent) queue.push(text);
      wake.resolve();
    },
    end: (how) => {
      cancelBookmark();
      cancelEnd();
      ended ??= how;
      wake.resolve();
      onEnd();
    },
    silence: () => {
      silent = true;
      // Not even its end is heard.
      cancelEnd();
    },
  };
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    for (;;) {
      const text = queue.shift();
      if (text !== undefined) return { done: false, value: new TextEncoder().encode(text) };
      if (ended === 'cut') throw new Error('the connection was reset');
      if (ended === 'end') return { done: true, value: undefined };
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  };
  const close = async (): Promise<IteratorResult<Uint8Array>> => {
    connection.end('end');
    return { done: true, value: undefined };
  };
  return { connection, body: { [Symbol.asyncIterator]: () => ({ next, return: close }) } };
}
