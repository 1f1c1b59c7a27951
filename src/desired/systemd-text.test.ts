import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { environmentFile, environmentLine, execStart, programProblem, unitText, unitWord } from './systemd-text.ts';

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
  ['a\rb', '"a\\x0db"'],
  ['\0\u0007\t\v\f', '"\\x00\\x07\\x09\\x0b\\x0c"'],
  ['\u001b[0m\u007f', '"\\x1b[0m\\x7f"'],
  ['\u0085\u009b', '"\\u0085\\u009b"'],
  [';', '";"'],
  ['#', '"#"'],
  ['a\\', '"a\\\\"'],
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

test('a program’s path keeps its dollar, and variables stand after all words', () => {
  assert.equal(execStart(['/bin/100%$', '$'], ['A', 'B']), 'ExecStart=/bin/100%%$ \\\n  $$ $A $B');
  assert.deepEqual(
    ['/bin/a', '/opt/a b', '/a"b', "/a'b", '/a\\b', '/a$b'].map((path) => programProblem(path) === undefined),
    [true, true, false, false, false, false],
  );
});

test('values of a file of environment are quoted when they must be', () => {
  assert.equal(
    environmentFile({ A: '--a=b --c=d', B: '', C: 'a "b" `c` $d \\', D: ' a', E: 'a ', F: '#', G: "it's" }),
    'A=--a=b --c=d\nB=\nC="a \\"b\\" \\`c\\` \\$d \\\\"\nD=" a"\nE="a "\nF="#"\nG="it\'s"\n',
  );
});

test('formats of other programs are written in one place', () => {
  const root = join(import.meta.dirname, '..');
  const found = (pattern: RegExp): string[] =>
    globSync('**/*.ts', { cwd: root })
      .filter((file) => !file.endsWith('.test.ts') && pattern.test(readFileSync(join(root, file), 'utf8')))
      .sort();
  assert.deepEqual(found(/(?:Environment|ExecStart|ExecStop|ExecReload)=\$\{/), [
    'desired/own-units.ts', // of constants
    'desired/systemd-text.ts',
  ]);
  assert.deepEqual(found(/import \{[^}]*\bstringify\b[^}]*\} from 'smol-toml'/), ['desired/toml.ts']);
});

test('sections stand apart, and empty ones are left out', () => {
  assert.equal(
    unitText({ Unit: ['A=1', 'B=2'], Service: [], Install: ['C=3'] }),
    '[Unit]\nA=1\nB=2\n\n[Install]\nC=3\n',
  );
  assert.equal(unitText({ Unit: [] }), '');
});
