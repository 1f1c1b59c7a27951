import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLinuxNet } from './net.ts';

const net = createLinuxNet();

describe('HTTP over a Unix socket', () => {
  const scratch = mkdtempSync('/var/tmp/nodekiln-net-');
  const socketPath = join(scratch, 'server.sock');
  let server: Server;
  before(async () => {
    server = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(scratch, { recursive: true });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/silent') return;
    if (request.url === '/stalls') return void response.writeHead(200, { 'content-length': 10 }).write('12345');
    if (request.url === '/drips') {
      response.writeHead(200);
      const drops = setInterval(() => response.write('.'), 10);
      return void response.once('close', () => clearInterval(drops));
    }
    if (request.url === '/breaks') {
      response.writeHead(200, { 'content-length': 10 }).write('12345');
      return void setTimeout(() => request.socket.destroy(), 10);
    }
    if (request.url === '/switches')
      return void request.socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n');
    if (request.url === '/redirect') return void response.writeHead(302, { location: '/' }).end();
    if (request.url === '/large') return void response.end(Buffer.alloc(2000));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    response.setHeader('x-method', `${request.method} ${String(request.headers['x-given'])}`);
    response.writeHead(201).end(`got ${Buffer.concat(chunks).toString()}`);
  }

  const at = (path: string) => ({ url: `http://localhost${path}`, socketPath, timeoutMs: 5000 });

  test('method, headers and body go out; status, headers and body come back', async () => {
    const response = await net.request({ ...at('/'), method: 'PUT', headers: { 'x-given': 'h' }, body: 'content' });
    assert.deepEqual(
      [response.status, response.reason, new TextDecoder().decode(response.body)],
      [201, 'Created', 'got content'],
    );
    assert.equal(response.headers['x-method'], 'PUT h');
  });

  test('a trust that changes again and again leaves no connections open', async () => {
    const host = createLinuxNet();
    const open = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
    const before = await open();
    for (let renewed = 0; renewed < 40; renewed++)
      await host.request({
        ...at('/'),
        method: 'POST',
        body: 'x',
        keepAlive: true,
        tls: { serverName: `n${renewed}` },
      });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const kept = (await open()) - before;
    assert.ok(kept >= 1 && kept <= 16, `${kept} connections`);
    host.close();
  });

  test('redirects are answers', async () => {
    assert.equal((await net.request(at('/redirect'))).status, 302);
  });

  test('the deadline covers the whole exchange', { timeout: 60_000 }, async () => {
    for (const path of ['/silent', '/stalls', '/drips'])
      await assert.rejects(net.request({ ...at(path), timeoutMs: 100 }), { code: 'NK_TIMEOUT' });
  });

  test('what breaks off or is too large is no response', { timeout: 20_000 }, async () => {
    await assert.rejects(net.request(at('/breaks')), { code: 'NK_SOURCE_UNAVAILABLE' });
    const unanswered = { code: 'NK_SOURCE_UNAVAILABLE', why: 'the connection ended without an answer' };
    await assert.rejects(net.request(at('/switches')), unanswered);
    await assert.rejects(net.stream(at('/switches')), unanswered);
    await assert.rejects(net.request({ ...at('/large'), maxBytes: 1999 }), { code: 'NK_SOURCE_UNAVAILABLE' });
    assert.equal((await net.request({ ...at('/large'), maxBytes: 2000 })).body.length, 2000);
  });

  test('an interruption ends it', async () => {
    const request = net.request({ ...at('/silent'), signal: AbortSignal.timeout(50) });
    await assert.rejects(request, { code: 'NK_INTERRUPTED' });
  });

  test('a connection is kept for the next request of the same way when asked to, and ended by close', async () => {
    const seen = new Set<unknown>();
    server.on('connection', (socket: Socket) => {
      seen.add(socket);
      socket.once('close', () => seen.delete(socket));
    });
    const own = createLinuxNet();
    for (let turn = 0; turn < 3; turn += 1) await own.request({ ...at('/'), keepAlive: true });
    assert.equal(seen.size, 1);
    for (let turn = 0; turn < 3; turn += 1) await own.request(at('/'));
    own.close();
    while (seen.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('many ways beside each other end nothing that is under way', async () => {
    const own = createLinuxNet();
    const slow = await own.stream({ ...at('/drips'), keepAlive: true, tls: { serverName: 'first' } });
    for (let other = 0; other < 40; other += 1)
      await own.request({ ...at('/'), keepAlive: true, tls: { serverName: `other-${other}` } });
    let dripped = 0;
    for await (const drop of slow.body) if ((dripped += drop.length) > 5) break;
    assert.ok(dripped > 5);
    own.close();
  });

  test('a socket answers when something listens there', async () => {
    assert.equal(await net.socketAnswers(socketPath, 1000), true);
    assert.equal(await net.socketAnswers(join(scratch, 'none'), 1000), false);
  });
});
