/** The lock between real processes; what one process can show is in the conformance list. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLinuxHost } from './host.ts';

const holder = `
  const { createLinuxHost } = await import(process.argv[1]);
  await createLinuxHost().locks.take(process.argv[2], { waitMs: 0 });
  process.stdout.write('held');
  setInterval(() => undefined, 1000);
`;

describe('a lock that another process has', () => {
  const host = createLinuxHost();
  let folder = '';
  before(() => (folder = mkdtempSync(join(tmpdir(), 'nodekiln-lock-'))));
  after(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });

  test('is its by name, and ours as soon as it is killed, while we do other things', async () => {
    const module = new URL('host.ts', import.meta.url).href;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', holder, module, folder];
    const other = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    await assert.rejects(host.locks.take(folder, { waitMs: 0 }), {
      code: 'NK_STATE_LOCKED',
      message: new RegExp(`process ${other.pid}\\b`),
    });

    let turns = 0;
    const busy = setInterval(() => (turns += 1), 1);
    const waiting = host.locks.take(folder, { waitMs: 60_000 });
    await host.clock.sleep(200);
    assert.ok(turns > 10, `${turns}`);
    other.kill('SIGKILL');
    const lock = await waiting;
    clearInterval(busy);
    await assert.rejects(host.locks.take(folder, { waitMs: 0 }), {
      code: 'NK_STATE_LOCKED',
      message: new RegExp(`process ${process.pid}\\b`),
    });
    lock.release();
  });

  test('is had and given back although nobody can be told whose it is', async () => {
    rmSync(join(folder, 'lock.pid'), { force: true });
    mkdirSync(join(folder, 'lock.pid'));
    for (let turn = 0; turn < 2; turn++) {
      const lock = await host.locks.take(folder, { waitMs: 0 });
      await assert.rejects(host.locks.take(folder, { waitMs: 0 }), { code: 'NK_STATE_LOCKED' });
      lock.release();
    }
    rmSync(join(folder, 'lock.pid'), { recursive: true });
  });

  const writeSparse = (path: string): void => {
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
  };
  const hints: Record<string, (path: string) => void> = {
    'a FIFO': (path) => execFileSync('mkfifo', [path]),
    'a device': (path) => symlinkSync('/dev/zero', path),
    'a link to elsewhere': (path) => symlinkSync(join(folder, 'elsewhere'), path),
    'an endless file': (path) => writeSparse(path),
    garbage: (path) => writeFileSync(path, '\0'.repeat(1000)),
  };
  for (const [name, make] of Object.entries(hints)) {
    test(`is had in bounded time where its holder is noted in ${name}`, async () => {
      writeFileSync(join(folder, 'elsewhere'), 'theirs');
      rmSync(join(folder, 'lock.pid'), { force: true });
      make(join(folder, 'lock.pid'));
      const lock = await host.locks.take(folder, { waitMs: 0 });
      await assert.rejects(host.locks.take(folder, { waitMs: 0 }), { code: 'NK_STATE_LOCKED' });
      lock.release();
      assert.equal(readFileSync(join(folder, 'elsewhere'), 'utf8'), 'theirs');
      rmSync(join(folder, 'lock.pid'));
    });
  }
});

describe('the file of a lock', () => {
  const host = createLinuxHost();
  let folder = '';
  before(() => (folder = mkdtempSync(join(tmpdir(), 'nodekiln-lock-'))));
  after(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });

  for (const [name, content] of [
    ['garbage', 'no database at all, but long enough to be looked at'.repeat(20)],
    ['zeroes', '\0'.repeat(8192)],
    ['one letter', 'x'],
    ['half a database', `SQLite format 3\0${'y'.repeat(600)}`],
  ] as const) {
    test(`is taken with ${name} in it, and whoever has it keeps it`, async () => {
      writeFileSync(join(folder, 'lock.db'), content);
      const [lock, ...others] = await Promise.allSettled(
        Array.from({ length: 20 }, () => host.locks.take(folder, { waitMs: 0 })),
      ).then((all) => all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
      assert.equal(others.length, 0, 'one has it');
      await assert.rejects(host.locks.take(folder, { waitMs: 0 }), { code: 'NK_STATE_LOCKED' });
      lock?.release();
      (await host.locks.take(folder, { waitMs: 0 })).release();
    });
  }

  const kinds = [
    ['folder', (path: string): void => mkdirSync(path)],
    ['FIFO', (path: string): void => void execFileSync('mkfifo', [path])],
    ['device', (path: string): void => symlinkSync('/dev/full', path)],
  ] as const;
  for (const file of ['lock.db', 'lock.db-journal']) {
    for (const [name, make] of kinds) {
      test(`${file} that is a ${name} is said, in bounded time`, async () => {
        for (const each of ['lock.db', 'lock.db-journal']) rmSync(join(folder, each), { force: true, recursive: true });
        // Of an empty one SQLite looks for no journal.
        writeFileSync(join(folder, 'lock.db'), 'x'.repeat(9000));
        rmSync(join(folder, file), { force: true });
        make(join(folder, file));
        await assert.rejects(host.locks.take(folder, { waitMs: 0 }), {
          code: 'NK_STATE_UNUSABLE',
          message: /^the host lock cannot be had: .*lock\.db(-journal)? is no file but a (directory|other|symlink)$/,
          hint: new RegExp(`^Remove .*${file}: it is made anew`),
        });
      });
    }
  }
});
