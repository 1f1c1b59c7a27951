/** Every controller has its row in the reference, with tests and faults that are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { controllerNames } from './table.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/reference/controllers.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `'));

it('every controller has a row with tests and faults', () => {
  const named = rows.map((row) => /^\| `([^`]+)`/.exec(row)?.[1]);
  assert.deepEqual(new Set(named), new Set(controllerNames));
  assert.equal(named.length, controllerNames.length);
  for (const row of rows) {
    const [, , , tests = '', faults = ''] = row.split('|');
    assert.match(tests, /test\.ts/);
    assert.match(faults, /`[a-z0-9-]+`/, row);
  }
});

it('every test and every fault of the page is there', () => {
  const quoted = [...page.matchAll(/`([^`\s]+)`/g)].map(([, text = '']) => text);
  const missing = quoted.filter((text) => {
    if (text.endsWith('.ts')) return !existsSync(join(root, text));
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)+$/.test(text) || controllerNames.some((name) => name === text)) return false;
    return !existsSync(join(root, 'test/faults', `${text}.patch`));
  });
  assert.deepEqual(missing, []);
});
