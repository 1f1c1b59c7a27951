/** What every network of the port must do. */
import assert from 'node:assert/strict';
import type { Endpoint } from '../../src/host/memory/net.ts';
import { NetError } from '../../src/host/port.ts';
import type { Clock, Download, HttpDownload, NetFailure, StagedFile } from '../../src/host/port.ts';
import { sha256 } from '../../src/host/digest.ts';
import { bytesOf } from '../../src/model/bytes.ts';
import type { Expectation, Served, Subject } from './host.ts';

const code = (expected: string) => ({ code: expected });
const fails = (failure: NetFailure) => (thrown: unknown) => {
  assert.ok(thrown instanceof NetError, String(thrown));
  assert.deepEqual([thrown.code, thrown.failure], ['NK_SOURCE_UNAVAILABLE', failure]);
  return true;
};
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function withServer(
  { serve }: Subject,
  endpoint: Endpoint,
  work: (served: Served) => Promise<void>,
): Promise<void> {
  const served = await serve(endpoint);
  try {
    await work(served);
  } finally {
    served.close();
  }
}

interface Stage {
  readonly staged: StagedFile;
  readonly get: (url: string, more?: Partial<HttpDownload>) => Promise<Download>;
  readonly content: () => Promise<string>;
}

async function onStaged({ host, folder }: Subject, work: (stage: Stage) => Promise<void>): Promise<void> {
  const staged = await host.files.stage(folder);
  const wanted = { into: staged, timeoutMs: 5000, maxBytes: 100, stall: { bytes: 1, withinMs: 5000 } };
  try {
    await work({
      staged,
      get: (url, more) => host.net.download({ ...wanted, ...more, url }),
      content: async () => text(await staged.read(0, 100)),
    });
  } finally {
    await staged.discard();
  }
}

/** Pieces that come one after another; what ends with an error breaks off. */
async function* drip(clock: Clock, pieces: readonly string[], end?: Error): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await clock.sleep(5);
    yield new TextEncoder().encode(piece);
  }
  if (!end) return;
  // What was written before is on its way.
  await clock.sleep(50);
  throw end;
}

/** One piece, and nothing after it. */
async function* silence(piece: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(piece);
  await new Promise(() => undefined);
}

export const net: readonly Expectation[] = [
  {
    name: 'nobody at an address is NK_SOURCE_UNAVAILABLE',
    needs: 'net',
    check: async ({ host, folder }) => {
      const request = { url: 'http://127.0.0.1:9/', timeoutMs: 2000 };
      await assert.rejects(host.net.request(request), fails('connection'));
      await assert.rejects(host.net.stream(request), fails('connection'));
      const socketPath = `${folder}/no.sock`;
      await assert.rejects(host.net.request({ ...request, socketPath }), fails('connection'));
      assert.equal(await host.net.socketAnswers(socketPath, 500), false);
    },
  },
  {
    name: 'method, headers and body go out; status, reason, headers and body come back',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        ({ method, url, headers, body }) => ({
          status: 201,
          reason: 'Made',
          headers: { 'x-seen': `${method} ${new URL(url).search} ${headers?.['x-given']}` },
          body: `got ${text(Buffer.from(body ?? ''))}`,
        }),
        async ({ url }) => {
          const headers = { 'x-given': 'h' };
          const wanted = { url: `${url}/path?q=1`, method: 'PUT', headers, body: 'content', timeoutMs: 5000 };
          for (const keepAlive of [false, true, true]) {
            const answered = await subject.host.net.request({ ...wanted, keepAlive });
            assert.deepEqual([answered.status, answered.reason, text(answered.body)], [201, 'Made', 'got content']);
            assert.equal(answered.headers['x-seen'], 'PUT ?q=1 h');
          }
        },
      ),
  },
  {
    name: 'redirects and refusals are answers',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        ({ url }) => ({ status: url.endsWith('moved') ? 302 : 503, headers: { location: '/x', 'retry-after': '7' } }),
        async ({ url }) => {
          const moved = await subject.host.net.request({ url: `${url}/moved`, timeoutMs: 5000 });
          assert.deepEqual([moved.status, moved.headers['location']], [302, '/x']);
          assert.equal((await subject.host.net.request({ url: `${url}/busy`, timeoutMs: 5000 })).status, 503);
        },
      ),
  },
  {
    name: 'what is too large, breaks off or takes too long is no response',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        ({ url }) =>
          url.endsWith('large')
            ? { body: new Uint8Array(2000) }
            : url.endsWith('late')
              ? { durationMs: 60_000 }
              : { body: drip(subject.host.clock, ['one', 'two'], new Error('gone')) },
        async ({ url }) => {
          const { net: subjectNet } = subject.host;
          const large = { url: `${url}/large`, timeoutMs: 5000 };
          await assert.rejects(subjectNet.request({ ...large, maxBytes: 1999 }), fails('too-large'));
          assert.equal((await subjectNet.request({ ...large, maxBytes: 2000 })).body.length, 2000);
          await assert.rejects(subjectNet.request({ url: `${url}/breaks`, timeoutMs: 5000 }), fails('connection'));
          const late = { url: `${url}/late`, timeoutMs: 100 };
          await assert.rejects(subjectNet.request(late), code('NK_TIMEOUT'));
          const headersTimeoutMs = 100;
          await assert.rejects(
            subjectNet.request({ ...late, timeoutMs: 60_000, headersTimeoutMs }),
            fails('connection'),
          );
          await assert.rejects(subjectNet.stream({ ...late, headersTimeoutMs }), fails('connection'));
        },
      ),
  },
  {
    name: 'a signal interrupts a request',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        () => ({ durationMs: 60_000 }),
        async ({ url }) => {
          const request = { url, timeoutMs: 30_000 };
          const controller = new AbortController();
          const asking = subject.host.net.request({ ...request, signal: controller.signal });
          controller.abort();
          await assert.rejects(asking, code('NK_INTERRUPTED'));
          await assert.rejects(
            subject.host.net.request({ ...request, signal: controller.signal }),
            code('NK_INTERRUPTED'),
          );
        },
      ),
  },
  {
    name: 'a server that falls silent in its answer holds nobody up',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        () => ({ body: silence('one\n') }),
        async ({ url }) => {
          const { net } = subject.host;
          await assert.rejects(net.request({ url, timeoutMs: 100 }), code('NK_TIMEOUT'));
          const controller = new AbortController();
          const { body } = await net.stream({ url, signal: controller.signal });
          await assert.rejects(async () => {
            for await (const piece of body) {
              assert.equal(text(piece), 'one\n');
              void subject.host.clock.sleep(5).then(() => controller.abort());
            }
          }, code('NK_INTERRUPTED'));
        },
      ),
  },
  {
    name: 'a stream gives its pieces as they arrive, and says when it breaks off',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        ({ url }) => ({
          body: drip(
            subject.host.clock,
            ['one ', 'two ', 'three'],
            url.endsWith('breaks') ? new Error('gone') : undefined,
          ),
        }),
        async ({ url }) => {
          const read = async (path: string): Promise<string[]> => {
            const { status, body } = await subject.host.net.stream({ url: `${url}/${path}` });
            assert.equal(status, 200);
            const pieces: string[] = [];
            try {
              for await (const piece of body) pieces.push(text(piece));
              return pieces;
            } catch (thrown) {
              assert.equal(pieces.join(''), 'one two three');
              throw thrown;
            }
          };
          assert.equal((await read('whole')).join(''), 'one two three');
          await assert.rejects(read('breaks'), fails('connection'));
        },
      ),
  },
  {
    name: 'a download lands in a staged file, whole, resumed or begun anew',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        ({ url, headers }) => {
          const from = Number(/^bytes=(\d+)-$/.exec(headers?.['range'] ?? '')?.[1] ?? 0);
          if (from === 0 || url.endsWith('changed'))
            return { headers: { 'content-length': '9', etag: '"one"' }, body: 'all of it' };
          const start = url.endsWith('elsewhere') ? from + 1 : from;
          return {
            status: 206,
            headers: { 'content-range': `bytes ${start}-8/9`, 'content-length': String(9 - start) },
            body: 'all of it'.slice(start),
          };
        },
        ({ url }) =>
          onStaged(subject, async ({ staged, get, content }) => {
            const seen: (number | undefined)[][] = [];
            const onProgress = (...figures: (number | undefined)[]): void => void seen.push(figures);
            const whole = await get(url, { size: 9, onProgress });
            assert.deepEqual([whole.outcome, whole.status, whole.headers['etag']], ['whole', 200, '"one"']);
            assert.deepEqual([await content(), seen.at(-1)], ['all of it', [9, 9]]);
            assert.equal(await staged.digest(), sha256('all of it'));

            await staged.restart();
            await staged.append(bytesOf('all'));
            const headers = { range: 'bytes=3-' };
            assert.equal((await get(`${url}/elsewhere`, { headers })).outcome, 'unwanted');
            assert.equal(await content(), 'all', 'another part than the one that follows');
            assert.equal((await get(url, { headers, size: 9 })).outcome, 'whole');
            assert.equal(await content(), 'all of it');
            assert.equal(await staged.digest(), sha256('all of it'));

            assert.equal((await get(`${url}/changed`, { headers })).outcome, 'whole');
            assert.equal(await content(), 'all of it');
          }),
      ),
  },
  {
    name: 'a download that is refused, cut or of another size says so, and keeps what came',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        ({ url }) =>
          url.endsWith('gone')
            ? { status: 410, reason: 'Gone', body: 'words' }
            : url.endsWith('cut')
              ? {
                  headers: { 'content-length': '9' },
                  body: drip(subject.host.clock, ['all', ' of'], new Error('gone')),
                }
              : url.endsWith('open')
                ? { body: drip(subject.host.clock, ['all', ' of', ' it']) }
                : { headers: { 'content-length': '9' }, body: 'all of it' },
        ({ url }) =>
          onStaged(subject, async ({ staged, get, content }) => {
            const gone = await get(`${url}/gone`);
            assert.deepEqual([gone.outcome, gone.status, gone.reason, staged.size], ['unwanted', 410, 'Gone', 0]);
            for (const size of [8, 10])
              assert.deepEqual([(await get(url, { size })).outcome, staged.size], ['size', 0], `${size}`);
            assert.deepEqual([(await get(url, { maxBytes: 8 })).outcome, staged.size], ['size', 0]);
            const cut = await get(`${url}/cut`);
            assert.deepEqual([cut.outcome, await content()], ['cut', 'all of']);
            assert.match(cut.why, /./);
            await staged.restart();
            assert.equal((await get(`${url}/open`, { size: 8 })).outcome, 'size');
            assert.ok(staged.size <= 8);
            await assert.rejects(get('http://127.0.0.1:9/'), fails('connection'));
            await assert.rejects(get(url, { signal: AbortSignal.abort() }), code('NK_INTERRUPTED'));
          }),
      ),
  },
  {
    name: 'a stream is ended by whoever reads it, and by its signal',
    needs: 'net',
    check: (subject) =>
      withServer(
        subject,
        () => ({
          body: drip(
            subject.host.clock,
            Array.from({ length: 200 }, (_, index) => `event ${index}\n`),
          ),
        }),
        async ({ url }) => {
          const first = await subject.host.net.stream({ url });
          for await (const piece of first.body) {
            assert.match(text(piece), /^event 0\n/);
            break;
          }
          const controller = new AbortController();
          const second = await subject.host.net.stream({ url, signal: controller.signal });
          await assert.rejects(async () => {
            for await (const piece of second.body) {
              assert.ok(piece.length > 0);
              controller.abort();
            }
          }, code('NK_INTERRUPTED'));
        },
      ),
  },
  {
    name: 'what is served at a socket answers GET until it is closed, and takes over what a dead process left',
    needs: 'net',
    check: async ({ host, folder }) => {
      await host.files.write([{ type: 'directory', path: folder, mode: 0o755, uid: 0, gid: 0 }]);
      const base = await host.files.realPath(folder).catch(() => folder);
      const socketPath = `${base}/served.sock`;
      const get = async (path: string, method = 'GET'): Promise<readonly [number, string]> => {
        const { status, body } = await host.net.request({
          url: `http://localhost${path}`,
          socketPath,
          method,
          timeoutMs: 5000,
        });
        return [status, text(body)];
      };
      const answer = (path: string) => {
        if (path === '/broken') throw new Error('a secret');
        return { status: 203, contentType: 'text/plain', body: `at ${path}` };
      };
      const listening = await host.net.serve({ socketPath }, answer);
      assert.deepEqual(await get('/a/b?c=d'), [203, 'at /a/b']);
      assert.deepEqual(await get('/broken'), [500, '']);
      assert.equal((await get('/a', 'POST'))[0], 405);
      assert.equal(await host.net.socketAnswers(socketPath, 1000), true);
      await listening.close();
      await listening.close();
      await assert.rejects(get('/a'), fails('connection'));
      const again = await host.net.serve({ socketPath }, answer);
      assert.deepEqual(await get('/a'), [203, 'at /a']);
      await again.close();
    },
  },
];
