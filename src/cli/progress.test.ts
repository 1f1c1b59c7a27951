import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'node:test';
import stringWidth from 'string-width';
import { NodekilnError } from '../errors.ts';
import { createLiveLines } from '../host/live-lines.ts';
import type { StepEvent } from '../telemetry/events.ts';
import { screenOf } from '../../test/support/screen.ts';
import { progressText } from '../artifacts/sources/progress.ts';
import { createProgress } from './progress.ts';

function onTerminal(columns: number, rows = 24) {
  let written = '';
  const stream = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      written += text;
      done();
    },
  });
  const terminal = Object.assign(stream, { columns, isTTY: true });
  return {
    write: (text: string) => terminal.write(text),
    terminal: { columns, rows, live: () => Promise.resolve(createLiveLines(terminal)) },
    screen: () => screenOf(written).join('\n').trimEnd(),
  };
}

const transfer = (receivedBytes: number, totalBytes?: number) => ({
  receivedBytes,
  totalBytes,
  bytesPerSecond: 12e6,
  remainingMs: totalBytes === undefined ? undefined : 4000,
});
const moved = (step: string, ...about: Parameters<typeof transfer>): StepEvent => ({
  type: 'progress',
  step,
  message: progressText(transfer(...about)),
  transfer: transfer(...about),
});
/** Frames come when the machine has time for them. */
async function shows(out: { screen(): string }, wanted: RegExp): Promise<void> {
  for (let tries = 0; tries < 100 && !wanted.test(out.screen()); tries++) await sleep(50);
  assert.match(out.screen(), wanted);
}

const ended = (id: string, about: Partial<Extract<StepEvent, { type: 'end' }>['record']> = {}): StepEvent => ({
  type: 'end',
  record: { id, resource: id, phase: 'goal', status: 'done', startMs: 0, endMs: 12, needs: [], details: [], ...about },
});

describe('progress', () => {
  const stream = () => {
    const written: string[] = [];
    return { written, write: (text: string) => written.push(text) };
  };

  it('is one plain line per finished step where there is no terminal', () => {
    const out = stream();
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
    const out = stream();
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
    const out = onTerminal(60);
    const progress = createProgress(out, { quiet: true, nowMs: () => 0 });
    progress.onEvent(ended('a', { status: 'failed' }));
    progress.stop();
    assert.equal(out.screen(), '');
  });
});

describe('progress on a terminal', () => {
  it('shows several transfers at once, each with its bytes, rate and time left', async (t) => {
    const out = onTerminal(100);
    const progress = createProgress(out, { quiet: false, nowMs: () => 0 });
    t.after(() => progress.stop());
    for (const step of ['cache binary:kubelet', 'cache binary:kubectl', 'import image:web', 'write file:/a'])
      progress.onEvent({ type: 'start', step });
    await sleep(0);
    progress.onEvent(moved('cache binary:kubelet', 45.2e6, 90.4e6));
    progress.onEvent(moved('cache binary:kubectl', 1e6, 50e6));
    progress.onEvent(moved('import image:web', 7e6));
    await shows(
      out,
      /^\S 0 done, 4 running: write file:\/a 0 ms\n█{10}░{10} 45\.2 of 90\.4 MB, 12\.0 MB\/s, 4 s left {2}cache binary:kubelet\n░{20} 1\.0 of 50\.0 MB, 12\.0 MB\/s, 4 s left {2}cache binary:kubectl\n7\.0 MB, 12\.0 MB\/s {2}import image:web$/,
    );

    // One ends, and its line goes; what took long is said above.
    progress.onEvent(ended('cache binary:kubelet', { endMs: 5000 }));
    progress.onEvent(ended('write file:/a'));
    await shows(
      out,
      /^done {4}cache binary:kubelet \(5\.00 s\)\n\S 2 done, 2 running\n░{20} 1\.0 of 50\.0 MB.* cache binary:kubectl\n7\.0 MB.* import image:web$/,
    );
    progress.stop();
    assert.equal(out.screen(), 'done    cache binary:kubelet (5.00 s)');
  });

  for (const columns of [20, 40, 80])
    it(`never wraps at ${columns} columns`, async (t) => {
      const out = onTerminal(columns);
      const progress = createProgress(out, { quiet: false, nowMs: () => 1500 });
      t.after(() => progress.stop());
      const step = 'import image:registry.example/with/a/very/long/name/日本語:1.2.3';
      progress.onEvent({ type: 'start', step });
      await sleep(0);
      progress.onEvent(moved(step, 1e6, 2e6));
      await shows(out, columns < 60 ? /1 running[^]*\n50 % {2}import/ : /1 running[^]*\n█+░+ 1\.0 of 2\.0 MB/);
      const lines = out.screen().split('\n');
      assert.equal(lines.length, 2);
      assert.ok(
        lines.every((line) => stringWidth(line) < columns),
        out.screen(),
      );
      progress.stop();
      assert.equal(out.screen(), '');
    });

  it('shows no more lines than the terminal has', async (t) => {
    const out = onTerminal(100, 5);
    const progress = createProgress(out, { quiet: false, nowMs: () => 0 });
    t.after(() => progress.stop());
    const steps = ['a', 'b', 'c', 'd', 'e'].map((name) => `cache binary:${name}`);
    for (const step of steps) progress.onEvent({ type: 'start', step });
    await sleep(0);
    for (const step of steps) progress.onEvent(moved(step, 1e6, 2e6));
    await shows(out, /running: cache binary:d 0 ms 1\.0 of 2\.0 MB.*, cache binary:e 0 ms[^]*binary:c$/);
    assert.equal(out.screen().split('\n').length, 4);
    // There is room again when one has ended.
    progress.onEvent(ended('cache binary:a'));
    progress.onEvent(moved('cache binary:e', 2e6, 2e6));
    await shows(out, /1 done, 4 running: cache binary:d[^]*\n█{20} 2\.0 of 2\.0 MB.* cache binary:e$/);
  });

  it('moves no cursor on a terminal that has none', () => {
    const out = onTerminal(80);
    const {
      write,
      terminal: { columns, rows },
      screen,
    } = out;
    const progress = createProgress({ write, terminal: { columns, rows } }, { quiet: false, nowMs: () => 0 });
    progress.onEvent({ type: 'start', step: 'a' });
    progress.onEvent(ended('a'));
    progress.stop();
    assert.equal(screen(), 'done    a (12 ms)');
  });

  it('keeps what failed before its lines were there', () => {
    const out = onTerminal(80);
    const progress = createProgress(out, { quiet: false, nowMs: () => 0 });
    progress.onEvent({ type: 'start', step: 'a' });
    progress.onEvent(ended('a', { status: 'failed', error: new NodekilnError('NK_ACTION_FAILED', 'exit status 1') }));
    progress.stop();
    assert.equal(out.screen(), 'failed  a (12 ms): exit status 1');
  });

  it('goes on after something else was printed', async (t) => {
    const out = onTerminal(80);
    const progress = createProgress(out, { quiet: false, nowMs: () => 0 });
    t.after(() => progress.stop());
    progress.onEvent({ type: 'start', step: 'a' });
    await shows(out, /1 running/);
    progress.stop();
    out.write('a report\n');
    progress.onEvent({ type: 'start', step: 'b' });
    await shows(out, /^a report\n\S 0 done, 2 running: a 0 ms, b 0 ms$/);
    progress.stop();
    assert.equal(out.screen(), 'a report');
  });

  it('shows what comes from outside, and does not obey it', async (t) => {
    const out = onTerminal(200);
    const progress = createProgress(out, { quiet: false, nowMs: () => 0 });
    t.after(() => progress.stop());
    const hostile = 'a\u001b[2J\r\nerror no\u0007{bar}';
    progress.onEvent({ type: 'start', step: hostile });
    progress.onEvent({ type: 'start', step: 'b' });
    await shows(out, /2 running: a\\u001b\[2J\\r\\nerror no\\u0007\{bar\} 0 ms, b/);
    progress.onEvent(moved(hostile, 1, 2));
    await shows(out, /running: b 0 ms\n.* {2}a\\u001b\[2J\\r\\nerror no\\u0007\{bar\}$/);
    progress.onEvent(ended(hostile, { status: 'failed' }));
    await shows(out, /^failed {2}a\\u001b\[2J\\r\\nerror no\\u0007\{bar\} \(12 ms\)\n\S 1 done, 1 running: b 0 ms$/);
  });
});
