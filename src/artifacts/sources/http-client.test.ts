/** Where requests go and what they carry, on a network in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import {
  createMemoryMachine,
  type Endpoint,
  type EndpointResponse,
  type MemoryMachine,
} from '../../host/memory/machine.ts';
import type { Host, HttpExchange } from '../../host/port.ts';
import { textOf } from '../../model/bytes.ts';
import { createHttpClient, shownUrl } from './http-client.ts';

describe('a client', () => {
  let machine: MemoryMachine;
  let host: Host;
  let seen: HttpExchange[];

  beforeEach(() => {
    machine = createMemoryMachine();
    host = machine.open();
    seen = [];
  });

  function serve(origin: string, endpoint: Endpoint): void {
    machine.serve(origin, (request) => {
      seen.push(request);
      return endpoint(request);
    });
  }
  const moved = (location: string): EndpointResponse => ({ status: 302, headers: { location } });
  const get = async (url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> =>
    textOf((await createHttpClient(host).request(url, { headers, timeoutMs: 1_000 })).body);

  it('follows redirects, also relative ones, and takes logins to their own host alone', async () => {
    serve('https://a.example', ({ url }) => moved(url.endsWith('/x') ? '/y' : 'https://b.example/z'));
    serve('https://b.example', () => ({ body: 'here' }));
    assert.equal(await get('https://a.example/x', { authorization: 'secret', cookie: 'c', accept: 'all' }), 'here');
    assert.deepEqual(
      seen.map(({ url, headers }) => [url, headers?.['authorization'], headers?.['cookie'], headers?.['accept']]),
      [
        ['https://a.example/x', 'secret', 'c', 'all'],
        ['https://a.example/y', 'secret', 'c', 'all'],
        ['https://b.example/z', undefined, undefined, 'all'],
      ],
    );
  });

  it('does not go from TLS to plain HTTP, nor in circles, nor to what is no address', async () => {
    serve('http://b.example', () => ({ body: 'here' }));
    serve('https://a.example', () => moved('http://b.example/'));
    await assert.rejects(get('https://a.example/?token=secret'), {
      code: 'NK_SOURCE_UNAVAILABLE',
      message: 'https://a.example/?… redirects to plain HTTP, which is refused',
    });
    serve('http://c.example', () => moved('/again'));
    await assert.rejects(get('http://c.example/'), { code: 'NK_SOURCE_UNAVAILABLE', message: /more than 10 times/ });
    assert.equal(seen.length, 1 + 11);
    for (const location of [
      'file:///etc/passwd',
      'ftp://b.example/x',
      'http://[',
      'data:,x',
      'unix:/run/x',
      'https://',
    ]) {
      serve('http://d.example', () => moved(location));
      await assert.rejects(get('http://d.example/?token=secret'), {
        code: 'NK_SOURCE_UNAVAILABLE',
        message: 'http://d.example/?… redirects to what is no http or https address, which is refused',
      });
    }
  });

  describe('what is posted', () => {
    const post = (url: string) =>
      createHttpClient(host).request(url, { method: 'POST', body: 'refresh_token=secret', timeoutMs: 1_000 });

    for (const status of [301, 302, 303, 307, 308]) {
      it(`stays with its origin at a ${status}`, async () => {
        serve('https://b.example', () => ({ body: 'here' }));
        for (const location of ['https://b.example/t', '//b.example/t', 'https://a.example:8443/t']) {
          serve('https://a.example', () => ({ status, headers: { location } }));
          await assert.rejects(post('https://a.example/t'), {
            code: 'NK_SOURCE_UNAVAILABLE',
            message:
              /^https:\/\/a\.example\/t redirects what is posted to it to (a\.example:8443|b\.example), which is refused$/,
          });
        }
        assert.deepEqual([...new Set(seen.map(({ url }) => url))], ['https://a.example/t']);
      });

      it(`is posted again within its origin at a ${status}`, async () => {
        serve('https://a.example', ({ url }) =>
          url.endsWith('/t') ? { status, headers: { location: '/u' } } : { body: 'here' },
        );
        assert.equal(textOf((await post('https://a.example/t')).body), 'here');
        assert.deepEqual(
          seen.map(({ url, body }) => [url, body]),
          [
            ['https://a.example/t', 'refresh_token=secret'],
            ['https://a.example/u', 'refresh_token=secret'],
          ],
        );
      });
    }
  });

  it('takes the user and password of an address to its origin alone', async () => {
    serve('https://b.example', () => ({ body: 'here' }));
    for (const [location, then] of [
      ['/y', 'https://me:secret@a.example/y'],
      ['https://a.example/y', 'https://me:secret@a.example/y'],
      ['https://you@a.example/y', 'https://you@a.example/y'],
      ['https://b.example/y', 'https://b.example/y'],
      ['//b.example/y', 'https://b.example/y'],
    ]) {
      seen = [];
      serve('https://a.example', ({ url }) => (url.endsWith('/x') ? moved(location ?? '') : { body: 'here' }));
      await get('https://me:secret@a.example/x');
      assert.deepEqual(
        seen.map(({ url }) => url),
        ['https://me:secret@a.example/x', then],
        location,
      );
    }
  });

  it('says who answered in the end', async () => {
    serve('https://a.example', ({ url }) => moved(url.endsWith('/x') ? '/y' : 'https://b.example:8443/z'));
    serve('https://b.example:8443', () => ({ status: 401 }));
    const { origin } = await createHttpClient(host).request('https://a.example/x', { timeoutMs: 1_000 });
    assert.equal(origin, 'https://b.example:8443');
  });

  it('chooses the proxy anew for each host', async () => {
    serve('http://a.example', () => moved('http://inside.example/'));
    serve('http://inside.example', () => ({ body: 'here' }));
    const client = createHttpClient({ ...host, proxy: 'http://proxy:1', noProxy: 'inside.example', ca: 'PEM' });
    await client.request('http://a.example/', { timeoutMs: 1_000 });
    assert.deepEqual(
      seen.map(({ proxy, tls }) => [proxy, tls?.ca]),
      [
        ['http://proxy:1', 'PEM'],
        [undefined, 'PEM'],
      ],
    );
  });

  it('gives responses as they arrive', async () => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const piece of ['one ', 'two']) yield Buffer.from(piece);
    }
    serve('http://a.example', () => ({ body: pieces() }));
    const { body } = await createHttpClient(host).open('http://a.example/');
    const parts: string[] = [];
    for await (const part of body) parts.push(textOf(part));
    assert.deepEqual(parts, ['one ', 'two']);
  });

  it('shows addresses without what may be a secret', () => {
    assert.equal(shownUrl('https://user:secret@host:8443/path?token=secret#x'), 'https://host:8443/path?…#…');
  });
});
