/**
 * Requests to the lab's API server over the socket of `relay.ts`, as whoever the credentials say. For tests, which say
 * themselves what an answer should be: nothing is tried again, any status is an answer.
 */
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../process.ts';

/** Who asks; nobody when empty. PEM texts, or a bearer token. */
export interface Credentials {
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
}

export interface ApiAnswer<T = unknown> {
  readonly status: number;
  /** The object, a Status, or the text of an answer that is no JSON. */
  readonly body: T;
}

/** What every object has, and most have. */
export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
  };
}

export interface KubeList<T> {
  readonly items: readonly T[];
}

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
  /** CLOCK_MONOTONIC in milliseconds, the clock of the machine and of all hosts, when the event was read. */
  readonly atMs: number;
}

export interface Watch<T> {
  /** All that came so far. */
  readonly events: readonly WatchEvent<T>[];
  /** The first event that fits, of those that came and that will come. Throws when the watch ends, and at the deadline. */
  until(fits: (event: WatchEvent<T>) => boolean, about: string, timeoutMs?: number): Promise<WatchEvent<T>>;
  close(): void;
}

export interface ApiClient {
  /** A body is sent as JSON; a PATCH is a merge patch, unless `contentType` says otherwise. */
  request<T>(method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer<T>>;
  /** The object, or a list; throws with what the server said unless the status is 200. */
  get<T>(path: string): Promise<T>;
  /** Makes an object in a collection; throws unless it was made. */
  create<T extends KubeObject>(path: string, object: unknown): Promise<T>;
  /** Waits for an object that fits, whatever the server says or does not say meanwhile. */
  until<T>(path: string, fits: (object: T) => boolean, about: string, timeoutMs?: number): Promise<T>;
  /** Events of a collection from now on, after one ADDED for each object that there is. Resolves when the server watches. */
  watch<T extends KubeObject>(path: string): Promise<Watch<T>>;
  /** Ends connections and watches. */
  close(): void;
}

export interface ApiOptions {
  /** The relay's socket. */
  readonly socket: string;
  /** Of the server behind it, which its certificate must have. */
  readonly address: string;
  readonly ca: string;
}

const requestTimeoutMs = 30_000;

export function createApiClient({ socket, address, ca }: ApiOptions, credentials: Credentials): ApiClient {
  const { token, ...certificate } = credentials;
  const agent = new Agent({ keepAlive: true });
  const watches = new Set<{ close(): void }>();

  const send = (
    method: string,
    path: string,
    { body, contentType, timeoutMs }: { body?: unknown; contentType?: string; timeoutMs?: number },
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const sent = httpsRequest({
        socketPath: socket,
        host: address,
        // An address is not sent as a name, and is what the certificate is compared with all the same.
        servername: '',
        ca,
        ...certificate,
        agent,
        method,
        path,
        ...(timeoutMs !== undefined && { signal: AbortSignal.timeout(timeoutMs) }),
        headers: {
          host: address,
          accept: 'application/json',
          'user-agent': 'nodekiln-lab',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': contentType ?? defaultType(method) }),
        },
      });
      sent.on('response', resolve).on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });

  const request = async (
    method: string,
    path: string,
    body?: unknown,
    contentType?: string,
  ): Promise<ApiAnswer<unknown>> => {
    const answer = await send(method, path, {
      body,
      timeoutMs: requestTimeoutMs,
      ...(contentType !== undefined && { contentType }),
    });
    const said = await text(answer);
    const isJson = (answer.headers['content-type'] ?? '').startsWith('application/json');
    return { status: answer.statusCode ?? 0, body: isJson ? JSON.parse(said) : said };
  };

  const client: ApiClient = {
    // What a test asks for it knows the type of.
    request: request as ApiClient['request'],
    async get<T>(path: string) {
      const { status, body } = await client.request<T>('GET', path);
      if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
      return body;
    },
    async create<T extends KubeObject>(path: string, object: unknown) {
      const { status, body } = await client.request<T>('POST', path, object);
      if (status !== 201) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`);
      return body;
    },
    async until<T>(path: string, fits: (object: T) => boolean, about: string, timeoutMs = 60_000) {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const answer = await client.request<T>('GET', path).catch((error: unknown) => String(error));
        if (typeof answer !== 'string' && answer.status === 200 && fits(answer.body)) return answer.body;
        if (performance.now() > deadline)
          throw new Error(`${path}: not ${about} after ${timeoutMs} ms: ${JSON.stringify(answer)}`);
        await sleep(100);
      }
    },
    async watch<T extends KubeObject>(path: string) {
      const answer = await send('GET', `${path}${path.includes('?') ? '&' : '?'}watch=true`, {});
      if (answer.statusCode !== 200)
        throw new Error(`watch of ${path}: ${answer.statusCode ?? 0} ${await text(answer)}`);
      const watch = followEvents<T>(answer, path);
      watches.add(watch);
      answer.on('close', () => watches.delete(watch));
      return watch;
    },
    close() {
      for (const watch of watches) watch.close();
      agent.destroy();
    },
  };
  return client;
}

function defaultType(method: string): string {
  return method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
}

function followEvents<T extends KubeObject>(answer: IncomingMessage, path: string): Watch<T> {
  const events: WatchEvent<T>[] = [];
  const listeners = new Set<() => void>();
  let ended: string | undefined;
  const changed = (): void => {
    for (const listener of Array.from(listeners)) listener();
  };
  const lines = createInterface({ input: answer });
  lines.on('line', (line) => {
    const atMs = monotonicMs();
    events.push({ ...(JSON.parse(line) as Omit<WatchEvent<T>, 'atMs'>), atMs });
    changed();
  });
  // It passes on those of its input.
  lines.on('error', (error: Error) => (ended ??= error.message));
  answer.on('close', () => {
    ended ??= 'the server ended it';
    changed();
  });
  return {
    events,
    until(fits, about, timeoutMs = 60_000) {
      return new Promise((resolve, reject) => {
        let seen = 0;
        const finish = (settle: () => void): void => {
          listeners.delete(look);
          clearTimeout(timer);
          settle();
        };
        const look = (): void => {
          for (; seen < events.length; seen += 1) {
            const event = events[seen];
            if (event && fits(event)) return finish(() => resolve(event));
          }
          if (ended !== undefined)
            finish(() => reject(new Error(`watch of ${path}: no event ${about}; it ended: ${ended}`)));
        };
        const timer = setTimeout(
          () => finish(() => reject(new Error(`watch of ${path}: no event ${about} within ${timeoutMs} ms`))),
          timeoutMs,
        );
        listeners.add(look);
        look();
      });
    },
    close() {
      ended ??= 'it was closed';
      answer.destroy();
    },
  };
}
