import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileResource } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import type { Change } from '../model/steps.ts';
import { openExistingJournal, openJournal, type Intent } from './journal.ts';
import { takeHostLock } from './host-lock.ts';
import { generationsFolder, stateFolder } from '../model/state-paths.ts';

let root = '';
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'journal-'))));
afterEach(() => rmSync(root, { recursive: true }));

function file(path: string, text = 'x'): FileResource {
  return {
    kind: 'file',
    id: `file:${path}`,
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    path,
    entry: { type: 'file', content: { text }, mode: '0644', uid: 0, gid: 0 },
  };
}

function change(resource: FileResource, about: Partial<Change> = {}): Change {
  return {
    id: resource.id,
    type: 'create',
    facets: ['presence'],
    details: [],
    source: 'boot',
    desired: resource,
    observed: { kind: 'file', entry: { type: 'absent' } },
    touched: undefined,
    ...about,
  };
}

function intent(resources: readonly FileResource[], about: Partial<Intent> = {}): Intent {
  return {
    source: 'boot',
    claims: { boot: resources },
    changes: resources.map((resource) => change(resource)),
    starting: [],
    nowMs: 1,
    ...about,
  };
}

describe('journal', () => {
  test('intents survive a process that dies before its first effect', () => {
    const journal = openJournal(root);
    assert.equal(journal.begin(intent([file('/etc/a')])), 1);
    // No close: what is durable is what a killed process leaves.
    const after = openJournal(root);
    const touched = after.touched().get('file:/etc/a');
    assert.equal(touched?.done, false);
    assert.deepEqual(touched?.definitions, [file('/etc/a')]);
    assert.deepEqual(after.claims(), { boot: [file('/etc/a')] });
    assert.equal(after.currentGeneration()?.status, 'pending');
    after.close();
    journal.close();
  });

  test('every definition that may have left traces is kept until one is done', () => {
    const journal = openJournal(root);
    journal.begin(intent([file('/etc/a', 'one')]));
    journal.begin(intent([file('/etc/a', 'two')]));
    assert.equal(journal.touched().get('file:/etc/a')?.definitions.length, 2);
    journal.markDone('file:/etc/a');
    journal.flush();
    assert.deepEqual(
      openAgain(journal, (again) => again.touched().get('file:/etc/a')),
      {
        id: 'file:/etc/a',
        source: 'boot',
        definitions: [file('/etc/a', 'two')],
        done: true,
        startedWith: undefined,
        original: false,
      },
    );
  });

  test('equal claims make no new generation', () => {
    const journal = openJournal(root);
    assert.equal(journal.begin(intent([file('/etc/a')])), 1);
    assert.equal(journal.begin(intent([file('/etc/a')])), 1);
    assert.equal(journal.begin(intent([file('/etc/b')])), 2);
    assert.deepEqual(
      journal.generations().map(({ number, status }) => [number, status]),
      [
        [2, 'pending'],
        [1, 'superseded'],
      ],
    );
    journal.close();
  });

  test('a generation is a whole file that only root can read', () => {
    const journal = openJournal(root);
    journal.begin(intent([file('/etc/a')]));
    journal.close();
    const folder = join(root, 'var/lib/nodekiln/generations');
    assert.deepEqual(readdirSync(folder), ['1.json']);
    assert.equal(statSync(join(folder, '1.json')).mode & 0o777, 0o600);
    assert.equal(statSync(join(root, 'var/lib/nodekiln')).mode & 0o777, 0o700);
    assert.equal(statSync(join(root, 'var/lib/nodekiln/state.db')).mode & 0o777, 0o600);
    assert.deepEqual((JSON.parse(readFileSync(join(folder, '1.json'), 'utf8')) as { claims: unknown }).claims, {
      boot: [file('/etc/a')],
    });
  });

  for (const [name, damage] of [
    [
      'overwritten',
      (path: string): void => writeFileSync(path, 'not a database at all, but long enough to be looked at'),
    ],
    ['cut', (path: string): void => writeFileSync(path, readFileSync(path).subarray(0, 5000))],
    ['lost', (path: string): void => rmSync(path)],
  ] as const) {
    test(`a database that is ${name} is set aside and ownership comes back from the generation files`, () => {
      const journal = openJournal(root);
      journal.begin(intent([file('/etc/a'), file('/etc/b')]));
      journal.begin(intent([file('/etc/b', 'later')], { claims: { boot: [file('/etc/b', 'later')] } }));
      journal.close();
      const path = join(root, 'var/lib/nodekiln/state.db');
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
      damage(path);
      const again = openJournal(root);
      assert.deepEqual([...again.touched().keys()].sort(), ['file:/etc/a', 'file:/etc/b']);
      assert.equal(again.touched().get('file:/etc/b')?.definitions.length, 2);
      assert.deepEqual(again.claims(), { boot: [file('/etc/b', 'later')] });
      assert.equal(again.begin(intent([file('/etc/c')])), 3);
      again.close();
    });
  }

  test('a newer file is opened as it is', () => {
    openJournal(root).close();
    const path = join(root, 'var/lib/nodekiln/state.db');
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version=99; CREATE TABLE later (x TEXT);');
    newer.close();
    const journal = openJournal(root);
    journal.begin(intent([file('/etc/a')]));
    journal.close();
    const kept = new DatabaseSync(path);
    assert.equal(kept.prepare('PRAGMA user_version').get()?.['user_version'], 99);
    kept.close();
  });

  test('a unit about to be started owes a start until it is marked', () => {
    const journal = openJournal(root);
    const resource = file('/etc/a');
    journal.begin(intent([resource], { starting: [resource.id] }));
    assert.equal(openJournal(root).touched().get(resource.id)?.startedWith, '');
    journal.markStarted(resource.id, 'sha256:1');
    assert.equal(
      openAgain(journal, (again) => again.touched().get(resource.id)?.startedWith),
      'sha256:1',
    );
  });

  test('a generation that was written but never begun is no ownership, and its number and file are used again', () => {
    const journal = openJournal(root);
    journal.close();
    const folder = join(root, generationsFolder);
    const leftover = { number: 1, source: 'boot', createdMs: 1, claims: { boot: [file('/etc/a')] } };
    writeFileSync(join(folder, '1.json'), JSON.stringify(leftover));
    writeFileSync(join(folder, '2.json.tmp'), '{');
    const again = openJournal(root);
    assert.equal(again.touched().size, 0);
    assert.equal(again.begin(intent([file('/etc/b')])), 1);
    assert.deepEqual([...again.touched().keys()], ['file:/etc/b']);
    again.close();
    assert.deepEqual(readdirSync(folder), ['1.json']);
    assert.match(readFileSync(join(folder, '1.json'), 'utf8'), /\/etc\/b/);
  });

  test('a rebuild that was cut short is done again', () => {
    const journal = openJournal(root);
    journal.begin(intent([file('/etc/a')]));
    journal.close();
    rmSync(join(root, stateFolder, 'state.db'));
    // What a process leaves that dies between making the database and filling it.
    const empty = new DatabaseSync(join(root, stateFolder, 'state.db'));
    empty.exec('CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT');
    empty.close();
    const again = openJournal(root);
    assert.deepEqual([...again.touched().keys()], ['file:/etc/a']);
    again.close();
  });

  test('looking at a machine where nothing ran makes nothing', () => {
    assert.equal(openExistingJournal(root), undefined);
    assert.deepEqual(readdirSync(root), []);
  });

  function openAgain<T>(
    journal: ReturnType<typeof openJournal>,
    look: (again: ReturnType<typeof openJournal>) => T,
  ): T {
    journal.close();
    const again = openJournal(root);
    try {
      return look(again);
    } finally {
      again.close();
    }
  }
});

describe('lock', () => {
  test('a second holder is refused with the process that holds it, and may work once it is released', () => {
    const lock = takeHostLock(root, 0);
    assert.throws(
      () => takeHostLock(root, 0),
      (error) =>
        error instanceof NodekilnError &&
        error.code === 'NK_STATE_LOCKED' &&
        error.message.includes(String(process.pid)),
    );
    lock.release();
    takeHostLock(root, 0).release();
  });
});
