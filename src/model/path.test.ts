import assert from 'node:assert/strict';
import * as node from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { aboveOf, basename, dirname, extname, isAbsolute, join, normalize, relative, resolve } from './path.ts';

const part = fc.constantFrom('a', 'b.txt', '..', '.', '', 'c d', '.hidden');
const path = fc.array(part, { maxLength: 5 }).map((parts) => parts.join('/'));
const absolute = path.map((text) => `/${text}`);

test('paths are those of Node’s own library', () => {
  fc.assert(
    fc.property(path, path, absolute, absolute, (one, two, from, to) => {
      assert.equal(join(one, two), node.posix.join(one, two));
      assert.equal(normalize(one), node.posix.normalize(one));
      assert.equal(dirname(one), node.posix.dirname(one));
      assert.equal(basename(one), node.posix.basename(one));
      assert.equal(extname(one), node.posix.extname(one));
      assert.equal(isAbsolute(one), node.posix.isAbsolute(one));
      assert.equal(resolve(from, two), node.posix.resolve(from, two));
      assert.equal(relative(from, to), node.posix.relative(from, to));
    }),
  );
});

test('folders above, nearest first and without the root, each asked for once', () => {
  const asked: string[] = [];
  const above = aboveOf((folder) => {
    asked.push(folder);
    return folder === '/a/b' ? undefined : folder.toUpperCase();
  });
  assert.deepEqual(above('/a/b/c/d'), ['/A/B/C', '/A']);
  assert.deepEqual(above('/a/b/c/e'), ['/A/B/C', '/A']);
  assert.deepEqual(above('/a/x'), ['/A']);
  assert.deepEqual(above('/a'), []);
  assert.deepEqual(above('/'), []);
  assert.deepEqual(asked.sort(), ['/a', '/a/b', '/a/b/c']);
});
