/** The lock between real processes; what one process can show is in the conformance list. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
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
  });
});
