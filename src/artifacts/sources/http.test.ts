import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { NodekilnError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { createLinuxClock } from '../../host/linux/clock.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { Clock } from '../../host/port.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { download } from './download.ts';
import type { DownloadRequest, Downloaded, Progress } from './download.ts';
import { createHttpClient } from './http-client.ts';
import { fetchArtifact } from './table.ts';

const folder = temporaryFolder();
const servers: Server[] = [];
const host = createLinuxHost();
const client = createHttpClient(host);
after(async () => {
  await host.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  removeFolder(folder);
});

const body = programBytes(300_000, 5);
const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
async function serve(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(listener))}/dir/file.bin?token=secret`;
}

/** A well-behaved static server for the bytes, with ranges. */
function serveBytes(request: IncomingMessage, response: ServerResponse, etag = '"one"'): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const matches = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  const from = matches ? start : 0;
  response.writeHead(from > 0 ? 206 : 200, {
    etag,
    'content-length': body.length - from,
    ...(from > 0 && { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
  });
  response.end(body.subarray(from));
}

/** Real time, but sleeps are only noted. */
function impatientClock(slept: number[]): Clock {
  const clock = createLinuxClock();
  let skipped = 0;
  return {
    now: () => clock.now() + skipped,
    monotonic: () => clock.monotonic() + skipped,
    sleep: async (ms) => void (slept.push(ms), (skipped += ms)),
  };
}

let targets = 0;
async function fetchTo(
  url: string,
  options: Partial<DownloadRequest> = {},
): Promise<{ result: Downloaded; slept: number[] }> {
  const slept: number[] = [];
  const target = join(folder, `target-${++targets}`);
  mkdirSync(target);
  try {
    const result = await download({
      client,
      local: host.local,
      url,
      to: join(target, 'file'),
      clock: impatientClock(slept),
      budgetMs: 60_000,
      ...options,
    });
    assert.ok(readFileSync(result.path).equals(body));
    assert.deepEqual(readdirSync(target), ['file']);
    return { result, slept };
  } catch (thrown) {
    assert.deepEqual(readdirSync(target), [], 'nothing is left behind');
    throw thrown;
  }
}

const fails =
  (code: ErrorCode, pattern = /./) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof NodekilnError, String(thrown instanceof Error ? thrown.stack : thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, pattern);
    assert.ok(!JSON.stringify(thrown).includes('secret'), 'no secret in the message');
    return true;
  };

describe('download', () => {
  it('brings the file, its digest and its progress', async () => {
    const seen: Progress[] = [];
    const url = await serve((request, response) => serveBytes(request, response));
    const { result } = await fetchTo(url, { digest, size: body.length, onProgress: (progress) => seen.push(progress) });
    assert.deepEqual([result.digest, result.size, result.attempts, result.resumedBytes], [digest, body.length, 1, 0]);
    const last = seen.at(-1);
    assert.deepEqual([last?.receivedBytes, last?.totalBytes, last?.remainingMs], [body.length, body.length, 0]);
  });

  it('resumes where cut connections stopped', async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      ranges.push(request.headers.range);
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (start >= 200_000) return serveBytes(request, response);
      response.writeHead(start > 0 ? 206 : 200, {
        etag: '"one"',
        'content-length': body.length - start,
        ...(start > 0 && { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
      });
      response.write(body.subarray(start, start + 100_000), () => setTimeout(() => response.destroy(), 50));
      return undefined;
    });
    const { result, slept } = await fetchTo(url, { digest });
    assert.deepEqual(ranges, [undefined, 'bytes=100000-', 'bytes=200000-']);
    assert.deepEqual([result.attempts, result.resumedBytes, slept.length], [3, 200_000, 2]);
  });

  it('starts over when the file changed meanwhile, or nothing proves that it did not', async () => {
    for (const [etag, name] of [
      ['"two"', 'changed'],
      [undefined, 'unproven'],
    ] as const) {
      let requests = 0;
      const url = await serve((request, response) => {
        if (++requests > 1) return serveBytes(request, response, etag ?? '"none"');
        response.writeHead(200, { 'content-length': body.length, ...(etag && { etag: '"one"' }) });
        response.write(Buffer.alloc(1_000, 7), () => setTimeout(() => response.destroy(), 50));
        return undefined;
      });
      const { result } = await fetchTo(url);
      assert.deepEqual([result.digest, result.attempts, result.resumedBytes], [digest, 2, 0], name);
    }
  });

  it('resumes without a validator when the digest will prove it', async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      ranges.push(request.headers.range);
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (start > 0) {
        const range = `bytes ${start}-${body.length - 1}/${body.length}`;
        return response.writeHead(206, { 'content-range': range }).end(body.subarray(start));
      }
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 50));
      return undefined;
    });
    const { result } = await fetchTo(url, { digest });
    assert.deepEqual([ranges, result.resumedBytes], [[undefined, 'bytes=100000-'], 100_000]);
  });

  it('fetches once more as a whole when resumed parts do not fit', async () => {
    let requests = 0;
    const url = await serve((request, response) => {
      requests++;
      if (requests > 1) return serveBytes(request, response);
      response.writeHead(200, { etag: '"one"', 'content-length': body.length });
      response.write(Buffer.alloc(1_000, 7), () => setTimeout(() => response.destroy(), 50));
      return undefined;
    });
    const { result } = await fetchTo(url, { digest });
    assert.deepEqual([result.digest, requests], [digest, 3]);
  });

  it('waits as long as 429 and 503 ask for, and by doubling otherwise', async () => {
    const answers = [
      [429, '7'],
      [503, new Date(Date.now() + 60_000).toUTCString()],
      [500, undefined],
      [502, undefined],
      [504, undefined],
    ] as const;
    let requests = 0;
    const url = await serve((request, response) => {
      const answer = answers[requests++];
      if (!answer) return serveBytes(request, response);
      response.writeHead(answer[0], answer[1] === undefined ? {} : { 'retry-after': answer[1] });
      response.end('busy');
      return undefined;
    });
    const { result, slept } = await fetchTo(url, { budgetMs: 600_000 });
    assert.equal(result.attempts, 6);
    assert.equal(slept[0], 7_000);
    assert.ok((slept[1] ?? 0) > 40_000 && (slept[1] ?? 0) <= 60_000);
    assert.deepEqual(slept.slice(2), [1_000, 2_000, 4_000]);
  });

  it('gives up when its budget is used, saying what the last answer was', async () => {
    const url = await serve((_, response) => response.writeHead(503).end());
    await assert.rejects(
      fetchTo(url, { budgetMs: 5_000 }),
      fails('NK_SOURCE_UNAVAILABLE', /503.*after 5 attempts within 5000 ms/),
    );
    const patient = await serve((_, response) => response.writeHead(429, { 'retry-after': '3600' }).end());
    await assert.rejects(fetchTo(patient), fails('NK_SOURCE_UNAVAILABLE', /429.*asks to wait 3600000 ms.*one attempt/));
    await assert.rejects(
      fetchTo('http://127.0.0.1:1/x', { budgetMs: 2_000 }),
      fails('NK_SOURCE_UNAVAILABLE', /127\.0\.0\.1:1.*attempts/),
    );
  });

  it('tells a person soon that nobody is there, and waits for a server that was', async () => {
    const impatience = { hint: 'Correct the address.' };
    for (const [what, url] of [
      ['nothing listens', 'http://127.0.0.1:1/x?token=secret'],
      ['nothing listens at IPv6', 'http://[::1]:1/x?token=secret'],
      ['TLS is spoken to nobody', 'https://127.0.0.1:1/x?token=secret'],
      ['no such name', 'http://nobody.invalid/x?token=secret'],
      [
        'it leads to where nothing listens',
        await serve((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()),
      ],
    ] as const) {
      const began = performance.now();
      await assert.rejects(fetchTo(url, { impatience, budgetMs: 300_000 }), (thrown: unknown) => {
        assert.ok(fails('NK_SOURCE_UNAVAILABLE', /after 3 attempts$/)(thrown), what);
        return thrown instanceof NodekilnError && thrown.hint === impatience.hint;
      });
      assert.ok(performance.now() - began < 20_000, what);
    }
    let requests = 0;
    let port = 0;
    const url = await serve((request, response) => {
      if (++requests > 1) return serveBytes(request, response);
      port = request.socket.localPort ?? 0;
      response.writeHead(503).end(() => restart());
      return undefined;
    });
    const first = servers.at(-1);
    // Down for as many attempts as a server that was never there gets, and one more.
    const restart = (): void => {
      first?.close();
      first?.closeAllConnections();
      downFor = 4;
    };
    let downFor = 0;
    const slept: number[] = [];
    const clock = impatientClock(slept);
    const sleep = async (ms: number): Promise<void> => {
      await clock.sleep(ms);
      if (downFor > 0 && --downFor === 0) {
        const second = createServer((request, response) => serveBytes(request, response));
        servers.push(second);
        await new Promise<void>((resolve) => second.listen(port, '127.0.0.1', resolve));
      }
    };
    const { result } = await fetchTo(url, { impatience, clock: { ...clock, sleep }, budgetMs: 600_000 });
    assert.ok(result.attempts >= 5, `${result.attempts}`);
  });

  it('takes 203 for the whole, and joins nothing to it by what the server behind the proxy says', async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.range);
      response.writeHead(203, { etag: '"one"', 'content-length': body.length });
      if (seen.length > 1) return response.end(body);
      response.write(Buffer.alloc(1_000, 7), () => setTimeout(() => response.destroy(), 50));
      return undefined;
    });
    const { result } = await fetchTo(url);
    assert.deepEqual([result.digest, seen], [digest, [undefined, undefined]]);
  });

  it('does not try again what cannot get better', async () => {
    for (const [status, code] of [
      [404, 'NK_ARTIFACT_MISSING'],
      [410, 'NK_ARTIFACT_MISSING'],
      [401, 'NK_SOURCE_UNAVAILABLE'],
      [403, 'NK_SOURCE_UNAVAILABLE'],
    ] as const) {
      let requests = 0;
      const url = await serve((_, response) => {
        requests++;
        response.writeHead(status).end();
      });
      await assert.rejects(fetchTo(url), fails(code, new RegExp(String(status))));
      assert.equal(requests, 1);
    }
  });

  it('refuses a wrong digest and a wrong length', async () => {
    const url = await serve((request, response) => serveBytes(request, response));
    await assert.rejects(fetchTo(url, { digest: `sha256:${'0'.repeat(64)}` }), fails('NK_ARTIFACT_DIGEST'));
    await assert.rejects(fetchTo(url, { size: 10 }), fails('NK_ARTIFACT_DIGEST', /300000 bytes, not 10/));
    await assert.rejects(fetchTo(url, { maxBytes: 10 }), fails('NK_ARTIFACT_UNREADABLE', /allowed/));
    const chunked = await serve((_, response) => {
      response.writeHead(200);
      response.write(body.subarray(0, 5));
      response.end(body.subarray(5));
    });
    await assert.rejects(fetchTo(chunked, { size: 10 }), fails('NK_ARTIFACT_DIGEST', /more than/));
    await assert.rejects(
      fetchTo(chunked, { size: body.length + 1 }),
      fails('NK_ARTIFACT_DIGEST', /300000 bytes, not 300001/),
    );
    assert.equal((await fetchTo(chunked, { size: body.length })).result.digest, digest);
  });

  it('gives up a stalled or trickling connection and resumes', async () => {
    for (const everyMs of [20, 100_000]) {
      let requests = 0;
      const url = await serve((request, response) => {
        if (++requests > 1) return serveBytes(request, response);
        response.writeHead(200, { etag: '"one"', 'content-length': body.length });
        response.flushHeaders();
        let at = 0;
        const drip = setInterval(() => response.write(body.subarray(at, ++at)), everyMs);
        response.on('close', () => clearInterval(drip));
        return undefined;
      });
      const { result } = await fetchTo(url, { stallMs: 300 });
      assert.deepEqual([result.digest, result.attempts], [digest, 2]);
    }
  });

  it('ends at its deadline and when interrupted', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write('x');
    });
    await assert.rejects(
      fetchTo(url, { clock: createLinuxClock(), budgetMs: 300 }),
      fails('NK_TIMEOUT', /within 300 ms: 1 bytes came/),
    );
    await assert.rejects(fetchTo(url, { signal: AbortSignal.timeout(100) }), fails('NK_INTERRUPTED'));
  });

  it('follows redirects, without credentials for another host, and not forever', async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      serveBytes(request, response);
    });
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(307, { location: other }).end();
    });
    await fetchTo(url, { headers: { authorization: 'Bearer secret' } });
    assert.deepEqual(seen, ['Bearer secret', undefined]);
    const loop = await serve((_, response) => response.writeHead(302, { location: '/dir/file.bin' }).end());
    await assert.rejects(fetchTo(loop), fails('NK_SOURCE_UNAVAILABLE', /redirects more than/));
  });

  it('goes through a proxy when told, not for hosts excepted', async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request.url ?? '');
      serveBytes(request, response);
    });
    const port = await listen(proxy);
    const viaProxy = createHttpClient({ ...host, proxy: `http://user:secret@127.0.0.1:${port}` });
    await fetchTo('http://artifacts.invalid/file?token=secret', { client: viaProxy });
    assert.deepEqual(asked, ['http://artifacts.invalid/file?token=secret']);
    const direct = createHttpClient({ ...host, proxy: `http://127.0.0.1:${port}`, noProxy: '127.0.0.1' });
    await fetchTo(await serve((request, response) => serveBytes(request, response)), { client: direct });
    assert.equal(asked.length, 1);
  });

  it('accepts a private authority only when it is trusted, also through a proxy, and no expired certificate', async () => {
    const make = (name: string, days: string): { key: Buffer; cert: Buffer } => {
      const path = (end: string): string => join(folder, `${name}.${end}`);
      const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { stdio: 'ignore' });
      writeFileSync(path('ext'), 'subjectAltName=DNS:localhost\n');
      const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path('key')];
      openssl('req', '-new', ...newKey, '-out', path('csr'), '-subj', '/CN=localhost');
      openssl(
        'x509',
        '-req',
        '-in',
        path('csr'),
        '-signkey',
        path('key'),
        '-days',
        days,
        '-extfile',
        path('ext'),
        '-out',
        path('pem'),
      );
      return { key: readFileSync(path('key')), cert: readFileSync(path('pem')) };
    };
    const good = make('good', '2');
    const server = createTlsServer(good, (request, response) => serveBytes(request, response));
    const url = `https://localhost:${await listen(server)}/file?token=secret`;
    await assert.rejects(fetchTo(url), fails('NK_SOURCE_UNAVAILABLE', /certificate of localhost.*not accepted/));
    const trusting = createHttpClient({ ...host, ca: good.cert.toString() });
    await fetchTo(url, { client: trusting });

    const tunnels: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      tunnels.push(request.url ?? '');
      const [host, port] = (request.url ?? '').split(':');
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    const viaProxy = createHttpClient({
      ...host,
      ca: good.cert.toString(),
      proxy: `http://127.0.0.1:${await listen(proxy)}`,
    });
    await fetchTo(url, { client: viaProxy });
    assert.deepEqual(tunnels, [new URL(url).host]);

    const expired = make('expired', '-1');
    const old = createTlsServer(expired, (request, response) => serveBytes(request, response));
    const distrusting = createHttpClient({ ...host, ca: expired.cert.toString() });
    await assert.rejects(
      fetchTo(`https://localhost:${await listen(old)}/file`, { client: distrusting }),
      fails('NK_SOURCE_UNAVAILABLE', /expired/),
    );
  });

  it('refuses what is no address', async () => {
    for (const url of ['ftp://host/x', 'file:///etc/passwd', 'nothing'])
      await assert.rejects(fetchTo(url), fails('NK_DOCUMENT_INVALID'));
  });
});

describe('fetchArtifact', () => {
  const context = {
    ...host,
    base: folder,
    folder: join(folder, 'fetched'),
    client,
    budgetMs: 10_000,
  };
  it('gives a local file with digest, size and a location without secrets', async () => {
    const url = await serve((request, response) => serveBytes(request, response));
    const fetched = await fetchArtifact({ type: 'http', url, digest }, context);
    assert.deepEqual([fetched.digest, fetched.size, fetched.temporary], [digest, body.length, true]);
    assert.ok(!fetched.location.includes('secret'));
    const again = await fetchArtifact({ type: 'file', path: fetched.path, digest, size: body.length }, context);
    assert.deepEqual(again, {
      path: fetched.path,
      digest,
      size: body.length,
      location: fetched.path,
      temporary: false,
    });
  });
  it('refuses a file that is missing, a folder, or another', async () => {
    const path = join(folder, 'target-1/file');
    await assert.rejects(fetchArtifact({ type: 'file', path: 'absent' }, context), fails('NK_ARTIFACT_MISSING'));
    await assert.rejects(fetchArtifact({ type: 'file', path: '.' }, context), fails('NK_ARTIFACT_UNREADABLE'));
    await assert.rejects(fetchArtifact({ type: 'file', path, size: 1 }, context), fails('NK_ARTIFACT_DIGEST'));
    await assert.rejects(
      fetchArtifact({ type: 'file', path, digest: 'sha256:0' }, context),
      fails('NK_ARTIFACT_DIGEST'),
    );
  });
});
