/** What a run fetches, on a machine in memory with a server of its own: each thing once, as long as it takes, gone at the end. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { sha256 } from '../host/digest.ts';
import { createMemoryMachine, type Endpoint, type MemoryMachine } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import { bytesOf, textOf } from '../model/bytes.ts';
import { createDownloads, type FetchOptions } from './downloads.ts';

const origin = 'http://artifacts.example';
const folder = '/var/lib/nodekiln/downloads';

describe('downloads of a run', () => {
  let machine: MemoryMachine;
  let host: Host;
  let asked: string[];

  beforeEach(() => {
    machine = createMemoryMachine();
    host = machine.open({ environment: {} });
    asked = [];
  });

  function serve(endpoint: Endpoint, at = origin): void {
    machine.serve(at, (request) => {
      const { headers = {}, url, proxy } = request;
      asked.push([new URL(url).pathname, headers['range'], proxy].filter((part) => part !== undefined).join(' '));
      return endpoint(request);
    });
  }

  const options: FetchOptions = { transfer: undefined, signal: undefined, onProgress: () => undefined };
  const whole: Endpoint = ({ url }) => ({ body: `content of ${new URL(url).pathname}` });
  const read = async (path: string): Promise<string | undefined> => textOf(await host.local.read(path));

  it('fetch each thing once, below the state folder, and leave nothing', async () => {
    serve(whole);
    const downloads = createDownloads(host);
    const [one, again, other] = await Promise.all(
      ['a', 'a', 'b'].map((name) => downloads.fetch({ type: 'http', url: `${origin}/${name}` }, options)),
    );
    assert.deepEqual(asked.toSorted(), ['/a', '/b']);
    assert.ok(one && one === again);
    assert.ok(one.path.startsWith(`${folder}/`) && other?.path.startsWith(`${folder}/`));
    assert.deepEqual([await read(one.path), one.digest], ['content of /a', sha256('content of /a')]);
    assert.equal((await host.files.stat(folder))?.mode, 0o700);
    await downloads.close();
    assert.equal(await host.files.stat(folder), undefined);
  });

  it('throw away what a killed run left', async () => {
    await host.files.write([
      { type: 'file', path: `${folder}/half`, content: bytesOf('x'), mode: 0o600, uid: 0, gid: 0 },
    ]);
    await createDownloads(host).close();
    assert.equal(await host.files.stat(folder), undefined);
  });

  it('keep what came of one that broke off for the next run, after a failure and after a kill alike', async () => {
    const headers = { 'content-length': '9', etag: '"one"' };
    for (const end of ['fails', 'is killed'] as const) {
      const answers: Endpoint[] = [
        () => ({ headers, body: broken('all') }),
        () => ({ status: 403 }),
        () => ({ status: 206, headers: { 'content-range': 'bytes 3-8/9' }, body: ' of it' }),
      ];
      serve((request) => answers.shift()?.(request) ?? { status: 404 });
      asked = [];
      const downloads = createDownloads(host);
      const spec = { type: 'http', url: `${origin}/x` } as const;
      await assert.rejects(downloads.fetch(spec, options), { code: 'NK_SOURCE_UNAVAILABLE' });
      if (end === 'fails') await downloads.close();
      assert.deepEqual(await host.files.list(folder), ['parts'], end);
      const next = createDownloads(host);
      const { path } = await next.fetch(spec, options);
      assert.equal(await read(path), 'all of it');
      assert.deepEqual(asked, ['/x', '/x bytes=3-', '/x bytes=3-'], end);
      await next.close();
      assert.equal(await host.files.stat(folder), undefined, end);
    }
  });

  it('wait for a busy server on the machine’s clock, and go on where a connection broke off', async () => {
    const answers: Endpoint[] = [
      () => ({ status: 503, headers: { 'retry-after': '30' } }),
      () => ({ headers: { 'content-length': '9', etag: '"one"' }, body: broken('all') }),
      () => ({ status: 206, headers: { 'content-range': 'bytes 3-8/9', 'content-length': '6' }, body: ' of it' }),
    ];
    serve((request) => answers.shift()?.(request) ?? { status: 404 });
    const before = host.clock.monotonic();
    const { path } = await createDownloads(host).fetch({ type: 'http', url: `${origin}/x` }, options);
    assert.equal(await read(path), 'all of it');
    assert.deepEqual(asked, ['/x', '/x', '/x bytes=3-']);
    assert.ok(host.clock.monotonic() - before >= 30_000);
  });

  it('end with the budget, and a failure is not remembered', async () => {
    let up = false;
    serve((request) => (up ? whole(request) : { status: 500 }));
    const downloads = createDownloads(host);
    const get = () =>
      downloads.fetch({ type: 'http', url: `${origin}/x` }, { ...options, transfer: { budgetMs: 5_000 } });
    await assert.rejects(get(), { code: 'NK_SOURCE_UNAVAILABLE' });
    up = true;
    assert.equal(await read((await get()).path), 'content of /x');
  });

  it('go through the proxy of the environment, or the one given', async () => {
    serve(whole);
    serve(whole, 'http://inside.example');
    const environment = { HTTP_PROXY: 'http://proxy:3128', NO_PROXY: 'inside.example' };
    const downloads = createDownloads(machine.open({ environment }));
    await downloads.fetch({ type: 'http', url: `${origin}/a` }, options);
    await downloads.fetch({ type: 'http', url: 'http://inside.example/b' }, options);
    const transfer = { budgetMs: 5_000, proxy: { sensitive: 'http://other:1' }, noProxy: ['nowhere'] };
    await downloads.fetch({ type: 'http', url: `${origin}/c` }, { ...options, transfer });
    assert.deepEqual(asked, ['/a http://proxy:3128', '/b', '/c http://other:1']);
  });

  it('are a few at a time', async () => {
    let [running, most] = [0, 0];
    serve(async (request) => {
      most = Math.max(most, ++running);
      await machine.clock.sleep(1);
      running -= 1;
      return whole(request);
    });
    const downloads = createDownloads(host, 2);
    await Promise.all(
      Array.from({ length: 7 }, (_, index) => downloads.fetch({ type: 'http', url: `${origin}/${index}` }, options)),
    );
    assert.deepEqual([asked.length, most], [7, 2]);
  });
});

async function* broken(text: string): AsyncGenerator<Uint8Array> {
  yield bytesOf(text);
  throw new Error('the connection was reset');
}
