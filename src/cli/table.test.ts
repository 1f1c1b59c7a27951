import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import stringWidth from 'string-width';
import { plainLook, table, type Column, type Look } from './table.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
const on = (fit: number): Look => ({ ...plainLook, wide: false, fit });
const columns: readonly Column[] = [{ title: 'A' }, { title: 'N', align: 'right' }, { title: 'WHY' }];

describe('a table', () => {
  it('aligns its columns and has no spaces at the end of lines', () => {
    const text = table(
      [{ title: 'A' }, { title: 'N', align: 'right' }, { title: 'C' }],
      [
        ['long one', '1', ''],
        ['x', '100', 'y'],
      ],
    );
    assert.equal(text, 'A           N  C\nlong one    1\nx         100  y');
    assert.equal(table([{ title: 'A' }], []), '');
  });

  for (const width of [200, 80, 60, 40, 30])
    it(`fits ${width} columns: what is widest gives`, () => {
      const rows = [
        ['file:/etc/a', '1', 'is missing, and much more is to be said of it than fits on one line of a terminal'],
        ['unit:a-name-that-is-rather-long.service', '100', 'no'],
      ];
      const text = table(columns, rows, on(width));
      const lines = text.split('\n');
      assert.ok(
        lines.every((line) => stringWidth(line) <= width),
        text,
      );
      assert.match(text, / 100 /, 'what is short stays whole');
      assert.equal(text.includes('…'), width < 150);
      assert.equal(table(columns, rows, { ...on(width), wide: true }), table(columns, rows));
    });

  it('is as wide as it must be where it cannot fit', () => {
    const text = table([{ title: 'A-LONG-TITLE' }, { title: 'ANOTHER-ONE' }], [['x', 'y']], on(10));
    assert.equal(text, 'A-LONG-TITLE  ANOTHER-ONE\nx             y');
  });

  it('has short digests, but where they are copied from, or with everything in full', () => {
    const rows = [['x', '1', `${digest} is not ${digest.replace('0', '1')}`]];
    assert.match(table(columns, rows, on(200)), /sha256:0123456789ab… is not sha256:1123456789ab…$/);
    assert.ok(table(columns, rows, { ...plainLook, wide: true }).includes(digest));
    assert.ok(table([{ title: 'DIGEST', whole: true }], [[digest]], on(20)).includes(digest));
    // Without a terminal, too: what is for programs is JSON.
    assert.ok(!table(columns, rows, { ...plainLook, wide: false }).includes(digest));
  });

  for (const [name, cell, width] of [
    ['letters of two cells', '日本語のファイル', 40],
    ['combined letters', 'e\u0301e\u0301', 40],
    ['lines', 'one\ntwo\r\n  three', 40],
    ['a tab', 'a\tb', 40],
  ] as const)
    it(`keeps its lines with ${name}`, () => {
      const text = table(
        [{ title: 'A' }, { title: 'B' }],
        [
          [cell, 'x'],
          ['y', 'z'],
        ],
        on(width),
      );
      const lines = text.split('\n');
      assert.equal(lines.length, 3);
      const at = lines.slice(1).map((line) => stringWidth(line.slice(0, line.search(/[xz]$/))));
      assert.equal(at[0], at[1]);
    });
});
