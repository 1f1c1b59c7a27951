import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasNoTextCharacter, visible, visibleLine } from './printable.ts';

describe('what is no text', () => {
  for (const [text, allowed, found] of [
    ['a b é 😀 \u2028 \u202e', '', undefined],
    ['ab\rc', '', { code: 'U+000D', at: 3 }],
    ['\tab', '', { code: 'U+0009', at: 1 }],
    ['\ta\nb', '\t\n', undefined],
    ['\ta\r\nb', '\t\n', { code: 'U+000D', at: 3 }],
    ['a\u007f', '', { code: 'U+007F', at: 2 }],
    ['a\u0085', '', { code: 'U+0085', at: 2 }],
    ['a\ud83d', '', { code: 'U+D83D', at: 2 }],
  ] as const)
    it(`of ${JSON.stringify(text)} is ${found?.code ?? 'nothing'}`, () => {
      assert.deepEqual(hasNoTextCharacter(text, allowed), found);
    });
});

describe('shown', () => {
  for (const [what, text, line] of [
    ['a text', 'a\tb é 漢 😀 👩‍💻', 'a\tb é 漢 😀 👩‍💻'],
    ['a line more', 'a\nb', String.raw`a\nb`],
    ['a line written over', 'a\rb', String.raw`a\rb`],
    ['a colour', '\u001b[31ma\u001b[0m', String.raw`\u001b[31ma\u001b[0m`],
    ['the title of a terminal', '\u001b]0;a\u0007', String.raw`\u001b]0;a\u0007`],
    ['one written as a single byte', '\u009b31ma', String.raw`\u009b31ma`],
    ['what takes characters away', 'a\b\u007f', String.raw`a\u0008\u007f`],
    ['what ends a text for C', 'a\0b', String.raw`a\u0000b`],
    ['text turned around', 'a\u202etxt.exe\u2066', String.raw`a\u202etxt.exe\u2066`],
    ['marks of direction', '\u200e\u200f\u061c', String.raw`\u200e\u200f\u061c`],
    ['ends of lines of Unicode', 'a\u2028\u2029b', String.raw`a\u2028\u2029b`],
    ['what nobody sees', '\u00ad\u200b\u2060\ufeff', String.raw`\u00ad\u200b\u2060\ufeff`],
    ['tags', 'a\u{e0041}', String.raw`a\udb40\udc41`],
    ['half a character', 'a\ud83d', String.raw`a\ud83d`],
    ['what is no character', '\ufdd0\uffff', String.raw`\ufdd0\uffff`],
  ] as const)
    it(`${what} is ${line}`, () => {
      assert.equal(visibleLine(text), line);
      assert.equal(visible(text), what === 'a line more' ? text : line);
      if (!line.includes('\t')) assert.equal(JSON.parse(`"${line}"`), text);
    });
});
