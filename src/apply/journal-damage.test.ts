/** What is damaged in the journal is set aside and named, and only that is rebuilt; nothing of it ends a node's boots. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createEngine } from '../../test/support/engine.ts';
import { file } from '../../test/support/planning.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { inPlaceNote } from '../agent/in-place/due.ts';
import { awaitedPods } from '../agent/static-pods/awaited.ts';
import { turnNote } from '../agent/turn.ts';
import { keptReports, lastReport } from '../telemetry/agent-report.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import type { ContainerImageResource } from '../model/resources.ts';
import { databaseName, stateFolder } from '../model/state-paths.ts';
import { lookAtJournal, openJournal, type Journal } from './journal.ts';

const database = join(stateFolder, databaseName);
const [a, b] = [file('/etc/a', { text: 'a' }), file('/etc/b', { text: 'b' })];

/** A host of files on which two are applied, one of them over somebody else's. */
async function applied(host: Host): Promise<void> {
  await host.files.write([
    { type: 'file', path: '/etc/b', content: Buffer.from('theirs'), mode: 0o600, uid: 0, gid: 0 },
  ]);
  const engine = await createEngine(createMemoryMachine(), host);
  assert.equal((await engine.apply([a, b])).outcome, 'converged');
  engine.journal.setNote('kept', 1);
  engine.journal.setSeal('/etc/a', { size: 1, mtimeNs: '2', inode: '3', digest: 'd' });
  engine.journal.close();
}

describe('a damaged row', () => {
  let root = '';
  let host: Host;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'journal-damage-'));
    host = createLinuxHost({ root });
    await applied(host);
  });
  afterEach(async () => {
    await host.close();
    rmSync(root, { recursive: true });
  });

  const damage = (sql: string): void => {
    const direct = new DatabaseSync(join(root, database));
    direct.exec(sql);
    direct.close();
  };

  const rows: Record<string, { sql: string; named: RegExp; unsure?: string }> = {
    'a definition cut in half': {
      sql: `UPDATE touched SET definitions = '[{"kind":"fi' WHERE id = 'file:/etc/a'`,
      named: /a row of touched cannot be read: file:\/etc\/a/,
      unsure: 'file:/etc/a',
    },
    'a definition of something else': {
      sql: `UPDATE touched SET definitions = '{"x":1}' WHERE id = 'file:/etc/b'`,
      named: /touched cannot be read: file:\/etc\/b/,
      unsure: 'file:/etc/b',
    },
    'a source that there is not': {
      sql: `UPDATE touched SET source = 'nobody' WHERE id = 'file:/etc/a'`,
      named: /touched cannot be read: file:\/etc\/a/,
      unsure: 'file:/etc/a',
    },
    'a definition without what its kind has': {
      sql: `UPDATE touched SET definitions = '[{"kind":"file","id":"file:/etc/a","needs":[]}]' WHERE id = 'file:/etc/a'`,
      named: /touched cannot be read: file:\/etc\/a/,
      unsure: 'file:/etc/a',
    },
    'a definition of a kind that there is not': {
      sql: `UPDATE touched SET definitions = replace(definitions, '"kind":"file"', '"kind":"fil"') WHERE id = 'file:/etc/b'`,
      named: /touched cannot be read: file:\/etc\/b/,
      unsure: 'file:/etc/b',
    },
    'done in a way that there is not': {
      sql: `UPDATE touched SET done = 7 WHERE id = 'file:/etc/a'`,
      named: /touched cannot be read: file:\/etc\/a/,
      unsure: 'file:/etc/a',
    },
    'done beyond all numbers': {
      sql: `UPDATE touched SET done = 9223372036854775807 WHERE id = 'file:/etc/a'`,
      named: /touched cannot be read: file:\/etc\/a/,
      unsure: 'file:/etc/a',
    },
    'an original that is neither there nor not': {
      sql: `UPDATE touched SET original = 9007199254740993 WHERE id = 'file:/etc/b'`,
      named: /touched cannot be read: file:\/etc\/b/,
      unsure: 'file:/etc/b',
    },
    'a claim with a list in place of a map': {
      sql: `UPDATE claims SET resource = json_replace(resource, '$.entry', json('[]')) WHERE id = 'file:/etc/a'`,
      named: /claims cannot be read: file:\/etc\/a/,
    },
    'a claim that is no JSON': {
      sql: `UPDATE claims SET resource = X'00ff' || 'x' WHERE id = 'file:/etc/a'`,
      named: /claims cannot be read: file:\/etc\/a/,
    },
    'a claim under another name': {
      sql: `UPDATE claims SET id = 'file:/etc/z' WHERE id = 'file:/etc/a'`,
      named: /claims cannot be read: file:\/etc\/z/,
    },
    'a claim of nobody': {
      sql: `UPDATE claims SET source = '???' WHERE id = 'file:/etc/b'`,
      named: /claims cannot be read: file:\/etc\/b/,
    },
  };
  for (const [name, { sql, named, unsure }] of Object.entries(rows)) {
    it(`${name}: only it is rebuilt, and the next run is as if nothing had been`, async () => {
      damage(sql);
      const seen = await lookAtJournal(host);
      assert.deepEqual(seen?.claims(), { boot: [a, b] });
      seen?.close();
      const journal = await openJournal(host);
      assert.match(journal.damage.join(), named);
      assert.equal(journal.damage.length, 1);
      assert.deepEqual(journal.claims(), { boot: [a, b] });
      const touched = journal.touched();
      assert.deepEqual([...touched.keys()].sort(), ['file:/etc/a', 'file:/etc/b']);
      for (const [id, entry] of touched) assert.equal(entry.unsure, id === unsure ? true : undefined, id);
      assert.equal(touched.get('file:/etc/b')?.original, true, 'somebody’s file is still known to be kept');
      assert.deepEqual([journal.note('kept'), journal.seal('/etc/a')?.digest], [1, 'd']);
      journal.close();

      const engine = await createEngine(createMemoryMachine(), host);
      assert.match(engine.journal.damage.join(), named, 'it is named to who comes later');
      assert.deepEqual((await engine.apply([a, b])).changes, 0);
      assert.equal((await engine.apply([a])).outcome, 'converged');
      assert.equal(textOf((await host.files.read('/etc/b')) ?? new Uint8Array()), 'theirs');
      assert.equal(engine.journal.touched().get('file:/etc/a')?.done, true);
      assert.equal((await engine.apply([])).outcome, 'converged');
      engine.journal.close();
      const last = await openJournal(host);
      assert.deepEqual(last.damage, [], 'not for ever');
      last.close();
    });
  }

  const single: Record<string, { sql: string; named: RegExp; lost?: 'note' | 'seal' | 'generation' }> = {
    'of a note, cut in half': {
      sql: `UPDATE notes SET value = '{"a":' WHERE key = 'kept'`,
      named: /^a row of notes cannot be read: kept$/,
      lost: 'note',
    },
    'of a note, empty': {
      sql: `UPDATE notes SET value = '' WHERE key = 'kept'`,
      named: /^a row of notes cannot be read: kept$/,
      lost: 'note',
    },
    'of a note, with zeros': {
      sql: `UPDATE notes SET value = CAST(X'310000' AS TEXT) WHERE key = 'kept'`,
      named: /^a row of notes cannot be read: kept$/,
      lost: 'note',
    },
    'of a note that nobody asks for': {
      sql: `INSERT INTO notes VALUES ('none', 'x')`,
      named: /^a row of notes cannot be read: none$/,
    },
    'of a note whose name would end the line': {
      sql: `INSERT INTO notes VALUES ('a' || char(10) || char(27) || 'b', 'x')`,
      named: /^a row of notes cannot be read: a[^\n]*\\u001bb$/,
    },
    'of the note of what was damaged': {
      sql: `INSERT INTO notes VALUES ('damage', '{"what":3}')`,
      named: /^a row of notes cannot be read: damage$/,
    },
    'of a seal, empty': {
      sql: `UPDATE seals SET seal = ''`,
      named: /^a row of seals cannot be read: \/etc\/a$/,
      lost: 'seal',
    },
    'of a seal that is a word': {
      sql: `UPDATE seals SET seal = '"d"'`,
      named: /^a row of seals cannot be read: \/etc\/a$/,
      lost: 'seal',
    },
    'of a generation of nobody': {
      sql: `UPDATE generations SET source = 'x'`,
      named: /^a row of generations cannot be read: 1$/,
      lost: 'generation',
    },
    'of a generation of the year 292 million': {
      sql: `UPDATE generations SET created_ms = 9223372036854775807`,
      named: /^a row of generations cannot be read: 1$/,
      lost: 'generation',
    },
    'of a generation before all time': {
      sql: `UPDATE generations SET created_ms = -9223372036854775808`,
      named: /^a row of generations cannot be read: 1$/,
      lost: 'generation',
    },
    'of a generation with a number beyond numbers': {
      sql: `UPDATE generations SET number = 9223372036854775807`,
      named: /^a row of generations cannot be read: 9223372036854775807$/,
      lost: 'generation',
    },
    'of a generation with a number that is almost one': {
      sql: `UPDATE generations SET number = 9007199254740993`,
      named: /^a row of generations cannot be read: 9007199254740993$/,
      lost: 'generation',
    },
    'of a generation with a number below all': {
      sql: `UPDATE generations SET number = -3`,
      named: /^a row of generations cannot be read: -3$/,
      lost: 'generation',
    },
    'of a generation that is half': {
      sql: `UPDATE generations SET status = 'half'`,
      named: /^a row of generations cannot be read: 1$/,
      lost: 'generation',
    },
  };
  for (const [name, { sql, named, lost }] of Object.entries(single)) {
    it(`${name}: is set aside and named, and costs what was in it`, async () => {
      damage(sql);
      const seen = await lookAtJournal(host);
      assert.equal(seen?.damage.length, 1, 'who looks is told');
      assert.match(seen.damage.join(), named);
      seen.close();
      const journal = await openJournal(host);
      assert.deepEqual(journal.damage, seen.damage);
      assert.deepEqual(
        [journal.note('kept'), journal.seal('/etc/a')?.digest, journal.currentGeneration()?.number],
        [lost === 'note' ? undefined : 1, lost === 'seal' ? undefined : 'd', lost === 'generation' ? undefined : 1],
      );
      journal.setNote('kept', 2);
      journal.close();

      const direct = new DatabaseSync(join(root, database));
      const aside = JSON.parse(
        String(direct.prepare(`SELECT value FROM notes WHERE key = 'damage'`).get()?.['value']),
      ) as { rows: unknown[] };
      direct.close();
      assert.equal(aside.rows.length, 1, 'it can be looked at');

      const engine = await createEngine(createMemoryMachine(), host);
      assert.deepEqual(engine.journal.damage, seen.damage, 'it is named to who comes later, once');
      assert.equal(engine.journal.note('kept'), 2);
      assert.deepEqual(
        [(await engine.apply([a, b])).outcome, engine.journal.currentGeneration()?.status],
        ['converged', 'applied'],
      );
      engine.journal.close();
    });
  }

  it('that comes after another one is named beside it', async () => {
    damage(`UPDATE notes SET value = '{' WHERE key = 'kept'`);
    (await openJournal(host)).close();
    damage(`UPDATE seals SET seal = ''`);
    const journal = await openJournal(host);
    assert.deepEqual(journal.damage, ['a row of notes cannot be read: kept', 'a row of seals cannot be read: /etc/a']);
    journal.close();
  });

  it('of the note of a reload makes systemd read its units once more', async () => {
    damage(`INSERT INTO notes VALUES ('reload owed', 'tru')`);
    const journal = await openJournal(host);
    assert.equal(journal.note('reload owed'), true);
    journal.close();
  });

  const readers: Record<string, { key: string; read: (journal: Journal) => unknown; nothing: unknown }> = {
    'the last report': { key: 'agent', read: lastReport, nothing: undefined },
    reports: { key: 'agent reports', read: keptReports, nothing: [] },
    'the turn': { key: 'agent turn', read: turnNote, nothing: {} },
    pods: { key: 'static pods', read: awaitedPods, nothing: [] },
    'updates in place': { key: 'in-place updates', read: inPlaceNote, nothing: undefined },
    'an artifact': { key: 'artifact binary:a', read: (journal) => journal.artifact('binary:a'), nothing: undefined },
    'a run': { key: 'ran a.service', read: (journal) => journal.lastRun('a.service'), nothing: undefined },
  };
  for (const [name, { key, read, nothing }] of Object.entries(readers)) {
    it(`in a note of something else is as if there were none, and is named: ${name}`, async () => {
      for (const value of ['5', '[{"x":1}]', '{"x":[]}', '"word"', 'true', 'null']) {
        damage(`DELETE FROM notes; INSERT INTO notes VALUES ('${key}', '${value}')`);
        const journal = await openJournal(host);
        const found = read(journal);
        const taken = { 'agent turn': '{"x":[]}', 'ran a.service': '"word"' }[key];
        if (value !== taken) assert.deepEqual(found, nothing, value);
        const isNamed = journal.damage.some((what) => what.endsWith(`a row of notes cannot be read: ${key}`));
        if (value !== 'null' && value !== taken) assert.ok(isNamed, value);
        journal.close();
      }
    });
  }

  it('stays in a journal that a newer nodekiln has written: it may be what we do not know yet', async () => {
    damage(`PRAGMA user_version = 9; UPDATE touched SET source = 'fleet' WHERE id = 'file:/etc/a'`);
    const journal = await openJournal(host);
    assert.deepEqual([[...journal.touched().keys()], journal.damage], [['file:/etc/b'], []]);
    journal.close();
    damage(`UPDATE touched SET source = 'boot' WHERE source = 'fleet'`);
    const again = await openJournal(host);
    assert.equal(again.touched().size, 2);
    again.close();
  });
});

describe('a journal of a newer nodekiln', () => {
  it('has columns that we do not know: they are written around, and keep what is in them', async () => {
    const root = mkdtempSync(join(tmpdir(), 'journal-newer-'));
    const host = createLinuxHost({ root });
    try {
      await applied(host);
      const newer = new DatabaseSync(join(root, database));
      newer.exec('PRAGMA user_version = 9');
      for (const table of ['touched', 'claims', 'generations', 'notes', 'seals'])
        newer.exec(
          `ALTER TABLE ${table} ADD COLUMN later TEXT NOT NULL DEFAULT 'new'; UPDATE ${table} SET later = 'kept'`,
        );
      newer.close();
      const engine = await createEngine(createMemoryMachine(), host);
      assert.equal((await engine.apply([{ ...a, entry: { ...b.entry } }, b])).outcome, 'converged');
      engine.journal.setNote('kept', 3);
      engine.journal.close();
      const after = new DatabaseSync(join(root, database));
      const later = (table: string, key: string): unknown =>
        after.prepare(`SELECT later FROM ${table} WHERE ${key}`).get()?.['later'];
      assert.equal(later('touched', `id = 'file:/etc/a'`), 'kept');
      assert.equal(later('notes', `key = 'kept'`), 'kept');
      assert.equal(later('generations', 'number = 2'), 'new');
      after.close();
    } finally {
      await host.close();
      rmSync(root, { recursive: true });
    }
  });
});

describe('a lost journal', () => {
  const pause: ContainerImageResource = {
    kind: 'image',
    id: 'image:pause',
    scope: 'shared',
    deferrable: false,
    importance: 'required',
    needs: [],
    reference: 'registry.k8s.io/pause:3.10',
    archive: '/build/pause.tar',
  };

  for (const [name, lose] of [
    ['gone', (root: string): void => rmSync(join(root, database))],
    ['garbage', (root: string): void => writeFileSync(join(root, database), 'x'.repeat(5000))],
    ['empty', (root: string): void => writeFileSync(join(root, database), '')],
  ] as const) {
    it(`(${name}) does not make a boot do again what the bake did, and keeps what it brought`, async () => {
      const root = mkdtempSync(join(tmpdir(), 'journal-lost-'));
      const host = createLinuxHost({ root });
      try {
        // As a bake leaves it, and then a boot: the archive was the build machine's.
        const image = file('/etc/of-image', { text: 'baked' });
        const baked = await openJournal(host);
        const claims = { image: [pause, image] };
        const change = {
          type: 'create',
          facets: ['presence'],
          details: [],
          source: 'image',
          touched: undefined,
        } as const;
        await baked.begin({
          source: 'image',
          claims,
          changes: [
            { ...change, id: pause.id, desired: pause, observed: { kind: 'image', present: false } },
            { ...change, id: image.id, desired: image, observed: { kind: 'file', entry: { type: 'absent' } } },
          ],
          starting: [],
          nowMs: 1,
        });
        baked.markDone(pause.id);
        baked.markDone(image.id);
        baked.close();
        await applied(host);
        lose(root);

        const engine = await createEngine(createMemoryMachine(), host);
        assert.equal(engine.journal.damage.length, 1, 'it is said');
        const result = await engine.apply([a, b]);
        assert.deepEqual([result.outcome, result.error?.message], ['converged', undefined]);
        assert.deepEqual(
          result.steps.map(({ resource }) => resource).filter((id) => id === pause.id),
          [],
        );
        assert.equal((await engine.apply([a])).outcome, 'converged');
        assert.equal(
          textOf((await host.files.read('/etc/b')) ?? new Uint8Array()),
          'theirs',
          'the file that was replaced comes back',
        );
        assert.deepEqual(
          engine.journal.claims().image,
          [pause, image].toSorted((x, y) => (x.id < y.id ? -1 : 1)),
        );
        engine.journal.close();
      } finally {
        await host.close();
        rmSync(root, { recursive: true });
      }
    });
  }

  const files: Record<string, string> = {
    empty: '',
    cut: '{"number":1,"sour',
    'a list': '[]',
    'without claims': '{"number":1,"source":"boot","createdMs":1}',
    'with claims that are a list': '{"number":1,"source":"boot","createdMs":1,"claims":{"boot":{"x":1},"image":7}}',
    'with what is no resource':
      '{"number":1,"source":"boot","createdMs":1,"claims":{"boot":[null,{"id":"file:/etc/a"}]}}',
  };
  for (const [name, text] of Object.entries(files)) {
    it(`beside a generation’s file that is damaged (${name}) begins anew`, async () => {
      const root = mkdtempSync(join(tmpdir(), 'journal-generation-'));
      const host = createLinuxHost({ root });
      try {
        await applied(host);
        rmSync(join(root, database));
        writeFileSync(join(root, stateFolder, 'generations/1.json'), text);
        const engine = await createEngine(createMemoryMachine(), host);
        assert.equal((await engine.apply([a, b])).outcome, 'converged');
        engine.journal.close();
      } finally {
        await host.close();
        rmSync(root, { recursive: true });
      }
    });
  }

  it('that is looked at stays as it is, and its time too', async () => {
    const root = mkdtempSync(join(tmpdir(), 'journal-look-'));
    const host = createLinuxHost({ root });
    try {
      await applied(host);
      const entries = (): string[] =>
        readdirSync(join(root, stateFolder)).map(
          (name) => `${name} ${statSync(join(root, stateFolder, name)).mtimeMs}`,
        );
      for (const text of [undefined, 'x'.repeat(5000), '']) {
        if (text !== undefined) writeFileSync(join(root, database), text);
        const before = entries();
        const journal = await lookAtJournal(host);
        assert.equal(journal?.touched().size, 2, text);
        journal?.setNote('looked', 1);
        journal?.flush();
        journal?.close();
        assert.deepEqual(entries(), before);
      }
    } finally {
      await host.close();
      rmSync(root, { recursive: true });
    }
  });
});
