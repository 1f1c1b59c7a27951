import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from './bytes.ts';
import { isRegular, rootFile } from './files.ts';

test('a file of root’s', () => {
  const content = bytesOf('x');
  assert.deepEqual(rootFile('/a', content, 0o600), { type: 'file', path: '/a', content, mode: 0o600, uid: 0, gid: 0 });
});

test('a file alone is regular', () => {
  const types = ['file', 'directory', 'symlink', 'other'] as const;
  assert.deepEqual(
    types.map((type) => isRegular({ type })),
    [true, false, false, false],
  );
});
