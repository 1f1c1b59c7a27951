/** Parts of files: those that servers send, right and wrong ones, and those that wait for the next run. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, utimesSync, writeFileSync, appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { Clock } from '../../host/port.ts';
import { programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';
import { download, type DownloadRequest, type Downloaded } from './download.ts';
import { createHttpClient } from './http-client.ts';

const body = programBytes(300_000, 9);
const other = programBytes(300_000, 10);
const digest = digestOf(body);
const host = createLinuxHost();
const client = createHttpClient(host);

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Bytes of the parts that the test at work keeps. */
let onDisk = (): number => 0;

describe('parts of a file', () => {
  let folder = '';
  let server: Server;
  let url = '';
  /** What the server does with each request, in order; the last one with all that follow. */
  let answers: Answer[] = [];
  let ranges: (string | undefined)[] = [];
  let count = 0;

  before(async () => {
    folder = temporaryFolder();
    server = createServer((request, response) => {
      ranges.push(request.headers.range);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      answer?.(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file?token=secret`;
  });
  beforeEach(() => {
    ranges = [];
    count += 1;
  });
  after(async () => {
    await host.close();
    server.closeAllConnections();
    server.close();
    removeFolder(folder);
  });

  const parts = (): NonNullable<DownloadRequest['parts']> => ({
    folder: join(folder, `parts-${count}`),
    owner: host.program.owner,
  });
  const kept = (): string[] => (existsSync(parts().folder) ? readdirSync(parts().folder) : []);
  const sizes = (): number[] =>
    kept().map((name) => statSync(join(parts().folder, name, 'part'), { throwIfNoEntry: false })?.size ?? 0);
  const onDiskInAll = (): number => sizes().reduce((sum, size) => sum + size, 0);
  onDisk = () => Math.max(0, ...sizes());

  async function get(options: Partial<DownloadRequest> = {}): Promise<Downloaded> {
    const to = join(folder, `to-${count}`, 'file');
    const result = await download({
      client,
      local: host.local,
      clock: hurried(),
      url,
      to,
      budgetMs: 60_000,
      parts: parts(),
      ...options,
    });
    assert.equal(digestOf(readFileSync(to)), digest);
    assert.deepEqual(readdirSync(join(folder, `to-${count}`)), ['file']);
    return result;
  }

  // ── a part that nobody asked for ──

  const unasked: readonly [string, Record<string, string | number>, Buffer][] = [
    ['the first bytes', { 'content-range': 'bytes 0-99999/300000' }, body.subarray(0, 100_000)],
    ['the last bytes', { 'content-range': 'bytes 200000-299999/300000' }, body.subarray(200_000)],
    ['all bytes', { 'content-range': 'bytes 0-299999/300000' }, body],
    ['without Content-Range', {}, body.subarray(0, 100_000)],
    ['of unknown length', { 'content-range': 'bytes 0-99999/*' }, body.subarray(0, 100_000)],
    ['several in one', { 'content-type': 'multipart/byteranges; boundary=x' }, Buffer.from('--x\r\n')],
  ];
  for (const [name, headers, content] of unasked)
    it(`is never taken for the whole: ${name}`, async () => {
      answers = [(_, response) => response.writeHead(206, headers).end(content)];
      for (const known of [{}, { digest }, { size: content.length }])
        await assert.rejects(get(known), { code: 'NK_SOURCE_UNAVAILABLE', message: /answered 206, with a part/ });
      assert.equal(existsSync(join(folder, `to-${count}`, 'file')), false);
      assert.deepEqual(kept(), []);
    });

  // ── a part that was asked for ──

  const at = 100_000;
  const rest = (from: number, to = body.length, more: Record<string, string> = {}, content = body): Answer => {
    const range = `bytes ${from}-${to - 1}/${content.length}`;
    return (_, response) =>
      response.writeHead(206, { 'content-range': range, ...more }).end(content.subarray(from, to));
  };
  const stated = (range: string | undefined, content = body.subarray(at), more = {}): Answer => {
    const headers = { ...(range !== undefined && { 'content-range': range }), ...more };
    return (_, response) => response.writeHead(206, headers).end(content);
  };
  const joined: readonly [string, Answer][] = [
    ['the rest', rest(at, body.length, { etag: '"one"' })],
    ['the rest, without the validator that was asked by', rest(at)],
    ['the rest, in which the connection breaks', stated(`bytes ${at}-299999/300000`, body.subarray(at, at + 10))],
    ['a piece of the rest, and more than was said', stated(`bytes ${at}-${at + 9}/300000`)],
    ['a piece of the rest', rest(at, 150_000, { etag: '"one"' })],
  ];
  for (const [name, second] of joined)
    it(`is joined when it follows: ${name}`, async () => {
      answers = [cut(at), second, (request, response) => whole(request, response)];
      assert.ok((await get()).resumedBytes >= at);
      assert.equal(ranges[1], `bytes=${at}-`);
      assert.deepEqual(kept(), []);
    });

  const apart: readonly [string, Answer][] = [
    ['from earlier on', rest(at - 1)],
    ['from later on', rest(at + 1)],
    ['from the beginning', rest(0)],
    ['behind the end', stated(`bytes ${at}-300000/300000`, Buffer.concat([body.subarray(at), Buffer.alloc(1)]))],
    [
      'of a file of another length',
      stated(`bytes ${at}-300000/300001`, Buffer.concat([body.subarray(at), Buffer.alloc(1)])),
    ],
    ['of unknown length', stated(`bytes ${at}-299999/*`)],
    ['without Content-Range', stated(undefined)],
    ['with words for Content-Range', stated('bytes all/300000')],
    ['in another unit', stated(`lines ${at}-299999/300000`)],
    [
      'of fewer bytes than its Content-Range says',
      stated(`bytes ${at}-299999/300000`, body.subarray(at, at + 10), { 'content-length': '10' }),
    ],
    ['backwards', stated(`bytes ${at}-${at - 1}/300000`, Buffer.alloc(0))],
    ['several in one', stated(undefined, body.subarray(at), { 'content-type': 'multipart/byteranges; boundary=x' })],
    ['of another entity tag', rest(at, body.length, { etag: '"two"' }, other)],
    ['of the same entity tag, weakly', rest(at, body.length, { etag: 'W/"one"' }, other)],
    ['of none: 416', (_, response) => response.writeHead(416, { 'content-range': 'bytes */300000' }).end()],
    ['of none: the whole', (request, response) => whole(request, response, '"two"')],
  ];
  for (const [name, second] of apart)
    it(`is fetched as a whole once more, when a part does not join: ${name}`, async () => {
      answers = [cut(at), second, (request, response) => whole(request, response)];
      assert.equal((await get()).resumedBytes, 0);
    });

  it('is joined by the date of the last change only when that did not change, and is no news', async () => {
    const modified = (date: string): Record<string, string> => ({ 'last-modified': date });
    const [old, new_] = ['Mon, 01 Jan 2024 00:00:00 GMT', 'Tue, 02 Jan 2024 00:00:00 GMT'];
    answers = [cut(at, modified(old)), rest(at, body.length, modified(old))];
    assert.equal((await get()).resumedBytes, at);
    answers = [cut(at, modified(old)), rest(at, body.length, modified(new_), other), whole];
    assert.equal((await get()).resumedBytes, 0);
    const now = new Date().toUTCString();
    answers = [cut(at, { ...modified(now), date: now }), whole];
    ranges = [];
    assert.equal((await get()).resumedBytes, 0);
    assert.deepEqual(ranges, [undefined, undefined], 'it may have changed twice in that second');
  });

  // ── a part of an earlier run ──

  /** A run that ends before the file is whole: when what the server sends is on the disk, or nobody keeps it. */
  async function interrupted(
    first: Answer = hanging(at),
    options: Partial<DownloadRequest> = {},
    bytes = at,
  ): Promise<void> {
    const before = onDiskInAll();
    answers = [first];
    const end = new AbortController();
    const run = assert.rejects(get({ clock: host.clock, signal: end.signal, ...options }), { code: 'NK_INTERRUPTED' });
    for (let waited = 0; waited < 2000 && onDiskInAll() < before + bytes; waited += 10) await sleep(10);
    end.abort();
    await run;
    ranges = [];
  }

  it('is gone on with by the next run, as the validator proves', async () => {
    await interrupted();
    assert.equal(kept().length, 1);
    assert.equal(statSync(parts().folder).mode & 0o777, 0o700);
    assert.ok(!JSON.stringify(readdirSync(parts().folder, { recursive: true })).includes('secret'));
    assert.ok(!readFileSync(join(parts().folder, kept()[0] ?? '', 'state.json'), 'utf8').includes('secret'));
    answers = [whole];
    assert.deepEqual([(await get()).resumedBytes, ranges], [at, [`bytes=${at}-`]]);
    assert.deepEqual(kept(), []);
  });

  it('is gone on with by the next run after a signal, and after a budget that ended', async () => {
    await interrupted();
    answers = [whole];
    assert.equal((await get()).resumedBytes, at);
    answers = [cut(at), (_, response) => response.writeHead(503).end()];
    await assert.rejects(get({ budgetMs: 30_000 }), { code: 'NK_SOURCE_UNAVAILABLE' });
    answers = [whole];
    assert.equal((await get()).resumedBytes, at);
  });

  it('is gone on with from another address, when a digest proves the whole', async () => {
    await interrupted(hanging(at, {}), { digest });
    answers = [whole];
    const { resumedBytes } = await get({ digest, url: url.replace('/file', '/mirror') });
    assert.deepEqual([resumedBytes, ranges], [at, [`bytes=${at}-`]]);
  });

  it('is not asked for again when all of it came', async () => {
    await interrupted(hanging(body.length, { 'transfer-encoding': 'chunked' }), { digest }, body.length);
    answers = [(_, response) => response.writeHead(500).end()];
    assert.deepEqual([(await get({ digest })).resumedBytes, ranges], [body.length, []]);
  });

  it('is given up when the file changed, when it is damaged, when nothing proves it', async () => {
    await interrupted(hanging(at, { etag: '"old"' }));
    answers = [whole];
    assert.deepEqual([(await get()).resumedBytes, ranges], [0, [`bytes=${at}-`]]);

    await interrupted();
    appendFileSync(join(parts().folder, kept()[0] ?? '', 'part'), 'more');
    answers = [whole];
    assert.deepEqual([(await get()).resumedBytes, ranges], [0, [undefined]], 'damaged, and no digest');

    await interrupted();
    writeFileSync(join(parts().folder, kept()[0] ?? '', 'state.json'), '{');
    answers = [whole];
    assert.deepEqual([(await get()).resumedBytes, ranges], [0, [undefined]], 'nobody knows of what it is');

    await interrupted(hanging(at, {}));
    assert.deepEqual(kept(), [], 'without validator and digest');

    await interrupted(hanging(at), { digest });
    const part = join(parts().folder, kept()[0] ?? '', 'part');
    writeFileSync(part, other.subarray(0, at));
    answers = [whole];
    assert.equal((await get({ digest })).resumedBytes, 0, 'damaged, and the digest tells');
  });

  it('is one of each, when two want it at a time', async () => {
    await interrupted();
    answers = [whole];
    const to = (name: string): Partial<DownloadRequest> => ({ to: join(folder, `two-${name}`, 'file') });
    const both = await Promise.all(
      ['a', 'b'].map((name) =>
        download({
          client,
          local: host.local,
          clock: host.clock,
          url,
          budgetMs: 9_000,
          to: '',
          parts: parts(),
          ...to(name),
        }),
      ),
    );
    assert.deepEqual(
      both.map(({ digest: each }) => each),
      [digest, digest],
    );
    assert.deepEqual(
      both.map(({ resumedBytes }) => resumedBytes).toSorted((a, b) => a - b),
      [0, at],
    );
  });

  it('goes after a week, and the oldest of many go', async () => {
    for (let index = 0; index < 20; index++) await interrupted(hanging(10), { url: `${url}&n=${index}` }, 10);
    assert.equal(kept().length, 20, 'somebody may still be at them');
    const age = (name: string, days: number): void => {
      const time = Date.now() / 1_000 - days * 24 * 3_600;
      utimesSync(join(parts().folder, name, 'part'), time, time);
    };
    for (const [index, name] of kept().entries()) age(name, index < 2 ? 8 : 1 + index / 100);
    answers = [whole];
    await get();
    assert.ok(kept().length <= 16 && kept().length >= 15, String(kept().length));
  });

  it('is no need: where none can be kept, it is fetched all the same', async () => {
    const file = join(folder, `file-${count}`);
    writeFileSync(file, '');
    answers = [whole];
    assert.equal((await get({ parts: { ...parts(), folder: join(file, 'parts') } })).resumedBytes, 0);
  });

  it('is none when what came is wrong', async () => {
    answers = [(_, response) => response.writeHead(200, { etag: '"one"' }).end(other)];
    await assert.rejects(get({ digest }), { code: 'NK_ARTIFACT_DIGEST' });
    assert.deepEqual(kept(), []);
  });
});

/** A well-behaved server. */
function whole(request: IncomingMessage, response: ServerResponse, etag = '"one"'): void {
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const ifRange = request.headers['if-range'];
  const from = asked === undefined || (ifRange !== undefined && ifRange !== etag) ? undefined : Number(asked);
  if (from === undefined) response.writeHead(200, { etag, 'content-length': body.length }).end(body);
  else
    response
      .writeHead(206, { etag, 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` })
      .end(body.subarray(from));
}

/** So many bytes, and the connection breaks: when they are on the disk, or nobody keeps them. */
function cut(bytes: number, headers: Record<string, string> = { etag: '"one"' }): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-length': body.length, ...headers });
    response.write(body.subarray(0, bytes), () => void breakOff());
    const breakOff = async (): Promise<void> => {
      await sleep(50);
      for (let waited = 0; waited < 1000 && !response.destroyed && onDisk() < bytes; waited += 10) await sleep(10);
      response.destroy();
    };
  };
}

/** So many bytes, and nothing more. */
function hanging(bytes: number, headers: Record<string, string> = { etag: '"one"' }): Answer {
  return (_, response) => {
    response.writeHead(200, {
      ...(headers['transfer-encoding'] === undefined && { 'content-length': body.length }),
      ...headers,
    });
    response.write(body.subarray(0, bytes));
  };
}

/** Real time, but nobody sleeps. */
function hurried(): Clock {
  let skipped = 0;
  return {
    now: () => host.clock.now(),
    monotonic: () => host.clock.monotonic() + skipped,
    sleep: async (ms) => void (skipped += ms),
  };
}

function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
