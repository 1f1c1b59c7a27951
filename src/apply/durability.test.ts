/** The journal comes first: its generation file and its commit are on the disk before anything of the plan is begun. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { assertDurable, callIndex, recordDisk, type RecordingDisk } from '../../test/support/recording-disk.ts';
import { createLinuxFiles } from '../host/linux/files.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Database, Host } from '../host/port.ts';
import type { FileResource } from '../model/resources.ts';
import { openJournal } from './journal.ts';
import { carryOut, prepare } from './reconcile.ts';

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

describe('intents', () => {
  let root = '';
  let host: Host;
  let recorded: RecordingDisk;
  let databases: Database[];

  beforeEach(() => {
    root = mkdtempSync('/var/tmp/nodekiln-intents-');
    mkdirSync(join(root, 'etc'));
    recorded = recordDisk();
    databases = [];
    const linux = createLinuxHost({ root });
    const open: Host['databases']['open'] = async (path, options) => {
      const database = await linux.databases.open(path, options);
      databases.push(database);
      return {
        ...database,
        transaction: (work) => {
          const result = database.transaction(work);
          recorded.note('commit', path);
          return result;
        },
      };
    };
    host = { ...linux, files: createLinuxFiles(root, recorded.disk), databases: { ...linux.databases, open } };
  });
  afterEach(async () => {
    await host.close();
    rmSync(root, { recursive: true, force: true });
  });

  test('are on the disk before the first effect, and each commit is', async () => {
    const resource: FileResource = {
      kind: 'file',
      id: 'file:/etc/a',
      scope: 'node',
      deferrable: false,
      importance: 'required',
      needs: [],
      path: '/etc/a',
      entry: { type: 'file', content: { text: 'x' }, mode: '0644', ...owner },
    };
    const journal = await openJournal(host);
    const desired = { resources: new Map([[resource.id, resource]]), goal: undefined, warnings: [] };
    const prepared = await prepare({ host, journal, source: 'boot', desired });
    recorded.calls.length = 0;
    assert.equal((await carryOut(prepared, { artifactBase: '/' })).outcome, 'converged');
    const { calls } = recorded;

    const generation = join(root, 'var/lib/nodekiln/generations/1.json');
    assertDurable(calls, generation);
    const commit = calls.findIndex(({ call }) => call === 'commit');
    assert.ok(callIndex(calls, 'rename', generation) < commit, 'a generation is whole before it is begun');
    assert.ok(callIndex(calls, 'sync', join(generation, '..')) < commit);
    const effects = calls.flatMap(({ path }, index) => (path.startsWith(join(root, 'etc')) ? [index] : []));
    assert.ok(effects.length > 0 && effects.every((index) => index > commit), 'an effect precedes the intents');

    // 2 is FULL: WAL is synced with every commit. https://sqlite.org/pragma.html#pragma_synchronous
    const [database] = databases;
    assert.equal(database?.prepare('PRAGMA synchronous').get()?.['synchronous'], 2);
    assert.equal(database.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
    journal.close();
  });
});
