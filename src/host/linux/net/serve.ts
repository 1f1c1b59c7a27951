/** Small answers to GET, by Node's own server, at a Unix socket or a loopback address. */
import { createServer, type Server } from 'node:http';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nodeDisk } from '../../../disk/node-disk.ts';
import { createPathResolver, holding } from '../../../disk/resolve.ts';
import { NodekilnError, whyRefused } from '../../../errors.ts';
import { createLinuxFiles } from '../files.ts';
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
  const files = createLinuxFiles('/');
  if (!(await files.stat(dirname(path))))
    await files.write([
      { type: 'directory', path: dirname(path), mode: 0o700, uid: nodeDisk.self.uid, gid: nodeDisk.self.gid },
    ]);
  await holding(createPathResolver(nodeDisk, '/'), async (places) => {
    const real = await places.entry(path);
    // It is bound, and taken away at the end, by its path.
    if (real !== path) throw new Error('others than root can change the folder that it lies in');
    const left = await lstat(real).catch(() => undefined);
    if (left?.isSocket() === true) await unlink(real);
    await listening(server, { path: real });
    const socket = await nodeDisk.open(real, 'name');
    try {
      // Whatever has the name by now: what is open is no link.
      await chmod(`/proc/self/fd/${socket.fd}`, 0o600);
    } finally {
      await socket.close();
    }
  });
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
