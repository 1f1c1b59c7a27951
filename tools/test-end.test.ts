import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const hanging = `
import { test } from 'node:test';
test('hangs', { timeout: 100 }, async () => {
  setInterval(() => undefined, 1000);
  await new Promise(() => undefined);
});
test('goes on', () => undefined);
`;

test('a test file that hangs ends, and says what it left open', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodekiln-test-end-'));
  try {
    writeFileSync(join(folder, 'hanging.test.mjs'), hanging);
    const { status, stdout } = spawnSync(
      process.execPath,
      [
        `--import=${join(import.meta.dirname, 'test-end.ts')}`,
        '--test',
        '--test-reporter=spec',
        join(folder, 'hanging.test.mjs'),
      ],
      // A runner of its own, not a file of the one around us.
      {
        encoding: 'utf8',
        timeout: 60_000,
        env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODEKILN_TEST_END_MS: '500' },
      },
    );
    assert.equal(status, 1);
    assert.match(stdout, /hanging\.test\.mjs: its tests have ended and left open: .*Timeout/);
    assert.match(stdout, /✔ goes on/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
