/**
 * The network of a machine in memory: endpoints that tests script, at origins and at paths of Unix sockets. Proxies and
 * certificates are seen by the endpoint in the request and mean nothing else here.
 */
import { NodekilnError } from '../../errors.ts';
import { placeInFile } from '../place-in-file.ts';
import { orAborted, withDeadline } from '../deadline.ts';
import { NetError } from '../port/net.ts';
import type { Download, HttpDownload, HttpExchange, HttpRequest, HttpResponse, HttpStream, Net } from '../port/net.ts';
import type { MemoryClock } from './clock.ts';

export interface EndpointResponse {
  readonly status?: number;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** In pieces: each is there when the one before was taken; what they throw breaks the connection off. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Until the headers, on the machine's clock. */
  readonly durationMs?: number;
}

export type Endpoint = (request: HttpExchange) => EndpointResponse | Promise<EndpointResponse>;

const defaultMaxBytes = 1024 * 1024;

export interface MemoryNetOptions {
  readonly endpoints: Map<string, Endpoint>;
  readonly clock: MemoryClock;
  /** Called before each use: a crashed process asks nobody. */
  readonly alive: () => void;
}

/** `endpoints`: by origin (`http://127.0.0.1:10248`) or by the path of a Unix socket. */
export function createMemoryNet({ endpoints, clock, alive }: MemoryNetOptions): Net {
  const ask = async (wanted: HttpExchange): Promise<HttpStream> => {
    alive();
    const address = addressOf(wanted);
    const endpoint = endpoints.get(address);
    if (!endpoint) throw new NetError('connection', { where: address, why: 'connection refused' });
    if (wanted.signal?.aborted) throw new NodekilnError('NK_INTERRUPTED', `request to ${address} interrupted`);
    const { status = 200, reason = '', headers = {}, body = '', durationMs = 0 } = await endpoint(wanted);
    const headersMs = wanted.headersTimeoutMs ?? Infinity;
    await clock.sleep(Math.min(durationMs, headersMs), wanted.signal);
    if (durationMs > headersMs)
      throw new NetError('connection', { where: address, why: `no response within ${headersMs} ms` });
    return { status, reason, headers, body: pieces(body, wanted) };
  };
  /** The work on an answer, with the deadline of the whole exchange. */
  const inTime = <Wanted extends HttpExchange & { readonly timeoutMs: number }, Result>(
    wanted: Wanted,
    work: (answer: HttpStream, wanted: Wanted) => Promise<Result>,
  ): Promise<Result> =>
    withDeadline(
      { clock, ms: wanted.timeoutMs, about: `the exchange with ${addressOf(wanted)}`, signal: wanted.signal },
      async (signal) => work(await ask({ ...wanted, signal }), wanted),
    );
  return {
    stream: ask,
    download: (wanted) => inTime(wanted, intoFile),
    request: (wanted) => inTime(wanted, whole),
    serve: async (at, answer) => {
      alive();
      const address = 'socketPath' in at ? at.socketPath : `http://${at.host}:${at.port}`;
      const isTaken = endpoints.has(address) && !('socketPath' in at);
      if (isTaken) throw new NodekilnError('NK_UNSUPPORTED', `nothing can be served at ${address}: EADDRINUSE`);
      const endpoint: Endpoint = async ({ url, method = 'GET' }) => {
        if (method !== 'GET') return { status: 405 };
        try {
          const { status, contentType, body } = await answer(new URL(url).pathname);
          return { status, headers: { 'content-type': contentType }, body };
        } catch {
          return { status: 500 };
        }
      };
      endpoints.set(address, endpoint);
      return {
        close: async () => {
          if (endpoints.get(address) === endpoint) endpoints.delete(address);
        },
      };
    },
    socketAnswers: async (path) => {
      alive();
      return endpoints.has(path);
    },
  };
}

function addressOf({ socketPath, url }: HttpExchange): string {
  return socketPath ?? new URL(url).origin;
}

async function* pieces(body: EndpointResponse['body'] & {}, wanted: HttpExchange): AsyncGenerator<Uint8Array> {
  const where = addressOf(wanted);
  if (typeof body === 'string') return yield new TextEncoder().encode(body);
  if (body instanceof Uint8Array) return yield body;
  const source = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orAborted(wanted.signal, source.next());
      if (next.done === true) return;
      yield next.value;
    }
  } catch (cause) {
    if (wanted.signal?.aborted === true) throw new NodekilnError('NK_INTERRUPTED', `request to ${where} interrupted`);
    throw new NetError('connection', { where, why: cause instanceof Error ? cause.message : String(cause), cause });
  } finally {
    // Not awaited: a server that says nothing more ends when it likes.
    source.return?.().catch(() => undefined);
  }
}

async function whole({ body, ...answer }: HttpStream, wanted: HttpRequest): Promise<HttpResponse> {
  const maxBytes = wanted.maxBytes ?? defaultMaxBytes;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > maxBytes)
      throw new NetError('too-large', { where: addressOf(wanted), why: `it is larger than ${maxBytes} bytes` });
    parts.push(part);
  }
  return { ...answer, body: Buffer.concat(parts) };
}

/** Stalls are not seen here: what falls silent is ended by the deadline. */
async function intoFile({ body, ...answer }: HttpStream, wanted: HttpDownload): Promise<Download> {
  const { into, size, maxBytes, onProgress } = wanted;
  const place = placeInFile(answer, wanted);
  if (place === undefined || (await wanted.accepts?.(answer)) === false)
    return { ...answer, outcome: 'unwanted', why: '' };
  const { start, end = Infinity, total } = place;
  if (total !== undefined && total !== (size ?? Math.min(total, maxBytes)))
    return { ...answer, outcome: 'size', why: '' };
  if (start < into.size) await into.restart();
  try {
    for await (const piece of body) {
      if (into.size + piece.length > end)
        return { ...answer, outcome: 'cut', why: 'more came than the part was said to have' };
      if (into.size + piece.length > (size ?? maxBytes)) return { ...answer, outcome: 'size', why: '' };
      await into.append(piece);
    }
  } catch (thrown) {
    if (thrown instanceof NetError) return { ...answer, outcome: 'cut', why: thrown.why };
    throw thrown;
  }
  if (total !== undefined && into.size !== total)
    return { ...answer, outcome: 'cut', why: `the connection ended after ${into.size} of ${total} bytes` };
  onProgress?.(into.size, total);
  return { ...answer, outcome: 'whole', why: '' };
}
