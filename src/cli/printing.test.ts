/** Words from outside leave us as text, whatever they hold, on every way out; and there are no other ways out. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCli } from '../../test/run-cli.ts';
import { openEndpoint } from '../agent/endpoint.ts';
import { NodekilnError } from '../errors.ts';
import { junitXml } from '../inspect/verify/junit.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createJournal } from './journal.ts';
import { envelopeLine, formatError, formatWarnings, lines } from './output.ts';
import { oneLine, printed, styler } from './printing.ts';
import { createProgress } from './progress.ts';
import { table } from './table.ts';

const hostile = 'a\u001b[2J\u001b]0;t\u0007\u009b31m\r\nerror NK_X: no\u202e\u0000\u007f\u2028z';
const shown = String.raw`a\u001b[2J\u001b]0;t\u0007\u009b31m\r\nerror NK_X: no\u202e\u0000\u007f\u2028z`;
const raw = /[^\t\n\P{Cc}]|[\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;

/** Of ours. */
function withoutColours(text: string): string {
  return [1, 2, 22, 31, 32, 33, 36, 39].reduce((left, code) => left.replaceAll(`\u001b[${code}m`, ''), text);
}

const error = new NodekilnError('NK_UNIT_FAILED', `message ${hostile}`, {
  hint: `hint ${hostile}`,
  lines: [`line ${hostile}`],
  problems: [{ message: `problem ${hostile}`, hint: hostile, place: { file: hostile, line: 1 } }],
});

describe('words from outside', () => {
  const ways: Record<string, { text: string; lines: number; times: number }> = {
    'an error': { text: formatError(error), lines: 4, times: 6 },
    'an error with colours': { text: formatError(error, styler({ colours: true })), lines: 4, times: 6 },
    'a table': { text: table([{ title: 'A' }, { title: 'B' }], [[hostile, hostile]]), lines: 2, times: 2 },
    warnings: { text: formatWarnings([hostile, hostile]), lines: 2, times: 2 },
    lines: { text: lines(hostile, hostile, hostile), lines: 3, times: 3 },
    'a line': { text: oneLine(hostile), lines: 1, times: 1 },
  };
  for (const [what, { text, lines: expected, times }] of Object.entries(ways))
    it(`stay where they stand in ${what}`, () => {
      const out = printed(text);
      const plain = withoutColours(out);
      assert.ok(!raw.test(plain), JSON.stringify(plain));
      assert.equal(plain.split('\n').length, expected);
      assert.equal(plain.split(shown).length - 1, times);
    });

  it('of a cell have their width', () => {
    const [head = '', ...rows] = table(
      [{ title: 'A' }, { title: 'B' }],
      [
        ['\t\u001b', 'x'],
        ['a', 'y'],
      ],
    ).split('\n');
    assert.deepEqual([head, ...rows], ['A         B', String.raw`\t\u001b  x`, 'a         y']);
  });

  it('are no colours of ours, nor take ours away', () => {
    const style = styler({ colours: true });
    const fake = '\u001b[31mred\u001b[39m';
    assert.equal(printed(style('green', fake)), `\u001b[32m${String.raw`\u001b[31mred\u001b[39m`}\u001b[39m`);
    assert.equal(printed(styler({ colours: false })('green', fake)), String.raw`\u001b[31mred\u001b[39m`);
  });

  it('are exact in JSON, which holds them as escapes', () => {
    const out = printed(envelopeLine('A', { [hostile]: hostile }, error));
    assert.ok(!raw.test(out));
    const { data, error: told } = JSON.parse(out) as { data: unknown; error: { message: string } };
    assert.deepEqual([data, told.message], [{ [hostile]: hostile }, `message ${hostile}`]);
  });

  // Of live lines: progress.test.ts.
  for (const terminal of [undefined, { columns: 400, rows: 24, live: () => new Promise<never>(() => undefined) }])
    it(`stay on their line of the progress ${terminal ? 'on a terminal' : 'in a log'}`, () => {
      const written: string[] = [];
      let nowMs = 0;
      const stream = { ...(terminal && { terminal }), write: (text: string) => written.push(text) };
      const progress = createProgress(stream, { quiet: false, nowMs: () => nowMs });
      progress.onEvent({ type: 'start', step: hostile } as never);
      nowMs = 60_000;
      progress.onEvent({ type: 'progress', step: hostile, message: hostile, transfer: {} } as never);
      const record = { id: hostile, status: 'failed', startMs: 0, endMs: 60_000, details: [hostile], error };
      progress.onEvent({ type: 'end', record } as never);
      progress.stop();
      const all = written.join('').replaceAll('\r\u001b[K', '');
      assert.ok(all.includes(shown) && !raw.test(all), JSON.stringify(all));
      assert.equal(all.split('\n').length, terminal ? 2 : 3);
    });

  it('are one field of an entry of the journal', async () => {
    let input = '';
    const exec = {
      run: (_argv: unknown, options: { input?: string }) => {
        input = options.input ?? '';
        return Promise.resolve({ status: 0, stdout: '', stderr: '', durationMs: 0 });
      },
    };
    const output = { write: () => Promise.resolve(undefined) };
    const journal = createJournal({ output, exec: () => Promise.resolve(exec as never), pid: 1 });
    journal.say({ text: printed(`${oneLine(hostile)}\n`), isWarning: true, fields: { NODEKILN_CODE: hostile } });
    await journal.said();
    assert.ok(!raw.test(input), JSON.stringify(input));
    assert.deepEqual(
      input.split('\n').map((line) => line.split('=')[0]),
      ['MESSAGE', 'PRIORITY', 'SYSLOG_IDENTIFIER', 'OBJECT_PID', 'NODEKILN_CODE', ''],
    );
  });

  it('leave a report for CI well-formed, and in their attribute', () => {
    const checks = [{ area: 'files', subject: hostile, property: hostile, status: 'failed', detail: hostile }];
    const image = { name: hostile, os: 'a', release: 'b', architecture: 'amd64' };
    const summary = { passed: 0, failed: 1, skipped: 0 };
    const xml = junitXml({ image, checks, summary, root: '/' } as never);
    assert.ok(!raw.test(xml));
    assert.equal(xml.split('\n').length, 7);
  });

  it('have one line in what the agent answers', async () => {
    let body = '';
    const net = {
      serve: (_at: unknown, answer: (path: string) => { body: string }) => {
        ({ body } = answer('/readyz'));
        return Promise.resolve({ close: () => Promise.resolve() });
      },
    };
    await openEndpoint({ net: net as never, address: 'unix:/a', metrics: createMetrics(), unready: () => hostile });
    assert.equal(body, `${shown}\n`);
  });
});

describe('the program', () => {
  const name = 'a\u001b[31m\u202eb.yaml';
  for (const [what, text, argv] of [
    ['the name of a file', 'a: [', ['config', 'check', name]],
    [
      'a key of a document',
      JSON.stringify({ apiVersion: 'nodekiln.dev/v1alpha1', kind: 'NodeConfig', spec: { 'k\u001b\u202e': 1 } }),
      ['config', 'check', name],
    ],
    ['a word of the command line', 'a: 1', ['config', 'check', 'b\u001b]0;x\u0007']],
    ['a verb that there is not', 'a: 1', ['b\u001b[31m']],
    ['a flag that there is not', 'a: 1', ['status', '--b\u001b[31m']],
  ] as const)
    it(`shows ${what}`, async () => {
      const plain = await runCli({ [name]: text }, argv);
      const coloured = await runCli({ [name]: text }, argv, { env: { FORCE_COLOR: '1' } });
      for (const out of [plain.stdout, plain.stderr, withoutColours(coloured.stderr)])
        assert.ok(!raw.test(out), JSON.stringify(out));
      assert.match(plain.stderr, /\\u001b/);
      assert.ok(coloured.stderr.startsWith('\u001b[31merror'));
    });
});

describe('ways out', () => {
  const root = join(import.meta.dirname, '..');
  const files = globSync('**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'));

  it('are the program’s outputs alone, which only its entry has', () => {
    const ways = /\bconsole\.|\bprocess\.(?:stdout|stderr|emitWarning)\b|\b(?:stdout|stderr)\.write\(/;
    const found = files.filter((file) => ways.test(readFileSync(join(root, file), 'utf8')));
    assert.deepEqual(found.sort(), ['cli/main.ts', 'host/program.ts']);
  });

  it('of the entry go through what makes words visible', () => {
    const entry = readFileSync(join(root, 'cli/main.ts'), 'utf8').split('\n');
    const writes = entry.filter((line) => /\.write\(|journal\.say\(/.test(line));
    assert.ok(writes.length > 2);
    assert.deepEqual(
      writes.filter((line) => !/printed\(|withPriority\(/.test(line)),
      [],
    );
  });
});
