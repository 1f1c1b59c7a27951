import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { keyedLists } from '../../test/support/schema-fields.ts';
import { listKeys, merge } from './merge.ts';
import { nodeConfigDocument } from './schema-node.ts';

test('maps merge, lists replace, later sources win', () => {
  const { value } = merge([
    { spec: { kubelet: { configuration: { a: { x: 1, y: 1 }, list: [1, 2] } } } },
    { spec: { kubelet: { configuration: { a: { y: 2 }, list: [3] } } } },
  ]);
  assert.deepEqual(value, { spec: { kubelet: { configuration: { a: { x: 1, y: 2 }, list: [3] } } } });
});

test('keyed lists merge item by item and keep the order of first appearance', () => {
  const { value } = merge([
    {
      spec: {
        files: [
          { path: '/a', content: '1' },
          { path: '/b', content: '1' },
        ],
      },
    },
    {
      spec: {
        files: [
          { path: '/c', content: '2' },
          { path: '/a', mode: '0600' },
        ],
      },
    },
  ]);
  assert.deepEqual(value, {
    spec: {
      files: [
        { path: '/a', content: '1', mode: '0600' },
        { path: '/b', content: '1' },
        { path: '/c', content: '2' },
      ],
    },
  });
});

test('the lists that merge item by item are those that the schema keys', () => {
  assert.deepEqual(listKeys, Object.fromEntries(keyedLists(nodeConfigDocument)));
});

test('what holds one of several fields takes the later one', () => {
  const merged = (path: 'guard' | 'readiness', ...values: object[]): unknown => {
    const list = path === 'guard' ? 'actions' : 'units';
    return merge(values.map((value) => ({ spec: { [list]: [{ name: 'a', [path]: value }] } }))).value;
  };
  assert.deepEqual(merged('guard', { path: '/x' }, { command: ['true'] }), {
    spec: { actions: [{ name: 'a', guard: { command: ['true'] } }] },
  });
  assert.deepEqual(merged('readiness', { http: 'http://a' }, { socket: '/s' }), {
    spec: { units: [{ name: 'a', readiness: { socket: '/s' } }] },
  });
});

test('drop-ins merge inside units', () => {
  const { value } = merge([
    { spec: { units: [{ name: 'a.service', dropIns: [{ name: '1.conf', content: 'x' }] }] } },
    {
      spec: {
        units: [
          {
            name: 'a.service',
            dropIns: [
              { name: '2.conf', content: 'y' },
              { name: '1.conf', content: 'z' },
            ],
          },
        ],
      },
    },
  ]);
  assert.deepEqual(value, {
    spec: {
      units: [
        {
          name: 'a.service',
          dropIns: [
            { name: '1.conf', content: 'z' },
            { name: '2.conf', content: 'y' },
          ],
        },
      ],
    },
  });
});

test('another form of a file replaces the earlier form', () => {
  const { value } = merge([
    { spec: { files: [{ path: '/a', content: '1', owner: 5 }] } },
    { spec: { files: [{ path: '/a', symlink: 'b' }] } },
  ]);
  assert.deepEqual(value, { spec: { files: [{ path: '/a', symlink: 'b', owner: 5 }] } });
});

test('every value keeps its origin', () => {
  const merged = merge([
    { spec: { files: [{ path: '/a', content: '1' }], kubelet: { configuration: { list: [{ x: 1 }] } } } },
    {
      spec: {
        files: [
          { path: '/b', content: '2' },
          { path: '/a', mode: '0600' },
        ],
      },
    },
  ]);
  assert.deepEqual(merged.originOf(['spec', 'files', 0, 'mode']), { source: 1, path: ['spec', 'files', 1, 'mode'] });
  assert.deepEqual(merged.originOf(['spec', 'files', 0, 'content']), {
    source: 0,
    path: ['spec', 'files', 0, 'content'],
  });
  assert.deepEqual(merged.originOf(['spec', 'files', 1, 'content']), {
    source: 1,
    path: ['spec', 'files', 0, 'content'],
  });
  assert.deepEqual(merged.originOf(['spec', 'kubelet', 'configuration', 'list', 0, 'x']), {
    source: 0,
    path: ['spec', 'kubelet', 'configuration', 'list', 0, 'x'],
  });
  assert.equal(merged.originOf(['spec', 'units']), undefined);
});

const scalar = fc.oneof(fc.integer(), fc.boolean());
const configuration = fc.dictionary(fc.constantFrom('a', 'b', 'c'), scalar);
const file = fc.record(
  { mode: fc.constantFrom('0600', '0644'), content: fc.constantFrom('x', 'y') },
  { requiredKeys: [] },
);
const source = fc.record(
  {
    kubelet: fc.record({ configuration, list: fc.array(scalar, { maxLength: 3 }) }, { requiredKeys: [] }),
    files: fc
      .dictionary(fc.constantFrom('/a', '/b', '/c'), file)
      .map((items) => Object.entries(items).map(([path, item]) => ({ path, ...item }))),
  },
  { requiredKeys: [] },
);

test('merging is associative and an empty source changes nothing', () => {
  fc.assert(
    fc.property(source, source, source, (a, b, c) => {
      const [first, second, third] = [{ spec: a }, { spec: b }, { spec: c }];
      const left = merge([merge([first, second]).value, third]).value;
      const right = merge([first, merge([second, third]).value]).value;
      assert.deepEqual(left, right);
      assert.deepEqual(left, merge([first, second, third]).value);
      assert.deepEqual(merge([first, { spec: {} }]).value, merge([first]).value);
    }),
  );
});

test('merging a source with itself changes nothing', () => {
  fc.assert(
    fc.property(source, (a) => {
      assert.deepEqual(merge([{ spec: a }, { spec: a }]).value, merge([{ spec: a }]).value);
    }),
  );
});
