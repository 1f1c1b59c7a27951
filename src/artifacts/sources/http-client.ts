/**
 * HTTP for artifacts over the port's network: redirects, the proxy for each address, private certificate authorities,
 * kept connections. Small answers are read whole, large ones go into staged files.
 *
 * Errors: RetryableError when no response came, NK_SOURCE_UNAVAILABLE when trying again cannot help (certificates,
 * redirects without end, answers too large: then a NetError), NK_TIMEOUT, NK_INTERRUPTED. Credentials and queries of
 * addresses never appear in messages.
 */
import { NodekilnError } from '../../errors.ts';
import { NetError, type NetReason } from '../../host/port.ts';
import type {
  Download,
  HttpDownload,
  HttpExchange,
  HttpHeaders,
  HttpRequest,
  HttpResponse,
  HttpStream,
  Net,
} from '../../host/port.ts';
import { shownAddress } from '../../model/shown-address.ts';
import { proxyFor } from '../../model/proxies.ts';
import type { ProxySettings } from '../../model/proxies.ts';
import { RetryableError } from './retry.ts';

/** How the network is reached. */
export interface HttpClientOptions extends ProxySettings {
  readonly net: Net;
  /** PEM certificates trusted instead of the machine's. */
  readonly ca?: string;
  /** Until a response's headers are there; 20 s unless told. */
  readonly responseTimeoutMs?: number;
}

/** What is not the client's own to say. */
type Asked<Exchange extends HttpExchange> = Omit<
  Exchange,
  'url' | 'proxy' | 'tls' | 'keepAlive' | 'headersTimeoutMs' | 'socketPath'
>;

/** An answer, and who gave it: the origin where the last redirect led. */
export type AnswerOf<Answer> = Answer & { readonly origin: string };

/** Redirects are followed, never from HTTPS to HTTP; credentials and what is posted stay with the origin they are for. */
export interface HttpClient {
  /** The response with its body as it arrives; of any status except redirects. */
  readonly open: (url: string, request?: Asked<HttpExchange>) => Promise<AnswerOf<HttpStream>>;
  /** The whole response. */
  readonly request: (url: string, request: Asked<HttpRequest>) => Promise<AnswerOf<HttpResponse>>;
  /** The body in a staged file; see `Net.download`. */
  readonly download: (url: string, download: Asked<HttpDownload>) => Promise<AnswerOf<Download>>;
}

const maxRedirects = 10;
const redirects: readonly number[] = [301, 302, 303, 307, 308];
const defaultResponseTimeoutMs = 20_000;

/** A client of the port's network. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { net } = options;
  return {
    open: (url, request = {}) =>
      follow(options, url, { asked: request, ask: (exchange) => net.stream({ ...request, ...exchange }) }),
    request: (url, request) =>
      follow(options, url, { asked: request, ask: (exchange) => net.request({ ...request, ...exchange }) }),
    download: (url, download) =>
      follow(options, url, { asked: download, ask: (exchange) => net.download({ ...download, ...exchange }) }),
  };
}

interface Asking<Answer> {
  readonly asked: Asked<HttpExchange>;
  readonly ask: (exchange: HttpExchange) => Promise<Answer>;
}

/** Asks, and asks again where the answer leads. */
async function follow<Answer extends Pick<HttpResponse, 'status' | 'headers'>>(
  options: HttpClientOptions,
  url: string,
  { asked, ask }: Asking<Answer>,
): Promise<AnswerOf<Answer>> {
  let target = parseUrl(url);
  let headers: HttpHeaders = asked.headers ?? {};
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const exchange = exchangeWith(target, options, headers);
    const answer = await ask(exchange).catch((thrown: unknown) => {
      throw clientError(target, thrown);
    });
    const { location } = answer.headers;
    if (!redirects.includes(answer.status) || location === undefined) return { ...answer, origin: target.origin };
    const next = whereTo(location, target);
    if (target.protocol === 'https:' && next.protocol === 'http:') {
      throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `${shownUrl(target)} redirects to plain HTTP, which is refused`);
    }
    if (next.origin !== target.origin && asked.body !== undefined) {
      throw new NodekilnError(
        'NK_SOURCE_UNAVAILABLE',
        `${shownUrl(target)} redirects what is posted to it to ${next.host}, which is refused`,
      );
    }
    // Credentials are for the host they were given for.
    if (next.origin !== target.origin)
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(authorization|cookie)$/i.test(name)));
    target = next;
  }
  throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `${shownUrl(url)} redirects more than ${maxRedirects} times`);
}

/** A user and password in an address are for its origin, too. */
function whereTo(location: string, from: URL): URL {
  const next = URL.parse(location, from.href);
  if (next?.protocol !== 'http:' && next?.protocol !== 'https:')
    throw new NodekilnError(
      'NK_SOURCE_UNAVAILABLE',
      `${shownUrl(from)} redirects to what is no http or https address, which is refused`,
    );
  if (next.origin === from.origin && next.username === '' && next.password === '') {
    next.username = from.username;
    next.password = from.password;
  }
  return next;
}

function exchangeWith(target: URL, options: HttpClientOptions, headers: HttpHeaders): HttpExchange {
  const proxy = proxyFor(target, options);
  return {
    url: target.href,
    headers: { 'user-agent': 'nodekiln', 'accept-encoding': 'identity', ...headers },
    keepAlive: true,
    headersTimeoutMs: options.responseTimeoutMs ?? defaultResponseTimeoutMs,
    ...(proxy !== undefined && { proxy }),
    ...(options.ca !== undefined && { tls: { ca: options.ca } }),
  };
}

/** Without user, password and query: those may be secrets. */
export function shownUrl(url: string | URL): string {
  return shownAddress((typeof url === 'string' ? parseUrl(url) : url).href);
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new NodekilnError('NK_DOCUMENT_INVALID', 'an address of an artifact is no http or https address', {
    hint: 'Write it like https://host/path.',
  });
}

const nobodyThere: readonly NetReason[] = ['refused', 'no-name', 'no-route'];

/** What the network says, as those who try again and those who read it want it. */
function clientError(url: URL, thrown: unknown): unknown {
  if (!(thrown instanceof NetError)) return thrown;
  switch (thrown.failure) {
    case 'connection':
      return new RetryableError(`no response from ${url.host}: ${thrown.why}`, {
        cause: thrown,
        unreached: thrown.reason !== undefined && nobodyThere.includes(thrown.reason),
      });
    case 'no-tls':
      return new NodekilnError('NK_SOURCE_UNAVAILABLE', `${url.host} does not speak TLS`, {
        cause: thrown,
        hint: 'Use http:// or `plainHttp` where the network can be trusted.',
      });
    case 'certificate':
      return new NodekilnError(
        'NK_SOURCE_UNAVAILABLE',
        `the certificate of ${url.host} is not accepted: ${thrown.why}`,
        { cause: thrown, hint: 'Trust its authority with `ca`, or correct the clock or the certificate.' },
      );
    case 'too-large':
      return thrown;
  }
}
