/**
 * A client of one API server: who is asked, how it shows who it is, and how we do. Requests go through the port's network,
 * without redirects and retries. What a server answers is the caller's to judge; credentials never appear in messages.
 */
import { NodekilnError } from '../errors.ts';
import { NetError } from '../host/port.ts';
import type { HttpExchange, HttpResponse, HttpStream, Net } from '../host/port.ts';
import type { Credentials } from './credentials.ts';
import type { ApiServer } from './kubeconfig.ts';

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
 * NK_SOURCE_UNAVAILABLE when there is no answer or it is too large; what reading the credentials throws.
 */
export interface KubeClient {
  /** `https://host:6443`, for messages. */
  readonly where: string;
  /** An answer of whatever status, asked for as JSON. */
  ask(request: KubeRequest): Promise<HttpResponse>;
  /** The same with the body as it arrives; nothing but the signal bounds it. */
  stream(request: KubeStreamRequest): Promise<HttpStream>;
}

/** How the client asks. */
export interface KubeClientOptions {
  /** Connections stay open for the next request, until the host is closed. */
  readonly keepAlive?: boolean;
}

/** `credentials`: what they are for good, or where to look for them at each request. `server` must stay the same. */
export function createKubeClient(net: Net, api: ApiServer | ClientOf, options: KubeClientOptions = {}): KubeClient {
  const { server, credentials } = 'credentials' in api ? api : { server: api.server, credentials: async () => api };
  const base = server.replace(/\/+$/, '');
  const { protocol, host } = new URL(base);
  const where = `${protocol}//${host}`;

  const exchange = async ({ method, path, query, body, contentType, signal }: KubeExchange): Promise<HttpExchange> => {
    const { ca, serverName, clientCertificate, token } = await credentials();
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
      ...(options.keepAlive === true && { keepAlive: true }),
      ...(signal && { signal }),
    };
  };

  return {
    where,
    ask: async ({ timeoutMs, maxBytes, ...wanted }) => {
      const about = await exchange(wanted);
      try {
        return await net.request({ ...about, timeoutMs, ...(maxBytes !== undefined && { maxBytes }) });
      } catch (thrown) {
        if (thrown instanceof NodekilnError && thrown.code === 'NK_TIMEOUT')
          throw new NodekilnError('NK_TIMEOUT', `no answer from the API server ${where} within ${timeoutMs} ms`, {
            cause: thrown,
          });
        if (thrown instanceof NetError && thrown.failure === 'too-large' && maxBytes !== undefined)
          throw unusableServer(where, `answered with more than ${maxBytes} bytes`, thrown);
        throw asUnusable(where, thrown);
      }
    },
    stream: async ({ headersTimeoutMs, ...wanted }) => {
      const about = await exchange(wanted);
      try {
        // A connection of its own: it lasts, and what is wrong with an earlier one must not be inherited.
        return await net.stream({ ...about, keepAlive: false, headersTimeoutMs });
      } catch (thrown) {
        throw asUnusable(where, thrown);
      }
    },
  };
}

/** A server, and where to look for whom to trust and who we are. */
export interface ClientOf {
  /** `https://host:6443` */
  readonly server: string;
  readonly credentials: Credentials;
}

function asUnusable(where: string, thrown: unknown): NodekilnError {
  if (thrown instanceof NodekilnError && thrown.code === 'NK_INTERRUPTED') return thrown;
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
    hint: 'Check the server, its CA and the credentials in the kubeconfig, or give --cluster-version.',
  });
}
