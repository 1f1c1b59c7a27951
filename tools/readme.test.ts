/** What the README shows is run as it stands: in a clone, and with the program that `./dev build` packs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkDocuments } from '../src/index.ts';
import { buildBundle, nodeBinary } from './build.ts';
import { writeProgramArchive } from './program-artifact.ts';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'nodekiln-readme-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The lines of code of the quick start that need neither a lab nor much time. */
const shown = (readFileSync(join(root, 'README.md'), 'utf8').split('## Quick start')[1] ?? '')
  .replace(/A real host[^]*/, '')
  .split('\n')
  .filter((line) => line.startsWith('    '))
  .map((line) => line.trim());
const looked = shown.filter((line) => !/\.\/dev build|\/opt\/nodekiln/.test(line));
const installs = shown.filter((line) => line.includes('/opt/nodekiln'));

/** In a mount namespace of its own: /tmp and /opt are nobody else's. */
function run(lines: readonly string[], cwd: string): { status: number | null; said: string } {
  const script = ['set -euo pipefail', 'mount -t tmpfs tmpfs /opt', ...lines].join('\n');
  const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'bash', '-c', script], { cwd, encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

/** The example's own folder, so that two who run this do not meet. */
const apart = (line: string, to: string): string => line.replaceAll('/tmp/first', join(folder, to));

describe('the README', () => {
  test('shows what runs in a clone', () => {
    assert.equal(looked.length, 7);
    for (const line of looked) {
      const { status, said } = run([apart(line, 'clone')], root);
      assert.equal(status, 0, `${line}\n${said}`);
    }
    const made = readdirSync(join(folder, 'clone', 'opt', 'bin'));
    assert.deepEqual(made.sort(), ['site-report-1.0.0', 'site-report-1.1.0']);
    // An image that neither boots nor tends by it has no use for 122 MB of runtime.
    assert.ok(!existsSync(join(folder, 'clone', 'opt', 'nodekiln', 'bin')));
  });

  test('shows what runs with an installed program, away from the clone', async () => {
    const away = join(folder, 'away');
    mkdirSync(away);
    cpSync(join(root, 'examples'), join(away, 'examples'), { recursive: true });
    await writeProgramArchive(join(away, 'build'), { node: nodeBinary, nodekiln: await buildBundle() });
    const lines = looked.map((line) => line.replace('./dev nodekiln', 'nodekiln')).map((line) => apart(line, 'away2'));
    const { status, said } = run([...installs, 'PATH=$PATH:/opt/nodekiln/bin', ...lines], away);
    assert.equal(status, 0, said);
    assert.match(said, /^nodekiln \d+\.\d+\.\d+ \(Node 24\./m);
    assert.match(said, / 0 failed, /);
  });
});

/** Where each is run. */
const runners: Readonly<Record<string, string>> = {
  demo: 'test/demo/demo.ts',
  first: 'tools/readme.test.ts',
  programs: 'src/index.test.ts',
  sources: 'src/desired/render.test.ts',
  unbaked: 'src/cli/agent-bootstrap.test.ts',
};

describe('an example', () => {
  for (const name of readdirSync(join(root, 'examples')))
    test(`is run by a test: ${name}`, () => {
      const runner = runners[name];
      assert.ok(runner !== undefined, `nothing runs examples/${name}`);
      assert.ok(readFileSync(join(root, runner), 'utf8').includes(name), `${runner} does not name ${name}`);
    });

  test('is a valid document', async () => {
    const files = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.yaml'),
    );
    const texts = files
      .map((path) => ({ file: path, text: readFileSync(join(root, 'examples', path), 'utf8') }))
      .filter(({ text }) => !text.startsWith('#cloud-config'));
    assert.ok(texts.length >= 7);
    for (const text of texts) assert.deepEqual((await checkDocuments([text])).problems, []);
  });
});
