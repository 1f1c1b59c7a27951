/**
 * One exchange up to the response's headers, and what goes wrong with it as the port says it.
 */
import type { IncomingMessage, RequestOptions } from 'node:http';
import type { SecureContext } from 'node:tls';
import { errnoOf, NodekilnError } from '../../../errors.ts';
import { NetError } from '../../port/net.ts';
import type { NetReason, HttpExchange, HttpHeaders, HttpResponse } from '../../port/net.ts';
import type { Agents } from './agents.ts';
import { timerMs } from '../timers.ts';

/** Ends an exchange that takes too long: for the whole of it, or for a part. */
export interface Deadline {
  readonly signal: AbortSignal;
  readonly ms: number;
}

/** The response with its body unread; whatever status it has. */
export async function openExchange(
  agents: Agents,
  wanted: HttpExchange,
  deadline: Deadline | undefined,
): Promise<IncomingMessage> {
  const url = new URL(wanted.url);
  const secure = url.protocol === 'https:';
  const { body, socketPath, tls, headersTimeoutMs } = wanted;
  const options: RequestOptions & { secureContext?: SecureContext; servername?: string } = {
    method: wanted.method ?? 'GET',
    headers: { ...wanted.headers, ...(body !== undefined && { 'content-length': byteLength(body) }) },
    agent: await agents.agentFor(wanted),
    ...(socketPath !== undefined && { socketPath }),
    ...(secure && { secureContext: await agents.contextFor(tls) }),
    ...(tls?.serverName !== undefined && { servername: tls.serverName }),
    ...signalOf(wanted, deadline),
  };
  const { request } = secure ? await import('node:https') : await import('node:http');
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options);
    const late =
      headersTimeoutMs === undefined
        ? undefined
        : setTimeout(
            () => outgoing.destroy(new Error(`no response within ${headersTimeoutMs} ms`)),
            timerMs(headersTimeoutMs),
          );
    outgoing.once('error', reject);
    // Also when it switched to a protocol that nobody asked for (101): else nobody would be told anything.
    outgoing.once('close', () => {
      clearTimeout(late);
      reject(new Error('the connection ended without an answer'));
    });
    outgoing.once('response', (response) => {
      clearTimeout(late);
      resolve(response);
    });
    outgoing.end(body);
  });
}

function signalOf({ signal }: HttpExchange, deadline: Deadline | undefined): { signal?: AbortSignal } {
  const signals = [signal, deadline?.signal].filter((one) => one !== undefined);
  return signals.length === 0 ? {} : { signal: AbortSignal.any(signals) };
}

function byteLength(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}

/** What a response says before its body. */
export function answerOf(response: IncomingMessage): Omit<HttpResponse, 'body'> {
  return { status: response.statusCode ?? 0, reason: response.statusMessage ?? '', headers: headersOf(response) };
}

function headersOf(response: IncomingMessage): HttpHeaders {
  const headers = Object.entries(response.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]);
  return Object.fromEntries(headers) as Record<string, string>;
}

/** Codes of OpenSSL and Node that no second attempt changes. */
const certificateErrors =
  /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA)/;

/** By code of the system, of Node and of OpenSSL. */
const reasons: Readonly<Record<string, NetReason>> = {
  ENOTFOUND: 'no-name',
  EAI_AGAIN: 'no-name',
  ECONNREFUSED: 'refused',
  ENETUNREACH: 'no-route',
  EHOSTUNREACH: 'no-route',
  ETIMEDOUT: 'no-route',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'untrusted',
  CERT_SIGNATURE_FAILURE: 'untrusted',
  CERT_UNTRUSTED: 'untrusted',
  INVALID_CA: 'untrusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'other-name',
  HOSTNAME_MISMATCH: 'other-name',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
};

/** What the system says of a connection, in words. */
const connectionWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: nothing listens there',
  ECONNRESET: 'the connection was reset by the other side',
  ECONNABORTED: 'the connection was broken off',
  EPIPE: 'the connection was closed by the other side',
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'no name server answers for its name',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'no way leads to its address',
  EHOSTDOWN: 'its machine is down',
  ENETUNREACH: 'no network leads to its address',
  EADDRNOTAVAIL: 'this machine has no address to ask from',
};

/** What was thrown while an exchange was under way, as the port says it. */
export function asNetError(thrown: unknown, wanted: HttpExchange, deadline: Deadline | undefined): NodekilnError {
  if (thrown instanceof NodekilnError) return thrown;
  const url = new URL(wanted.url);
  const where = wanted.socketPath ?? `${url.origin}${url.pathname}`;
  if (wanted.signal?.aborted)
    return new NodekilnError('NK_INTERRUPTED', `request to ${where} interrupted`, { cause: thrown });
  if (deadline?.signal.aborted)
    return new NodekilnError('NK_TIMEOUT', `no response from ${where} within ${deadline.ms} ms`, { cause: thrown });
  const code = errnoOf(thrown) ?? '';
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const failure = /wrong version number|packet length too long/i.test(`${code.replaceAll('_', ' ')} ${message}`)
    ? 'no-tls'
    : certificateErrors.test(code)
      ? 'certificate'
      : 'connection';
  return new NetError(failure, {
    where,
    why: connectionWords[code] ?? (message || code),
    reason: reasons[code],
    cause: thrown,
  });
}
