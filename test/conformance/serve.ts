/** A real HTTP server that answers as the endpoints of a machine in memory do, so that one script serves both. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Endpoint, EndpointResponse } from '../../src/host/memory/net.ts';
import type { HttpHeaders } from '../../src/host/port.ts';
import type { Served } from './host.ts';

/** On loopback, at a free port. */
export async function serveHttp(endpoint: Endpoint): Promise<Served> {
  const server = createServer((request, response) => {
    answer(endpoint, request, response).catch(() => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const answered = await endpoint({
    url: `http://${request.headers.host}${request.url}`,
    method: request.method ?? 'GET',
    headers: request.headers as HttpHeaders,
    body: Buffer.concat(parts),
  });
  const { status = 200, reason = '', headers = {}, durationMs = 0 } = answered;
  if (durationMs > 0) await new Promise((resolve) => setTimeout(resolve, durationMs).unref());
  if (response.destroyed) return;
  response.writeHead(status, reason, headers);
  for await (const piece of pieces(answered.body ?? '')) {
    if (response.destroyed) return;
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
}

async function* pieces(body: EndpointResponse['body'] & {}): AsyncGenerator<Uint8Array | string> {
  if (typeof body === 'string' || body instanceof Uint8Array) yield body;
  else yield* body;
}
