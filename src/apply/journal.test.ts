import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileResource } from '../model/resources.ts';
import { NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import type { Change } from '../model/steps.ts';
import {
  keepJournal,
  lookAtJournal,
  openExistingJournal,
  openJournal,
  type Intent,
  type Journal,
  type KeptJournal,
} from './journal.ts';
import { generationsFolder, stateFolder } from '../model/state-paths.ts';

let root = '';
let host: Host;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'journal-'));
  host = createLinuxHost({ root });
});
afterEach(async () => {
  await host.close();
  rmSync(root, { recursive: true });
});

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

function replaceBy(path: string, make: () => void): void {
  rmSync(path);
  make();
}

describe('journal', () => {
  test('intents survive a process that dies before its first effect', async () => {
    const journal = await openJournal(host);
    assert.equal(await journal.begin(intent([file('/etc/a')])), 1);
    // No close: what is durable is what a killed process leaves.
    const after = await openJournal(host);
    const touched = after.touched().get('file:/etc/a');
    assert.equal(touched?.done, false);
    assert.deepEqual(touched?.definitions, [file('/etc/a')]);
    assert.deepEqual(after.claims(), { boot: [file('/etc/a')] });
    assert.equal(after.currentGeneration()?.status, 'pending');
    after.close();
    journal.close();
  });

  describe('the draft of a generation', () => {
    const generations = (): string[] => readdirSync(join(root, generationsFolder));
    const drafted = intent([file('/etc/a')]);

    test('is the file that begins, and nothing is recorded before', async () => {
      const journal = await openJournal(host);
      await journal.draft(drafted);
      assert.equal(journal.currentGeneration(), undefined);
      assert.deepEqual(journal.claims(), {});
      assert.equal(await journal.begin({ ...drafted, nowMs: 2 }), 1);
      assert.deepEqual([generations().length, journal.currentGeneration()?.createdMs], [1, 1]);
      assert.deepEqual(await journal.claimsOf(1), drafted.claims);
      journal.close();
    });

    test('of something else is not what begins', async () => {
      const journal = await openJournal(host);
      await journal.draft(intent([file('/etc/other')]));
      assert.equal(await journal.begin(drafted), 1);
      assert.deepEqual([generations().length, await journal.claimsOf(1)], [1, drafted.claims]);
      journal.close();
    });

    test('goes when nothing begins', async () => {
      const journal = await openJournal(host);
      await journal.draft(drafted);
      await journal.dropDraft();
      assert.deepEqual([generations(), journal.currentGeneration()], [[], undefined]);
      assert.equal(await journal.begin(drafted), 1);
      journal.close();
    });

    test('that cannot be written fails what begins, not the drafting', async () => {
      let isFull = false;
      const files: Host['files'] = {
        ...host.files,
        write: (writes) =>
          isFull ? Promise.reject(new NodekilnError('NK_FILE_WRITE', 'no space')) : host.files.write(writes),
      };
      const journal = await openJournal({ ...host, files });
      isFull = true;
      await journal.draft(drafted);
      await assert.rejects(journal.begin(drafted), { code: 'NK_FILE_WRITE' });
      assert.equal(journal.currentGeneration(), undefined);
      journal.close();
    });

    test('is not made of the present generation', async () => {
      const journal = await openJournal(host);
      await journal.begin(drafted);
      await journal.draft(drafted);
      await journal.dropDraft();
      assert.deepEqual([generations().length, await journal.claimsOf(1)], [1, drafted.claims]);
      journal.close();
    });
  });

  test('a run reads no more rows for the generations that there were', async () => {
    let rows = 0;
    const counted: Host = {
      ...host,
      databases: {
        ...host.databases,
        open: async (path, options) => {
          const database = await host.databases.open(path, options);
          const prepare: typeof database.prepare = (sql) => {
            const statement = database.prepare(sql);
            const all: typeof statement.all = (...values) => {
              const read = statement.all(...values);
              rows += read.length;
              return read;
            };
            return { ...statement, all };
          };
          return { ...database, prepare };
        },
      },
    };
    const read: number[] = [];
    for (const text of ['a', 'b', 'c', 'd']) {
      rows = 0;
      const journal = await openJournal(counted);
      journal.markGeneration(await journal.begin(intent([file('/etc/a', text)])), 'applied');
      await journal.prune();
      journal.close();
      read.push(rows);
    }
    assert.equal(new Set(read.slice(1)).size, 1, `rows: ${read.join(' ')}`);
  });

  test('every definition that may have left traces is kept until one is done', async () => {
    const journal = await openJournal(host);
    await journal.begin(intent([file('/etc/a', 'one')]));
    await journal.begin(intent([file('/etc/a', 'two')]));
    assert.equal(journal.touched().get('file:/etc/a')?.definitions.length, 2);
    journal.markDone('file:/etc/a');
    journal.flush();
    assert.deepEqual(await openAgain(journal, (again) => again.touched().get('file:/etc/a')), {
      id: 'file:/etc/a',
      source: 'boot',
      definitions: [file('/etc/a', 'two')],
      done: true,
      startedWith: undefined,
      original: false,
    });
  });

  test('equal claims make no new generation', async () => {
    const journal = await openJournal(host);
    assert.equal(await journal.begin(intent([file('/etc/a')])), 1);
    assert.equal(await journal.begin(intent([file('/etc/a')])), 1);
    assert.equal(await journal.begin(intent([file('/etc/b')])), 2);
    assert.deepEqual(
      journal.generations().map(({ number, status }) => [number, status]),
      [
        [2, 'pending'],
        [1, 'superseded'],
      ],
    );
    journal.close();
  });

  test('a generation is a whole file that only root can read', async () => {
    const journal = await openJournal(host);
    await journal.begin(intent([file('/etc/a')]));
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
    ['a FIFO', (path: string): void => replaceBy(path, () => execFileSync('mkfifo', [path]))],
    [
      'a folder with something in it',
      (path: string): void => replaceBy(path, () => mkdirSync(join(path, 'x/y'), { recursive: true })),
    ],
    ['a link to a device', (path: string): void => replaceBy(path, () => symlinkSync('/dev/zero', path))],
    ['a link to itself', (path: string): void => replaceBy(path, () => symlinkSync('state.db', path))],
    ['beside a folder for a log', (path: string): void => mkdirSync(`${path}-wal`)],
    ['beside a FIFO for a log', (path: string): void => void execFileSync('mkfifo', [`${path}-wal`])],
    ['beside a FIFO for a journal', (path: string): void => void execFileSync('mkfifo', [`${path}-journal`])],
    ['beside a link for a journal', (path: string): void => symlinkSync('/dev/zero', `${path}-journal`)],
    [
      'endless',
      (path: string): void => {
        writeFileSync(path, '');
        truncateSync(path, 2 ** 40);
      },
    ],
  ] as const) {
    test(`a database that is ${name} is set aside and ownership comes back from the generation files (X5)`, async () => {
      const journal = await openJournal(host);
      await journal.begin(intent([file('/etc/a'), file('/etc/b')]));
      await journal.begin(intent([file('/etc/b', 'later')], { claims: { boot: [file('/etc/b', 'later')] } }));
      journal.close();
      const path = join(root, 'var/lib/nodekiln/state.db');
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
      damage(path);
      const before = readdirSync(join(root, 'var/lib/nodekiln'));
      const looked = await lookAtJournal(host);
      assert.deepEqual(looked?.claims(), { boot: [file('/etc/b', 'later')] });
      assert.equal(looked?.damage.length, 1);
      looked?.close();
      assert.deepEqual(readdirSync(join(root, 'var/lib/nodekiln')), before, 'looking sets nothing aside');
      const again = await openJournal(host);
      assert.match(again.damage.join(), name === 'lost' ? /^state\.db is gone$/ : /^state\.db cannot be read; it lies/);
      assert.deepEqual([...again.touched().keys()].sort(), ['file:/etc/a', 'file:/etc/b']);
      assert.equal(again.touched().get('file:/etc/b')?.definitions.length, 2);
      assert.deepEqual(again.claims(), { boot: [file('/etc/b', 'later')] });
      assert.equal(await again.begin(intent([file('/etc/c')])), 3);
      again.close();
    });
  }

  test('a newer file is opened as it is', async () => {
    (await openJournal(host)).close();
    const path = join(root, 'var/lib/nodekiln/state.db');
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version=99; CREATE TABLE later (x TEXT);');
    newer.close();
    const journal = await openJournal(host);
    await journal.begin(intent([file('/etc/a')]));
    journal.close();
    const kept = new DatabaseSync(path);
    assert.equal(kept.prepare('PRAGMA user_version').get()?.['user_version'], 99);
    kept.close();
  });

  test('a unit about to be started owes a start until it is marked', async () => {
    const journal = await openJournal(host);
    const resource = file('/etc/a');
    await journal.begin(intent([resource], { starting: [resource.id] }));
    assert.equal((await openJournal(host)).touched().get(resource.id)?.startedWith, '');
    journal.markStarted(resource.id, 'sha256:1');
    assert.equal(await openAgain(journal, (again) => again.touched().get(resource.id)?.startedWith), 'sha256:1');
  });

  test('a generation that was written but never begun is no ownership, and its number and file are used again', async () => {
    const journal = await openJournal(host);
    journal.close();
    const folder = join(root, generationsFolder);
    const leftover = { number: 1, source: 'boot', createdMs: 1, claims: { boot: [file('/etc/a')] } };
    writeFileSync(join(folder, '1.json'), JSON.stringify(leftover));
    writeFileSync(join(folder, '2.json.tmp'), '{');
    const again = await openJournal(host);
    assert.equal(again.touched().size, 0);
    assert.equal(await again.begin(intent([file('/etc/b')])), 1);
    assert.deepEqual([...again.touched().keys()], ['file:/etc/b']);
    await again.prune();
    again.close();
    assert.deepEqual(readdirSync(folder), ['1.json']);
    assert.match(readFileSync(join(folder, '1.json'), 'utf8'), /\/etc\/b/);
  });

  test('a rebuild that was cut short is done again', async () => {
    const journal = await openJournal(host);
    await journal.begin(intent([file('/etc/a')]));
    journal.close();
    rmSync(join(root, stateFolder, 'state.db'));
    // What a process leaves that dies between making the database and filling it.
    const empty = new DatabaseSync(join(root, stateFolder, 'state.db'));
    empty.exec('CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT');
    empty.close();
    const again = await openJournal(host);
    assert.deepEqual([...again.touched().keys()], ['file:/etc/a']);
    again.close();
  });

  test('when its transaction fails, nothing of an intent is recorded, neither on disk nor in memory', async () => {
    const machine = createMemoryMachine();
    const journal = await openJournal(machine.open());
    await journal.begin(intent([file('/etc/a', 'one')]));
    journal.markDone('file:/etc/a');
    journal.flush();
    const [touched, claims] = [journal.touched(), journal.claims()];
    const failing = 'commit to /var/lib/nodekiln/state.db';
    machine.breakEffect(failing, new Error('the disk is full'));
    const next = intent([file('/etc/a', 'two'), file('/etc/b')]);
    await assert.rejects(journal.begin(next), /the disk is full/);
    assert.deepEqual([journal.touched(), journal.claims()], [touched, claims]);
    assert.equal(journal.currentGeneration()?.number, 1);
    machine.breakEffect(failing, undefined);
    const again = await openJournal(machine.open());
    assert.deepEqual([again.touched(), again.claims()], [touched, claims]);
    assert.equal(await journal.begin(next), 2);
    assert.equal(journal.touched().get('file:/etc/a')?.definitions.length, 2);
  });

  test('marks whose transaction fails are written with the next', async () => {
    const machine = createMemoryMachine();
    const journal = await openJournal(machine.open());
    await journal.begin(intent([file('/etc/a')]));
    const failing = 'commit to /var/lib/nodekiln/state.db';
    machine.breakEffect(failing, new Error('the disk is full'));
    journal.markDone('file:/etc/a');
    journal.setNote('agent', 1);
    assert.throws(() => journal.flush(), /the disk is full/);
    machine.breakEffect(failing, undefined);
    journal.setNote('agent', 2);
    journal.flush();
    const again = await openJournal(machine.open());
    assert.equal(again.touched().get('file:/etc/a')?.done, true);
    assert.equal(again.note('agent'), 2);
  });

  test('who notes something reads it back before it is written', async () => {
    const journal = await openJournal(createMemoryMachine().open());
    journal.setNote('agent', { a: 1 });
    assert.deepEqual(journal.note('agent'), { a: 1 });
    journal.setNote('agent', { ...(journal.note('agent') as object), b: 2 });
    const seal = { size: 1, mtimeNs: '2', inode: '3', digest: 'd' };
    journal.setSeal('/etc/a', seal);
    assert.deepEqual([journal.note('agent'), journal.seal('/etc/a')], [{ a: 1, b: 2 }, seal]);
    journal.flush();
    assert.deepEqual([journal.note('agent'), journal.seal('/etc/a')], [{ a: 1, b: 2 }, seal]);
  });

  test('what was asked for in a generation can be read as long as its file is there', async () => {
    const journal = await openJournal(host);
    for (let number = 1; number <= 12; number += 1) await journal.begin(intent([file('/etc/a', String(number))]));
    await journal.prune();
    assert.equal(await journal.claimsOf(1), undefined);
    assert.equal(await journal.claimsOf(13), undefined);
    assert.deepEqual(await journal.claimsOf(3), { boot: [file('/etc/a', '3')] });
    assert.deepEqual(await journal.claimsOf(12), journal.claims());
    journal.close();
  });

  test('the last applied generation stays, however old', async () => {
    const journal = await openJournal(host);
    await journal.begin(intent([file('/etc/a', 'good')]));
    journal.markGeneration(1, 'applied');
    for (let number = 2; number <= 14; number += 1) await journal.begin(intent([file('/etc/a', String(number))]));
    journal.flush();
    await journal.prune();
    assert.deepEqual(await journal.claimsOf(1), { boot: [file('/etc/a', 'good')] });
    assert.equal(await journal.claimsOf(2), undefined);
    journal.close();
  });

  test('looking at a machine where nothing ran makes nothing', async () => {
    assert.equal(await openExistingJournal(host), undefined);
    assert.deepEqual(readdirSync(root), []);
  });

  async function openAgain<T>(journal: Journal, look: (again: Journal) => T): Promise<T> {
    journal.close();
    const again = await openJournal(host);
    try {
      return look(again);
    } finally {
      again.close();
    }
  }
});

describe('a journal that is kept', () => {
  let opened = 0;
  let kept: KeptJournal;
  beforeEach(() => {
    opened = 0;
    const open: Host['databases']['open'] = (path, options) => {
      opened += 1;
      return host.databases.open(path, options);
    };
    kept = keepJournal({ ...host, databases: { ...host.databases, open } });
  });
  afterEach(() => kept.close());

  /** One run of whoever keeps it. */
  const note = async (value: string): Promise<unknown> => {
    const journal = await kept.open();
    const before = journal.note('value');
    journal.setNote('value', value);
    journal.close();
    return before;
  };
  /** Of another process. */
  const noteElsewhere = async (value: string): Promise<unknown> => {
    const journal = await openJournal(host);
    const before = journal.note('value');
    journal.setNote('value', value);
    journal.close();
    return before;
  };
  const database = join(stateFolder, 'state.db');

  test('is opened once, and what is written is there for others at once', async () => {
    await note('a');
    assert.equal(await noteElsewhere('b'), 'a');
    assert.equal(await note('c'), 'b');
    assert.equal(await noteElsewhere('d'), 'c');
    assert.equal(await note('e'), 'd');
    assert.equal(opened, 1);
  });

  test('is the one that lies on the disk', async () => {
    await note('a');
    await noteElsewhere('b');
    kept.close();
    const copy = readFileSync(join(root, database));
    await note('c');
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(root, `${database}${suffix}`), { force: true });
    writeFileSync(join(root, database), copy);
    assert.equal(await note('d'), 'b');
    assert.equal(await noteElsewhere('e'), 'd');
    rmSync(join(root, stateFolder), { recursive: true });
    assert.equal(await note('f'), undefined);
    assert.equal(await noteElsewhere('g'), 'f');
  });

  test('is looked through anew when anything failed', async () => {
    await note('a');
    const other = new DatabaseSync(join(root, database));
    other.exec("CREATE TRIGGER refuse BEFORE INSERT ON notes BEGIN SELECT RAISE(ABORT, 'refused'); END");
    await assert.rejects(note('b'), /refused/);
    other.exec('DROP TRIGGER refuse');
    other.close();
    assert.equal(await note('c'), 'a');
    assert.equal(opened, 2);
  });

  test('is closed with whoever kept it', async () => {
    await note('a');
    kept.close();
    assert.deepEqual(
      readdirSync(join(root, stateFolder)).filter((name) => /-(wal|shm)$/.test(name)),
      [],
    );
    assert.equal(await note('b'), 'a');
  });
});
