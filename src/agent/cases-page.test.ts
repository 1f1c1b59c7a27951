/** Each case of the reference stands, by its number, in the test that it names. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/reference/cases.md'), 'utf8');
const rows = [...page.matchAll(/^\| ([A-X]\d+) \| `([^`]+)` \|/gm)].map(([, id = '', file = '']) => ({ id, file }));

it('each case of the page is in its test', () => {
  assert.ok(rows.length > 100, `${rows.length} cases`);
  assert.deepEqual(
    rows.filter(({ id, file }) => !new RegExp(String.raw`\b${id}\b`).test(readFileSync(join(root, file), 'utf8'))),
    [],
  );
});

it('no case of the page stands there twice', () => {
  const ids = rows.map(({ id }) => id);
  assert.deepEqual(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
  );
});
