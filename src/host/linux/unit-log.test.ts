import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectLines } from './unit-log.ts';

const query = { name: 'a.service', lines: 3, invocationId: 'now', sinceUsec: 1_000_000, restarts: 0 };

function entries(...found: readonly Readonly<Record<string, unknown>>[]): string {
  return found.map((entry) => JSON.stringify(entry)).join('\n');
}

test('an entry belongs to the start by time or by invocation', () => {
  const json = entries(
    { __REALTIME_TIMESTAMP: '100000', MESSAGE: 'long before' },
    { __REALTIME_TIMESTAMP: '900000', MESSAGE: 'before', _SYSTEMD_INVOCATION_ID: 'earlier' },
    { __REALTIME_TIMESTAMP: '990000', MESSAGE: 'early', _SYSTEMD_INVOCATION_ID: 'now' },
    { __REALTIME_TIMESTAMP: '995000', MESSAGE: 'nameless' },
    { __REALTIME_TIMESTAMP: '1000001', MESSAGE: 'attempt', INVOCATION_ID: 'between' },
  );
  assert.deepEqual(selectLines(json, query), ['early', 'nameless', 'attempt']);
});

test('the runs that systemd restarted it from belong to the start, and no earlier ones', () => {
  const json = entries(
    { __REALTIME_TIMESTAMP: '100000', MESSAGE: 'of another start', _SYSTEMD_INVOCATION_ID: 'old' },
    { __REALTIME_TIMESTAMP: '200000', MESSAGE: 'unknown flag', _SYSTEMD_INVOCATION_ID: 'first' },
    { __REALTIME_TIMESTAMP: '300000', MESSAGE: 'a.service: Main process exited', INVOCATION_ID: 'first' },
    { __REALTIME_TIMESTAMP: '400000', MESSAGE: 'nameless' },
    { __REALTIME_TIMESTAMP: '500000', MESSAGE: 'unknown flag again', _SYSTEMD_INVOCATION_ID: 'second' },
    { __REALTIME_TIMESTAMP: '1000001', MESSAGE: 'started', INVOCATION_ID: 'now' },
  );
  const select = (restarts: number, invocationId = 'now'): string[] =>
    selectLines(json, { ...query, lines: 9, restarts, invocationId });
  assert.deepEqual(select(2), [
    'unknown flag',
    'a.service: Main process exited',
    'nameless',
    'unknown flag again',
    'started',
  ]);
  assert.deepEqual(select(1), ['nameless', 'unknown flag again', 'started']);
  assert.deepEqual(select(0), ['started']);
  assert.deepEqual(select(9).length, 6);
  assert.deepEqual(select(0, 'not yet'), ['started']);
});

test('the last lines are kept, bytes and damage are borne', () => {
  const json = `{"cut\n${entries(
    { __REALTIME_TIMESTAMP: '1000001', MESSAGE: 'one' },
    { __REALTIME_TIMESTAMP: '1000002', MESSAGE: 'two\nthree' },
    { __REALTIME_TIMESTAMP: '1000003', MESSAGE: [0x66, 0x6f, 0x75, 0x72, 0x1b] },
    { __REALTIME_TIMESTAMP: '1000004' },
  )}\n`;
  assert.deepEqual(selectLines(json, query), ['two', 'three', 'four\u001b']);
});
