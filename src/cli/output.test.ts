import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodekilnError } from '../errors.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { envelopeLine, formatError } from './output.ts';
import { errorFrom } from './error-from.ts';
import { createProgress } from './progress.ts';
import { formatDuration, shorten } from '../inspect/format.ts';

const full = new NodekilnError('NK_DOCUMENT_INVALID', 'node.yaml is not a valid NodeConfig: 2 problems', {
  hint: 'Correct them.',
  lines: ['a line of a log'],
  problems: [
    {
      message: 'unknown key "a"',
      place: { file: 'node.yaml', line: 3, column: 5, path: 'spec.a' },
      hint: 'did you mean "b"?',
    },
    { message: 'needs more' },
  ],
});

describe('an error as text', () => {
  it('has code, places, log lines and hint', () => {
    assert.equal(
      formatError(full),
      [
        'error NK_DOCUMENT_INVALID: node.yaml is not a valid NodeConfig: 2 problems',
        '  node.yaml:3:5: spec.a: unknown key "a" (did you mean "b"?)',
        '  needs more',
        '    a line of a log',
        'hint: Correct them.',
      ].join('\n'),
    );
  });
  it('names its own place when it has no list of problems', () => {
    const error = new NodekilnError('NK_DOCUMENT_SYNTAX', 'not well-formed', {
      place: { file: 'a.yaml', line: 1, column: 2 },
    });
    assert.match(formatError(error), /^ {2}a\.yaml:1:2$/m);
  });
});

describe('the envelope', () => {
  it('has all five keys, in order, on one line', () => {
    const line = envelopeLine('Thing', { big: 10n, map: new Map([['a', 1]]) }, full);
    assert.ok(!line.includes('\n'));
    const value: unknown = JSON.parse(line);
    assert.deepEqual(value, {
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'Thing',
      ok: false,
      data: { big: '10', map: { a: 1 } },
      error: full.toJSON(),
    });
    assert.deepEqual(JSON.parse(envelopeLine('Thing', undefined)), {
      apiVersion: 'nodekiln.dev/v1alpha1',
      kind: 'Thing',
      ok: true,
      data: null,
      error: null,
    });
  });
  it('keeps an error through JSON and back', () => {
    const back = errorFrom(JSON.parse(JSON.stringify(full)));
    assert.deepEqual(back?.toJSON(), full.toJSON());
    assert.equal(errorFrom({ code: 'NK_NOT_A_CODE'.toLowerCase(), message: 'x' }), undefined);
    assert.equal(errorFrom(undefined), undefined);
  });
});

describe('numbers and names', () => {
  for (const [ms, text] of [
    [0, '0 ms'],
    [0.42, '0.4 ms'],
    [9.96, '10 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [9_994, '9.99 s'],
    [9_996, '10.0 s'],
    [119_940, '119.9 s'],
    [119_951, '2 min 0 s'],
    [185_000, '3 min 5 s'],
  ] as const) {
    it(`${ms} ms is ${text}`, () => assert.equal(formatDuration(ms), text));
  }
  it('are cut in the middle', () => {
    assert.equal(shorten('abcdefgh', 5), 'ab…gh');
    assert.equal(shorten('abc', 3), 'abc');
  });
});

const ended = (id: string, about: Partial<Extract<StepEvent, { type: 'end' }>['record']> = {}): StepEvent => ({
  type: 'end',
  record: { id, resource: id, phase: 'goal', status: 'done', startMs: 0, endMs: 12, needs: [], details: [], ...about },
});

describe('progress', () => {
  const stream = (isTTY: boolean) => {
    const written: string[] = [];
    return { written, ...(isTTY && { terminal: { columns: 60 } }), write: (text: string) => written.push(text) };
  };

  it('is one plain line per finished step where there is no terminal', () => {
    const out = stream(false);
    const progress = createProgress(out, { quiet: false, nowMs: () => 0 });
    progress.onEvent({ type: 'start', step: 'write file:/a' });
    progress.onEvent(ended('write file:/a'));
    progress.onEvent(
      ended('run action:x', { status: 'failed', error: new NodekilnError('NK_ACTION_FAILED', 'exit status 1') }),
    );
    progress.onEvent(ended('ready unit:a', { status: 'skipped', details: ['an earlier step failed'] }));
    progress.stop();
    assert.deepEqual(out.written, [
      'done    write file:/a (12 ms)\n',
      'failed  run action:x (12 ms): exit status 1\n',
      'skipped ready unit:a: an earlier step failed\n',
    ]);
  });

  it('says now and then where there is no terminal that a transfer goes on', () => {
    const out = stream(false);
    let now = 0;
    const progress = createProgress(out, { quiet: false, nowMs: () => now });
    progress.onEvent({ type: 'start', step: 'cache binary:a' });
    const transfer = { receivedBytes: 1, totalBytes: 2, bytesPerSecond: 1, remainingMs: 1 };
    for (now = 1_000; now <= 25_000; now += 1_000)
      progress.onEvent({ type: 'progress', step: 'cache binary:a', message: `${now} ms`, transfer });
    progress.onEvent({ type: 'progress', step: 'cache binary:a', message: 'no transfer' });
    assert.deepEqual(out.written, ['fetch   cache binary:a: 10000 ms\n', 'fetch   cache binary:a: 20000 ms\n']);
  });

  it('is nothing when quiet', () => {
    const out = stream(true);
    const progress = createProgress(out, { quiet: true, nowMs: () => 0 });
    progress.onEvent(ended('a', { status: 'failed' }));
    progress.stop();
    assert.deepEqual(out.written, []);
  });

  it('is a live line on a terminal that never wraps and is taken away', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const out = stream(true);
    let now = 0;
    const progress = createProgress(out, { quiet: false, nowMs: () => now });
    progress.onEvent({ type: 'start', step: 'import image:registry.example/with/a/very/long/name:1.2.3' });
    progress.onEvent({
      type: 'progress',
      step: 'import image:registry.example/with/a/very/long/name:1.2.3',
      message: '12 MB',
    });
    now = 1500;
    t.mock.timers.tick(100);
    const live = out.written.at(-1) ?? '';
    assert.match(live, /0 done, 1 running: import/);
    assert.match(live, /1\.50 s 12 MB$/);
    assert.ok(live.replaceAll('\r\u001b[K', '').length < 60);
    progress.onEvent(ended('short'));
    progress.onEvent(ended('long', { endMs: 5000 }));
    assert.deepEqual(out.written.slice(-2), ['\r\u001b[K', 'done    long (5.00 s)\n']);
    t.mock.timers.tick(100);
    progress.stop();
    assert.equal(out.written.at(-1), '\r\u001b[K');
  });
});
