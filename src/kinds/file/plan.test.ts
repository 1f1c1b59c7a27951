import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exampleFacts } from '../../model/facts.ts';
import type { FileResource } from '../../model/resources.ts';
import type { EntryObservation, FileObservation, Step, Touched } from '../../model/steps.ts';
import { file, planned, touchedEntry, unit } from '../../../test/support/planning.ts';
import { absentOn, changesContent, contentOf, folderOf, keepsOriginal, readsOf } from '../planners.ts';
import { filePlanner, placesRead } from './plan.ts';

const owner = { uid: 0, gid: 0 };
const folder = (path: string): FileResource => file(path, { entry: { type: 'directory', mode: '0755', ...owner } });
const link = (path: string, target: string): FileResource => file(path, { entry: { type: 'symlink', target } });
const seen = (entry: EntryObservation): FileObservation => ({ kind: 'file', entry });
const some: EntryObservation = { type: 'file', digest: 'sha256:00', mode: 0o644, ...owner };
const directory: EntryObservation = { type: 'directory', mode: 0o755, ...owner };

test('nothing is at a path where nobody has set anything up', () => {
  assert.deepEqual(absentOn(file('/etc/a'), exampleFacts), seen({ type: 'absent' }));
});

describe('a file', () => {
  test('is written where it is missing', () => {
    const [step, ...others] = planned({ desired: [file('/etc/a')] }).steps;
    assert.deepEqual(others, []);
    assert.equal(step?.id, 'write file:/etc/a');
    assert.equal(step.action.do === 'write' && step.action.path, '/etc/a');
    assert.deepEqual([step.writes, step.reads, step.needs], [['/etc/a'], [], []]);
  });

  const kept: readonly [string, EntryObservation, Partial<Touched> | undefined, FileResource, boolean][] = [
    ['of somebody else is kept', some, undefined, file('/etc/a'), true],
    ['of somebody else is kept where a link takes its place', some, undefined, link('/etc/a', 'b'), true],
    ['is not kept where a folder takes its place', some, undefined, folder('/etc/a'), false],
    ['that is a link is not kept', { type: 'symlink', target: 'b' }, undefined, file('/etc/a'), false],
    ['of ours is not kept', some, {}, file('/etc/a'), false],
    ['of ours is not kept when it was not finished', some, { done: false }, file('/etc/a'), false],
    ['whose original was kept is not kept again', some, { original: true }, file('/etc/a'), false],
    ['whose original was about to be kept is kept', some, { original: true, done: false }, file('/etc/a'), true],
  ];
  for (const [what, entry, about, desired, keepOriginal] of kept)
    test(`${what} before ours is written`, () => {
      const touched = about === undefined ? [] : [touchedEntry(file('/etc/a'), about)];
      const { steps } = planned({ desired: [desired], touched, observed: { [desired.id]: seen(entry) } });
      assert.equal(steps[0]?.action.do === 'write' && steps[0].action.keepOriginal, keepOriginal);
    });

  test('that is a file may be somebody else’s; no other entry is kept', () => {
    assert.equal(keepsOriginal(seen(some)), true);
    for (const entry of [directory, { type: 'absent' }, { type: 'symlink', target: 'x' }] as const)
      assert.equal(keepsOriginal(seen(entry)), false, entry.type);
  });

  test('is noticed by its content, a link by its target, a folder by being there', () => {
    assert.notDeepEqual(contentOf(file('/etc/a', { text: 'a' })), contentOf(file('/etc/a', { text: 'b' })));
    assert.notDeepEqual(contentOf(link('/etc/a', 'a')), contentOf(link('/etc/a', 'b')));
    assert.equal(contentOf(folder('/etc/a')), contentOf(folder('/etc/b')));
    assert.equal(typeof contentOf(folder('/etc/a')), 'string');
    assert.equal(changesContent('file:/etc/a', { facets: ['attributes'], details: [] }), false);
    assert.equal(changesContent('file:/etc/a', { facets: ['attributes', 'content'], details: [] }), true);
    assert.deepEqual(readsOf(file('/etc/a')), []);
  });

  test('lies in a folder, and only a folder is one', () => {
    assert.equal(folderOf(folder('/etc/a')), '/etc/a');
    assert.equal(folderOf(link('/etc/a', 'b')), undefined);
    assert.equal(folderOf(file('/etc/a')), undefined);
  });
});

describe('a file that nobody asks for any more', () => {
  const rows: readonly [string, EntryObservation, boolean, Step['action'] | undefined, string[]][] = [
    ['is removed', some, false, { do: 'remove', paths: ['/etc/a'], restoreOriginal: false }, ['/etc/a']],
    ['makes way for its original', some, true, { do: 'remove', paths: ['/etc/a'], restoreOriginal: true }, ['/etc/a']],
    [
      'makes way for its original also when it is gone',
      { type: 'absent' },
      true,
      { do: 'remove', paths: ['/etc/a'], restoreOriginal: true },
      ['/etc/a'],
    ],
    ['and is gone is forgotten', { type: 'absent' }, false, { do: 'release' }, []],
  ];
  for (const [what, entry, original, action, writes] of rows)
    test(what, () => {
      const gone = file('/etc/a');
      const touched = [touchedEntry(gone, { original })];
      const [step, ...others] = planned({ desired: [], touched, observed: { [gone.id]: seen(entry) } }).steps;
      assert.deepEqual([others, step?.action, step?.writes], [[], action, writes]);
      assert.equal(step?.id, `${action?.do} file:/etc/a`);
    });

  const inTheWay: readonly [string, EntryObservation, boolean, boolean][] = [
    ['is removed before what comes below it', some, false, true],
    ['is removed before what comes below it, a link too', { type: 'symlink', target: 'x' }, false, true],
    ['is in nobody’s way when it is a folder', directory, false, false],
    ['is in nobody’s way when it is gone', { type: 'absent' }, false, false],
    ['brings its original back before something comes below it', { type: 'absent' }, true, true],
  ];
  for (const [what, entry, original, waits] of inTheWay)
    test(what, () => {
      const gone = link('/etc/a', 'x');
      const { steps } = planned({
        desired: [file('/etc/a/b'), file('/etc/ab')],
        touched: [touchedEntry(gone, { original })],
        observed: { [gone.id]: seen(entry) },
      });
      const after = (id: string): readonly string[] | undefined => steps.find((step) => step.id === id)?.after;
      assert.deepEqual(after('write file:/etc/a/b'), waits ? ['remove file:/etc/a'] : []);
      assert.deepEqual(after('write file:/etc/ab'), []);
    });

  test('is in the way of what is written alone', () => {
    const gone = file('/etc/systemd');
    const { steps } = planned({
      desired: [unit('a.service')],
      touched: [touchedEntry(gone)],
      observed: { [gone.id]: seen(some) },
    });
    const waiting = steps.filter(({ after }) => after.includes('remove file:/etc/systemd'));
    assert.deepEqual(
      waiting.map(({ id }) => id),
      ['write unit:a.service /etc/systemd/system/a.service'],
    );
  });
});

test('a file that is still asked for is in nobody’s way', () => {
  const desired = [link('/etc/a', 'new'), file('/etc/a/b')];
  const observed = { 'file:/etc/a': seen({ type: 'symlink', target: 'old' }) };
  const { steps } = planned({ desired, observed, touched: [touchedEntry(link('/etc/a', 'old'))] });
  assert.deepEqual(steps.find(({ id }) => id === 'write file:/etc/a/b')?.after, ['write file:/etc/a']);
});

test('what is in nobody’s way leaves every step the very same', () => {
  const { steps, changes } = planned({ desired: [file('/etc/a'), file('/etc/b')] });
  const own = changes.flatMap((change) =>
    change.observed.kind === 'file' ? [{ ...change, desired: undefined, observed: change.observed }] : [],
  );
  const together = (about: typeof own): readonly Step[] =>
    filePlanner.together?.({ steps, changes: about, towardsGoal: false, definesUnits: () => false }) ?? [];
  assert.equal(together(own), steps, 'what is not there');
  const [aside] = own.map((change) => ({ ...change, id: 'file:/srv/x' as const, observed: seen(some) }));
  assert.ok(aside);
  for (const [index, step] of together([aside]).entries()) assert.equal(step, steps[index]);
});

test('what lies in folders that are named is read, and files that were named until now, each once', () => {
  const context = { folderOf: (id: string) => (id.endsWith('.d') ? id.slice('file:'.length) : undefined) };
  const now = ['file:/etc/a.d', 'file:/etc/now', 'unit:x.service'] as const;
  const before = ['file:/etc/now', 'file:/etc/a.d', 'file:/etc/then', 'file:/etc/then', 'unit:y.service'] as const;
  assert.deepEqual(placesRead({ now, before, context }), ['/etc/a.d', '/etc/then']);
  assert.deepEqual(placesRead({ now: [], before: ['file:/etc/a.d'], context }), ['/etc/a.d']);
});
