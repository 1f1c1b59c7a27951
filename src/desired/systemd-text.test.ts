import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentLine, execStart, unitText, unitWord } from './systemd-text.ts';

for (const [text, word] of [
  ['--v=2', '--v=2'],
  ['aZ09_@+:,./-', 'aZ09_@+:,./-'],
  ['', '""'],
  ['a b', '"a b"'],
  ['100%', '100%%'],
  ['$HOME', '$$HOME'],
  ['a\\b', '"a\\\\b"'],
  ['say "x"', '"say \\"x\\""'],
  ['two\nlines', '"two\\nlines"'],
  ["it's", '"it\'s"'],
  ['a;b', '"a;b"'],
  ['ä', '"ä"'],
] as const) {
  test(`${JSON.stringify(text)} is the word ${word}`, () => {
    assert.equal(unitWord(text), word);
  });
}

test('in an assignment a dollar has no meaning, a percent sign has', () => {
  assert.equal(environmentLine('A', 'b'), 'Environment=A=b');
  assert.equal(environmentLine('A', '$x 5%'), 'Environment="A=$x 5%%"');
});

test('a command has one argument a line', () => {
  assert.equal(execStart(['/bin/a', '--b=c d', 'e']), 'ExecStart=/bin/a \\\n  "--b=c d" \\\n  e');
  assert.equal(execStart(['/bin/a']), 'ExecStart=/bin/a');
});

test('sections stand apart, and empty ones are left out', () => {
  assert.equal(
    unitText({ Unit: ['A=1', 'B=2'], Service: [], Install: ['C=3'] }),
    '[Unit]\nA=1\nB=2\n\n[Install]\nC=3\n',
  );
  assert.equal(unitText({ Unit: [] }), '');
});
