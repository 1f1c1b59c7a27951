/** The orders against the programs that define them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { compareDebian, compareRpm, compareVersions } from './version.ts';

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
    const cases = pairs(evr(fc.constant('')), 800);
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
      assert.throws(() => compareVersions('', '1', order), { code: 'NK_VERSION_INVALID' });
  });
});
