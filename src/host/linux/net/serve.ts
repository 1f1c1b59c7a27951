/** Small answers to GET, by Node's own server, at a Unix socket or a loopback address. */
import { createServer, type Server } from 'node:http';
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NodekilnError, whyRefused } from '../../../errors.ts';
import type { Answering, Listening, ListenAt } from '../../port/net.ts';

const maxHeaderBytes = 8192;
const requestTimeoutMs = 10_000;

export async function serve(at: ListenAt, answer: Answering): Promise<Listening> {
  const server = createServer(
    { maxHeaderSize: maxHeaderBytes, requestTimeout: requestTimeoutMs },
    (request, response) => {
      const path = (request.url ?? '/').split('?')[0] ?? '/';
      // A body is nobody's business here.
      request.resume();
      if (request.method !== 'GET') {
        response.writeHead(405, { allow: 'GET' }).end();
        return;
      }
      void (async () => {
        try {
          const { status, contentType, body } = await answer(path);
          response.writeHead(status, { 'content-type': contentType }).end(body);
        } catch {
          response.writeHead(500).end();
        }
      })();
    },
  );
  server.unref();
  try {
    if ('socketPath' in at) await listenAtSocket(server, at.socketPath);
    else await listening(server, { host: at.host, port: at.port });
  } catch (cause) {
    const where = 'socketPath' in at ? at.socketPath : `${at.host}:${at.port}`;
    throw new NodekilnError('NK_UNSUPPORTED', `nothing can be served at ${where}: ${whyRefused(cause)}`, {
      cause,
      hint: 'Is another agent running, or somebody else at this address? Name another one in spec.endpoint.',
    });
  }
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Of root alone. A socket that nobody answers at any more is what a dead process left. */
async function listenAtSocket(server: Server, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const left = await lstat(path).catch(() => undefined);
  if (left?.isSocket() === true) await unlink(path);
  await listening(server, { path });
  await chmod(path, 0o600);
}

function listening(server: Server, at: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
