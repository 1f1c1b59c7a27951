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
    serve('http://d.example', () => moved('file:///etc/passwd'));
    await assert.rejects(get('http://d.example/'), { code: 'NK_DOCUMENT_INVALID' });
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
    assert.equal(shownUrl('https://user:secret@host:8443/path?token=secret#x'), 'https://host:8443/path?…');
  });
});
