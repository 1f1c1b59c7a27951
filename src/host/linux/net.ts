/**
 * HTTP requests over TCP, TLS or a Unix socket. The deadline covers the whole exchange. `node:http` and `node:https` are
 * loaded by the first request: most boots need one at most.
 *
 * Errors: NK_SOURCE_UNAVAILABLE when no (whole) response came or it is too large, NK_TIMEOUT, NK_INTERRUPTED.
 */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { createConnection } from 'node:net';
import { NodekilnError } from '../../errors.ts';
import type { HttpRequest, HttpResponse, Net } from '../port.ts';

const defaultMaxBytes = 1024 * 1024;

export function createLinuxNet(): Net {
  return { request, socketAnswers };
}

async function request(wanted: HttpRequest): Promise<HttpResponse> {
  const url = new URL(wanted.url);
  const deadline = AbortSignal.timeout(wanted.timeoutMs);
  const signal = wanted.signal ? AbortSignal.any([deadline, wanted.signal]) : deadline;
  const options: RequestOptions & { ca?: string } = {
    method: wanted.method ?? 'GET',
    headers: { ...wanted.headers, ...(wanted.body !== undefined && { 'content-length': byteLength(wanted.body) }) },
    signal,
    agent: false,
    ...(wanted.socketPath !== undefined && { socketPath: wanted.socketPath }),
    ...(wanted.ca !== undefined && { ca: wanted.ca }),
  };
  try {
    const response = await exchange(url, options, wanted.body);
    return await receive(response, wanted.maxBytes ?? defaultMaxBytes);
  } catch (thrown) {
    if (thrown instanceof NodekilnError) throw thrown;
    const where = wanted.socketPath ?? `${url.origin}${url.pathname}`;
    if (deadline.aborted) {
      throw new NodekilnError('NK_TIMEOUT', `no response from ${where} within ${wanted.timeoutMs} ms`, {
        cause: thrown,
      });
    }
    if (wanted.signal?.aborted)
      throw new NodekilnError('NK_INTERRUPTED', `request to ${where} interrupted`, { cause: thrown });
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `no response from ${where}: ${why}`, { cause: thrown });
  }
}

async function exchange(
  url: URL,
  options: RequestOptions,
  body: string | Uint8Array | undefined,
): Promise<IncomingMessage> {
  const client = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  return new Promise((resolve, reject) => {
    client.request(url, options, resolve).once('error', reject).end(body);
  });
}

async function receive(response: IncomingMessage, maxBytes: number): Promise<HttpResponse> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > maxBytes) {
      response.destroy();
      throw new NodekilnError('NK_SOURCE_UNAVAILABLE', `the response is larger than ${maxBytes} bytes`);
    }
    chunks.push(bytes);
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]);
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body: Buffer.concat(chunks) };
}

function byteLength(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}

function socketAnswers(path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const answer = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(timeoutMs, () => answer(false));
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
