import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cached, cacheFolder, forgetOlder, keyHash } from './cache.ts';
import { run } from './run.ts';

describe('the cache', () => {
  const own = process.env['NODEKILN_CACHE'];
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lab-cache-'));
    process.env['NODEKILN_CACHE'] = folder;
  });
  after(async () => {
    if (own === undefined) delete process.env['NODEKILN_CACHE'];
    else process.env['NODEKILN_CACHE'] = own;
    await rm(folder, { recursive: true });
  });

  test('a folder is made once and given to everyone who asks meanwhile', async () => {
    let made = 0;
    const make = async (dir: string): Promise<void> => {
      made += 1;
      await writeFile(join(dir, 'content'), 'made');
    };
    const [one, two] = await Promise.all([cached('kind/key', make), cached('kind/key', make)]);
    assert.equal(one, join(cacheFolder(), 'kind/key'));
    assert.equal(two, one);
    assert.equal(await cached('kind/key', make), one);
    assert.equal(made, 1);
    assert.equal(await readFile(join(one, 'content'), 'utf8'), 'made');
  });

  test('what was made for earlier recipes goes, but for the newest and what somebody may be at work with', async () => {
    const keys = ['a', 'b', 'c', 'd'];
    for (const key of keys) await cached(`old/${key}`, (dir) => writeFile(join(dir, 'content'), ''));
    const now = Date.now();
    const hour = 3_600_000;
    for (const [index, key] of keys.entries())
      await utimes(join(cacheFolder(), 'old', key), new Date(), new Date(now - (4 + index) * hour));
    await cached('old/d', () => Promise.reject(new Error('it is there')));
    await forgetOlder('old', 2, now);
    assert.deepEqual((await readdir(join(cacheFolder(), 'old'))).sort(), ['a', 'd']);
  });

  test('what fails leaves nothing, and the next one makes it', async () => {
    const failing = cached('broken/key', async (dir) => {
      await writeFile(join(dir, 'half'), '');
      throw new Error('no');
    });
    await assert.rejects(failing, /no/);
    assert.deepEqual(await readdir(join(folder, 'broken')), []);
    const dir = await cached('broken/key', async (dir) => writeFile(join(dir, 'whole'), ''));
    assert.deepEqual(await readdir(dir), ['whole']);
  });

  test('two processes make one key once', async () => {
    const log = join(folder, 'log');
    const script = `
    import { appendFile } from 'node:fs/promises';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { cached } from ${JSON.stringify(new URL('cache.ts', import.meta.url).href)};
    await cached('shared/key', async () => { await appendFile(${JSON.stringify(log)}, 'made\\n'); await sleep(300); });
    process.stdout.write('done');`;
    const start = (): Promise<{ stdout: string }> =>
      run([process.execPath, '--input-type=module-typescript', '--eval', script]);
    const both = await Promise.all([start(), start()]);
    assert.deepEqual(
      both.map((each) => each.stdout),
      ['done', 'done'],
    );
    assert.equal(await readFile(log, 'utf8'), 'made\n');
  });

  test('a key’s hash follows its parts and their boundaries', () => {
    assert.match(keyHash('a'), /^[0-9a-f]{12}$/);
    assert.notEqual(keyHash('ab', 'c'), keyHash('a', 'bc'));
  });
});
