/**
 * NO_PROXY as curl and Go's own client read it: what either of them reaches directly is reached directly by us, too, and nothing
 * else.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { removeFolder, temporaryFolder } from '../../test/support/artifacts.ts';
import { ensurePrograms } from '../../test/servers/programs.ts';
import { proxyFor } from './proxies.ts';

/** Tells of each address whether it goes through a proxy; Go reads its environment once. */
const program = `package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		address, _ := url.Parse(lines.Text())
		proxy, _ := http.ProxyFromEnvironment(&http.Request{URL: address})
		fmt.Println(proxy != nil)
	}
}
`;

const entries = [
  '*',
  'example.com',
  '.example.com',
  '*.example.com',
  'example.com:8080',
  'example.com.',
  'EXAMPLE.com',
  'a example.com',
  'a,,example.com,',
  'com',
  'e*.com',
  'http://example.com',
  '10.0.0.7',
  '10.0.0.7:8080',
  '10.0.0.0/8',
  '10.0.0.7/8',
  '10.0.0.0/33',
  '10.',
  '0.0.0.0/0',
  'fd00::1',
  '[fd00::1]:8080',
  'fd00::/8',
  'fd00::1/64',
  '::/0',
  '::ffff:10.0.0.7',
  'xn--bcher-kva.example',
  'bücher.example',
  '',
];
const addresses = [
  'http://example.com/',
  'http://sub.example.com/',
  'http://example.com:8080/',
  'http://badexample.com/',
  'http://10.0.0.7/',
  'http://10.0.0.7:8080/',
  'http://11.0.0.7/',
  'http://[fd00::1]/',
  'http://[fd00::1]:8080/',
  'http://[fd12::1]/',
  'http://[::ffff:10.0.0.7]/',
  'http://xn--bcher-kva.example/',
];

describe('NO_PROXY', () => {
  const folder = temporaryFolder();
  const [proxy, direct] = [new Set<string>(), new Set<string>()];
  const servers = [proxy, direct].map((seen) =>
    createServer((request, response) => {
      seen.add(/[^/]*$/.exec(request.url ?? '')?.[0] ?? '');
      response.end();
    }),
  );
  const portOf = (server: Server | undefined): number => {
    const address = server?.address();
    assert.ok(address && typeof address === 'object');
    return address.port;
  };

  // curl asks for a way through where it is told to connect elsewhere: what comes by it is answered here, too.
  servers[0]?.on('connect', (_request, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    servers[0]?.emit('connection', socket);
  });

  before(async () => {
    await ensurePrograms([{ program: 'curl', package: 'curl', why: 'reads NO_PROXY as many do' }]);
    for (const server of servers) await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    mkdirSync(join(folder, 'source'));
    writeFileSync(join(folder, 'source/go.mod'), 'module example.org/proxied\n\ngo 1.21\n');
    writeFileSync(join(folder, 'source/main.go'), program);
    const env = { ...process.env, GOPROXY: 'off', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
    const argv = ['build', '-buildvcs=false', '-o', join(folder, 'proxied'), '.'];
    execFileSync('go', argv, { cwd: join(folder, 'source'), env, stdio: ['ignore', 'ignore', 'pipe'] });
  });
  after(() => {
    for (const server of servers) server.close();
    removeFolder(folder);
  });

  for (const entry of entries)
    it(`is what curl or Go take it for: ${JSON.stringify(entry)}`, async () => {
      const http = `http://127.0.0.1:${portOf(servers[0])}`;
      const environment = { http_proxy: http, HTTP_PROXY: http, NO_PROXY: entry, no_proxy: entry };
      const env = { PATH: process.env['PATH'] ?? '', ...environment };
      for (const seen of [proxy, direct]) seen.clear();
      const to = ['--connect-to', `::127.0.0.1:${portOf(servers[1])}`];
      const urls = addresses.map((address, index) => `${address}${index}`);
      await new Promise(
        (resolve) => void execFile('curl', ['--silent', '--globoff', ...to, ...urls], { env }, resolve),
      );
      const go = execFileSync(join(folder, 'proxied'), { env, input: urls.join('\n'), encoding: 'utf8' }).split('\n');
      for (const [index, address] of addresses.entries()) {
        assert.ok(proxy.has(String(index)) !== direct.has(String(index)), address);
        const isDirect = direct.has(String(index)) || go[index] === 'false';
        assert.equal(proxyFor(new URL(address), { environment }) === undefined, isDirect, address);
      }
    });
});
