/**
 * A way to the lab's API server on which things go wrong: connections that are cut, reset or stalled, servers that are
 * busy, broken or somebody else. On loopback, for the product's own client.
 */
import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `through`: all goes well. `refused`: nobody listens. `silent`: connections are taken, and nothing is answered. */
type Way = 'through' | 'refused' | 'silent';

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface FaultProxy {
  /** `https://127.0.0.1:12345`: the API server's certificate has this address. */
  readonly server: string;
  /** For connections from now on. */
  way(way: Way): Promise<void>;
  /** What is answered to every request in place of the API server, by somebody who has this certificate. */
  answer(answer: HttpAnswer, as: { readonly cert: string; readonly key: string }): Promise<void>;
  /** Ends every connection that is open: in order, in the middle, or with a reset. */
  end(how: 'close' | 'cut' | 'reset'): void;
  /** What is open stays open, and brings nothing more. */
  stall(): void;
  /** Connections so far. */
  readonly connections: number;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket | undefined;
}

/** `socket`: where the API server is. */
export async function openFaultProxy(socket: string): Promise<FaultProxy> {
  let way: Way = 'through';
  let connections = 0;
  let instead: ReturnType<typeof createHttpsServer> | undefined;
  const open = new Set<Pair>();

  const take = (client: Socket): void => {
    connections += 1;
    client.on('error', () => undefined);
    if (way === 'silent') return hold({ client, upstream: undefined });
    if (instead) return void instead.emit('connection', client);
    const upstream = connect(socket);
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
    hold({ client, upstream });
  };
  const hold = (pair: Pair): void => {
    open.add(pair);
    pair.client.on('close', () => open.delete(pair));
  };

  let listening = await listen(0, take);
  const { port } = listening.address() as AddressInfo;
  const toEach = (work: (pair: Pair) => void): void => {
    for (const pair of open) work(pair);
  };
  const proxy: FaultProxy = {
    server: `https://127.0.0.1:${port}`,
    get connections() {
      return connections;
    },
    way: async (wanted) => {
      instead = undefined;
      if (wanted === 'refused' && listening.listening) await closed(listening);
      if (wanted !== 'refused' && !listening.listening) listening = await listen(port, take);
      way = wanted;
    },
    answer: async ({ status, headers = {}, body = '' }, as) => {
      await proxy.way('through');
      instead = createHttpsServer(
        as,
        (_request, response) => void response.writeHead(status, { ...headers }).end(body),
      );
      instead.on('tlsClientError', () => undefined);
    },
    end: (how) =>
      toEach(({ client, upstream }) => {
        if (how === 'reset') client.resetAndDestroy();
        else if (how === 'cut') client.destroy();
        else if (upstream) upstream.end();
        else client.end();
      }),
    stall: () =>
      toEach(({ client, upstream }) => {
        upstream?.unpipe(client);
        client.unpipe(upstream);
        upstream?.resume();
      }),
    close: async () => {
      toEach(({ client }) => client.destroy());
      if (listening.listening) await closed(listening);
    },
  };
  return proxy;
}

async function listen(port: number, take: (client: Socket) => void): Promise<Server> {
  const server = createServer(take).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function closed(server: Server): Promise<void> {
  // Connections that are open are the caller's to end.
  server.close();
  await Promise.resolve();
}
