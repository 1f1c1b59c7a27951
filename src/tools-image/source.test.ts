import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createLinuxHost } from '../host/linux/host.ts';
import { createToolsImageResolver } from './resolver.ts';
import type { ToolsImageSettings } from './settings.ts';
import type { MetadataHost } from './source.ts';

const scratch = mkdtempSync('/var/tmp/nodekiln-tools-image-');
const host = createLinuxHost();
const document = { tools: { kubectl: ['1.30.5'] }, revisionHash: 'Juaa5J' };
const good = JSON.stringify(document);
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

let server: Server;
let base = '';
let requests: string[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
let folder = '';
let count = 0;
/** Added to the machine's clock. */
let later = 0;

const json =
  (body: string, status = 200) =>
  (_request: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(body);

before(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  base = `http://127.0.0.1:${port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(scratch, { recursive: true });
});
beforeEach(() => {
  requests = [];
  later = 0;
  answer = json(good);
  folder = join(scratch, `cache-${++count}`);
});

function onHost(): MetadataHost {
  return { net: host.net, files: host.files, clock: { ...host.clock, now: () => host.clock.now() + later } };
}

/** A resolver as a restarted process has it: nothing in memory, the same folder. */
function resolver(settings: Partial<ToolsImageSettings> = {}) {
  const own = createToolsImageResolver(onHost(), {
    repository: 'team/tools',
    metadata: `${base}/tools.json`,
    cacheFolder: folder,
    owner,
    deadlineMs: 1000,
    cacheForMs: 60_000,
    ...settings,
  });
  return { resolve: () => own.resolve(() => '1.30'), settled: () => own.settled() };
}

describe('metadata over HTTP', () => {
  it('are fetched once and kept for the time configured', async () => {
    const { resolve, settled } = resolver();
    const first = await resolve();
    assert.deepEqual(
      [first.image, first.reason, first.metadata.state],
      ['team/tools:1.30-Juaa5J', 'revision', 'fresh'],
    );
    later = 59_000;
    const second = await resolve();
    assert.deepEqual([second.metadata.state, requests.length], ['fresh', 1]);
    assert.ok((second.metadata.ageMs ?? 0) >= 59_000);
    later = 61_000;
    assert.equal((await resolve()).metadata.state, 'stale');
    await settled();
  });

  it('are asked for once by many at the same time', async () => {
    const { resolve } = resolver();
    const images = await Promise.all(Array.from({ length: 20 }, resolve));
    assert.ok(images.every(({ image }) => image === 'team/tools:1.30-Juaa5J'));
    assert.equal(requests.length, 1);
  });

  it('survive a restart, and are confirmed by their ETag', async () => {
    const seen: unknown[] = [];
    answer = (request, response) => {
      seen.push(request.headers['if-none-match']);
      if (request.headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
      response.writeHead(200, { 'content-type': 'application/json', etag: '"v1"' }).end(good);
    };
    await resolver().resolve();
    assert.equal((await resolver().resolve()).metadata.state, 'fresh');
    assert.equal(requests.length, 1);
    later = 61_000;
    const restarted = resolver();
    assert.equal((await restarted.resolve()).metadata.state, 'stale');
    await restarted.settled();
    const confirmed = await restarted.resolve();
    assert.deepEqual([confirmed.metadata.state, confirmed.image], ['fresh', 'team/tools:1.30-Juaa5J']);
    assert.deepEqual(seen, [undefined, '"v1"']);
  });

  it('serve the last good document at once while a slow refresh runs, also after a restart', async () => {
    await resolver().resolve();
    // The refresh is answered only once the stale document was served: whoever waited for it would wait for ever.
    let refresh = (): void => undefined;
    const served = new Promise<void>((resolve) => (refresh = resolve));
    answer = (_request, response) => void served.then(() => json(good.replace('Juaa5J', 'next'))(_request, response));
    later = 61_000;
    const restarted = resolver();
    const stale = await restarted.resolve();
    refresh();
    assert.deepEqual(
      [stale.image, stale.metadata.state, stale.metadata.why],
      ['team/tools:1.30-Juaa5J', 'stale', 'it is being refreshed'],
    );
    await restarted.settled();
    assert.equal((await restarted.resolve()).image, 'team/tools:1.30-next');
    assert.equal((await resolver().resolve()).image, 'team/tools:1.30-next');
    assert.equal(requests.length, 2);
  });

  it('keep the last good document through failures, and say so', async () => {
    await resolver().resolve();
    answer = json('gone', 500);
    later = 61_000;
    const failing = resolver();
    await failing.resolve();
    await failing.settled();
    for (const again of [failing, resolver()]) {
      const { image, metadata } = await again.resolve();
      assert.deepEqual([image, metadata.state], ['team/tools:1.30-Juaa5J', 'stale']);
      assert.match(metadata.why ?? '', /status 500/);
    }
    assert.equal(requests.length, 2, 'a failure is remembered');
  });

  it('failures are remembered briefly, longer each time, and forgotten by a success', async () => {
    answer = json('gone', 500);
    const due = [0, 5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000];
    let at = 0;
    for (const [index, wait] of due.entries()) {
      if (index > 0) {
        later = at + wait - 1000;
        assert.equal((await resolver().resolve()).metadata.state, 'unavailable');
        assert.equal(requests.length, index, `attempt ${index + 1} must not come before ${wait} ms`);
      }
      at += wait + 1000;
      later = at;
      assert.equal((await resolver().resolve()).image, 'team/tools:1.30', 'a known tag');
      assert.equal(requests.length, index + 1);
    }
    answer = json(good);
    later = at + 301_000;
    assert.equal((await resolver().resolve()).metadata.state, 'fresh');
  });

  it('are not believed to be fresh when the clock was set back', async () => {
    later = 3_600_000;
    await resolver().resolve();
    later = 0;
    const back = resolver();
    assert.equal((await back.resolve()).metadata.state, 'stale');
    await back.settled();
  });

  it('are kept per address, in files only the owner reads', async () => {
    await resolver().resolve();
    await resolver({ metadata: `${base}/other.json?key=hunter2` }).resolve();
    const names = readdirSync(folder);
    assert.equal(names.length, 2);
    for (const name of names) {
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
      assert.doesNotMatch(name, /hunter2|other/);
    }
  });

  it('a damaged cache is as good as none', async () => {
    await resolver().resolve();
    const [name = ''] = readdirSync(folder);
    const intact = readFileSync(join(folder, name), 'utf8');
    for (const damaged of [
      '',
      'x',
      '{}',
      intact.slice(0, 40),
      intact.replace('1.30.5', 'what'),
      intact.replace('tools.json', 'tools.jso'),
    ]) {
      writeFileSync(join(folder, name), damaged);
      requests = [];
      assert.equal((await resolver().resolve()).metadata.state, 'fresh');
      assert.equal(requests.length, 1, damaged);
    }
  });

  it('an entry that cannot be read costs that entry, also out of the cache, and is named', async () => {
    answer = json(JSON.stringify({ ...document, tools: { kubectl: ['1.30.5', 31] }, latest: [] }));
    for (const _ of ['first', 'again']) {
      const { image, metadata } = await resolver().resolve();
      assert.deepEqual([image, metadata.state, metadata.passedOver?.length], ['team/tools:1.30-Juaa5J', 'fresh', 2]);
      assert.match(metadata.passedOver?.join() ?? '', /tools\.kubectl\[1\].*latest/s);
    }
    assert.equal(requests.length, 1);
  });

  it('a cache that cannot be written costs a warning, not the answer', async () => {
    writeFileSync(folder, 'a file where the folder must be');
    const { image, metadata } = await resolver().resolve();
    assert.equal(image, 'team/tools:1.30-Juaa5J');
    assert.match(metadata.warning ?? '', /\S/);
  });
});

interface Fault {
  readonly name: string;
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void;
  readonly why: RegExp;
}

const html = '<!doctype html><title>Not found</title>';
const raw =
  (headers: Record<string, string | number>, body: string | Buffer) =>
  (_request: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(200, headers).end(body);

const faults: readonly Fault[] = [
  { name: 'never answers', answer: () => undefined, why: /within 1000 ms/ },
  {
    name: 'trickles',
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      let sent = 0;
      const timer = setInterval(() => response.write(good[sent++] ?? ' '), 50);
      response.once('close', () => clearInterval(timer));
    },
    why: /within 1000 ms/,
  },
  {
    name: '404 with a page',
    answer: (_request, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end(html),
    why: /status 404/,
  },
  { name: '404 with a document', answer: json(good, 404), why: /status 404/ },
  { name: '500', answer: json('{}', 500), why: /status 500/ },
  { name: '204', answer: (_request, response) => void response.writeHead(204).end(), why: /status 204/ },
  {
    name: '304 nobody asked for',
    answer: (_request, response) => void response.writeHead(304).end(),
    why: /status 304/,
  },
  { name: 'a page', answer: raw({ 'content-type': 'text/html; charset=utf-8' }, html), why: /"text\/html", not JSON/ },
  {
    name: 'a page called JSON',
    answer: raw({ 'content-type': 'application/json' }, html),
    why: /is not JSON: it looks like a web page/,
  },
  { name: 'a document called a page', answer: raw({ 'content-type': 'text/html' }, good), why: /not JSON/ },
  {
    name: 'truncated',
    answer: (request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': good.length })
        .write(good.slice(0, 20));
      setTimeout(() => request.socket.destroy(), 20);
    },
    why: /no response from/,
  },
  { name: 'truncated without a length', answer: json(good.slice(0, 30)), why: /is not JSON/ },
  { name: 'huge', answer: json(`${good}${' '.repeat(1024 * 1024)}`), why: /larger than 1048576 bytes/ },
  { name: 'no JSON', answer: json('latest: 1.30'), why: /is not JSON/ },
  { name: 'empty', answer: json(''), why: /is not JSON/ },
  { name: 'nothing that can be read', answer: json('{"tools":{"kubectl":[30,31]}}'), why: /tools\.kubectl\[0\]/ },
  {
    name: 'no UTF-8',
    answer: raw({ 'content-type': 'application/json' }, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    why: /UTF-8/,
  },
  {
    name: 'compressed',
    answer: raw({ 'content-type': 'application/json', 'content-encoding': 'gzip' }, good),
    why: /encoded/,
  },
  {
    name: 'redirects without end',
    answer: (_request, response) => void response.writeHead(302, { location: '/again' }).end(),
    why: /more than 5 times/,
  },
  {
    name: 'redirects to a file',
    answer: (_request, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    why: /file:, which is refused/,
  },
  {
    name: 'redirects nowhere',
    answer: (_request, response) => void response.writeHead(302, { location: 'http://[' }).end(),
    why: /no address/,
  },
  {
    name: 'redirects without a place',
    answer: (_request, response) => void response.writeHead(302).end(),
    why: /status 302/,
  },
  { name: 'hangs up', answer: (request) => void request.socket.destroy(), why: /no response from/ },
];

describe('a server that', () => {
  for (const fault of faults) {
    it(`${fault.name}: the fallback within the deadline`, { timeout: 30_000 }, async () => {
      answer = fault.answer;
      const { image, reason, metadata } = await resolver().resolve();
      assert.deepEqual([image, reason, metadata.state], ['team/tools:1.30', 'known-tag', 'unavailable']);
      assert.match(metadata.why ?? '', fault.why);
    });
  }

  it('redirects to the document is followed', async () => {
    answer = (request, response) =>
      request.url === '/tools.json'
        ? void response.writeHead(302, { location: '/v2/versions.json' }).end()
        : json(good)(request, response);
    assert.equal((await resolver().resolve()).metadata.state, 'fresh');
    assert.deepEqual(requests, ['/tools.json', '/v2/versions.json']);
  });

  const at = (): string => new URL(base).host;
  for (const [name, environment, metadata, asked] of [
    ['through the proxy of the variables', { HTTP_PROXY: 'PROXY' }, 'http://tools.example/t.json', 'proxy'],
    ['through one without a scheme', { http_proxy: 'HOST' }, 'http://tools.example/t.json', 'proxy'],
    ['around it for a subnet', { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '127.0.0.0/8' }, undefined, 'itself'],
    ['around it for a host', { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '127.0.0.1' }, undefined, 'itself'],
    ['around the one for TLS', { HTTPS_PROXY: 'http://127.0.0.1:1' }, undefined, 'itself'],
    ['without a proxy where none is said', {}, undefined, 'itself'],
    ['around it by a redirect', { HTTP_PROXY: 'PROXY', NO_PROXY: '127.0.0.1' }, 'http://tools.example/moved', 'both'],
  ] as const)
    it(`is asked ${name}`, async () => {
      const variables = Object.entries(environment).map(([key, value]) => [
        key,
        value.replace('PROXY', base).replace('HOST', at()),
      ]);
      answer = (request, response) =>
        request.url?.endsWith('/moved') === true
          ? void response.writeHead(302, { location: `${base}/tools.json` }).end()
          : json(good)(request, response);
      const program = { environment: Object.fromEntries(variables) as Record<string, string> };
      const own = createToolsImageResolver(
        { ...onHost(), program },
        { repository: 'team/tools', metadata: metadata ?? `${base}/tools.json`, cacheFolder: folder, owner },
      );
      assert.equal((await own.resolve(() => '1.30')).metadata.state, 'fresh');
      await own.settled();
      assert.deepEqual(
        requests,
        {
          proxy: ['http://tools.example/t.json'],
          itself: ['/tools.json'],
          both: ['http://tools.example/moved', '/tools.json'],
        }[asked],
      );
    });

  it('redirects slowly has one deadline for all of it', async () => {
    answer = (_request, response) => void setTimeout(() => response.writeHead(302, { location: '/again' }).end(), 300);
    assert.match((await resolver().resolve()).metadata.why ?? '', /within 1000 ms/);
    // Each answer takes 300 ms: a deadline for each of them would never have passed.
    assert.ok(requests.length <= 4, String(requests.length));
  });

  it('serves the document as plain text, or says no type, is believed', async () => {
    for (const headers of [
      { 'content-type': 'text/plain; charset=utf-8' },
      { 'content-type': 'application/vnd.x+json' },
      {},
    ]) {
      answer = raw(headers, good);
      assert.equal(
        (await resolver({ cacheFolder: join(folder, String(Object.values(headers)).length.toString()) }).resolve())
          .metadata.state,
        'fresh',
      );
    }
  });

  it('is not there', async () => {
    const { metadata } = await resolver({ metadata: 'http://user:hunter2@127.0.0.1:9/x?key=hunter3' }).resolve();
    assert.equal(metadata.state, 'unavailable');
    assert.doesNotMatch(JSON.stringify(metadata), /hunter/);
  });
});

describe('metadata in a file', () => {
  it('are read each time', async () => {
    const file = join(scratch, 'metadata.json');
    writeFileSync(file, good);
    const { resolve } = resolver({ metadata: file });
    assert.equal((await resolve()).image, 'team/tools:1.30-Juaa5J');
    writeFileSync(file, good.replace('Juaa5J', 'next'));
    assert.equal((await resolve()).image, 'team/tools:1.30-next');
    writeFileSync(file, '{"tools":7}');
    const broken = await resolve();
    assert.deepEqual([broken.image, broken.metadata.state], ['team/tools:1.30', 'unavailable']);
    assert.match(broken.metadata.why ?? '', /tools/);
    rmSync(file);
    assert.match((await resolve()).metadata.why ?? '', /does not exist/);
  });
});

describe('a configured tag', () => {
  it('asks nobody', async () => {
    const own = createToolsImageResolver(onHost(), { repository: 'team/tools', tag: '7', metadata: `${base}/x` });
    const image = await own.resolve(() => assert.fail('the cluster was asked'));
    assert.deepEqual([image.image, image.reason, image.metadata], ['team/tools:7', 'configured', { state: 'unused' }]);
    assert.deepEqual(requests, []);
  });

  it('must be one', () => {
    for (const wrong of [{ repository: 'team/tools:1' }, { repository: 'a', tag: 'a b' }, { repository: 'a', tag: '' }])
      assert.throws(() => createToolsImageResolver(onHost(), wrong), { code: 'NK_DOCUMENT_INVALID' });
  });
});

describe('without metadata', () => {
  it('the tags known to exist decide', async () => {
    const own = createToolsImageResolver(onHost(), { repository: 'team/tools' });
    const { image, metadata } = await own.resolve(() => 'v1.33.1');
    assert.deepEqual([image, metadata.state], ['team/tools:1.33', 'unavailable']);
    await assert.rejects(
      own.resolve(() => 'soon'),
      { code: 'NK_VERSION_INVALID' },
    );
  });
});
