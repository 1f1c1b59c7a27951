/** What the host program has in the place of Node's globals answers as Node does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { array, constantFrom, integer, oneof, sample, tuple } from 'fast-check';
import { buildNative } from './native.ts';
import { answers, type Cases } from './polyfill-cases.ts';

const bases = [
  undefined,
  'https://h.example/a/b?c#d',
  'http://u:p@h:81/x/',
  'file:///C:/a/b',
  'file://host/a',
  'mailto:a',
  'oci://r/x/y',
  'data:x,y',
];
const listed = [
  '',
  ' ',
  'a',
  '/',
  '//',
  '///',
  '?',
  '#',
  '#f',
  '?q',
  '//x',
  '/x',
  '\\x',
  '\\\\x/y',
  './.',
  '../..',
  'a/./b/../c',
  '%2e%2e/x',
  'x:',
  'x:/',
  'x://',
  'x:a b',
  'http:',
  'http:/',
  'http://',
  'http:a',
  'http:/a',
  'https:a',
  'http://a:b@c:80/d?e#f',
  'http://a@b@c/',
  'http://:@c',
  'http://@/x',
  'http://[::1]:80',
  'http://[1:2:3:4:5:6:7:8]',
  'http://[::ffff:1.2.3.4]',
  'http://[1::2::3]',
  'http://[::1',
  'http://1.2.3.4',
  'http://1.2.3',
  'http://0x7f.1',
  'http://256.1.1.1',
  'http://1.2.3.4.5',
  'http://0',
  'http://09.1',
  'http://1.',
  'http://a..b',
  'http://a_b',
  'http://A.B',
  'http://ä.example',
  'http://xn--4ca.example',
  'http://faß.de',
  'http://a%41b',
  'http://a%00b',
  'http://a b',
  'http://a<b',
  'http://a:65535',
  'http://a:65536',
  'http://a:',
  'http://a:x',
  'http://a:080',
  'https://a:443/',
  'ftp://a:21',
  'ws://a:80',
  'wss://a:443',
  'file:',
  'file:/a',
  'file://localhost/a',
  'file:///C|/x',
  'file:c:/x',
  'file:///a/../..',
  'file://a:80',
  'javascript:alert(1)',
  'data:text/plain,a b?c d#e f',
  'mailto:a@b',
  'urn:a:b',
  'oci://registry.example:5000/a/b:1',
  'oci://ä/x',
  'oci://a b',
  'x://%/?',
  'x:?a',
  'x:#',
  'x:/..//y',
  'x:/.//y',
  'http://a/\t\nb',
  '\u0000http://a',
  'http://a/ü?ü#ü',
  'http://a/"<>`{}|^\'',
  'http://a/?"<>`\'{}|^',
  'http://a/#"<>`{}',
  'http://a/%zz%41%7e~',
  'http://a?x',
  'http://a#x',
  'http://a\\b',
  'http://\ud800/',
  'http://a/\ud800',
  'HTTP://A',
  'hTTps://u%20:p%3a@h',
  'http://u:p:q@h',
  'http://u/p@h',
  '1x:a',
  'a+b.c-d://x',
  'http://127.0.0.1:10248/healthz',
  'unix:///run/x.sock',
  'https://[fe80::1%25eth0]/',
  'http://a.b.',
  'http://0x',
  'http://1e2',
  'http://4294967296',
  'http://4294967295',
];

const piece = constantFrom(
  'a',
  'B',
  '.',
  '..',
  '/',
  '//',
  '\\',
  ':',
  '@',
  '?',
  '#',
  '%',
  '%41',
  '%2e',
  '[',
  ']',
  '::',
  '1',
  '0x1',
  '255',
  '80',
  'http:',
  'https://',
  'file:',
  'x:',
  'ä',
  ' ',
  '\t',
  '|',
  '<',
  '&',
  '=',
  '+',
  '~',
  "'",
  '"',
  'ß',
  '-',
  '_',
  'C|',
  'localhost',
);
const generated = sample(
  tuple(
    array(piece, { maxLength: 9 }).map((parts) => parts.join('')),
    constantFrom(...bases),
  ),
  { numRuns: 6000, seed: 1 },
);
const start = constantFrom('http://', 'https://', 'x://', 'file://', 'http:', '');
const started = sample(
  tuple(start, array(piece, { maxLength: 7 })).map(([a, b]) => a + b.join('')),
  { numRuns: 4000, seed: 2 },
);
const queries = sample(
  array(constantFrom('a', 'b', '=', '&', '+', '%20', '%zz', '%c3%bc', '?', ' ', '%ff', '*', '~'), {
    maxLength: 8,
  }),
  { numRuns: 1000, seed: 3 },
);
const units = sample(
  array(
    oneof(integer({ min: 0, max: 0xff }), integer({ min: 0, max: 0xffff }), integer({ min: 0xd7f0, max: 0xe010 })),
    { maxLength: 8 },
  ),
  { numRuns: 2000, seed: 4 },
);
const octet = oneof(
  constantFrom(0xef, 0xbb, 0xbf, 0xc2, 0xc0, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0x41, 0xff),
  integer({ min: 0, max: 255 }),
);
const octets = sample(array(octet, { maxLength: 9 }), { numRuns: 4000, seed: 5 });
const base64 = sample(
  array(constantFrom('A', 'Q', '=', '+', '/', '-', '_', ' ', '\n', '9', 'z', 'ü', '*'), { maxLength: 8 }),
  { numRuns: 2000, seed: 6 },
);

const cases: Cases = {
  urls: [
    ...listed.flatMap((url) => bases.map((base): [string, string?] => (base === undefined ? [url] : [url, base]))),
    ...generated.map(([url, base]): [string, string?] => (base === undefined ? [url] : [url, base])),
    ...started.map((url): [string] => [url]),
  ],
  queries: queries.map((parts) => parts.join('')),
  texts: units,
  bytes: octets,
  base64: base64.map((parts) => parts.join('')),
};

describe('in the host program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodekiln-native-'));
  after(() => rmSync(folder, { recursive: true }));
  let told: Readonly<Record<keyof Cases, unknown[]>> & { readonly played: Readonly<Record<string, unknown>> };
  before(async () => {
    const [program, file] = [join(folder, 'polyfills'), join(folder, 'cases.json')];
    buildNative('polyfills.ts', program);
    writeFileSync(file, JSON.stringify(cases));
    told = JSON.parse(execFileSync(program, ['polyfills', file], { encoding: 'utf8', maxBuffer: 2 ** 28 }));
    expected = JSON.parse(JSON.stringify(await answers(cases)));
  });
  let expected: typeof told;
  test('signals and timers do the same in the same order', () => assert.deepEqual(told.played, expected.played));
  for (const kind of ['urls', 'queries', 'texts', 'bytes', 'base64'] as const)
    test(`${kind}: ${cases[kind].length} answers are Node’s`, () => {
      const wrong = cases[kind].flatMap((asked, index) => {
        const [found, wanted] = [JSON.stringify(told[kind][index]), JSON.stringify(expected[kind][index])];
        return found === wanted ? [] : [`${JSON.stringify(asked)}\n  ${found}\n  ${wanted}`];
      });
      assert.equal(wrong.length, 0, `${wrong.length} differ:\n${wrong.slice(0, 10).join('\n')}`);
    });
});
