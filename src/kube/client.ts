/**
 * A client of one API server: who is asked, how it shows who it is, and how we do. Requests go through the port's network,
 * without redirects and retries. What a server answers is the caller's to judge; credentials never appear in messages.
 */
import { NodekilnError } from '../errors.ts';
import { NetError } from '../host/port.ts';
import type { Host, HttpExchange, HttpResponse, HttpStream } from '../host/port.ts';
import { proxyFor, type Environment } from '../model/proxies.ts';
import { shownAddress } from '../model/shown-address.ts';
import type { Credentials } from './credentials.ts';
import type { ApiServer } from './kubeconfig.ts';
import { unanswered } from './unanswered.ts';

/** What is said to an API server. */
export interface KubeExchange {
  /** `GET` unless told. */
  readonly method?: string;
  /** `/version`, `/api/v1/nodes`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of the body. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** By a connection of its own: the one that is kept may be as dead as another that has fallen silent. */
  readonly fresh?: boolean;
  /** What is asked may be done twice: whoever does not answer, the next address is asked at once. So is every GET. */
  readonly repeatable?: boolean;
}

/** What is answered in one piece. */
export interface KubeRequest extends KubeExchange {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Of the answer; 1 MiB unless told. */
  readonly maxBytes?: number;
}

/** What is answered bit by bit. */
export interface KubeStreamRequest extends KubeExchange {
  /** Until the server begins to answer. */
  readonly headersTimeoutMs: number;
}

/**
 * One API server, as whoever the credentials say at the time. Both: NK_TIMEOUT after the deadline, NK_INTERRUPTED,
 * NK_CLUSTER_UNREACHABLE, NK_CLUSTER_AUTHORITY, NK_CLUSTER_CERTIFICATE and NK_CLUSTER_CLOCK when there is no answer,
 * NK_SOURCE_UNAVAILABLE when it breaks off or is too large; what reading the credentials throws.
 */
export interface KubeClient {
  /** `https://host:6443`, for messages: the address that is asked now. */
  readonly where: string;
  /** An answer of whatever status, asked for as JSON. */
  ask(request: KubeRequest): Promise<HttpResponse>;
  /** The same with the body as it arrives; nothing but the signal bounds it. */
  stream(request: KubeStreamRequest): Promise<HttpStream>;
}

/** What it asks by: the time is told where a certificate does not hold, and the environment may name a proxy. */
export type KubeClientHost = Pick<Host, 'net' | 'clock' | 'program'>;

/** How the client asks. */
export interface KubeClientOptions {
  /** Connections stay open for the next request, until the host is closed. */
  readonly keepAlive?: boolean;
}

/**
 * `api`: what credentials are for good, or where to look for them at each request. Of several addresses of one API server
 * the one that answered last is asked; when it does not answer, the next one is asked from then on.
 */
export function createKubeClient(
  { net, clock, program }: KubeClientHost,
  api: ApiServer | ClientOf,
  options: KubeClientOptions = {},
): KubeClient {
  const { servers, credentials } = 'credentials' in api ? api : { servers: [api.server], credentials: async () => api };
  const bases = servers.map((server) => {
    const base = server.replace(/\/+$/, '');
    const { protocol, host } = new URL(base);
    return { base, where: `${protocol}//${host}` };
  });
  const [first] = bases;
  if (!first) throw new NodekilnError('NK_INTERNAL', 'an API server has no address');
  let turn = 0;
  const current = (): { readonly base: string; readonly where: string } => bases[turn % bases.length] ?? first;
  /** What was answered 401; whoever gives the credentials is told at the next request. */
  let refused: ApiServer | undefined;
  const judged = <T extends { readonly status: number }>(shown: ApiServer, answer: T): T => {
    refused = answer.status === 401 ? shown : undefined;
    return answer;
  };

  const exchange = async (wanted: KubeExchange): Promise<Shown> => {
    const shown = await credentials(refused);
    const { base } = current();
    const proxy = shown.proxy ?? proxyOfEnvironment(base, program.environment);
    const about = exchangeOf(base, wanted, shown);
    const keepAlive = options.keepAlive === true && wanted.fresh !== true;
    return {
      about: { ...about, ...(proxy !== undefined && { proxy }), ...(keepAlive && { keepAlive }) },
      shown,
    };
  };

  /** Asks; when nobody answers, the next address has its turn, at once where asking twice does no harm. */
  const askEach = async <T extends { readonly status: number }>(
    wanted: KubeExchange,
    ask: (about: HttpExchange) => Promise<T>,
    named: (where: string, thrown: unknown) => unknown,
  ): Promise<T> => {
    const { method = 'GET', repeatable = method === 'GET' } = wanted;
    const tries = repeatable ? bases.length : 1;
    for (let attempt = 1; ; attempt++) {
      const { about, shown } = await exchange(wanted);
      const { where } = current();
      const asked = turn;
      try {
        return judged(shown, await ask(about));
      } catch (thrown) {
        const silent = isSilent(thrown);
        // Those who ask beside each other have one turn.
        if (silent && turn === asked) turn += 1;
        if (!silent || attempt >= tries) throw named(wayTo(where, about), thrown);
      }
    }
  };

  return {
    get where() {
      return current().where;
    },
    ask: ({ timeoutMs, maxBytes, ...wanted }) =>
      askEach(
        wanted,
        (about) => net.request({ ...about, timeoutMs, ...(maxBytes !== undefined && { maxBytes }) }),
        (where, thrown) => {
          if (thrown instanceof NodekilnError && thrown.code === 'NK_TIMEOUT')
            return new NodekilnError('NK_TIMEOUT', `no answer from the API server ${where} within ${timeoutMs} ms`, {
              cause: thrown,
            });
          if (thrown instanceof NetError && thrown.failure === 'too-large' && maxBytes !== undefined)
            return unusableServer(where, `answered with more than ${maxBytes} bytes`, thrown);
          return asUnusable(where, thrown, clock.now());
        },
      ),
    // A connection of its own: it lasts, and what is wrong with an earlier one must not be inherited.
    stream: async ({ headersTimeoutMs, ...wanted }) => {
      const answer = await askEach(
        wanted,
        (about) => net.stream({ ...about, keepAlive: false, headersTimeoutMs }),
        (where, thrown) => asUnusable(where, thrown, clock.now()),
      );
      return { ...answer, body: pieces(answer.body, current().where) };
    },
  };
}

/** What goes over the wire, and by which credentials. */
function exchangeOf(
  base: string,
  { method, path, query, body, contentType, signal }: KubeExchange,
  { ca, serverName, clientCertificate, token }: ApiServer,
): HttpExchange {
  const search = query && Object.keys(query).length > 0 ? `?${new URLSearchParams(query).toString()}` : '';
  return {
    url: `${base}${path}${search}`,
    headers: {
      accept: 'application/json',
      'user-agent': 'nodekiln',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': contentType ?? 'application/json' }),
    },
    tls: {
      ...(ca !== undefined && { ca }),
      ...(serverName !== undefined && { serverName }),
      ...(clientCertificate && { clientCertificate }),
    },
    ...(method !== undefined && { method }),
    ...(body !== undefined && { body }),
    ...(signal && { signal }),
  };
}

function wayTo(where: string, { proxy }: HttpExchange): string {
  return proxy === undefined ? where : `${where} (through the proxy ${shownAddress(proxy).replace(/\/$/, '')})`;
}

/**
 * As client-go, and with it kubelet and kubectl, take it (net/http's ProxyFromEnvironment): HTTPS_PROXY but for what NO_PROXY
 * names, and never for this machine itself.
 */
function proxyOfEnvironment(server: string, environment: Environment): string | undefined {
  const url = new URL(server);
  const isOwn = url.hostname === 'localhost' || url.hostname === '[::1]' || url.hostname.startsWith('127.');
  return isOwn ? undefined : proxyFor(url, { environment });
}

/** What goes wrong while they come is the API server's, too. */
async function* pieces(body: AsyncIterable<Uint8Array>, where: string): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (thrown) {
    if (thrown instanceof NodekilnError && thrown.code === 'NK_INTERRUPTED') throw thrown;
    throw unusableServer(where, `broke off: ${reasonOf(thrown)}`, thrown);
  }
}

interface Shown {
  readonly about: HttpExchange;
  readonly shown: ApiServer;
}

/** There is no answer, and another address may have one. */
function isSilent(thrown: unknown): boolean {
  if (thrown instanceof NetError) return thrown.failure !== 'too-large';
  return thrown instanceof NodekilnError && thrown.code === 'NK_TIMEOUT';
}

/** An API server, and where to look for whom to trust and who we are. */
export interface ClientOf {
  /** Its addresses, `https://host:6443`; at least one. */
  readonly servers: readonly string[];
  readonly credentials: Credentials;
}

function asUnusable(where: string, thrown: unknown, now: number): NodekilnError {
  if (thrown instanceof NodekilnError && thrown.code === 'NK_INTERRUPTED') return thrown;
  if (thrown instanceof NetError && thrown.failure !== 'too-large') return unanswered(thrown, where, now);
  return unusableServer(where, `cannot be asked: ${reasonOf(thrown)}`, thrown);
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof NetError) return thrown.why;
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** NK_SOURCE_UNAVAILABLE: what is wrong with the server `where`, as a clause that follows its name. */
export function unusableServer(where: string, why: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_SOURCE_UNAVAILABLE', `the API server ${where} ${why}`, {
    ...(cause !== undefined && { cause }),
    hint: 'Check the server, its CA and the credentials that are shown to it.',
  });
}
