/** Owner and mode of our own state, on a real disk. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { snapshotTree } from '../../test/lab/tree.ts';
import { exitStatus, NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import { lookAtJournal } from './journal.ts';
import { withHostState } from './run.ts';

const stranger = 65_534;

describe('our own state', { skip: process.getuid?.() === 0 ? false : 'only root gives files away' }, () => {
  let scratch = '';
  let root = '';
  let host: Host;
  before(() => (scratch = mkdtempSync('/var/tmp/nodekiln-own-state-')));
  after(() => rmSync(scratch, { recursive: true, force: true }));
  beforeEach(async () => {
    root = mkdtempSync(join(scratch, 'root-'));
    host = createLinuxHost({ root });
    await work();
    for (const path of [
      'run/nodekiln/agent.json',
      'opt/nodekiln/cache/index.json',
      'var/lib/nodekiln/originals/a',
      'var/lib/nodekiln/boot/result.json',
    ]) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), '{}', { mode: 0o600 });
    }
    writeFileSync(join(root, 'var/lib/nodekiln/generations/1.json'), '{}', { mode: 0o600 });
    await host.close();
    // Another process.
    host = createLinuxHost({ root });
  });

  const work = (): Promise<void> =>
    withHostState(host, { waitMs: 0 }, ({ journal }) => Promise.resolve(journal.flush()));
  const modeOf = (path: string): string => (statSync(join(root, path)).mode & 0o7777).toString(8);

  const state = 'var/lib/nodekiln';
  const loose: readonly (readonly [path: string, mode: number, right: string])[] = [
    [state, 0o777, '700'],
    [state, 0o755, '700'],
    [state, 0o1777, '700'],
    [`${state}/state.db`, 0o666, '600'],
    [`${state}/lock.db`, 0o664, '600'],
    [`${state}/lock.pid`, 0o666, '600'],
    [`${state}/generations`, 0o777, '700'],
    [`${state}/generations/1.json`, 0o644, '600'],
    [`${state}/originals/a`, 0o644, '600'],
    [`${state}/boot`, 0o777, '755'],
    [`${state}/boot/result.json`, 0o666, '644'],
    ['run/nodekiln', 0o777, '755'],
    ['run/nodekiln/agent.json', 0o620, '600'],
    ['opt/nodekiln/cache', 0o775, '755'],
    ['opt/nodekiln/cache/index.json', 0o646, '644'],
  ];
  for (const [path, mode, right] of loose) {
    test(`${path} with mode ${mode.toString(8)} is put right before it is used, and by nobody who only looks`, async () => {
      chmodSync(join(root, path), mode);
      await lookAtJournal(host).then((journal) => journal?.close());
      assert.equal(modeOf(path), mode.toString(8));
      await work();
      assert.equal(modeOf(path), right);
    });
  }

  const foreign = [state, ...loose.map(([path]) => path), `${state}/agent`, `${state}/generations/link`];
  for (const path of new Set(foreign)) {
    test(`${path} of another user is refused, by who only looks, too`, async () => {
      const whole = join(root, path);
      if (path.endsWith('/agent')) mkdirSync(whole);
      if (path.endsWith('/link')) symlinkSync('/etc/shadow', whole);
      lchownSync(whole, stranger, stranger);
      const before = await snapshotTree(root, ['/']);
      const refused = (thrown: unknown): true => {
        assert.ok(thrown instanceof NodekilnError);
        assert.deepEqual(
          [thrown.code, thrown.exitStatus, thrown.place?.file],
          ['NK_STATE_FOREIGN', exitStatus.state, `/${path}`],
        );
        assert.match(thrown.hint, /chown -h root:root/);
        return true;
      };
      await assert.rejects(work(), refused);
      await assert.rejects(lookAtJournal(host), refused);
      assert.deepEqual(await snapshotTree(root, ['/']), before);
      lchownSync(whole, 0, 0);
      rmSync(join(root, state, 'generations/link'), { force: true });
      await work();
    });
  }

  const named = ['state.db-wal', 'state.db-shm', 'state.db-journal', 'lock.db-journal', 'agent-bootstrap.json'];
  const folders = [state, `${state}/generations`, `${state}/boot`, 'run/nodekiln', 'opt/nodekiln/cache'];
  const looseFiles = new Set(loose.map(([path]) => path).filter((path) => !folders.includes(path)));
  for (const path of [...looseFiles, ...named.map((name) => `${state}/${name}`)]) {
    test(`${path} with another name elsewhere is refused, and that one is left as it is`, async () => {
      const [whole, elsewhere] = [join(root, path), join(scratch, 'elsewhere')];
      rmSync(whole, { force: true });
      writeFileSync(elsewhere, 'of somebody else', { mode: 0o666 });
      chmodSync(elsewhere, 0o666);
      linkSync(elsewhere, whole);
      const before = await snapshotTree(scratch, ['/']);
      await assert.rejects(work(), (thrown: unknown): true => {
        assert.ok(thrown instanceof NodekilnError);
        assert.deepEqual([thrown.code, thrown.place?.file], ['NK_STATE_FOREIGN', `/${path}`]);
        assert.match(thrown.hint, /^Make it a file of its own: `cp -p /);
        return true;
      });
      await lookAtJournal(host).then((journal) => journal?.close());
      assert.deepEqual(await snapshotTree(scratch, ['/']), before);
      copyFileSync(whole, `${whole}.own`);
      renameSync(`${whole}.own`, whole);
      await work();
      assert.equal(readFileSync(elsewhere, 'utf8'), 'of somebody else');
      assert.equal(statSync(elsewhere).mode & 0o777, 0o666);
      rmSync(elsewhere);
    });
  }

  test('what was fetched and is already placed has two names', async () => {
    mkdirSync(join(root, state, 'downloads/parts'), { recursive: true });
    writeFileSync(join(root, state, 'downloads/parts/whole'), 'x');
    linkSync(join(root, state, 'downloads/parts/whole'), join(root, 'placed'));
    await work();
    assert.equal(readFileSync(join(root, 'placed'), 'utf8'), 'x');
  });

  const exposed: readonly (readonly [path: string, mode: number, uid: number])[] = [
    ['var/lib', 0o777, 0],
    ['var/lib', 0o775, 0],
    ['var/lib', 0o755, stranger],
    ['var/lib', 0o1777, stranger],
    ['var', 0o777, 0],
    ['var', 0o700, stranger],
    ['', 0o777, 0],
  ];
  for (const [path, mode, uid] of exposed) {
    test(`in a /${path} with mode ${mode.toString(8)} of user ${uid} others could exchange it: refused`, async () => {
      chownSync(join(root, path), uid, 0);
      chmodSync(join(root, path), mode);
      const before = await snapshotTree(root, ['/']);
      for (const use of [work, () => lookAtJournal(host)])
        await assert.rejects(use(), (thrown: unknown): true => {
          assert.ok(thrown instanceof NodekilnError);
          assert.deepEqual([thrown.code, thrown.place?.file], ['NK_STATE_FOREIGN', `/${path}`]);
          assert.match(thrown.hint, uid === 0 ? /`chmod go-w \// : /`chown 0 \//);
          return true;
        });
      assert.deepEqual(await snapshotTree(root, ['/']), before);
    });
  }

  test('in a folder where everybody makes only files of his own nobody else can exchange it', async () => {
    chmodSync(join(root, 'var/lib'), 0o1777);
    await work();
    assert.equal(modeOf('var/lib'), '1777');
  });

  test('of another group is given to root’s', async () => {
    chownSync(join(root, state, 'state.db'), 0, stranger);
    await work();
    assert.equal(statSync(join(root, state, 'state.db')).gid, 0);
  });

  test('belongs to whoever the whole root folder belongs to', async () => {
    for (const path of ['', state, `${state}/generations`]) chownSync(join(root, path), stranger, stranger);
    await work();
    assert.equal(statSync(join(root, state)).mode & 0o777, 0o700);
  });
});
