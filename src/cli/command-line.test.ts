import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NodekilnError } from '../errors.ts';
import { parseArguments, parseCommandLine } from './command-line.ts';
import type { VerbSpec } from './verb.ts';
import { verbs } from './verbs.ts';

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
    { flag: '--keep', value: 'PATH', about: 'what stays', many: true },
  ],
  examples: ['nodekiln try x'],
  kind: 'Try',
  root: 'never',
};

const ordinary = {
  wide: undefined,
  root: '/',
  until: undefined,
  deep: undefined,
  keep: undefined,
  json: undefined,
  quiet: undefined,
};

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
  [
    'all of an option for several',
    ['x', '--keep', '/a', '--keep=/b', '--keep', '/a'],
    ['x'],
    { keep: ['/a', '/b', '/a'] },
  ],
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
  ['a short option', ['x', '-j'], /unknown option -j.*Did you mean --json\?/],
  ['a value that is missing', ['x', '--root'], /--root needs a value: --root DIR/],
  ['a value that is the next option', ['x', '--root', '--json'], /--root needs a value/],
  ['a value where none is taken', ['x', '--deep=yes'], /--deep takes no value/],
  ['an empty value', ['x', '--root='], /option --root is empty: --root DIR.*Run nodekiln try --help/],
  ['an empty value in a word of its own', ['x', '--root', ''], /option --root is empty/],
  ['an empty choice', ['x', '--until', ''], /option --until is empty: --until SCOPE/],
  ['an empty one of several', ['x', '--keep', '/a', '--keep='], /option --keep is empty/],
  ['an empty argument', [''], /argument FIRST is empty: nodekiln try .*FIRST/],
  ['an empty one among arguments', ['x', 'y', ''], /argument MORE is empty/],
  ['an empty argument behind two dashes', ['x', '--', ''], /argument MORE is empty/],
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
      assert.ok('text' in parsed && parsed.text.startsWith('Usage: nodekiln bake --root DIR [OPTION…] '));
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

describe('options before the verb', () => {
  for (const [argv, verb, words, options] of [
    [['--root', '/srv', 'status'], 'status', [], { root: '/srv' }],
    [['--root=/srv', '--json', 'status'], 'status', [], { root: '/srv', json: true }],
    // A folder that is called like a verb.
    [['--root', 'bake', 'bake', 'm.yaml'], 'bake', ['m.yaml'], { root: 'bake' }],
    [['--facts', 'f.json', 'plan', 'n.yaml'], 'plan', ['n.yaml'], { facts: 'f.json' }],
    [['--quiet', 'config', 'check', 'a'], 'config check', ['a'], { quiet: true }],
    [['config', '--json', 'check', 'a'], 'config check', ['a'], { json: true }],
    [['artifact', '--to', 'x', 'fetch', './a'], 'artifact fetch', ['./a'], { to: 'x' }],
    [['--json', 'artifact', '--to', 'x', 'fetch', './a'], 'artifact fetch', ['./a'], { to: 'x', json: true }],
    [['--once', 'agent'], 'agent', [], { once: true }],
    [['--json', 'agent', 'update'], 'agent update', [], { json: true }],
    [['--json', 'plan', '--', '--x'], 'plan', ['--x'], { json: true }],
  ] as const)
    test(argv.join(' '), async () => {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('verb' in parsed);
      assert.equal(parsed.verb.spec.name, verb);
      assert.deepEqual(parsed.arguments, [...words]);
      for (const [name, value] of Object.entries(options)) assert.equal(parsed.options[name], value);
    });

  test('mean one thing, whatever the verb', async () => {
    const all = await Promise.all(Object.values(verbs).map((load) => load()));
    const known = new Map<string, boolean>();
    for (const { spec: each } of all)
      for (const { flag, value } of each.options) {
        assert.equal(known.get(flag) ?? value !== undefined, value !== undefined, `${flag} of ${each.name}`);
        known.set(flag, value !== undefined);
      }
  });

  test('stand as they should in the examples of the help', async () => {
    for (const load of Object.values(verbs)) {
      const verb = await load();
      for (const example of verb.spec.examples) {
        const [, ...argv] = (example.split(/ [|>] /).find((one) => one.startsWith('nodekiln ')) ?? '').split(' ');
        const parsed = await parseCommandLine(argv, 80);
        assert.ok('verb' in parsed && parsed.verb === verb, example);
      }
    }
  });

  for (const argv of [
    ['--help', 'bake'],
    ['--json', 'bake', '--help'],
    ['--root', '/srv', '-h', 'bake'],
    ['-h', '--json', 'bake'],
  ])
    test(`${argv.join(' ')} is help of the verb, with what it cannot do without`, async () => {
      const parsed = await parseCommandLine(argv, 80);
      assert.ok('text' in parsed);
      assert.match(parsed.text, /^Usage: nodekiln bake --root DIR \[OPTION…\] MANIFEST\n/);
    });
});

for (const [argv, message, hint] of [
  [['--jsn', 'status'], /^unknown option --jsn$/, /^Did you mean --json\?$/],
  [['--rot', '/srv', 'status'], /^unknown option --rot$/, /^Did you mean --root\?$/],
  [['--vresion'], /^unknown option --vresion$/, /^Did you mean --version\?$/],
  [['status', '--rot', '/srv'], /^unknown option --rot of status$/, /^Did you mean --root\?$/],
  [['config', '--jsno', 'check'], /^unknown option --jsno$/, /^Did you mean --json\?$/],
  [['artifact', 'fetch', 'a', '--digets', 'b'], /^unknown option --digets of artifact fetch$/, /--digest/],
  // A verb that works on this machine alone has no folder to offer.
  [['boot', '--root', '/srv'], /^unknown option --root of boot$/, /^Run nodekiln boot --help\.$/],
  [['--root', '/srv', 'reset'], /^unknown option --root of reset$/, /^Run nodekiln reset --help\.$/],
  [['boot', '--until', 'shard'], /is none of shared/, /^Did you mean shared\?$/],
  [['artifact', 'match', '--kind', 'zip'], /is none of deb, rpm, sysext/, /^Run nodekiln artifact match --help\.$/],
  [['statsu'], /^unknown verb statsu$/, /^Did you mean status\?$/],
  [['config', 'chekc'], /^unknown verb chekc of config$/, /^Did you mean config check\?$/],
  [['config', 'help'], /^unknown verb help of config$/, /^Run nodekiln config --help\.$/],
  [['agent', 'bootstrp'], /^unknown verb bootstrp of agent$/, /^Did you mean agent bootstrap\?$/],
  [['agent', 'run'], /^unknown verb run of agent$/, /^Run nodekiln agent --help\.$/],
  [[''], /^unknown verb ""$/, /^Run nodekiln --help\.$/],
  [['config', ''], /^unknown verb "" of config$/, /^Run nodekiln config --help\.$/],
  [['facts', ''], /^too many arguments for facts: ""$/, /^Run nodekiln facts --help\.$/],
  [['-v'], /^unknown option -v$/, /^Did you mean --version\?$/],
  [['-H'], /^unknown option -H$/, /^Did you mean --help\?$/],
  [['status', '-j'], /^unknown option -j of status$/, /^Did you mean --json\?$/],
  [['bake', '-r', '/srv'], /^unknown option -r of bake$/, /^Did you mean --root\?$/],
  [['status', '-x'], /^unknown option -x of status$/, /^Run nodekiln status --help\.$/],
  [['conf', 'check'], /^unknown verb conf$/, /^Did you mean config\?$/],
  [['time'], /^unknown verb time$/, /^Did you mean timeline\?$/],
  [['art', 'fetch'], /^unknown verb art$/, /^Did you mean artifact\?$/],
  [['config', 'du'], /^unknown verb du of config$/, /^Did you mean config dump\?$/],
  [['s'], /^unknown verb s$/, /^Run nodekiln --help\.$/],
  [['something'], /^unknown verb something$/, /^Run nodekiln --help\.$/],
  [['--json'], /verb is missing/, /^Run nodekiln --help\.$/],
  [['config'], /^config needs a verb$/, /^Run nodekiln config --help\.$/],
  [['facts', 'here'], /^too many arguments for facts: here$/, /^Run nodekiln facts --help\.$/],
] as const)
  test(`${argv.join(' ')} is answered with what fits`, async () => {
    await assert.rejects(parseCommandLine(argv, 80), (thrown) => {
      assert.ok(thrown instanceof NodekilnError);
      assert.equal(thrown.code, 'NK_USAGE');
      assert.match(thrown.message, message);
      assert.match(thrown.hint, hint);
      return true;
    });
  });

describe('nothing between quotes', () => {
  for (const [name, load] of Object.entries(verbs))
    test(`is no value of ${name}`, async () => {
      const { spec: of } = await load();
      const given = of.arguments.filter(({ required }) => required).map(() => 'x');
      const needed = of.options
        .filter(({ required, value }) => required === true && value !== undefined)
        .flatMap(({ flag, choices }) => [flag, choices?.[0] ?? 'x']);
      for (const { flag, value } of of.options) {
        if (value === undefined) continue;
        for (const words of [[flag, ''], [`${flag}=`]])
          assert.throws(() => parseArguments(of, [...given, ...needed, ...words]), {
            code: 'NK_USAGE',
            message: `option ${flag} is empty: ${flag} ${value}`,
          });
      }
      for (const [index, { name: word }] of of.arguments.entries()) {
        const words = [...of.arguments.slice(0, index).map(() => 'x'), ''];
        assert.throws(() => parseArguments(of, [...needed, ...words]), {
          code: 'NK_USAGE',
          message: new RegExp(`^argument ${word} is empty: nodekiln ${name} `),
        });
      }
    });
});
