/** The part of the host program in Go: its form, its own tests, and that it decides nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { documentSchemas } from '../support/document-schemas.ts';
import { schemaFields } from '../support/schema-fields.ts';

const folder = join(import.meta.dirname, '../../native');
const files = globSync('**/*.go', { cwd: folder }).filter((file) => !file.endsWith('_test.go'));
const textOf = (file: string): string => readFileSync(join(folder, file), 'utf8');
/** Comments may say what the others do. */
const codeOf = (file: string): string => textOf(file).replaceAll(/(?<=^|\s)\/\/.*$/gm, '');

function go(program: 'go' | 'gofmt', ...args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  assert.ifError(error);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

test('is written as gofmt writes it', () => assert.equal(go('gofmt', '-l', '.'), ''));

test('go vet finds nothing', () => {
  // What is embedded is made when the program is built.
  const made = mkdtempSync(join(tmpdir(), 'nodekiln-native-'));
  try {
    writeFileSync(join(made, 'empty'), '');
    const embedded = ['program.bin', 'program.map.gz'].map((name) => [
      join(folder, 'program', name),
      join(made, 'empty'),
    ]);
    writeFileSync(join(made, 'overlay.json'), JSON.stringify({ Replace: Object.fromEntries(embedded) }));
    assert.equal(go('go', 'vet', '-overlay', join(made, 'overlay.json'), './...'), '');
  } finally {
    rmSync(made, { recursive: true });
  }
});

test('its own tests pass', () =>
  assert.match(go('go', 'test', './engine', './loop', './surface', './sourcemap'), /^ok/));

test('has at most 4,000 lines', () => {
  const lines = files.reduce((sum, file) => sum + textOf(file).split('\n').length - 1, 0);
  assert.ok(lines > 2000 && lines <= 4000, `${lines} lines`);
});

/** What is TypeScript's alone; an example of each. */
const alien: readonly (readonly [what: string, pattern: RegExp, example: string])[] = [
  ['a code of an error', /\bNK_[A-Z]/, 'errors.New("NK_TIMEOUT")'],
  [
    'the name of a unit',
    /["`][\w@.-]+\.(?:service|socket|target|timer|mount|automount|swap|path|slice|scope|device)["`]/,
    '"kubelet.service"',
  ],
  ['a program that it tends', /\b(?:kubelet|containerd|kubectl|crictl|systemctl|systemd)\b/i, '"kubelet"'],
  ['a folder of a system', /["'`]\/(?:etc|run|var|opt|usr)\//, '"/etc/kubernetes"'],
  ['a version or kind of documents', /nodekiln\.dev\/v\d|apiVersion|kubernetes/i, '"nodekiln.dev/v1alpha1"'],
  ['a count of retries', /retr(?:y|ies)|attempts/i, 'for retry := range 3 {'],
  ['a shell', /\/bin\/sh\b|"sh"|"bash"/, 'exec.Command("sh", "-c")'],
];
for (const [what, pattern, example] of alien)
  test(`does not hold ${what}`, () => {
    assert.match(example, pattern);
    assert.deepEqual(
      files.flatMap((file) =>
        codeOf(file)
          .split('\n')
          .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
      ),
      [],
    );
  });

test('does not hold a key of a document', async () => {
  const keys = new Set<string>();
  for (const [, schema] of documentSchemas)
    // Of one word many are, like `name` and `path`, words of every program.
    for (const { path } of schemaFields(await schema()))
      for (const key of path) if (/^[a-z]+[A-Z]/.test(key)) keys.add(key);
  assert.ok(keys.size > 60, `${keys.size}`);
  const found = files.flatMap((file) =>
    [...codeOf(file).matchAll(/["`]([A-Za-z]+)["`]/g)].flatMap(([, text = '']) =>
      keys.has(text) ? [`${file}: ${text}`] : [],
    ),
  );
  assert.deepEqual(found, []);
});
