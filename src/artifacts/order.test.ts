import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { artifactSourceOrder } from './order.ts';
import type { BinaryPolicy, SourceConfiguration } from './order.ts';

/** What the platforms of the cases publish. */
const platforms: Record<string, Partial<SourceConfiguration>> = {
  ubuntu: { repository: { kind: 'apt', since: '1.34.0' }, tarball: { url: 'https://public/t' } },
  'azurelinux 3.0': { repository: { kind: 'dnf', since: '1.34.0' }, tarball: { url: 'https://public/t' } },
  'mariner 2.0': { tarball: { url: 'https://public/t' } },
  flatcar: {
    registry: { kind: 'sysext', repository: 'registry/kubelet-sysext' },
    tarball: { url: 'https://public/t' },
  },
};
const mirror = { mirror: { registry: 'mirror.example', since: '1.34.0' } };

type Row = readonly [
  id: string,
  platform: string,
  version: string,
  policy: BinaryPolicy,
  extra: Partial<SourceConfiguration>,
  expected: readonly string[],
];
const rows: readonly Row[] = [
  ['G01', 'ubuntu', '1.34.0', 'cache-first', { customUrl: 'https://custom/t' }, ['custom']],
  ['G02', 'ubuntu', '1.34.0', 'cache-first', { privateUrl: 'https://private/t' }, ['custom']],
  ['G04', 'ubuntu', '1.33.5', 'cache-first', {}, ['cache', 'tarball']],
  ['G05, package not asked for', 'ubuntu', '1.33.5', 'cache-first', {}, ['cache', 'tarball']],
  ['G06', 'ubuntu', '1.34.0', 'cache-first', {}, ['cache', 'repository', 'tarball']],
  ['G07', 'ubuntu', '1.32.5', 'package', {}, ['repository']],
  ['G08', 'ubuntu', '1.34.0', 'cache-first', mirror, ['cache', 'mirror', 'tarball']],
  ['G09', 'ubuntu', '1.33.5', 'cache-first', mirror, ['cache', 'tarball']],
  ['G13', 'flatcar', '1.34.0', 'cache-first', {}, ['cache', 'registry', 'tarball']],
  ['G14', 'flatcar', '1.30.0', 'cache-first', {}, ['cache', 'registry', 'tarball']],
  ['G16, as Flatcar', 'flatcar', '1.30.0', 'package', {}, ['registry']],
  ['G18', 'azurelinux 3.0', '1.32.5', 'package', {}, ['repository']],
  ['G19', 'mariner 2.0', '1.32.5', 'package', {}, ['tarball']],
  ['G20', 'azurelinux 3.0', '1.34.0', 'cache-first', {}, ['cache', 'repository', 'tarball']],
  ['G21', 'mariner 2.0', '1.34.0', 'cache-first', {}, ['cache', 'tarball']],
  ['G27', 'ubuntu', '1.35.0', 'package', { customUrl: 'https://custom/t', ...mirror }, ['custom']],
  ['G205', 'ubuntu', '1.34.0', 'cache-first', mirror, ['cache', 'mirror', 'tarball']],
  ['G206', 'ubuntu', '1.34.0', 'package', mirror, ['mirror']],
  [
    'a mirror stands in for extensions, too',
    'flatcar',
    '1.34.0',
    'cache-first',
    mirror,
    ['cache', 'mirror', 'tarball'],
  ],
  [
    'packages of a folder are packages',
    'mariner 2.0',
    '1.34.0',
    'package',
    { local: { kind: 'rpm', directory: '/opt/rpms' } },
    ['local'],
  ],
  ['a mirror has packages', 'mariner 2.0', '1.34.0', 'package', mirror, ['mirror']],
  ['a prerelease is older than its release', 'ubuntu', '1.34.0-rc.1', 'cache-first', {}, ['cache', 'tarball']],
  [
    'a package revision does not make it older',
    'ubuntu',
    '1.34.0-5.azl3',
    'cache-first',
    {},
    ['cache', 'repository', 'tarball'],
  ],
  ['cache-only', 'ubuntu', '1.34.0', 'cache-only', mirror, ['cache']],
  [
    'local before remote',
    'ubuntu',
    '1.34.0',
    'cache-first',
    { local: { kind: 'deb', directory: '/opt/debs' } },
    ['cache', 'local', 'repository', 'tarball'],
  ],
];

describe('sourceOrder', () => {
  for (const [id, platform, version, policy, extra, expected] of rows) {
    it(`${id}: ${platform} ${version} ${policy}`, () => {
      const order = artifactSourceOrder({ version, policy, ...platforms[platform], ...extra });
      assert.deepEqual(
        order.sources.map((source) => source.type),
        expected,
      );
    });
  }

  it('says of each what is needed to reach it, and why another does not serve', () => {
    const local = { kind: 'deb', directory: '/opt/debs' } as const;
    const configured = { ...platforms['ubuntu'], ...platforms['flatcar'], local };
    assert.deepEqual(artifactSourceOrder({ version: '1.33.0', policy: 'cache-first', ...configured }), {
      sources: [
        { type: 'cache' },
        { type: 'local', ...local },
        { type: 'registry', kind: 'sysext', repository: 'registry/kubelet-sysext' },
        { type: 'tarball', url: 'https://public/t' },
      ],
      skipped: [
        { source: 'custom', why: 'no custom address is given' },
        { source: 'mirror', why: 'no mirror registry is configured' },
        { source: 'repository', why: 'packages are published there from 1.34.0 on' },
      ],
    });
    const { sources } = artifactSourceOrder({ version: '1.34.0', policy: 'package', ...configured, ...mirror });
    assert.deepEqual(sources, [
      { type: 'local', ...local },
      { type: 'mirror', registry: 'mirror.example' },
    ]);
  });

  it('wins with the custom address over the private one', () => {
    const order = artifactSourceOrder({ version: '1.34.0', policy: 'cache-first', customUrl: 'c', privateUrl: 'p' });
    assert.deepEqual(order.sources, [{ type: 'custom', url: 'c' }]);
  });

  it('accounts for every source, as used or as skipped with a reason', () => {
    const optional = <T>(value: T): fc.Arbitrary<T | undefined> => fc.option(fc.constant(value), { nil: undefined });
    const configuration = fc.record(
      {
        version: fc.constantFrom('1.33.9', '1.34.0', 'v1.35.1'),
        policy: fc.constantFrom<BinaryPolicy>('cache-first', 'package', 'cache-only'),
        customUrl: optional('https://custom'),
        mirror: optional({ registry: 'm', since: '1.34.0' }),
        repository: optional({ kind: 'apt' as const, since: '1.34.0' }),
        registry: optional({ kind: 'sysext' as const, repository: 'r' }),
        local: optional({ kind: 'deb' as const, directory: '/d' }),
        tarball: optional({ url: 'https://t' }),
      },
      { requiredKeys: ['version', 'policy'] },
    );
    fc.assert(
      fc.property(configuration, (raw) => {
        const given = Object.fromEntries(
          Object.entries(raw).filter(([, value]) => value !== undefined),
        ) as unknown as SourceConfiguration;
        const { sources, skipped } = artifactSourceOrder(given);
        assert.deepEqual([...sources.map((one) => one.type), ...skipped.map((one) => one.source)].sort(), [
          'cache',
          'custom',
          'local',
          'mirror',
          'registry',
          'repository',
          'tarball',
        ]);
        assert.ok(skipped.every((one) => one.why !== ''));
        if (given.customUrl !== undefined) assert.deepEqual(sources, [{ type: 'custom', url: given.customUrl }]);
        if (given.policy === 'package') assert.ok(!sources.some((one) => one.type === 'cache'));
      }),
    );
  });

  it('refuses a version that is none, whatever else is configured', () => {
    const invalid = (thrown: unknown): boolean =>
      thrown instanceof NodekilnError && thrown.code === 'NK_VERSION_INVALID';
    assert.throws(() => artifactSourceOrder({ version: '', policy: 'cache-first' }), invalid);
    assert.throws(() => artifactSourceOrder({ version: '', policy: 'cache-only', customUrl: 'c' }), invalid);
  });
});
