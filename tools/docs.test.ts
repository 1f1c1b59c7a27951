import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { errors, exitStatus } from '../src/errors.ts';
import { referencePages, reserved } from './docs.ts';

const root = join(import.meta.dirname, '..');

async function sources(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const file of glob('src/**/*.ts', { cwd: root })) {
    if (file.endsWith('.test.ts') || file === 'src/errors.ts') continue;
    found.set(file, await readFile(join(root, file), 'utf8'));
  }
  return found;
}

describe('docs/reference', () => {
  it('is what the sources make (run ./dev docs)', async () => {
    for (const [name, text] of await referencePages()) {
      const committed = await readFile(join(root, 'docs', 'reference', name), 'utf8').catch(() => '');
      assert.equal(committed, text, `docs/reference/${name} is out of date: run ./dev docs`);
    }
  });

  it('lists every error once', async () => {
    const page = (await referencePages()).get('errors.md') ?? '';
    const listed = [...page.matchAll(/^\| `(NK_[A-Z_]+)` /gm)].map((match) => match[1]);
    assert.deepEqual(listed, Object.keys(errors));
  });
});

describe('the error table', () => {
  it('has few classes, all below 80, each with its own status', () => {
    const statuses = Object.values(exitStatus);
    assert.ok(statuses.length <= 20);
    assert.ok(statuses.every((status) => status > 0 && status < 80));
    // What systemd shows by another name: NOTIMPLEMENTED, NOPERMISSION; and sysexits(3) in its own meaning.
    const { usage, document, internal, ...ours } = exitStatus;
    assert.deepEqual([usage, document, internal], [64, 65, 70], 'EX_USAGE, EX_DATAERR, EX_SOFTWARE');
    assert.ok(Object.values(ours).every((status) => status >= 8 && status <= 63));
    assert.equal(new Set(statuses).size, statuses.length);
  });

  it('has a row for every code in the sources, and a use for every row', async () => {
    const used = new Set<string>();
    for (const [file, text] of await sources()) {
      for (const [code] of text.matchAll(/\bNK_[A-Z][A-Z_]*[A-Z]\b/g)) {
        // A comment may speak of a family: NK_DOCUMENT_*.
        if (text.includes(`${code}_*`)) continue;
        assert.ok(Object.hasOwn(errors, code), `${file} speaks of ${code}, which is not in the table`);
      }
      for (const [, code] of text.matchAll(/['"](NK_[A-Z_]+)['"]/g)) if (code !== undefined) used.add(code);
    }
    // Beside the table: what is made of the errors of others.
    const table = await readFile(join(root, 'src/errors.ts'), 'utf8');
    for (const [, code] of table.matchAll(/new NodekilnError\('(NK_[A-Z_]+)'/g)) if (code !== undefined) used.add(code);
    const unused = Object.keys(errors).filter((code) => !used.has(code) && !reserved.has(code));
    assert.deepEqual(unused, [], 'rows that nothing throws');
    assert.deepEqual(
      [...reserved].filter((code) => used.has(code)),
      [],
      'no longer only reserved',
    );
  });

  it('says what each code means and what to do, in whole sentences', () => {
    for (const [code, { meaning, hint }] of Object.entries(errors)) {
      assert.match(meaning, /^\S.*\S\.$/, code);
      assert.match(hint, /^\S.*\S\.$/, code);
    }
  });
});
