/** Downloads from a real web server, through a real proxy and through faults: an exact file, or a clear error and nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeCertificates } from '../../../test/servers/registry.ts';
import {
  cutAfter,
  stallAfter,
  startFaults,
  startProxy,
  startWeb,
  type Fault,
  type WebServer,
} from '../../../test/servers/web.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { download, type DownloadRequest, type Downloaded, type Progress } from './download.ts';
import { createHttpClient, type HttpClientOptions } from './http-client.ts';

const sizes = { small: 3_000, large: 20_000_000 } as const;

describe('a real web server', () => {
  const folder = temporaryFolder();
  const host = createLinuxHost();
  const files = join(folder, 'files');
  const content = { small: programBytes(sizes.small, 1), large: programBytes(sizes.large, 2) };
  const closing: { close(): unknown }[] = [];
  let web: WebServer;
  let count = 0;

  before(async () => {
    mkdirSync(files);
    for (const [name, bytes] of Object.entries(content)) writeFileSync(join(files, name), bytes);
    web = await startWeb({ files });
    closing.push(web);
  });
  after(async () => {
    await host.close();
    for (const each of closing) await each.close();
    removeFolder(folder);
  });

  const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

  async function get(
    url: string,
    options: Partial<DownloadRequest> = {},
    http: Partial<HttpClientOptions> = {},
  ): Promise<Downloaded> {
    const into = join(folder, `into-${count++}`);
    mkdirSync(into);
    const client = createHttpClient({ ...host, ...http });
    try {
      const to = join(into, 'file');
      const result = await download({ ...host, client, budgetMs: 20_000, url, to, ...options });
      assert.deepEqual(readdirSync(into), ['file']);
      const name = url.endsWith('large') ? 'large' : 'small';
      assert.ok(readFileSync(to).equals(content[name]), 'exactly what is served');
      assert.equal(result.digest, digestOf(content[name]));
      return result;
    } catch (thrown) {
      assert.deepEqual(readdirSync(into), [], 'nothing is left');
      throw thrown;
    }
  }

  async function through(...faults: Fault[]): Promise<{ url: string; connections(): number }> {
    const proxy = await startFaults(web.port, faults);
    closing.push(proxy);
    return { url: `http://127.0.0.1:${proxy.port}`, connections: () => proxy.connections() };
  }

  for (const name of ['small', 'large'] as const) {
    const half = sizes[name] / 2;
    describe(`${name} files`, () => {
      it('come whole, also after a redirect', async () => {
        await get(`${web.url}/${name}`, { digest: digestOf(content[name]) });
        await get(`${web.url}/moved/${name}`);
      });

      for (const [what, faults] of [
        ['a cut connection', [cutAfter(half)]],
        ['connections reset twice', [cutAfter(half, 'reset'), cutAfter(half, 'reset')]],
        ['a connection cut within the headers', [cutAfter(40)]],
        ['a connection that stalls', [stallAfter(half)]],
        ['a connection that never answers', [stallAfter(0)]],
      ] as const) {
        it(`come whole after ${what}, without what had come already`, async () => {
          const proxy = await through(...faults);
          const responseTimeout = { client: impatient() };
          const result = await get(`${proxy.url}/${name}`, { stallMs: 300, ...responseTimeout });
          assert.equal(proxy.connections(), faults.length + 1);
          const asked = (await web.requests()).slice(-1)[0] ?? '';
          const from = Number(/bytes=(\d+)-/.exec(asked)?.[1] ?? 0);
          assert.equal(result.resumedBytes, from, asked);
        });
      }

      it('are refused with another digest or length, and when they are larger than allowed', async () => {
        const wrong = digestOf(Buffer.from('other'));
        await assert.rejects(get(`${web.url}/${name}`, { digest: wrong }), { code: 'NK_ARTIFACT_DIGEST' });
        await assert.rejects(get(`${web.url}/${name}`, { size: sizes[name] - 1 }), { code: 'NK_ARTIFACT_DIGEST' });
        await assert.rejects(get(`${web.url}/${name}`, { maxBytes: 1_000 }), { code: 'NK_ARTIFACT_UNREADABLE' });
      });
    });
  }

  /** Twenty seconds without an answer are too long for a test. */
  function impatient(): ReturnType<typeof createHttpClient> {
    return createHttpClient({ ...host, responseTimeoutMs: 400 });
  }

  it('says how far it is, and how long it will take', async () => {
    const seen: Progress[] = [];
    await get(`${web.url}/large`, { onProgress: (progress) => seen.push(progress) });
    const last = seen.at(-1);
    assert.deepEqual([last?.receivedBytes, last?.totalBytes, last?.remainingMs], [sizes.large, sizes.large, 0]);
    assert.ok(seen.every(({ bytesPerSecond, remainingMs }) => bytesPerSecond > 0 && remainingMs !== undefined));
  });

  it('gives up a trickle within the budget, whatever has come', async () => {
    const slow = await startWeb({ files, rate: '2k' });
    closing.push(slow);
    const work = get(`${slow.url}/large`, { budgetMs: 2_500, stallMs: 400, slowestBytesPerSecond: 1_000_000 });
    await assert.rejects(work, (error: Error & { code?: string }) => {
      assert.ok(error.code === 'NK_SOURCE_UNAVAILABLE' || error.code === 'NK_TIMEOUT', error.code);
      return true;
    });
  });

  it('tries again while the server is busy, and says what it answered when it gives up', async () => {
    await assert.rejects(
      get(`${web.url}/busy/x`, { budgetMs: 600 }),
      /answered 503 .*after \d+ attempts|was not downloaded within 600 ms/,
    );
    await assert.rejects(get(`${web.url}/nothing`), { code: 'NK_ARTIFACT_MISSING' });
  });

  it('speaks TLS with private authorities and refuses expired certificates', async () => {
    const [good, old] = [join(folder, 'good'), join(folder, 'old')];
    for (const path of [good, old]) mkdirSync(path);
    const tls = await makeCertificates(good);
    const expired = await makeCertificates(old, -1);
    const [secure, late] = [await startWeb({ files, tls }), await startWeb({ files, tls: expired })];
    closing.push(secure, late);
    const ca = readFileSync(tls.ca, 'utf8');
    await get(`${secure.url}/large`, {}, { ca });
    await assert.rejects(get(`${secure.url}/small`), { code: 'NK_SOURCE_UNAVAILABLE' });
    await assert.rejects(
      get(`${late.url}/small`, {}, { ca: readFileSync(expired.ca, 'utf8') }),
      /certificate has expired/,
    );

    const proxy = await startProxy();
    closing.push(proxy);
    await get(`${secure.url}/large`, {}, { ca, proxy: proxy.url });
    assert.match((await proxy.requests()).at(-1) ?? '', /CONNECT 127\.0\.0\.1/);
  });

  it('goes through a proxy when told, and around it for excepted hosts', async () => {
    const proxy = await startProxy();
    closing.push(proxy);
    await get(`${web.url}/large`, {}, { proxy: proxy.url });
    const asked = (await proxy.requests()).length;
    assert.equal(asked, 1);
    await get(`${web.url}/small`, {}, { proxy: proxy.url, noProxy: '127.0.0.1' });
    assert.equal((await proxy.requests()).length, asked);
  });
});
