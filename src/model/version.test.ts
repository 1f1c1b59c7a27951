import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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

// ── orders against the programs that define them ─────────────────────────────────────────────────────────────────

const fragment = fc.constantFrom(
  '0',
  '1',
  '01',
  '2',
  '9',
  '10',
  '34',
  '.',
  '.',
  '~',
  '+',
  'a',
  'b',
  'rc',
  'Z',
  'deb12u1',
  'el9',
);
const part = fc.array(fragment, { minLength: 0, maxLength: 6 }).map((parts) => parts.join(''));
const evr = (extra: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom('', '', '', '0:', '1:', '2:'),
      fc.constantFrom('1', '1.34', '0', '2', '1.10'),
      part,
      extra,
      fc.option(part, { nil: undefined }),
    )
    .map(
      ([epoch, number, tail, more, release]) =>
        `${epoch}${number}${tail}${more}${release === undefined ? '' : `-1${release}`}`,
    );

function pairs(text: fc.Arbitrary<string>, count: number): [string, string][] {
  // Half are neighbours: the same text with one character changed or dropped.
  const neighbour = fc
    .tuple(text, fc.nat(), fc.constantFrom('', '0', '1', '~', '.', 'a'))
    .map(([one, at, put]): [string, string] => {
      const position = 1 + (at % one.length);
      const other = one.slice(0, position) + put + one.slice(position + 1);
      return [one, /^(\d+:)?\d[^:]*$/.test(other) && !/-.*-|-$/.test(other) ? other : one];
    });
  return fc.sample(fc.oneof(fc.tuple(text, text), neighbour), count);
}

describe('compareDebian', () => {
  it("agrees with dpkg's own comparison on generated pairs", () => {
    const cases = pairs(evr(fc.constant('')), 2_000);
    const script =
      'while read -r a b; do if dpkg --compare-versions "$a" lt "$b"; then echo -1; elif dpkg --compare-versions "$a" eq "$b"; then echo 0; else echo 1; fi; done';
    const answers = execFileSync('sh', ['-c', script], {
      input: cases.map((pair) => `${pair.join(' ')}\n`).join(''),
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const expected = answers.trim().split('\n').map(Number);
    assert.equal(expected.length, cases.length);
    cases.forEach(([a, b], i) => assert.equal(compareDebian(a, b), expected[i], `${a} and ${b}`));
    assert.ok(expected.includes(0) && expected.includes(1) && expected.includes(-1));
  });
});

describe('compareRpm', () => {
  it("agrees with rpm's own comparison on generated pairs", () => {
    const cases = pairs(evr(fc.constantFrom('', '', '^git1', '^', '_1')), 4_000);
    const calls = cases.map(([a, b]) => `r[#r+1]=rpm.vercmp("${a}","${b}")`);
    const expected: number[] = [];
    // One argument of execve is limited to 128 KiB.
    for (let at = 0; at < calls.length; at += 1_000) {
      const script = `%{lua:local r={} ${calls.slice(at, at + 1_000).join(' ')} print(table.concat(r,' '))}`;
      expected.push(...execFileSync('rpm', ['--eval', script], { encoding: 'utf8' }).trim().split(' ').map(Number));
    }
    assert.equal(expected.length, cases.length);
    cases.forEach(([a, b], i) => assert.equal(compareRpm(a, b), expected[i], `${a} and ${b}`));
    assert.ok(expected.includes(0) && expected.includes(1) && expected.includes(-1));
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

describe('orders', () => {
  it('are antisymmetric and transitive', () => {
    const text = evr(fc.constant(''));
    fc.assert(
      fc.property(text, text, text, fc.constantFrom('deb', 'rpm'), (a, b, c, order) => {
        assert.equal(compareVersions(a, b, order), -compareVersions(b, a, order) + 0);
        if (compareVersions(a, b, order) <= 0 && compareVersions(b, c, order) <= 0)
          assert.ok(compareVersions(a, c, order) <= 0);
      }),
      { numRuns: 2_000 },
    );
  });
  it('refuse an empty text', () => {
    for (const order of ['semver', 'deb', 'rpm'] as const)
      assert.throws(() => compareVersions('', '1', order), invalidVersion);
  });
});
