import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import {
  atLeast,
  cacheKey,
  compareDebian,
  compareRpm,
  compareSemver,
  compareVersions,
  formatVersion,
  parseVersion,
  satisfies,
} from './version.ts';
import type { Version } from './version.ts';

interface Vectors {
  readonly keys: readonly [string, string, string, Version][];
  readonly invalid: readonly string[];
  /** Text, cache key, canonical spelling, parts. */
  readonly spellings: readonly [string, string, string, Version][];
  /** As dpkg and rpm order them. */
  readonly orders: { readonly [Order in 'debian' | 'rpm']: readonly [string, string, number][] };
  readonly gates: readonly [string, string, string, boolean][];
  readonly revisionGates: readonly [string, string, boolean][];
  readonly lookups: readonly [string, string[], string, string | null][];
}
const vectors = JSON.parse(readFileSync(new URL('version.vectors.json', import.meta.url), 'utf8')) as Vectors;

/** Versions as they stand in public repositories, by whose way of writing them it is, with what they mean. */
const spellings = JSON.parse(readFileSync(new URL('version.spellings.json', import.meta.url), 'utf8')) as readonly {
  readonly whose: string;
  /** What beside builds, revisions and distributions is among them. */
  readonly mayBe: readonly ('prerelease' | 'track')[];
  readonly spellings: Readonly<Record<string, Version>>;
}[];

const invalidVersion = (thrown: unknown): boolean =>
  thrown instanceof NodekilnError && thrown.code === 'NK_VERSION_INVALID';

describe('parseVersion', () => {
  for (const [id, text, key, parts] of vectors.keys) {
    it(`${id}: ${text}`, () => {
      assert.deepEqual(parseVersion(text), parts);
      assert.equal(cacheKey(parseVersion(text)), key);
    });
  }

  for (const [text, key, canonical, parts] of vectors.spellings) {
    it(`${text} is ${canonical}, cached as ${key}`, () => {
      const version = parseVersion(text);
      assert.deepEqual(version, parts);
      assert.equal(cacheKey(version), key);
      assert.equal(formatVersion(version), canonical);
    });
  }

  it('takes 256 characters', () => {
    assert.equal(parseVersion('1'.repeat(256)).upstream.length, 256);
    assert.throws(() => parseVersion('1'.repeat(257)), invalidVersion);
  });

  it('refuses what is no version', () => {
    for (const text of vectors.invalid) assert.throws(() => parseVersion(text), invalidVersion, JSON.stringify(text));
    assert.throws(() => parseVersion('1'.repeat(300)), invalidVersion);
  });
});

describe('cacheKey', () => {
  it('keeps a tilde word apart from a track of the same name', () => {
    assert.notEqual(cacheKey(parseVersion('1.34.0~foo')), cacheKey(parseVersion('1.34.0-foo')));
  });
});

describe('satisfies', () => {
  for (const [id, candidates, request, expected] of vectors.lookups) {
    it(`${id}: ${request} among ${candidates.join(', ')}`, () => {
      const found = candidates.find((candidate) => satisfies(parseVersion(request), parseVersion(candidate)));
      assert.equal(found ?? null, expected);
    });
  }
});

describe('gates', () => {
  for (const [id, version, minimum, expected] of vectors.gates) {
    it(`${id}: ${version} ≥ ${minimum}`, () => {
      assert.equal(compareSemver(version, minimum) >= 0, expected);
      assert.equal(atLeast(parseVersion(version), parseVersion(minimum)), expected);
    });
  }
  it('are not lowered by package revisions or tracks', () => {
    for (const [version, minimum, expected] of vectors.revisionGates) {
      assert.equal(atLeast(parseVersion(version), parseVersion(minimum)), expected, version);
    }
  });
});

describe('compareSemver', () => {
  it('follows the precedence example of semver.org', () => {
    const ascending = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
    ];
    ascending.forEach((a, i) =>
      ascending.forEach((b, j) => assert.equal(compareSemver(a, b), Math.sign(i - j), `${a} and ${b}`)),
    );
  });
  it('ignores build metadata and reads package spellings', () => {
    assert.equal(compareSemver('1.34.1+k3s1', '1.34.1+k3s2'), 0);
    assert.equal(compareSemver('1.34.0~rc1-ubuntu24.04u1', '1.34.0-rc.1'), 0);
    assert.equal(compareSemver('99999999999999999999.0.0', '99999999999999999998.0.0'), 1);
  });
});

/** Pairs with what dpkg and rpm said of them; version-order.test.ts asks the programs about new ones. */
const orders = JSON.parse(readFileSync(new URL('version-order.vectors.json', import.meta.url), 'utf8')) as Readonly<
  Record<'debian' | 'rpm', readonly [string, string, number][]>
>;

describe('recorded orders', () => {
  it('of dpkg', () => {
    for (const [a, b, expected] of orders.debian) assert.equal(compareDebian(a, b), expected, `${a} and ${b}`);
  });
  it('of rpm', () => {
    for (const [a, b, expected] of orders.rpm) assert.equal(compareRpm(a, b), expected, `${a} and ${b}`);
  });
});

describe('orders of dpkg and rpm', () => {
  for (const [order, compare] of [
    ['debian', compareDebian],
    ['rpm', compareRpm],
  ] as const) {
    for (const [left, right, wanted] of vectors.orders[order]) {
      it(`${order}: ${left} ${{ '-1': '<', '0': '=', '1': '>' }[String(wanted)]} ${right}`, () => {
        assert.equal(compare(left, right), wanted);
        assert.equal(compare(right, left), wanted === 0 ? 0 : -wanted);
        assert.equal(compareVersions(left, right, order === 'rpm' ? 'rpm' : 'deb'), wanted);
      });
    }
    it(`${order}: nothing has no place`, () => {
      assert.throws(() => compare('', '1'), invalidVersion);
      assert.throws(() => compare('1', ''), invalidVersion);
    });
  }

  it('differ where their rules do', () => {
    assert.equal(compareVersions('1.0.0-rc.1', '1.0.0', 'semver'), -1);
    assert.equal(compareVersions('1.0.0-rc.1', '1.0.0', 'deb'), 1);
    assert.equal(compareVersions('1.0.0-1', '1.0.0', 'rpm'), 1);
    assert.equal(compareVersions('1.0^1', '1.0a', 'rpm'), -1);
  });
});

describe('semver', () => {
  const rising = [
    '0.9',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.1.0',
    '1.0.0-alpha.2',
    '1.0.0-alpha.10',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-rc.1',
    '1.0.0-rc-2.1',
    '1.0.0',
    '1.0.1',
    '1.2',
    '1.10.0',
    '10.0.0',
  ];
  it('orders by precedence', () => {
    for (const [index, left] of rising.entries())
      for (const [other, right] of rising.entries())
        assert.equal(compareSemver(left, right), Math.sign(index - other), `${left} ${right}`);
  });

  for (const [left, right, wanted] of [
    ['v1.34', '1.34.0', 0],
    ['1', '1.0.0.0', 0],
    ['1.34.0+a', '1.34.0+b.2', 0],
    ['1.34.0-rc.1+a', '1.34.0-rc.1', 0],
    ['1.34.0~rc1-ubuntu24.04u1', '1.34.0-rc.1', 0],
    ['1.34.0_f0.1', '1.34.0', 0],
    ['1.34.0-1', '1.34.0', -1],
    ['1.34.0-a-b.c-1', '1.34.0-a-b.c', 1],
    ['1.34.0-a..b', '1.34.0', 0],
    ['1.34.0-rc.01', '1.34.0-rc.1', 0],
    ['1.34.10', '1.34.9', 1],
    ['1.34', '1.34.1', -1],
    ['10.0.0-1', '10.0.0', -1],
    ['1.34.0-1.22', '1.34.0', -1],
    ['1.34.0-1a', '1.34.0-22', 1],
    ['1.34.0-10', '1.34.0-a', -1],
    ['1.34.0+a-rc1', '1.34.0', 0],
    ['1.34.0+', '1.34.0', undefined],
    ['x1.34.0', '1.34.0', undefined],
  ] as const) {
    it(`${left} beside ${right}: ${wanted ?? 'refused'}`, () => {
      if (wanted === undefined) assert.throws(() => compareSemver(left, right), invalidVersion);
      else assert.equal(compareSemver(left, right), wanted);
    });
  }
});

describe('versions of public repositories', () => {
  const all = spellings.flatMap(({ spellings: each }) => Object.keys(each));

  for (const { whose, mayBe, spellings: each } of spellings)
    for (const [text, parts] of Object.entries(each))
      it(`${whose}: ${text}`, () => {
        const version = parseVersion(text);
        assert.deepEqual(version, parts);
        for (const part of ['prerelease', 'track'] as const)
          assert.ok(version[part] === undefined || mayBe.includes(part), `a build is taken for a ${part}`);
        const canonical = formatVersion(version);
        assert.equal(formatVersion(parseVersion(canonical)), canonical);
        assert.ok(satisfies(parseVersion(canonical), version) || version.prerelease !== undefined);
      });

  it('are many', () => {
    assert.ok(all.length >= 200, String(all.length));
  });

  it('share no name by accident: what is written alike is one build in two spellings', () => {
    const byName = Map.groupBy(all, (text) => formatVersion(parseVersion(text)));
    const shared = [...byName.values()].filter((texts) => texts.length > 1);
    assert.deepEqual(shared, [
      ['1.34.1', 'v1.34.1'],
      ['v1.23.10+vmware.1-tkg.1', 'v1.23.10_vmware.1-tkg.1'],
      ['v1.21.2+vmware.1', 'v1.21.2---vmware.1'],
      ['1.34.0-rc.1', '1.34.0~rc1'],
      ['v1.29.6+d2iq.1', 'v1.29.6-d2iq.1'],
    ]);
  });

  it('of one key are told apart by a request that pins the build', () => {
    for (const texts of Map.groupBy(all, (text) => cacheKey(parseVersion(text))).values())
      for (const request of texts.map(parseVersion))
        for (const candidate of texts.map(parseVersion)) {
          if (request.build === undefined || request.build === candidate.build) continue;
          assert.ok(!satisfies(request, candidate), `${formatVersion(candidate)} for ${formatVersion(request)}`);
        }
  });
});

describe('what a request pins', () => {
  const lookups: readonly (readonly [request: string, candidate: string, served: boolean])[] = [
    ['1.34.0', '1.34.0-5.azl3', true],
    ['1.34.0-5', '1.34.0-5.azl3', true],
    ['1.34.0-5.azl3', '1.34.0-5', false],
    ['1.34.0-5.azl3', '1.34.0-6.azl3', false],
    ['1.34.0-5.azl3', '1.34.0-5.azl2', false],
    ['1.34.0+k3s1', '1.34.0+k3s1', true],
    ['1.34.0+k3s1', '1.34.0+k3s2', false],
    ['1.34.0+k3s1', '1.34.0', false],
    ['1.34.0', '1.34.0+k3s1', true],
    ['1:1.34.0', '1.34.0', true],
    ['1.34.0', '1:1.34.0', true],
    ['1:1.34.0', '2:1.34.0', false],
    ['1:1.34.0', '1:1.34.0', true],
    ['1.34.0-amd64', '1.34.0-x86-64', true],
    ['1.34.0-amd64', '1.34.0-arm64', false],
    ['1.34.0-noarch', '1.34.0-noarch', true],
    ['1.34.0-noarch', '1.34.0-all', false],
    ['1.34.0-amd64', '1.34.0-all', false],
    ['1.34.0-amd64', '1.34.0', true],
    ['1.34.0', '1.34.0-amd64', true],
  ];
  for (const [request, candidate, served] of lookups) {
    it(`${request} is ${served ? '' : 'not '}served by ${candidate}`, () => {
      assert.equal(satisfies(parseVersion(request), parseVersion(candidate)), served);
    });
  }
});
