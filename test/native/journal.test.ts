/**
 * One journal, written by Node and by the host program in turn, each killed before and after each of its effects: whoever opens it next
 * finds what stood, and nothing damaged.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { buildNative } from './native.ts';

interface Line {
  readonly found?: number;
  readonly damage?: readonly string[];
  readonly resource?: { readonly entry: { readonly content: { readonly text: string } } };
  readonly begun?: number;
}

const folder = mkdtempSync('/var/tmp/nodekiln-alternating-');
const native = join(folder, 'journal');
const forms = [
  [native],
  [process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'journal.ts')],
];
before(() => buildNative('journal.ts', native));
after(() => rmSync(folder, { recursive: true }));

test('killed at each effect', () => {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  let stood = 0;
  let kills = 0;
  const run = (turn: number, fault: string): boolean => {
    const [program = '', ...args] = forms[turn % forms.length] ?? [];
    const { status, signal, stdout, stderr } = spawnSync(program, [...args, root], {
      encoding: 'utf8',
      env: { ...process.env, NODEKILN_FAULT: fault },
    });
    const about = `${fault}: ${stdout}${stderr}`;
    assert.ok(status === 0 || signal === 'SIGKILL', about);
    const [opened, ...begun] = stdout
      .split('\n')
      .filter(Boolean)
      .map((line): Line => JSON.parse(line));
    if (opened?.found !== undefined) {
      assert.deepEqual(opened.damage, [], about);
      // A commit may stand that its writer did not live to tell of.
      assert.ok(opened.found === stood || opened.found === stood + 1, `${stood} stood; ${about}`);
      if (opened.found > 0) assert.equal(opened.resource?.entry.content.text, `generation ${opened.found}`, about);
      stood = begun.at(-1)?.begun ?? opened.found;
    }
    kills += status === 0 ? 0 : 1;
    return status !== 0;
  };
  let turn = 0;
  for (let effect = 1, going = true; going; effect += 1)
    for (const when of ['before', 'after']) {
      going = run((turn += 1), `${when}:${effect}`);
      // The other form meets the same point.
      run((turn += 1), `${when}:${effect}`);
    }
  assert.ok(kills >= 40, `only ${kills} were killed`);
  assert.ok(stood >= 10, `only ${stood} generations`);
  const database = new DatabaseSync(join(root, 'var/lib/nodekiln/state.db'));
  assert.equal(database.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
  database.close();
});
