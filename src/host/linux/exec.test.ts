import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodekilnError } from '../../errors.ts';
import { createLinuxExec } from './exec.ts';

const exec = createLinuxExec('/');
const run: typeof exec.run = (argv, options) => exec.run(argv, options);
const timeoutMs = 10_000;

describe('programs', () => {
  const scratch = mkdtempSync('/var/tmp/nodekiln-exec-');
  after(() => rmSync(scratch, { recursive: true, force: true }));

  test('a signal is 128 and its number', async () => {
    assert.equal((await run(['sh', '-c', 'kill -KILL $$'], { timeoutMs })).status, 137);
  });

  test('input, environment and folder are as given, and nothing else is inherited', async () => {
    process.env['NODEKILN_SECRET'] = 'secret';
    const options = { timeoutMs, input: 'from stdin', env: { GIVEN: 'yes' }, cwd: scratch };
    const result = await run(['sh', '-c', 'cat; pwd; echo "$GIVEN$NODEKILN_SECRET$LANG"'], options);
    assert.equal(result.stdout, `from stdin${scratch}\nyesC.UTF-8\n`);
  });

  test('input that is not read is no failure', async () => {
    assert.equal((await run(['true'], { timeoutMs, input: Buffer.alloc(1_000_000) })).status, 0);
  });

  test('of much output the end is kept', async () => {
    const result = await run(['sh', '-c', 'seq 1 100000'], { timeoutMs, maxOutput: 100 });
    assert.equal(result.stdout.length, 100);
    assert.ok(result.stdout.endsWith('\n99999\n100000\n'));
  });

  test('the deadline ends the whole group, also what ignores SIGTERM', async () => {
    const marker = join(scratch, 'child');
    const script = `(trap '' TERM; echo $$ >${marker}; while :; do sleep 0.1; done) & trap '' TERM; wait; sleep 100`;
    const started = performance.now();
    await assert.rejects(
      run(['sh', '-c', script], { timeoutMs: 200 }),
      (error: unknown) => error instanceof NodekilnError && error.code === 'NK_TIMEOUT',
    );
    assert.ok(performance.now() - started < 5000);
    const pid = readFileSync(marker, 'utf8').trim();
    await sleep(100);
    assert.ok(!existsSync(`/proc/${pid}`));
  });

  test('a grandchild that keeps the output open does not outlive the deadline', async () => {
    await assert.rejects(run(['sh', '-c', 'sleep 100 & echo started'], { timeoutMs: 200 }), { code: 'NK_TIMEOUT' });
  });

  test('an interruption ends it', async () => {
    const controller = new AbortController();
    const running = run(['sleep', '100'], { timeoutMs, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(running, { code: 'NK_INTERRUPTED' });
    await assert.rejects(run(['sleep', '100'], { timeoutMs, signal: controller.signal }), { code: 'NK_INTERRUPTED' });
  });

  test('in a root folder programs are looked for there', async () => {
    const inRoot = createLinuxExec(scratch);
    await assert.rejects(inRoot.run(['true'], { timeoutMs }), { code: 'NK_TOOL_MISSING' });
  });
});
