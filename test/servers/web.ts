/** Real web servers of Debian on loopback: nginx for files, tinyproxy between. Each in a temporary folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../lab/prerequisites.ts';
import { ensurePrograms } from './programs.ts';
import { freePort } from './registry.ts';

export interface WebOptions {
  /** The folder that is served. */
  readonly files: string;
  /** PEM files; HTTPS then. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Bytes a second that each answer gets at most, `8k`. */
  readonly rate?: string;
}

export interface WebServer {
  readonly url: string;
  readonly port: number;
  /** A line for each request: method, path, status, `Range`. */
  requests(): Promise<string[]>;
  close(): Promise<void>;
}

export async function startWeb({ files, tls, rate }: WebOptions): Promise<WebServer> {
  await ensurePrograms([{ program: 'nginx', package: 'nginx-light', why: 'serves files' }]);
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-nginx-'));
  const [port, log] = [await freePort(), join(folder, 'access.log')];
  const secure = tls ? `ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};` : '';
  await writeFile(
    join(folder, 'nginx.conf'),
    `user root; daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  log_format short '$request_method $uri $status $http_range';
  access_log ${log} short;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''}; ${secure}
    root ${files}; ${rate === undefined ? '' : `limit_rate ${rate};`}
    location /busy/ { add_header Retry-After 0 always; return 503; }
    location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }
  }
}
`,
  );
  const child = start('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  await listening(child, port);
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    requests: async () => (await readFile(log, 'utf8')).trim().split('\n'),
    close: () => stop(child, folder),
  };
}

/** A forward proxy; CONNECT to any port. */
export async function startProxy(): Promise<WebServer> {
  await ensurePrograms([{ program: 'tinyproxy', package: 'tinyproxy-bin', why: 'is a proxy' }]);
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-proxy-'));
  const [port, log] = [await freePort(), join(folder, 'log')];
  await mkdir(join(folder, 'run'));
  await writeFile(
    join(folder, 'tinyproxy.conf'),
    `Port ${port}\nListen 127.0.0.1\nTimeout 60\nLogFile "${log}"\nLogLevel Connect\nMaxClients 20\nAllow 127.0.0.1\n`,
  );
  const child = start('tinyproxy', ['-d', '-c', join(folder, 'tinyproxy.conf')]);
  await listening(child, port);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line.includes('Request')),
    close: () => stop(child, folder),
  };
}

/** What happens to a connection between client and server, both ends in hand. */
export type Fault = (client: Socket, server: Socket) => void;

/** A TCP proxy that does something to each connection in turn; those after the last fault pass through. */
export async function startFaults(
  port: number,
  faults: readonly Fault[],
): Promise<{ readonly port: number; connections(): number; close(): void }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    const fault = faults[connections++];
    if (fault) fault(client, upstream);
    else client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    connections: () => connections,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Passes that many bytes of the answer and ends the connection: `end` politely, `reset` with RST. */
export function cutAfter(bytes: number, how: 'end' | 'reset' = 'end'): Fault {
  return (client, server) => {
    let passed = 0;
    client.pipe(server);
    server.on('data', (chunk: Buffer) => {
      const rest = bytes - passed;
      passed += chunk.length;
      if (rest <= 0) return;
      client.write(chunk.subarray(0, rest), () => {
        if (passed < bytes) return;
        if (how === 'reset') client.resetAndDestroy();
        else client.end();
        server.destroy();
      });
    });
  };
}

/** Passes that many bytes of the answer, then nothing more, for ever. */
export function stallAfter(bytes: number): Fault {
  return (client, server) => {
    let passed = 0;
    client.pipe(server);
    server.on('data', (chunk: Buffer) => {
      const rest = bytes - passed;
      passed += chunk.length;
      if (rest > 0) client.write(chunk.subarray(0, rest));
    });
  };
}

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(findProgram(program) ?? program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  for (let waitedMs = 0; ; waitedMs += 30) {
    const answers = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (answers) return;
    if (child.exitCode !== null || waitedMs > 10_000) throw new Error(`${child.spawnfile} did not start:\n${said}`);
    await sleep(30);
  }
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null) {
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
  }
  await rm(folder, { recursive: true, force: true });
}
