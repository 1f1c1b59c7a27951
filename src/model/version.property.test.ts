/** What holds of every version text: generated spellings. The cases with answers stand in `version.test.ts`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { NodekilnError } from '../errors.ts';
import { cacheKey, formatVersion, parseVersion, satisfies } from './version.ts';
import type { Version } from './version.ts';

describe('parseVersion', () => {
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
            assert.ok(
              thrown instanceof NodekilnError && thrown.code === 'NK_VERSION_INVALID',
              `${JSON.stringify(text)}: ${String(thrown)}`,
            );
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
