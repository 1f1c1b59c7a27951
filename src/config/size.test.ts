import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSize, parseSize, sizePattern } from './size.ts';

for (const [text, bytes] of [
  ['0B', 0],
  ['7 B', 7],
  ['3kB', 3000],
  ['800MB', 800_000_000],
  ['2GB', 2_000_000_000],
  ['3KiB', 3072],
  ['5MiB', 5_242_880],
  ['1.5 GiB', 1_610_612_736],
  ['0.1KiB', 102],
] as const) {
  test(`${text} is ${bytes} bytes`, () => {
    assert.equal(parseSize(text), bytes);
    assert.match(text, sizePattern);
  });
}

for (const text of [
  '',
  '3',
  'GiB',
  '3 TiB',
  '-1B',
  '1.B',
  '.5B',
  '3  B',
  '3 gib',
  '3B ',
  ' 3B',
  '3 constructor',
  '1e3B',
]) {
  test(`${JSON.stringify(text)} is no size`, () => {
    assert.equal(parseSize(text), undefined);
    assert.doesNotMatch(text, sizePattern);
  });
}

for (const [bytes, text] of [
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KiB'],
  [10 * 1024, '10.0 KiB'],
  [100 * 1024, '100 KiB'],
  [1024 ** 2 - 1, '1024 KiB'],
  [1024 ** 2, '1.00 MiB'],
  [1_300_000_000, '1.21 GiB'],
  [12.34 * 1024 ** 3, '12.3 GiB'],
  [1024 ** 4, '1024 GiB'],
] as const) {
  test(`${bytes} bytes are ${text}`, () => {
    assert.equal(formatSize(bytes), text);
  });
}
