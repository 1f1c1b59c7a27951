/**
 * HTTP over TCP, TLS or a Unix socket, straight or through a proxy, by Node's own client.
 *
 * Errors: NetError (NK_SOURCE_UNAVAILABLE) when no (whole) response came or it is too large, NK_TIMEOUT, NK_INTERRUPTED.
 */
import type { IncomingMessage } from 'node:http';
import { createConnection } from 'node:net';
import { NetError } from '../../port/net.ts';
import type { HttpExchange, HttpRequest, HttpResponse, HttpStream, Net } from '../../port/net.ts';
import { createAgents, type Agents } from './agents.ts';
import { download } from './download.ts';
import { answerOf, asNetError, openExchange, type Deadline } from './exchange.ts';
import { timerMs } from '../timers.ts';

const defaultMaxBytes = 1024 * 1024;

/** With an end of its own, for who has one without a host. */
export interface LinuxNet extends Net {
  /** Ends connections that are kept open. Idempotent. */
  close(): void;
}

/** A network with kept connections of its own; nothing is opened before the first request. */
export function createLinuxNet(): LinuxNet {
  const agents = createAgents();
  return {
    request: (wanted) => request(agents, wanted),
    stream: (wanted) => stream(agents, wanted),
    download: (wanted) => download(agents, wanted),
    serve: async (at, answer) => (await import('./serve.ts')).serve(at, answer),
    socketAnswers,
    close: () => agents.close(),
  };
}

async function request(agents: Agents, wanted: HttpRequest): Promise<HttpResponse> {
  const deadline: Deadline = {
    signal: AbortSignal.timeout(timerMs(wanted.timeoutMs)),
    ms: wanted.timeoutMs,
  };
  try {
    const response = await openExchange(agents, wanted, deadline);
    return { ...answerOf(response), body: await receive(response, wanted) };
  } catch (thrown) {
    throw asNetError(thrown, wanted, deadline);
  }
}

async function stream(agents: Agents, wanted: HttpExchange): Promise<HttpStream> {
  const response = await openExchange(agents, wanted, undefined).catch((thrown: unknown) => {
    throw asNetError(thrown, wanted, undefined);
  });
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) yield chunk;
      if (!response.complete) throw new Error('the connection broke off');
    } catch (thrown) {
      throw asNetError(thrown, wanted, undefined);
    } finally {
      response.destroy();
    }
  }
  return { ...answerOf(response), body: body() };
}

async function receive(response: IncomingMessage, wanted: HttpRequest): Promise<Uint8Array> {
  const maxBytes = wanted.maxBytes ?? defaultMaxBytes;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      response.destroy();
      const { host, pathname } = new URL(wanted.url);
      throw new NetError('too-large', {
        where: wanted.socketPath ?? `${host}${pathname}`,
        why: `it is larger than ${maxBytes} bytes`,
      });
    }
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error(`the connection ended after ${size} bytes`);
  return Buffer.concat(chunks);
}

function socketAnswers(path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const answer = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(timerMs(timeoutMs), () => answer(false));
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
