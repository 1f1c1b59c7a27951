/**
 * HTTP for artifacts: streaming responses over kept connections, redirects, proxy, private certificate authorities. The
 * port `Net` is for small exchanges; artifacts are hundreds of megabytes. `node:http` and `node:https` load on first use.
 *
 * Errors: RetryableError when no response came, NK_SOURCE_UNAVAILABLE when trying again cannot help (certificates,
 * redirects without end). Credentials and queries of addresses never appear in messages.
 */
import type { Agent, IncomingMessage, RequestOptions } from 'node:http';
import { NodekilnError, errnoOf } from '../../errors.ts';
import { RetryableError } from './retry.ts';

/** How the network is reached. */
export interface HttpClientOptions {
  /** `http://user:password@proxy:3128`; `environment`: HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Direct when absent. */
  readonly proxy?: string;
  /** Hosts that need no proxy, as in NO_PROXY. */
  readonly noProxy?: string;
  /** PEM certificates trusted instead of the machine's. */
  readonly ca?: string;
}

/** One request. */
export interface OpenOptions {
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  /** Until the response's headers are there. */
  readonly responseTimeoutMs?: number;
}

/** Responses as streams; redirects are followed, never from HTTPS to HTTP, and credentials stay with their host. */
export interface HttpClient {
  /** The response with its body unread; any status except redirects. */
  readonly open: (url: string, options?: OpenOptions) => Promise<IncomingMessage>;
  readonly close: () => void;
}

const maxRedirects = 10;
const defaultResponseTimeoutMs = 20_000;
/** Codes of OpenSSL and Node that no second attempt changes. */
const certificateErrors =
  /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA)/;

/** A client with connections of its own; `close` ends them. Its options say how the network is reached. */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const agents = new Map<string, Agent>();

  const agentFor = async (protocol: string): Promise<Agent> => {
    const known = agents.get(protocol);
    if (known) return known;
    const proxy = proxyEnvironment(options);
    const shared = { keepAlive: true, ...(proxy && { proxyEnv: proxy }) };
    const agent =
      protocol === 'https:'
        ? new (await import('node:https')).Agent({ ...shared, ca: options.ca ?? (await trustedCertificates()) })
        : new (await import('node:http')).Agent(shared);
    agents.set(protocol, agent);
    return agent;
  };

  const open = async (url: string, wanted: OpenOptions = {}): Promise<IncomingMessage> => {
    let target = parseUrl(url);
    let headers = wanted.headers ?? {};
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const response = await exchange(target, await agentFor(target.protocol), { ...wanted, headers });
      const location = response.headers.location;
      if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || location === undefined) return response;
      response.resume();
      const next = parseUrl(new URL(location, target).href);
      if (target.protocol === 'https:' && next.protocol === 'http:') {
        throw new NodekilnError(
          'NK_SOURCE_UNAVAILABLE',
          `${shownUrl(target)} redirects to plain HTTP, which is refused`,
        );
      }
      // Credentials are for the host they were given for.
      if (next.origin !== target.origin)
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => !/^(authorization|cookie)$/i.test(name)),
        );
      target = next;
    }
    throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `${shownUrl(url)} redirects more than ${maxRedirects} times`);
  };

  return {
    open,
    close: () => {
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}

/** Without user, password and query: those may be secrets. */
export function shownUrl(url: string | URL): string {
  const parsed = typeof url === 'string' ? parseUrl(url) : url;
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${parsed.search === '' ? '' : '?…'}`;
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new NodekilnError('NK_DOCUMENT_INVALID', 'an address of an artifact is no http or https address', {
    hint: 'Write it like https://host/path.',
  });
}

async function exchange(url: URL, agent: Agent, options: OpenOptions): Promise<IncomingMessage> {
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const timeoutMs = options.responseTimeoutMs ?? defaultResponseTimeoutMs;
  const wanted: RequestOptions = {
    agent,
    method: options.method ?? 'GET',
    headers: {
      'user-agent': 'nodekiln',
      'accept-encoding': 'identity',
      ...(options.body !== undefined && { 'content-length': String(Buffer.byteLength(options.body)) }),
      ...options.headers,
    },
    ...(options.signal && { signal: options.signal }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, wanted);
    const late = setTimeout(() => outgoing.destroy(new Error(`no response within ${timeoutMs} ms`)), timeoutMs);
    outgoing.once('close', () => clearTimeout(late));
    outgoing.once('response', (response) => {
      clearTimeout(late);
      resolve(response);
    });
    outgoing.once('error', (error) => reject(requestError(url, error, options.signal)));
    outgoing.end(options.body);
  });
}

function requestError(url: URL, error: Error, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return signal.reason instanceof Error ? signal.reason : error;
  const code = errnoOf(error) ?? '';
  if (/wrong version number|packet length too long/i.test(`${code.replaceAll('_', ' ')} ${error.message}`))
    return new NodekilnError('NK_SOURCE_UNAVAILABLE', `${url.host} does not speak TLS`, {
      cause: error,
      hint: 'Use http:// or `plainHttp` where the network can be trusted.',
    });
  if (!certificateErrors.test(code))
    return new RetryableError(`no response from ${url.host}: ${error.message || code}`, { cause: error });
  return new NodekilnError(
    'NK_SOURCE_UNAVAILABLE',
    `the certificate of ${url.host} is not accepted: ${error.message}`,
    {
      cause: error,
      hint: 'Trust its authority with `ca`, or correct the clock or the certificate.',
    },
  );
}

function proxyEnvironment({ proxy, noProxy }: HttpClientOptions): Record<string, string | undefined> | undefined {
  if (proxy === undefined) return undefined;
  const { env } = process;
  if (proxy !== 'environment') return { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, NO_PROXY: noProxy };
  return {
    HTTP_PROXY: env['http_proxy'] ?? env['HTTP_PROXY'],
    HTTPS_PROXY: env['https_proxy'] ?? env['HTTPS_PROXY'],
    NO_PROXY: noProxy ?? env['no_proxy'] ?? env['NO_PROXY'],
  };
}

/** Node's own list and what the machine's administrator added. */
async function trustedCertificates(): Promise<string[]> {
  const { getCACertificates } = await import('node:tls');
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}
