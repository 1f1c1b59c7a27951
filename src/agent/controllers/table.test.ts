/** Every controller has its row in the reference, with tests and faults that are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { controllerNames } from './table.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/reference/controllers.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `'));

const cases = readFileSync(join(root, 'docs/reference/cases.md'), 'utf8');
/** Whole sections, and single cases. */
const known = new Set(
  [...cases.matchAll(/^## ([A-Z]):|^\| ([A-Z]\d+(?:, [A-Z]\d+)*) \|/gm)].flatMap(
    ([, section, ids = '']) => section ?? ids.split(', '),
  ),
);

it('every controller has a row with cases, tests and faults', () => {
  const named = rows.map((row) => /^\| `([^`]+)`/.exec(row)?.[1]);
  assert.deepEqual(new Set(named), new Set(controllerNames));
  assert.equal(named.length, controllerNames.length);
  for (const row of rows) {
    const [, , , about = '', tests = '', faults = ''] = row.split('|');
    const unknown =
      about.trim() === 'of nodekiln alone'
        ? []
        : about
            .trim()
            .split(' ')
            .filter((id) => !known.has(id));
    assert.deepEqual(unknown, [], row);
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
