import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
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

  it('throws nothing but its own error, whatever the text', () => {
    const pieces = fc.constantFrom(
      '1',
      '34',
      '.',
      '-',
      '~',
      '+',
      '_',
      ':',
      'v',
      'rc',
      'u1',
      'azl3',
      'ubuntu22.04',
      'akslts',
      'x86-64',
      ' ',
      'é',
      '0',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
        ),
        (text) => {
          try {
            const version = parseVersion(text);
            assert.match(cacheKey(version), /^\d/);
            assert.equal(cacheKey(parseVersion(formatVersion(version))), cacheKey(version));
          } catch (thrown) {
            assert.ok(invalidVersion(thrown), `${JSON.stringify(text)}: ${String(thrown)}`);
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

// ── generated builds and their spellings ─────────────────────────────────────────────────────────────────────────

interface Build {
  readonly upstream: string;
  readonly prerelease: readonly [string, number] | undefined;
  readonly track: string | undefined;
}
const build: fc.Arbitrary<Build> = fc.record({
  upstream: fc.tuple(fc.nat(2), fc.nat(40), fc.nat(120)).map((numbers) => numbers.join('.')),
  prerelease: fc.option(fc.tuple(fc.constantFrom('alpha', 'beta', 'rc'), fc.nat(12)), { nil: undefined }),
  track: fc.option(fc.constantFrom('akslts', 'hotfix.20240712', '_1.2', '_f0.1', 'gke.7'), { nil: undefined }),
});
interface Spelling {
  readonly epoch: string;
  readonly v: string;
  readonly prerelease: 'tilde' | 'hyphen' | 'joined';
  readonly metadata: string;
  readonly packaging: string;
  readonly arch: string;
}
const spelling: fc.Arbitrary<Spelling> = fc.record({
  epoch: fc.constantFrom('', '0:', '1:', '12:'),
  v: fc.constantFrom('', 'v'),
  prerelease: fc.constantFrom('tilde', 'hyphen', 'joined'),
  metadata: fc.constantFrom('', '+k3s1', '+ds1', '+azure'),
  packaging: fc.constantFrom(
    '',
    '-1',
    '-5.azl3',
    '-ubuntu22.04u2',
    '-1ubuntu22.04u1',
    '-1-azlinux3',
    '-6+deb13u1',
    '-150500.1.1',
    '-1.1',
    '-13.cm2',
  ),
  arch: fc.constantFrom('', '-x86-64', '.x86_64', '-amd64', '_amd64', '-linux-arm64'),
});

function spell(one: Build, as: Spelling): string {
  const [word, number] = one.prerelease ?? ['', 0];
  const prerelease = { tilde: `~${word}${number}`, hyphen: `-${word}.${number}`, joined: `-${word}${number}` }[
    as.prerelease
  ];
  const track = one.track === undefined ? '' : one.track.startsWith('_') ? one.track : `-${one.track}`;
  return `${as.epoch}${as.v}${one.upstream}${word === '' ? '' : prerelease}${track}${as.metadata}${as.packaging}${as.arch}`;
}

describe('cacheKey', () => {
  it('is the same for every spelling of a build', () => {
    fc.assert(
      fc.property(build, spelling, spelling, (one, a, b) => {
        assert.equal(cacheKey(parseVersion(spell(one, a))), cacheKey(parseVersion(spell(one, b))));
      }),
      { numRuns: 3_000 },
    );
  });

  it('is never shared by different upstream versions, prereleases or tracks', () => {
    fc.assert(
      fc.property(build, build, spelling, spelling, (one, other, a, b) => {
        const same = JSON.stringify(one) === JSON.stringify(other);
        assert.equal(cacheKey(parseVersion(spell(one, a))) === cacheKey(parseVersion(spell(other, b))), same);
      }),
      { numRuns: 3_000 },
    );
  });

  it('keeps a tilde word apart from a track of the same name', () => {
    assert.notEqual(cacheKey(parseVersion('1.34.0~foo')), cacheKey(parseVersion('1.34.0-foo')));
  });
});

describe('formatVersion', () => {
  it('writes a text that parses to the same parts', () => {
    fc.assert(
      fc.property(build, spelling, (one, as) => {
        const version = parseVersion(spell(one, as));
        const again = parseVersion(formatVersion(version));
        const plain = ({ prerelease: _prerelease, ...rest }: Version): Omit<Version, 'prerelease'> => rest;
        assert.deepEqual(plain(again), plain(version));
        assert.equal(formatVersion(again), formatVersion(version));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('satisfies', () => {
  for (const [id, candidates, request, expected] of vectors.lookups) {
    it(`${id}: ${request} among ${candidates.join(', ')}`, () => {
      const found = candidates.find((candidate) => satisfies(parseVersion(request), parseVersion(candidate)));
      assert.equal(found ?? null, expected);
    });
  }

  it('gives a request that pins packaging exactly that', () => {
    fc.assert(
      fc.property(build, spelling, spelling, (one, a, b) => {
        const [request, candidate] = [parseVersion(spell(one, a)), parseVersion(spell(one, b))];
        if (!satisfies(request, candidate)) return;
        for (const part of ['revision', 'distro', 'build'] as const) {
          if (request[part] !== undefined) assert.equal(candidate[part], request[part]);
        }
      }),
      { numRuns: 2_000 },
    );
  });
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
    ['1.34.0+', '1.34.0', undefined],
    ['x1.34.0', '1.34.0', undefined],
  ] as const) {
    it(`${left} beside ${right}: ${wanted ?? 'refused'}`, () => {
      if (wanted === undefined) assert.throws(() => compareSemver(left, right), invalidVersion);
      else assert.equal(compareSemver(left, right), wanted);
    });
  }
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
