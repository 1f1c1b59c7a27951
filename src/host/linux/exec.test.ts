import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLinuxExec } from './exec.ts';
import { createRootExec } from './root-exec.ts';

const exec = createLinuxExec();
const run: typeof exec.run = (argv, options) => exec.run(argv, options);
const timeoutMs = 10_000;

/** The text of a file that somebody is about to put there. */
async function appearing(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
    await sleep(10);
  }
}

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
    const little = await run(['sh', '-c', 'seq 1 40'], { timeoutMs, maxOutput: 100 });
    assert.equal(little.stdout.length, 100);
  });

  /**
   * A child of the program: says its own process (`$$` of a subshell would be its parent's), ignores SIGTERM, and notes
   * that it was left alone when it comes to its end.
   */
  const child = (marker: string): string =>
    `sh -c 'trap "" TERM; echo $$ >${marker}.new; mv ${marker}.new ${marker}; for i in 1 2 3 4 5; do sleep 1; done; echo >${marker}.survived'`;

  /** Resolves when it has ended, whoever ended it. An orphan that nobody has reaped yet does nothing any more. */
  const hasEnded = async (marker: string): Promise<void> => {
    const status = `/proc/${(await appearing(marker)).trim()}/status`;
    while (/^State:\s+[^Z]/m.test(await readFile(status, 'utf8').catch(() => ''))) await sleep(20);
  };

  const cases = [
    { name: 'also what ignores SIGTERM', script: (run: string) => `${run} & trap '' TERM; wait; sleep 100` },
    { name: 'also what only keeps the output open', script: (run: string) => `${run} & echo started` },
  ];
  for (const [index, { name, script }] of cases.entries()) {
    test(`the deadline ends the whole group, ${name}`, { timeout: 60_000 }, async () => {
      const marker = join(scratch, `child-${index}`);
      const ended = assert.rejects(run(['sh', '-c', script(child(marker))], { timeoutMs: 1000 }), {
        code: 'NK_TIMEOUT',
      });
      await hasEnded(marker);
      await ended;
      assert.ok(!existsSync(`${marker}.survived`), 'it was left to run to its end');
    });
  }

  test('an interruption ends it', async () => {
    const controller = new AbortController();
    const running = run(['sleep', '100'], { timeoutMs, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(running, { code: 'NK_INTERRUPTED' });
    await assert.rejects(run(['sleep', '100'], { timeoutMs, signal: controller.signal }), { code: 'NK_INTERRUPTED' });
  });

  test('in a root folder programs are looked for there', async () => {
    const inRoot = createRootExec(scratch);
    await assert.rejects(inRoot.run(['true'], { timeoutMs }), { code: 'NK_TOOL_MISSING' });
    await assert.rejects(inRoot.run(['true'], { timeoutMs, lowPriority: true }), { code: 'NK_TOOL_MISSING' });
  });

  test('low priority is the kernel’s, for the program and for what it starts', async () => {
    // The 19th field of the line is the nice value: proc_pid_stat(5). The name, which may hold spaces, comes before.
    const script = `look() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f17; ionice -p "$1"; }; look $$; sh -c "$0" & wait $!`;
    const child = `look() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f17; ionice -p "$1"; }; look $$`;
    const seen = async (lowPriority: boolean): Promise<string[]> =>
      (await run(['sh', '-c', script, child], { timeoutMs, lowPriority })).stdout.trim().split('\n');
    const low = ['10', 'best-effort: prio 7'];
    assert.deepEqual(await seen(true), [...low, ...low]);
    const [usual] = await seen(false);
    assert.equal(usual, String(getPriority()));
  });

  test('a program of low priority has its status, its output and its end as any other', async () => {
    const result = await run(['sh', '-c', 'echo out; exit 127'], { timeoutMs, lowPriority: true });
    assert.deepEqual([result.status, result.stdout], [127, 'out\n']);
    await assert.rejects(run(['sleep', '100'], { timeoutMs: 100, lowPriority: true }), {
      code: 'NK_TIMEOUT',
      message: /^sleep did not end/,
    });
  });
});
