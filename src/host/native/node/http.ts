/**
 * Of `node:http` and `node:https` what the shared sources use. The client: one transport of the host program for each agent, or for
 * one request without. The server: one request for each connection.
 */
import { errnoOf } from '../../../errors.ts';
import { begin, type Begun, bufferOf, later, now } from '../crossing.ts';
import { EventEmitter } from './events.ts';
import type { SecureContext } from './tls.ts';

// ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface AgentOptions {
  readonly keepAlive?: boolean;
  readonly proxyEnv?: { readonly HTTP_PROXY?: string };
  readonly secureContext?: SecureContext;
}

interface Way {
  readonly socketPath?: string | undefined;
  readonly servername?: string | undefined;
  readonly secureContext?: SecureContext | undefined;
}

export class Agent {
  readonly freeSockets: Readonly<Record<string, never[]>> = {};
  readonly #options: AgentOptions;
  readonly #transports = new Map<string, number>();
  constructor(options: AgentOptions = {}) {
    this.#options = options;
  }
  /** One for each way: a socket or a name of a server is part of it. */
  transportFor(way: Way): number {
    const { keepAlive = false, proxyEnv, secureContext } = this.#options;
    const { ca, ...own } = way.secureContext ?? secureContext ?? {};
    const asked = JSON.stringify({
      keepAlive,
      proxy: proxyEnv?.HTTP_PROXY ?? '',
      socket: way.socketPath ?? '',
      serverName: way.servername ?? '',
      ca: ca === undefined ? '' : [ca].flat().join('\n'),
      ...own,
    });
    const known = this.#transports.get(asked);
    if (known !== undefined) return known;
    const made = now<number>('transport', asked);
    this.#transports.set(asked, made);
    return made;
  }
  /** None are kept from now on; what is under way goes on to its end. */
  set maxFreeSockets(_none: 0) {
    this.destroy();
  }
  destroy(): void {
    for (const transport of this.#transports.values()) now('transportClose', transport);
    this.#transports.clear();
  }
}

interface RequestOptions extends Way {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly agent?: Agent | false;
  readonly signal?: AbortSignal;
}

export class IncomingMessage {
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly headers: Readonly<Record<string, string>>;
  complete = false;
  readonly #id: number;
  #ended = false;
  #error: Error | undefined;
  readonly #onEnd: () => void;

  constructor(
    id: number,
    head: { status: number; reason: string; headers: Record<string, string> },
    onEnd: () => void,
  ) {
    this.#id = id;
    this.statusCode = head.status;
    this.statusMessage = head.reason;
    this.headers = head.headers;
    this.#onEnd = onEnd;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#error) throw this.#error;
        const chunk = await later<Uint8Array | undefined>('httpRead', this.#id).catch((thrown: unknown) => {
          throw this.#error ?? thrown;
        });
        if (this.#error) throw this.#error;
        if (chunk === undefined) {
          this.complete = true;
          return;
        }
        yield bufferOf(chunk);
      }
    } finally {
      this.#end();
    }
  }
  /** Reads what is left, for nobody. */
  resume(): void {
    void (async () => {
      for await (const _ of this);
    })().catch(() => undefined);
  }
  destroy(error: Error = Object.assign(new Error('aborted'), { code: 'ECONNRESET' })): void {
    if (this.#ended) return;
    this.#error ??= error;
    this.#end();
  }
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    now('httpClose', this.#id);
    this.#onEnd();
  }
}

export class ClientRequest extends EventEmitter {
  #sending: Begun<string> | undefined;
  #error: Error | undefined;
  #response: IncomingMessage | undefined;
  readonly #url: URL;
  readonly #options: RequestOptions;

  constructor(url: URL, options: RequestOptions) {
    super();
    this.#url = url;
    this.#options = options;
  }

  end(body?: string | Uint8Array): this {
    const { signal, method = 'GET', headers = {}, agent } = this.#options;
    const onAbort = (): void =>
      this.destroy(Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }));
    if (signal?.aborted === true) {
      queueMicrotask(() =>
        this.emit('error', Object.assign(new Error('The operation was aborted'), { code: 'ABORT_ERR' })),
      );
      return this;
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    const once = agent ? undefined : new Agent();
    const end = (): void => {
      signal?.removeEventListener('abort', onAbort);
      once?.destroy();
      this.emit('close');
    };
    let transport: number;
    try {
      transport = (once ?? (agent as Agent)).transportFor(this.#options);
    } catch (thrown) {
      queueMicrotask(() => this.emit('error', thrown));
      return this;
    }
    const asked = JSON.stringify({
      method,
      url: this.#url.href,
      headers: Object.entries(headers).map((pair) => pair.map(String)),
    });
    this.#sending = begin<string>('httpSend', [transport, asked, body]);
    this.#sending.done.then(
      (told) => {
        const { id, ...head } = JSON.parse(told);
        this.#response = new IncomingMessage(id, head, end);
        if (this.#error) {
          this.#response.destroy(this.#error);
          this.emit('error', this.#error);
        } else this.emit('response', this.#response);
      },
      (thrown: unknown) => {
        // As in Node: `close` comes last.
        this.emit('error', this.#error ?? thrown);
        end();
      },
    );
    return this;
  }

  destroy(error: Error): void {
    this.#error ??= error;
    if (this.#response) this.#response.destroy(error);
    else this.#sending?.cancel();
  }
}

export function request(url: URL, options: RequestOptions): ClientRequest {
  return new ClientRequest(url, options);
}

// ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────────

class ServerRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly socket: { destroy(): void };
  readonly #body: Uint8Array;
  constructor(id: number, head: { method: string; url: string; headers: Record<string, string> }, body: Uint8Array) {
    this.method = head.method;
    this.url = head.url;
    this.headers = head.headers;
    this.#body = body;
    this.socket = { destroy: () => now('respondAbort', id) };
  }
  resume(): void {
    // All of it is here.
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#body.length > 0) yield this.#body;
  }
}

class ServerResponse extends EventEmitter {
  destroyed = false;
  readonly #id: number;
  /** Writes in their order. */
  #before: Promise<unknown> = Promise.resolve();
  constructor(id: number) {
    super();
    this.#id = id;
  }
  writeHead(status: number, ...more: readonly (string | Readonly<Record<string, string>>)[]): this {
    const reason = typeof more[0] === 'string' ? more[0] : '';
    const headers = more.find((each) => typeof each === 'object') ?? {};
    void this.#next('respondHead', status, reason, JSON.stringify(Object.entries(headers)));
    return this;
  }
  write(content: string | Uint8Array): boolean {
    void this.#next('respondWrite', content).then(() => this.emit('drain'));
    return false;
  }
  end(content?: string): this {
    if (content !== undefined) void this.#next('respondWrite', content);
    void this.#next('respondEnd').then(() => this.#close());
    return this;
  }
  #next(op: string, ...values: (string | number | Uint8Array)[]): Promise<unknown> {
    return (this.#before = this.#before.then(() => later(op, this.#id, ...values)).catch(() => this.#close()));
  }
  #close(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}

interface ServerOptions {
  readonly maxHeaderSize?: number;
  readonly requestTimeout?: number;
}

type Handler = (request: ServerRequest, response: ServerResponse) => void;
type At = { readonly path: string } | { readonly host: string; readonly port: number };

export class Server extends EventEmitter {
  #isRef = true;
  #serving: Begun<undefined> | undefined;
  #port = 0;
  readonly #options: ServerOptions;
  readonly #handler: Handler;
  constructor(options: ServerOptions, handler: Handler) {
    super();
    this.#options = options;
    this.#handler = handler;
  }
  unref(): this {
    this.#isRef = false;
    this.#serving?.ref(false);
    return this;
  }
  address(): { readonly port: number } {
    return { port: this.#port };
  }
  listen(at: At | number, ...more: (string | (() => void))[]): this {
    const done = more.find((each) => typeof each === 'function');
    const [network, address] =
      typeof at === 'number'
        ? ['tcp', `${String(more[0])}:${at}`]
        : 'path' in at
          ? ['unix', at.path]
          : ['tcp', at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`];
    queueMicrotask(() => {
      try {
        const { maxHeaderSize = 16384, requestTimeout = 300_000 } = this.#options;
        const [id = 0, port = 0] = now<string>('listen', network, address, maxHeaderSize, requestTimeout)
          .split(' ')
          .map(Number);
        this.#port = port;
        this.#serving = begin<undefined>('serve', [id], (request: number, head: string, body: Uint8Array) =>
          this.#handler(new ServerRequest(request, JSON.parse(head), body), new ServerResponse(request)),
        );
        this.#serving.ref(this.#isRef);
        this.#serving.done.catch((thrown: unknown) => {
          if (errnoOf(thrown) !== 'ABORT_ERR') this.emit('error', thrown);
        });
      } catch (thrown) {
        this.emit('error', thrown);
        return;
      }
      this.emit('listening');
      done?.();
    });
    return this;
  }
  close(done?: () => void): this {
    this.#serving?.cancel();
    const end = (): void => void (done?.(), this.emit('close'));
    if (this.#serving) this.#serving.done.then(end, end);
    else queueMicrotask(end);
    return this;
  }
  closeAllConnections(): void {
    this.#serving?.cancel();
  }
}

export function createServer(...given: [Handler] | [ServerOptions, Handler]): Server {
  return typeof given[0] === 'function' ? new Server({}, given[0]) : new Server(given[0], given[1] as Handler);
}
