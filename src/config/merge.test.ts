import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { excess, growth } from '../../test/support/growth.ts';
import { bare, keyedLists, schemaFields, type SchemaField } from '../../test/support/schema-fields.ts';
import { merge } from './merge.ts';
import { foreignMaps, listKeys } from './removals.ts';
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

/** What merges item by item, by which field, and the forms of which a later source replaces the earlier. */
const keyed: readonly (readonly [path: readonly string[], key: string])[] = [
  [['actions'], 'name'],
  [['containerd', 'registries'], 'host'],
  [['extensions'], 'name'],
  [['files'], 'path'],
  [['kernel', 'modules'], 'name'],
  [['kernel', 'sysctls'], 'key'],
  [['kubelet', 'staticPods'], 'name'],
  [['trust', 'anchors'], 'name'],
  [['units'], 'name'],
];

/** A spec with this at a path. */
function specWith(path: readonly string[], value: unknown): unknown {
  return { spec: path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) };
}

for (const [path, key] of keyed) {
  test(`${path.join('.')} merge by ${key}`, () => {
    const { value } = merge([
      specWith(path, [{ [key]: 'a', x: 1, y: 1 }, { [key]: 'b' }]),
      specWith(path, [{ [key]: 'c' }, { [key]: 'a', y: 2 }]),
    ]);
    assert.deepEqual(value, specWith(path, [{ [key]: 'a', x: 1, y: 2 }, { [key]: 'b' }, { [key]: 'c' }]));
  });
}

test('drop-ins merge by name inside of their unit', () => {
  const unit = (...dropIns: readonly unknown[]): unknown => ({ spec: { units: [{ name: 'a.service', dropIns }] } });
  const { value } = merge([
    unit({ name: 'a.conf', content: '1' }, { name: 'b.conf' }),
    unit({ name: 'a.conf', content: '2' }, { name: 'c.conf' }),
  ]);
  assert.deepEqual(value, unit({ name: 'a.conf', content: '2' }, { name: 'b.conf' }, { name: 'c.conf' }));
});

for (const [list, field, earlier, later] of [
  ['actions', 'guard', { path: '/a' }, { command: ['a'] }],
  ['actions', 'guard', { command: ['a'] }, { path: '/a' }],
  ['units', 'readiness', { http: 'http://a' }, { socket: '/a' }],
  ['units', 'readiness', { socket: '/a' }, { http: 'http://a' }],
] as const) {
  test(`${Object.keys(later).join()} of ${list} replaces ${Object.keys(earlier).join()}`, () => {
    const source = (value: unknown): unknown => ({ spec: { [list]: [{ name: 'a', [field]: value }] } });
    assert.deepEqual(merge([source(earlier), source(later)]).value, source(later));
    assert.deepEqual(merge([source(earlier), source({})]).value, source(earlier));
  });
}

const ways = ['bootstrapToken', 'bootstrapTokenFile', 'clientCertificate', 'exec', 'kubeconfig'];

test('a way to say who kubelet is replaces every other that an earlier source gave', () => {
  for (const later of ways) {
    const earlier = Object.fromEntries([...ways.map((way) => [way, 'x']), ['domain', 'a']]);
    const { value } = merge([{ spec: { cluster: earlier } }, { spec: { cluster: { [later]: 'y' } } }]);
    assert.deepEqual(value, { spec: { cluster: { domain: 'a', [later]: 'y' } } }, later);
  }
});

test('a value of another type replaces the earlier whole, whatever it is', () => {
  for (const [earlier, later] of [
    [{ a: 1 }, 'b'],
    ['b', { a: 1 }],
    [[{ name: 'a' }], { a: 1 }],
    [{ a: 1 }, [{ name: 'a' }]],
  ]) {
    const source = (units: unknown): unknown => ({ spec: { units } });
    assert.deepEqual(merge([source(earlier), source(later)]).value, source(later));
  }
});

const kubectl = { binaries: { tools: { kubectl: { scope: 'shared' }, kubelet: { scope: 'shared' } } } };
for (const [what, earlier, later, left] of [
  [
    'a value of a map',
    { kubelet: { labels: { a: '1', b: '2' } } },
    { kubelet: { labels: { a: null } } },
    { kubelet: { labels: { b: '2' } } },
  ],
  [
    'a program that is there by default',
    kubectl,
    { binaries: { tools: { kubectl: null } } },
    { binaries: { tools: { kubelet: { scope: 'shared' } } } },
  ],
  [
    'a whole part',
    { cluster: { server: 'x' }, boot: { goal: 'ready' } },
    { cluster: null },
    { boot: { goal: 'ready' } },
  ],
  ['a keyed list', { extensions: [{ name: 'a' }], files: [] }, { extensions: null }, { files: [] }],
  [
    'a field of an item',
    { units: [{ name: 'a.service', deadline: '1s', state: 'started' }] },
    { units: [{ name: 'a.service', deadline: null }] },
    { units: [{ name: 'a.service', state: 'started' }] },
  ],
  [
    'the only form of a file, and the file',
    {
      files: [
        { path: '/a', content: 'x', mode: '0600' },
        { path: '/b', content: 'y' },
      ],
    },
    { files: [{ path: '/a', content: null }] },
    { files: [{ path: '/b', content: 'y' }] },
  ],
  [
    'the certificates of an anchor, and the anchor',
    {
      trust: {
        anchors: [
          { name: 'a', certificates: 'x' },
          { name: 'b', certificates: 'y' },
        ],
      },
    },
    { trust: { anchors: [{ name: 'a', certificates: null }] } },
    { trust: { anchors: [{ name: 'b', certificates: 'y' }] } },
  ],
  [
    'all that an extension says',
    { extensions: [{ name: 'a', version: '1' }, { name: 'b' }] },
    { extensions: [{ name: 'a', version: null }] },
    { extensions: [{ name: 'b' }] },
  ],
  [
    'the content of a drop-in inside of its unit',
    {
      units: [
        {
          name: 'a.service',
          dropIns: [
            { name: 'a.conf', content: 'x' },
            { name: 'b.conf', content: 'y' },
          ],
        },
      ],
    },
    { units: [{ name: 'a.service', dropIns: [{ name: 'a.conf', content: null }] }] },
    { units: [{ name: 'a.service', dropIns: [{ name: 'b.conf', content: 'y' }] }] },
  ],
  [
    'what nobody set',
    { boot: { goal: 'ready' } },
    { boot: { unjoined: null }, network: { proxy: null } },
    { boot: { goal: 'ready' }, network: {} },
  ],
  [
    'no other form of a file',
    { files: [{ path: '/a', content: 'x' }] },
    { files: [{ path: '/a', symlink: null }] },
    { files: [{ path: '/a', content: 'x' }] },
  ],
] as const) {
  test(`null takes away ${what}`, () => {
    const merged = merge([{ spec: earlier }, { spec: later }]);
    assert.deepEqual(merged.value, { spec: left });
  });
}

test('what was taken away may come again, and the places are those of what is left', () => {
  const files = (...list: readonly unknown[]): unknown => ({ spec: { files: list } });
  const merged = merge([
    files({ path: '/a', content: '1' }, { path: '/b', content: '1' }),
    files({ path: '/a', content: null }),
    { spec: { kubelet: { labels: { a: null } } } },
    { spec: { kubelet: { labels: { a: 'x' } } } },
  ]);
  assert.deepEqual(merged.value, {
    spec: { files: [{ path: '/b', content: '1' }], kubelet: { labels: { a: 'x' } } },
  });
  assert.deepEqual(merged.originOf(['spec', 'files', 0]), { source: 0, path: ['spec', 'files', 1] });
});

test('inside of foreign maps null is a value, for whoever reads them', () => {
  const source = { spec: { kubelet: { configuration: { maxPods: null, list: [null] } } } };
  assert.deepEqual(merge([source]).value, source);
  const foreign = [...schemaFields(nodeConfigDocument)].filter(({ schema }) => isForeign(schema));
  assert.deepEqual([...foreignMaps], foreign.map(({ path }) => path.join('.')).toSorted());
});

/** A map of whatever values. */
function isForeign({ _zod: { def } }: SchemaField['schema']): boolean {
  return def.type === 'record' && bare(def.valueType)._zod.def.type === 'unknown';
}

test('items that are no maps stand for themselves', () => {
  assert.deepEqual(merge([{ spec: { files: [7, { path: '/a' }] } }]).value, { spec: { files: [7, { path: '/a' }] } });
});

test('no source has no value and no origin', () => {
  assert.equal(merge([]).value, undefined);
  assert.equal(merge([]).originOf(['a']), undefined);
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
  assert.deepEqual(merged.originOf([]), { source: 1, path: [] });
  assert.deepEqual(merged.originOf(['spec', 'files']), { source: 1, path: ['spec', 'files'] });
  assert.deepEqual(merged.originOf(['spec', 'files', 0]), { source: 1, path: ['spec', 'files', 1] });
  assert.deepEqual(merged.originOf(['spec', 'kubelet', 'configuration', 'list']), {
    source: 0,
    path: ['spec', 'kubelet', 'configuration', 'list'],
  });
  for (const path of [
    ['spec', 'units'],
    ['spec', 'files', 2],
    ['spec', 'files', 'length'],
    ['spec', 'files', 0, 'mode', 'x'],
    ['spec', 'kubelet', 'configuration', 'none', 'x'],
  ])
    assert.equal(merged.originOf(path), undefined, path.join());
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

test(`the origins in a list of ${growth} times as many items take about ${growth} times as long`, () => {
  const originsOf = (count: number) => (): void => {
    const files = Array.from({ length: count }, (_, index) => ({ path: `/etc/${index}`, content: '' }));
    const merged = merge([{ spec: { files } }]);
    for (const index of files.keys()) assert.deepEqual(merged.originOf(['spec', 'files', index])?.path[2], index);
  };
  const ratio = excess(originsOf(400), originsOf(400 * growth));
  assert.ok(ratio < 4, `${ratio.toFixed(1)} times as long as in proportion`);
});
