/** What a fetch says of where it asked, went on to and failed: never a user, password, query or fragment of an address. */
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { secret, secretAddresses } from '../../../test/support/secret-addresses.ts';
import { NodekilnError } from '../../errors.ts';
import { createLinuxHost } from '../../host/linux/host.ts';
import { fetchTo } from '../fetch-to.ts';
import { createHttpClient } from './http-client.ts';
import type { SourceSpec } from './source.ts';

describe('a fetch', () => {
  const folder = temporaryFolder();
  const host = createLinuxHost();
  const answers: Record<string, (response: ServerResponse) => unknown> = {
    '/absent': (response) => response.writeHead(404).end(),
    '/refused': (response) => response.writeHead(403, 'no https://user:hunter2@a.example/b?sig=hunter2').end(),
    '/broken': (response) => response.writeHead(500, { 'retry-after': '0' }).end(),
    '/cut': (response) => response.writeHead(200, { 'content-length': '100' }).write('x', () => response.destroy()),
    '/around': (response) => response.writeHead(302, { location: '/around?sig=hunter2#hunter2' }).end(),
    ...Object.fromEntries(
      secretAddresses.map((to, index) => [
        `/to-${index}`,
        (response: ServerResponse) => response.writeHead(302, { location: headerOf(to) }).end(),
      ]),
    ),
  };
  let led = 0;
  // Also as a proxy, which is asked by whole addresses.
  const server = createServer(({ url = '' }, response) => {
    const { pathname } = new URL(url, 'http://127.0.0.1');
    if (pathname.startsWith('/to-')) led += 1;
    (answers[pathname] ?? answers['/absent'])?.(response);
  });
  let port = 0;

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const at = server.address();
    port = typeof at === 'object' && at ? at.port : 0;
  });
  after(async () => {
    await host.close();
    server.closeAllConnections();
    server.close();
    removeFolder(folder);
  });

  async function said(spec: SourceSpec, proxy?: string): Promise<string> {
    const client = createHttpClient({ ...host, ...(proxy !== undefined && { proxy }), responseTimeoutMs: 500 });
    try {
      await fetchTo(spec, `${folder}/to`, { ...host, base: folder, client, budgetMs: 300 });
    } catch (thrown) {
      assert.ok(thrown instanceof NodekilnError && thrown.code !== 'NK_INTERNAL', inspect(thrown));
      return JSON.stringify([thrown, thrown.hint, thrown.lines, thrown.problems]);
    }
    return assert.fail('it was had');
  }

  const own = (path: string): string[] => [
    `http://user:hunter2@127.0.0.1:${port}${path}`,
    `HTTP://hunter2@127.0.0.1:${port}${path}?sig=hunter2&a=b`,
    `http://127.0.0.1:${port}${path}#hunter2`,
  ];

  for (const path of ['/absent', '/refused', '/broken', '/cut', '/around'])
    it(`that ends at ${path}`, async () => {
      for (const url of own(path)) assert.doesNotMatch(await said({ type: 'http', url }), secret);
    });

  it('that is led elsewhere', async () => {
    for (const index of secretAddresses.keys())
      for (const url of own(`/to-${index}`).slice(0, 1)) {
        // Nobody is there: neither names nor addresses of others are asked.
        const text = await said({ type: 'http', url }, `http://user:hunter2@127.0.0.1:${port}`);
        assert.doesNotMatch(text, secret);
      }
    assert.ok(led >= secretAddresses.length, 'each led on');
  });

  it('from where nobody listens, nobody is, or what is no address', async () => {
    for (const url of [
      'http://user:hunter2@127.0.0.1:1/a?sig=hunter2',
      'https://user:hunter2@registry.invalid/a',
      ...secretAddresses.filter((address) => !/^\s*https?:|^\s*$/i.test(address)),
    ])
      assert.doesNotMatch(await said({ type: 'http', url }), secret, url);
  });

  it('of an artifact of a registry whose name is an address', async () => {
    for (const reference of secretAddresses)
      assert.doesNotMatch(await said({ type: 'oci', reference }), secret, reference);
  });

  it('through a proxy that is none, or that nobody listens at', async () => {
    const url = `http://registry.invalid/a`;
    for (const proxy of [
      'http://user:hunter2@127.0.0.1:1',
      'user:hunter2@127.0.0.1:1',
      'socks5://user:hunter2@127.0.0.1:1',
    ])
      assert.doesNotMatch(await said({ type: 'http', url }, proxy), secret, proxy);
  });
});

/** What may stand in a header. */
function headerOf(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '');
}
