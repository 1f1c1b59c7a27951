/** What survives power loss, by the order in which calls reach the disk: content before its name, and the name's folder after. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  assertDurable,
  assertSyncedAfter,
  callIndex,
  recordDisk,
  type RecordingDisk,
} from '../../test/support/recording-disk.ts';
import { createLinuxFiles } from '../host/linux/files.ts';
import type { Files, FileWrite } from '../host/port.ts';

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const file = (path: string, content: string, mode = 0o644): FileWrite => ({
  type: 'file',
  path,
  content: Buffer.from(content),
  mode,
  ...owner,
});

describe('durable', () => {
  let scratch = '';
  let root = '';
  let recorded: RecordingDisk;
  let files: Files;
  let counter = 0;
  before(() => (scratch = mkdtempSync('/var/tmp/nodekiln-durability-')));
  after(() => rmSync(scratch, { recursive: true, force: true }));
  beforeEach(() => {
    counter += 1;
    root = join(scratch, String(counter));
    mkdirSync(join(root, 'there'), { recursive: true });
    recorded = recordDisk();
    files = createLinuxFiles(root, recorded.disk);
  });
  const at = (path: string): string => join(root, path);

  test('is every file of a batch, with each folder synced once', async () => {
    const paths = Array.from({ length: 150 }, (_, index) => `/there/${index % 3}/f${index}`);
    await files.write(paths.map((path) => file(path, path)));
    const { calls } = recorded;
    for (const path of paths) assertDurable(calls, at(path));
    for (const folder of ['0', '1', '2'])
      assert.equal(calls.filter(({ call, path }) => call === 'sync' && path === at(`/there/${folder}`)).length, 1);
    const lastSync = calls.findLastIndex(({ call, path }) => call === 'sync' && path.includes('nodekiln-tmp'));
    const firstRename = calls.findIndex(({ call, path }) => call === 'rename' && path.includes('/f'));
    assert.ok(lastSync < firstRename, 'nothing of a batch has its name before all of it is on the disk');
  });

  test('is a folder that was made, and every parent made for it', async () => {
    await files.write([{ type: 'directory', path: '/there/a/b/c', mode: 0o700, ...owner }]);
    for (const path of ['/there/a', '/there/a/b', '/there/a/b/c']) {
      const renamed = callIndex(recorded.calls, 'rename', at(path));
      const { from = '' } = recorded.calls[renamed] ?? {};
      const chmod = callIndex(recorded.calls, 'chmod', from);
      assert.ok(chmod >= 0 && chmod < renamed, `${path} has no mode before its name`);
      assertSyncedAfter(recorded.calls, renamed, dirname(at(path)));
    }
  });

  test('is a symlink', async () => {
    symlinkSync('old', at('/there/l'));
    await files.write([{ type: 'symlink', path: '/there/l', target: 'new' }]);
    assertSyncedAfter(recorded.calls, callIndex(recorded.calls, 'rename', at('/there/l')), at('/there'));
  });

  test('are new attributes, and the name of a file that a killed run had put there already', async () => {
    await files.write([file('/there/f', 'x', 0o600)]);
    recorded.calls.length = 0;
    await files.write([file('/there/f', 'x', 0o640)]);
    const changed = callIndex(recorded.calls, 'chmod', at('/there/f'));
    assertSyncedAfter(recorded.calls, changed, at('/there/f'));
    recorded.calls.length = 0;
    assert.deepEqual(await files.write([file('/there/f', 'x', 0o640)]), ['unchanged']);
    assert.deepEqual(recorded.calls, [{ call: 'sync', path: at('/there') }]);
  });

  test('is what is staged, whatever became of it before', async () => {
    const staged = await files.stage('/there/new');
    await staged.append(Buffer.from('ab'));
    await staged.restart();
    await Promise.all(['a', 'b', 'c'].map((part) => staged.append(Buffer.from(part))));
    await staged.publish('f', { mode: 0o755, ...owner });
    assertDurable(recorded.calls, at('/there/new/f'));
    assertSyncedAfter(recorded.calls, callIndex(recorded.calls, 'rename', at('/there/new')), at('/there'));
  });

  for (const [how, mode] of [
    ['shared', 0o755],
    ['copied', 0o700],
  ] as const) {
    test(`is what is placed and ${how}`, async () => {
      writeFileSync(at('/there/cached'), 'tool', { mode: 0o755 });
      await files.place('/there/cached', '/there/bin/tool', { mode, ...owner });
      assertDurable(recorded.calls, at('/there/bin/tool'));
    });
  }

  test('is a move, in both folders', async () => {
    await files.write([file('/there/a/f', 'x')]);
    recorded.calls.length = 0;
    await files.move('/there/a/f', '/there/b/g');
    const renamed = callIndex(recorded.calls, 'rename', at('/there/b/g'));
    for (const folder of ['/there/a', '/there/b']) assertSyncedAfter(recorded.calls, renamed, at(folder));
  });

  test('is every removal, also of what a killed run had removed already', async () => {
    await files.write([file('/there/a/f', 'x'), file('/there/b/g', 'x'), file('/there/c/d/h', 'x')]);
    recorded.calls.length = 0;
    await files.remove(['/there/a/f', '/there/b/g', '/there/c/d', '/there/c/d/h']);
    for (const [call, path] of [
      ['unlink', '/there/a/f'],
      ['unlink', '/there/b/g'],
      ['rmdir', '/there/c/d'],
    ] as const)
      assertSyncedAfter(recorded.calls, callIndex(recorded.calls, call, at(path)), dirname(at(path)));
    recorded.calls.length = 0;
    await files.remove(['/there/a/f']);
    assert.ok(callIndex(recorded.calls, 'sync', at('/there/a')) >= 0);
  });

  test('is the removal of a tree', async () => {
    await files.write([file('/there/tree/a/b', 'x')]);
    recorded.calls.length = 0;
    await files.removeTree('/there/tree');
    assertSyncedAfter(recorded.calls, callIndex(recorded.calls, 'rmdir', at('/there/tree')), at('/there'));
  });
});
