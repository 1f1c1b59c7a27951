/** Effects of files, folders and links on a machine in memory. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { originalPaths } from '../../host/originals.ts';
import type { FileWrite } from '../../model/files.ts';
import type { FileResource } from '../../model/resources.ts';
import { originalsFolder } from '../../model/state-paths.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';
import { file } from '../../../test/support/planning.ts';
import { isReadBySystemd, performRemove, performWrites } from './apply.ts';
import { textEntry } from './entry.ts';

let engine: Engine;
beforeEach(async () => {
  engine = await createEngine();
});

const stat = (path: string) => engine.machine.files.stat(path);

function owned(path: string, mode: string, id: number): FileResource {
  return file(path, { entry: { type: 'file', content: { text: 'x' }, mode, uid: id, gid: id } });
}

const link = (path: string, target: string): FileResource => file(path, { entry: { type: 'symlink', target } });
const folder = (path: string, mode: string): FileResource =>
  file(path, { entry: { type: 'directory', mode, uid: 0, gid: 0 } });

test('systemd reads what is below its folders of units, where it runs', () => {
  const [live, offline] = [engine.host, { units: { ...engine.host.units, mode: 'offline' as const } }];
  const drop = '/usr/local/lib/systemd/system/a.service.d/10-a.conf';
  assert.deepEqual([isReadBySystemd(live, drop), isReadBySystemd(offline, drop)], [true, false]);
  for (const path of ['/etc/systemd/system', '/etc/systemd/system.conf', '/etc/systemd/network/a.network'])
    assert.ok(!isReadBySystemd(live, path), path);
});

describe('files', () => {
  test('have exactly the content, mode and owner that is asked for', async () => {
    const bytes = file('/etc/bytes', {
      entry: { type: 'file', content: { base64: 'AP8=' }, mode: '04755', uid: 7, gid: 8 },
    });
    await engine.applied([bytes, folder('/etc/folder', '0750'), link('/etc/link', '/etc/bytes')]);
    const { mode, uid, gid } = (await stat('/etc/bytes')) ?? {};
    assert.deepEqual([mode, uid, gid], [0o4755, 7, 8]);
    assert.deepEqual([...((await engine.machine.files.read('/etc/bytes')) ?? [])], [0, 255]);
    assert.equal((await stat('/etc/folder'))?.mode, 0o750);
    assert.equal((await stat('/etc/link'))?.target, '/etc/bytes');
  });

  test('are left alone when they are right, and touched no more than they differ', async () => {
    await engine.applied([owned('/etc/a', '0644', 0)]);
    engine.effects();
    assert.equal((await engine.applied([owned('/etc/a', '0644', 0)])).changes, 0);
    assert.deepEqual(engine.effects(), []);
    await engine.applied([owned('/etc/a', '0600', 0)]);
    assert.deepEqual(engine.effects(), ['attributes /etc/a']);
  });

  test('are put right again when somebody changed them', async () => {
    await engine.applied([file('/etc/a')]);
    await engine.put('/etc/a', 'changed');
    await engine.applied([file('/etc/a')]);
    assert.equal(await engine.text('/etc/a'), 'x');
  });

  test('are not put behind a link that others may have laid; the rest is done, and who drops them is served', async () => {
    await engine.machine.files.write([
      { type: 'directory', path: '/srv/app', mode: 0o755, uid: 12, gid: 12 },
      { type: 'symlink', path: '/srv/app/conf', target: '/etc' },
    ]);
    const { outcome, error, steps } = await engine.apply([file('/srv/app/conf/a'), file('/srv/app/b'), file('/etc/c')]);
    assert.deepEqual([outcome, error?.code], ['failed', 'NK_PATH_UNSAFE']);
    assert.deepEqual(steps.map(({ resource, status }) => `${resource} ${status}`).toSorted(), [
      'file:/etc/c done',
      'file:/srv/app/b done',
      'file:/srv/app/conf/a failed',
    ]);
    assert.equal(await stat('/etc/a'), undefined);
    await engine.put('/etc/a', 'of somebody else');
    await engine.applied([file('/etc/c')]);
    assert.equal(await engine.text('/etc/a'), 'of somebody else');
    assert.equal(await stat('/srv/app/b'), undefined);
  });

  test('never are secret for a moment too late', async () => {
    const secret = file('/etc/token', {
      entry: { type: 'file', content: { text: { sensitive: 'hunter2' } }, mode: '0600', uid: 0, gid: 0 },
    });
    const { steps } = await engine.applied([secret]);
    assert.equal((await stat('/etc/token'))?.mode, 0o600);
    assert.ok(!JSON.stringify(steps).includes('hunter2'));
  });
});

describe('a foreign file that a document replaces', () => {
  test('comes back, with its attributes, when the document drops it', async () => {
    await engine.put('/etc/foreign', 'theirs', 0o640);
    await engine.applied([file('/etc/foreign', { text: 'one' })]);
    const originals = '/var/lib/nodekiln/originals';
    assert.equal((await stat(originals))?.mode, 0o700);
    for (const name of await engine.machine.files.list(originals))
      assert.equal((await stat(`${originals}/${name}`))?.mode, 0o600, 'what was not secret to us may be so to others');
    await engine.applied([file('/etc/foreign', { text: 'two' })]);
    assert.equal(await engine.text('/etc/foreign'), 'two');
    await engine.applied([]);
    assert.deepEqual([await engine.text('/etc/foreign'), (await stat('/etc/foreign'))?.mode], ['theirs', 0o640]);
    assert.deepEqual(await engine.machine.files.list('/var/lib/nodekiln/originals'), []);
  });

  test('is the original also when a run was killed after it had replaced it', async () => {
    await engine.put('/etc/foreign', 'theirs');
    const paths = ['/etc/foreign'];
    for (const content of ['killed', 'again']) {
      const entry = textEntry(content);
      await performWrites(engine.host, [{ do: 'write', path: '/etc/foreign', entry, keepOriginal: true }]);
    }
    assert.equal(await engine.text('/etc/foreign'), 'again');
    await performRemove({ host: engine.host, detail: assert.fail }, { do: 'remove', paths, restoreOriginal: true });
    assert.equal(await engine.text('/etc/foreign'), 'theirs');
  });

  const { about, content } = originalPaths('/etc/foreign');
  const written = (path: string, text: string) => (): Promise<void> => engine.put(path, text);
  const replaced = (path: string, by: FileWrite) => async (): Promise<void> => {
    await engine.machine.files.removeTree(path);
    await engine.machine.files.write([by]);
  };
  const folderAt = (path: string): FileWrite => ({ type: 'directory', path, mode: 0o700, uid: 0, gid: 0 });
  const linkAt = (path: string): FileWrite => ({ type: 'symlink', path, target: '/nowhere' });
  const aside = /^\/etc\/foreign is back for root alone: .*\.json\.damaged does not say whose it was$/;
  const damaged: Readonly<Record<string, { damage: () => Promise<unknown>; told: RegExp; lost?: true }>> = {
    'what is known of it is cut': { damage: written(about, '{"path":"/etc/foreign","mode"'), told: aside },
    'what is known of it is empty': { damage: written(about, ''), told: aside },
    'what is known of it is garbage': { damage: written(about, '\0\0\0\0'), told: aside },
    'what is known of it is a list': { damage: written(about, '[420,0,0]'), told: aside },
    'its mode is a word': { damage: written(about, '{"mode":"x","uid":0,"gid":0}'), told: aside },
    'its mode is none': { damage: written(about, '{"mode":65535,"uid":0,"gid":0}'), told: aside },
    'its owner is nobody': { damage: written(about, '{"mode":420,"uid":4294967295,"gid":0}'), told: aside },
    'its group is missing': { damage: written(about, '{"mode":420,"uid":0}'), told: aside },
    'a folder is where it is described': { damage: replaced(about, folderAt(`${about}/in`)), told: aside },
    'a link to nothing is where it is described': { damage: replaced(about, linkAt(about)), told: aside },
    'its content is gone': {
      damage: () => engine.machine.files.remove([content]),
      told: /^what was at \/etc\/foreign before is lost: .* is gone$/,
      lost: true,
    },
    'a folder is where its content was': {
      damage: replaced(content, folderAt(`${content}/in`)),
      told: /before is lost: .*\.damaged is a directory$/,
      lost: true,
    },
    'a link is where its content was': {
      damage: replaced(content, linkAt(content)),
      told: /before is lost: .*\.damaged is a symlink$/,
      lost: true,
    },
  };
  for (const [name, { damage, told, lost }] of Object.entries(damaged)) {
    test(`${name}: that is told, and only that is lost`, async () => {
      await engine.put('/etc/foreign', 'theirs', 0o644);
      await engine.put('/etc/other', 'theirs, too', 0o640);
      await engine.applied([file('/etc/foreign'), file('/etc/other')]);
      await damage();
      const { steps } = await engine.applied([]);
      const details = steps.flatMap((step) => step.details);
      assert.equal(details.length, 1);
      assert.match(details[0] ?? '', told);
      assert.equal(await engine.text('/etc/foreign'), lost ? undefined : 'theirs');
      if (!lost) assert.equal((await stat('/etc/foreign'))?.mode, 0o600);
      assert.deepEqual([await engine.text('/etc/other'), (await stat('/etc/other'))?.mode], ['theirs, too', 0o640]);
      for (const left of await engine.machine.files.list(originalsFolder)) assert.match(left, /\.damaged$/);
      assert.equal((await engine.applied([file('/etc/foreign')])).changes, 1, 'and it can be replaced again');
    });
  }

  test('comes back also when somebody removed ours meanwhile', async () => {
    await engine.put('/etc/foreign', 'theirs');
    await engine.applied([file('/etc/foreign')]);
    await engine.machine.files.remove(['/etc/foreign']);
    await engine.applied([]);
    assert.equal(await engine.text('/etc/foreign'), 'theirs');
  });

  test('is kept also where a link takes its place', async () => {
    await engine.put('/etc/foreign', 'theirs');
    await engine.applied([link('/etc/foreign', '/elsewhere')]);
    await engine.applied([]);
    assert.equal(await engine.text('/etc/foreign'), 'theirs');
  });

  test('that is as it is asked for is nobody else’s any more, and goes', async () => {
    await engine.put('/etc/same', 'x');
    await engine.applied([file('/etc/same'), file('/etc/other')]);
    await engine.applied([file('/etc/other')]);
    assert.equal(await engine.text('/etc/same'), 'x', 'what we never touched is not ours to remove');
  });
});

describe('what a document drops', () => {
  test('is removed by its own source alone', async () => {
    await engine.applied([file('/etc/baked')], { source: 'image' });
    await engine.applied([file('/etc/booted')], { source: 'boot' });
    await engine.applied([file('/etc/tended')], { source: 'agent' });
    await engine.applied([], { source: 'boot' });
    assert.deepEqual(await Promise.all(['baked', 'booted', 'tended'].map((name) => engine.text(`/etc/${name}`))), [
      'x',
      undefined,
      'x',
    ]);
  });

  test('is removed; a folder only when nothing else is in it', async () => {
    await engine.applied([folder('/etc/mine', '0755'), folder('/etc/shared', '0755'), file('/etc/mine.conf')]);
    await engine.put('/etc/shared/foreign', 'theirs');
    await engine.applied([]);
    assert.deepEqual([await stat('/etc/mine'), await stat('/etc/mine.conf')], [undefined, undefined]);
    assert.equal(await engine.text('/etc/shared/foreign'), 'theirs');
  });

  test('makes room for what comes below it', async () => {
    await engine.applied([file('/etc/a')]);
    await engine.applied([file('/etc/a/b')]);
    assert.equal(await engine.text('/etc/a/b'), 'x');
    await engine.applied([link('/etc/l', '/etc/a')]);
    await engine.applied([file('/etc/l/c')]);
    assert.deepEqual([(await stat('/etc/l'))?.type, await engine.text('/etc/a/c')], ['directory', undefined]);
  });
});
