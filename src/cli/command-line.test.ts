import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseArguments, parseCommandLine } from './command-line.ts';
import type { VerbSpec } from './verb.ts';

const spec: VerbSpec = {
  name: 'try',
  summary: 'try the parser',
  arguments: [
    { name: 'FIRST', about: 'the first', required: true },
    { name: 'MORE', about: 'the rest', required: false, many: true },
  ],
  options: [
    { flag: '--root', value: 'DIR', about: 'a folder', default: '/' },
    { flag: '--until', value: 'SCOPE', about: 'how far', choices: ['shared', 'node'] },
    { flag: '--deep', about: 'deeply' },
  ],
  examples: ['nodekiln try x'],
  kind: 'Try',
  root: 'never',
};

const ordinary = { root: '/', until: undefined, deep: undefined, json: undefined, quiet: undefined };

for (const [name, args, words, options] of [
  ['nothing but what is required', ['x'], ['x'], {}],
  [
    'options before, between and behind',
    ['--deep', 'x', '--json', 'y', '--quiet'],
    ['x', 'y'],
    { deep: true, json: true, quiet: true },
  ],
  ['a value behind and in the same word', ['x', '--root', '/a', '--until=node'], ['x'], { root: '/a', until: 'node' }],
  ['a value that holds the sign, or nothing', ['x', '--root=/a=b'], ['x'], { root: '/a=b' }],
  ['an empty value', ['x', '--root='], ['x'], { root: '' }],
  ['the last of two', ['x', '--root', '/a', '--root', '/b'], ['x'], { root: '/b' }],
  ['a single dash, and what follows two', ['-', '--', '--deep', '-x'], ['-', '--deep', '-x'], {}],
  ['a value with two dashes when it is said to be one', ['x', '--root=--json'], ['x'], { root: '--json' }],
] as const) {
  test(`takes ${name}`, () => {
    assert.deepEqual(parseArguments(spec, args), { arguments: [...words], options: { ...ordinary, ...options } });
  });
}

for (const [name, args, says] of [
  ['a missing argument', ['--deep'], /argument FIRST is missing/],
  ['an unknown option', ['x', '--dep'], /unknown option --dep.*Did you mean --deep\?/],
  ['a short option', ['x', '-j'], /unknown option -j/],
  ['a value that is missing', ['x', '--root'], /--root needs a value: --root DIR/],
  ['a value that is the next option', ['x', '--root', '--json'], /--root needs a value/],
  ['a value where none is taken', ['x', '--deep=yes'], /--deep takes no value/],
  ['a wrong choice', ['x', '--until', 'soon'], /--until soon is none of shared, node/],
] as const) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => parseArguments(spec, args),
      (error: unknown) =>
        error instanceof Error && 'hint' in error && says.test(`${error.message} ${String(error.hint)}`),
    );
  });
}

describe('help', () => {
  for (const argv of [[], ['--help'], ['-h'], ['help'], ['help', '--help']])
    test(`of everything: ${argv.join(' ')}`, async () => {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('text' in parsed && parsed.text.includes('Verbs:'));
      assert.ok(parsed.text.split('\n').every((line) => line.length <= 80));
    });

  for (const argv of [
    ['config', '--help'],
    ['help', 'config'],
    ['config', '-h'],
  ])
    test(`of a group: ${argv.join(' ')}`, async () => {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('text' in parsed);
      assert.match(parsed.text, /^ {2}check .*\n.*\n? {2}dump /m);
    });

  test('of a verb, wherever it is asked for, but not behind two dashes', async () => {
    for (const argv of [
      ['bake', 'x', '--help'],
      ['bake', '--nonsense', '-h'],
      ['help', 'bake'],
    ]) {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('text' in parsed && parsed.text.startsWith('Usage: nodekiln bake [OPTION…] '));
    }
    const parsed = await parseCommandLine(['plan', '--', '--help'], 80);
    assert.ok('verb' in parsed);
    assert.deepEqual(parsed.arguments, ['--help']);
  });

  test('is not the version', async () => {
    for (const argv of [['--version'], ['-V']]) {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('text' in parsed && /^\d+\.\d+\.\d+/.test(parsed.text));
    }
  });
});

describe('what a person may leave to us', () => {
  const needy: VerbSpec = {
    ...spec,
    name: 'needy',
    options: [
      { flag: '--to', value: 'PATH', about: 'where to', required: true },
      { flag: '--from', value: 'PATH', about: 'from where', required: true },
    ],
  };
  for (const [args, said] of [
    [[], /^argument FIRST, option --to PATH, option --from PATH are missing$/],
    [['a'], /^option --to PATH, option --from PATH are missing$/],
    [['a', '--to', 'b'], /^option --from PATH is missing$/],
    [['--to', 'b', '--from', 'c'], /^argument FIRST is missing$/],
  ] as const)
    test(`of ${JSON.stringify(args)} all that is missing is said at once`, () => {
      assert.throws(() => parseArguments(needy, args), { code: 'NK_USAGE', message: said });
    });

  for (const argv of [
    ['--json', 'version'],
    ['--quiet', '--json', 'version'],
    ['--version', '--json'],
    ['-V', '--json'],
    ['version', '--json'],
    ['--json', 'version', '--'],
  ])
    test(`${argv.join(' ')} is the version as JSON`, async () => {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('verb' in parsed && parsed.verb.spec.name === 'version');
      assert.equal(parsed.options['json'], true);
    });
});
