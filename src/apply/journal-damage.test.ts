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
import { createMemoryMachine } from '../host/memory/machine.ts';
import type { Host } from '../host/port.ts';
import { textOf } from '../model/bytes.ts';
import type { ContainerImageResource } from '../model/resources.ts';
import { databaseName, stateFolder } from '../model/state-paths.ts';
import { lookAtJournal, openJournal } from './journal.ts';

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

  it('of a note, a seal or a generation costs what was in it', async () => {
    damage(`UPDATE notes SET value = '{' WHERE key = 'kept'; UPDATE seals SET seal = ''`);
    damage(`UPDATE generations SET status = 'half'`);
    const journal = await openJournal(host);
    assert.deepEqual([journal.note('kept'), journal.seal('/etc/a')], [undefined, undefined]);
    assert.equal(journal.currentGeneration(), undefined);
    journal.setNote('kept', 2);
    journal.close();
    const engine = await createEngine(createMemoryMachine(), host);
    assert.equal(engine.journal.note('kept'), 2);
    assert.deepEqual(
      [(await engine.apply([a, b])).outcome, engine.journal.currentGeneration()?.status],
      ['converged', 'applied'],
    );
    engine.journal.close();
  });

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
