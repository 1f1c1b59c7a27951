/**
 * One attempt to get the metadata document over HTTP. Redirects are followed, since the address is meant to be a short one
 * that can be pointed elsewhere: at most five, never from HTTPS to plain HTTP, all within one deadline.
 *
 * Errors: NK_TIMEOUT after the deadline; NK_SOURCE_UNAVAILABLE for no, a broken or a too large response, a status other
 * than 200, a type that is not JSON's; those of `readMetadata`. Credentials and queries of addresses are never shown.
 */
import { shownUrl } from '../artifacts/sources/http-client.ts';
import { proxyFor } from '../model/proxies.ts';
import { NodekilnError } from '../errors.ts';
import { isWhole } from '../host/place-in-file.ts';
import type { Host, HttpResponse } from '../host/port.ts';
import { readMetadata } from './metadata.ts';

const maxRedirects = 5;
/** GitHub and others serve raw files as plain text, so that counts as JSON too; the schema has the last word. */
const acceptedType = /^(?:application\/(?:[\w.-]+\+)?json|text\/(?:plain|json)|application\/octet-stream)$/i;

export interface FetchOptions {
  readonly url: string;
  readonly deadlineMs: number;
  readonly maxBytes: number;
  /** Of the document at hand: the server may answer that it is still the same. */
  readonly etag?: string;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY of it choose the proxy for each address. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type Fetched = { readonly json: string; readonly etag?: string; readonly passedOver: number } | 'unchanged';

/** The document as it was sent, valid, or `unchanged` when the server says that the one at hand is. Errors above. */
export async function fetchMetadata(
  { net, clock }: Pick<Host, 'net' | 'clock'>,
  options: FetchOptions,
): Promise<Fetched> {
  const end = clock.monotonic() + options.deadlineMs;
  let url = options.url;
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const timeoutMs = Math.floor(end - clock.monotonic());
    if (timeoutMs <= 0) throw late(options);
    const response = await request(net, { ...options, url, timeoutMs });
    const location = redirect(response);
    if (location === undefined) return received(response, { ...options, url });
    url = nextUrl(url, location);
  }
  throw unavailable(options.url, `redirects more than ${maxRedirects} times`);
}

async function request(net: Host['net'], options: FetchOptions & { timeoutMs: number }): Promise<HttpResponse> {
  const { url, timeoutMs, maxBytes, etag, deadlineMs, environment } = options;
  try {
    const proxy = proxyFor(new URL(url), { environment });
    return await net.request({
      url,
      ...(proxy !== undefined && { proxy }),
      timeoutMs,
      maxBytes,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'nodekiln',
        ...(etag !== undefined && { 'if-none-match': etag }),
      },
    });
  } catch (thrown) {
    if (!(thrown instanceof NodekilnError)) throw unavailable(url, 'cannot be asked', thrown);
    if (thrown.code === 'NK_TIMEOUT') throw late({ url, deadlineMs });
    throw thrown;
  }
}

function redirect({ status, headers }: HttpResponse): string | undefined {
  return [301, 302, 303, 307, 308].includes(status) ? headers['location'] : undefined;
}

function nextUrl(url: string, location: string): string {
  if (!URL.canParse(location, url)) throw unavailable(url, 'redirects to what is no address');
  const next = new URL(location, url);
  if (next.protocol !== 'https:' && next.protocol !== 'http:')
    throw unavailable(url, `redirects to ${next.protocol}, which is refused`);
  if (new URL(url).protocol === 'https:' && next.protocol === 'http:')
    throw unavailable(url, 'redirects to plain HTTP, which is refused');
  return next.href;
}

function received({ status, headers, body }: HttpResponse, { url, etag }: FetchOptions): Fetched {
  if (status === 304 && etag !== undefined) return 'unchanged';
  if (!isWhole(status)) throw unavailable(url, `answered with status ${status}`);
  const type = headers['content-type']?.split(';')[0]?.trim();
  if (type !== undefined && !acceptedType.test(type))
    throw unavailable(url, `answered with content of type ${JSON.stringify(type)}, not JSON`);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw unavailable(url, 'answered with encoded content, though it was asked not to');
  const json = decoded(body, url);
  const { passedOver } = readMetadata(json, shownUrl(url));
  return { json, passedOver: passedOver.length, ...(headers['etag'] !== undefined && { etag: headers['etag'] }) };
}

function decoded(body: Uint8Array, url: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw unavailable(url, 'answered with what is no UTF-8 text', cause);
  }
}

function late({ url, deadlineMs }: { url: string; deadlineMs: number }): NodekilnError {
  return new NodekilnError('NK_TIMEOUT', `no whole answer from ${shownUrl(url)} within ${deadlineMs} ms`);
}

function unavailable(url: string, what: string, cause?: unknown): NodekilnError {
  return new NodekilnError('NK_SOURCE_UNAVAILABLE', `${shownUrl(url)} ${what}`, { cause });
}
