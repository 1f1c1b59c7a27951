import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exposureOf, isFixed, isOthers, type Identity, type Passed } from './trust.ts';

const root: Identity = { uid: 0, gid: 0 };
const user: Identity = { uid: 1000, gid: 1000 };
const inGroup: Identity = { uid: 1000, gid: 100 };

const entry = (uid: number, gid: number, mode: number) => ({ uid, gid, mode });

describe('somebody else can change', () => {
  const cases: readonly (readonly [what: string, who: Identity, found: ReturnType<typeof entry>, others: boolean])[] = [
    ['root’s, for root', root, entry(0, 0, 0o644), false],
    ['root’s with rights for root’s group', root, entry(0, 0, 0o664), true],
    ['root’s with rights for everybody', root, entry(0, 0, 0o646), true],
    ['a user’s, for root', root, entry(1000, 1000, 0o600), true],
    ['root’s, for a user', user, entry(0, 0, 0o755), false],
    ['a user’s own', user, entry(1000, 1000, 0o644), false],
    ['a user’s own under the umask 002, the group the user’s alone', user, entry(1000, 1000, 0o664), false],
    ['a user’s own for a group of several', inGroup, entry(1000, 100, 0o664), true],
    ['a user’s own for another group', user, entry(1000, 100, 0o664), true],
    ['a user’s own for everybody', user, entry(1000, 1000, 0o666), true],
    ['another user’s', user, entry(1001, 1001, 0o600), true],
  ];
  for (const [what, who, found, others] of cases)
    test(`${what}: ${others ? 'yes' : 'no'}`, () => assert.equal(isOthers(found, who), others));
});

describe('an entry stays what it is', () => {
  const cases: readonly (readonly [string, ReturnType<typeof entry>, ReturnType<typeof entry>, boolean])[] = [
    ['in root’s folder, whoever owns it', entry(0, 0, 0o755), entry(1000, 1000, 0o600), true],
    ['of root in a sticky folder', entry(0, 0, 0o1777), entry(0, 0, 0o600), true],
    ['of a user in a sticky folder', entry(0, 0, 0o1777), entry(1000, 1000, 0o600), false],
    ['of root in a user’s sticky folder', entry(1000, 1000, 0o1777), entry(0, 0, 0o600), false],
    ['of root in a folder for everybody', entry(0, 0, 0o777), entry(0, 0, 0o600), false],
  ];
  for (const [what, folder, found, fixed] of cases)
    test(`${what}: ${fixed ? 'yes' : 'no'}`, () => assert.equal(isFixed(folder, found, root), fixed));
});

describe('what is exposed of a way is named with its remedy', () => {
  const way = (...of: readonly (readonly [string, number, number])[]): Passed[] =>
    of.slice(1).map(([path, uid, mode], index) => {
      const [above = '', owner = 0, rights = 0] = of[index] ?? [];
      return { folder: { path: above, ...entry(owner, owner, rights) }, entry: { path, ...entry(uid, uid, mode) } };
    });

  test('a folder that others may write to', () => {
    const found = exposureOf(way(['/', 0, 0o755], ['/etc', 0, 0o777], ['/etc/f', 0, 0o644]), [root]);
    assert.deepEqual(found, {
      path: '/etc',
      why: 'can be written to by others (mode 0777)',
      remedy: 'chmod go-w /etc',
    });
  });
  test('a file of another user in a sticky folder', () => {
    const found = exposureOf(way(['/', 0, 0o755], ['/tmp', 0, 0o1777], ['/tmp/f', 7, 0o600]), [root]);
    assert.deepEqual(found, { path: '/tmp/f', why: 'belongs to user 7', remedy: 'chown 0 /tmp/f' });
  });
  test('nothing, where each is somebody’s that is trusted', () => {
    const all = way(['/', 0, 0o755], ['/home/u', 1000, 0o755], ['/home/u/f', 0, 0o644]);
    assert.equal(exposureOf(all, [root, user]), undefined);
    assert.equal(exposureOf(all, [root])?.path, '/home/u');
  });
});
