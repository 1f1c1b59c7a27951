import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMeter, duration } from './meter.ts';

function play(terminal?: { write(text: string): unknown }) {
  const lines: string[] = [];
  let ms = 0;
  const meter = createMeter({
    what: 'kubelet v1.34.3',
    progress: (line) => lines.push(line),
    terminal,
    everyMs: 10_000,
    now: () => ms,
  });
  return { lines, meter, wait: (more: number) => void (ms += more) };
}

test('a count, the time and what is left are said at intervals, each when it is known', () => {
  const { lines, meter, wait } = play();
  meter.phase('fetching', { unit: 'modules' });
  meter.advance();
  assert.deepEqual(lines, []);
  wait(10_000);
  meter.advance();
  meter.phase('compiling', { total: 100, unit: 'packages' });
  wait(11_000);
  meter.advance();
  for (let i = 0; i < 19; i += 1) meter.advance();
  wait(69_000);
  meter.tick();
  meter.phase('linking');
  wait(12_000);
  meter.tick();
  assert.deepEqual(lines, [
    'kubelet v1.34.3: fetching, 2 modules, 10 s',
    'kubelet v1.34.3: compiling, 1 of 100 packages, 11 s',
    'kubelet v1.34.3: compiling, 20 of 100 packages, 1 min 20 s, about 5 min 20 s left',
    'kubelet v1.34.3: linking, 12 s',
  ]);
});

test('on a terminal one line changes, and goes at the end', () => {
  let shown = '';
  const { lines, meter, wait } = play({ write: (text) => (shown += text) });
  meter.phase('linking');
  wait(10_000);
  meter.tick();
  meter.tick();
  meter.end();
  assert.equal(shown, '\r\u001B[K  kubelet v1.34.3: linking, 10 s\r\u001B[K');
  assert.deepEqual(lines, []);
});

test('durations', () => {
  assert.deepEqual([400, 59_400, 60_000, 245_000].map(duration), ['0 s', '59 s', '1 min 0 s', '4 min 5 s']);
});
