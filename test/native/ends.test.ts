/** How the host program ends: with what is said of it, at a limit, by a signal; and what it leaves behind. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { buildNative } from './native.ts';

const defect = 70;
const source = readFileSync(new URL('ends.ts', import.meta.url), 'utf8').split('\n');
const lineOf = (text: string): number => source.findIndex((line) => line.includes(text)) + 1;

describe('the host program ends', () => {
  const folder = mkdtempSync('/var/tmp/nodekiln-native-');
  const program = join(folder, 'ends');
  before(() => buildNative('ends.ts', program));
  after(() => rmSync(folder, { recursive: true }));

  const end = (...args: readonly string[]) => spawnSync(program, args, { encoding: 'utf8', timeout: 30_000 });
  const thrownAt = lineOf("throw new TypeError('a defect')");
  const ways: readonly (readonly [way: string, status: number, stdout: RegExp, stderr: RegExp])[] = [
    ['idle', 3, /^a last word\n$/, /^$/],
    ['idle-unheard', defect, /^$/, /nothing is left to wait for/],
    ['thrown', defect, /^$/, new RegExp(`TypeError: a defect\\n.*test/native/ends\\.ts:${thrownAt}:`)],
    ['rejected', defect, /^$/, new RegExp(`TypeError: a defect\\n.*ends\\.ts:${lineOf('rejected:')}:`)],
    ['timer', defect, /^$/, new RegExp(`TypeError: a defect\\n.*ends\\.ts:${lineOf('timer:') + 2}:`)],
    ['memory', defect, /^$/, new RegExp(`out of memory\\n(?:.*\\n)*.*ends\\.ts:${lineOf('for (;;) all.push')}:`)],
    ['memory-caught', 0, /out of memory/, /^$/],
    ['levels', 0, /^(?:Internal|Syntax|Range)Error\n$/, /^$/],
  ];
  for (const [way, status, stdout, stderr] of ways)
    test(way, () => {
      const ended = end(way);
      assert.match(ended.stderr, stderr);
      assert.match(ended.stdout, stdout);
      assert.equal(ended.status, status);
    });

  test('out of memory in a transaction, which is as if it had never begun', () => {
    const file = join(folder, 'journal');
    assert.equal(end('memory-in-transaction', file).status, defect);
    const database = new DatabaseSync(file);
    assert.deepEqual({ ...database.prepare('select count(*) as rows from t').get() }, { rows: 1 });
    assert.deepEqual({ ...database.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' });
    database.close();
  });

  test('by a signal while it waits for a program', async () => {
    const child = spawn(program, ['signal'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (said === '') child.kill('SIGTERM');
      said += text;
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.deepEqual([said, status], ['waits\nSIGTERM\n', 5]);
  });

  test('with no descriptor more than it began with, whatever was refused or broken off', () => {
    const [opened, left] = end('descriptors').stdout.trim().split(' ').map(Number);
    assert.ok(opened !== undefined && left !== undefined && left <= opened + 2, `${opened} before, ${left} after`);
  });
});
