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

/** What the journal has of a service in a loop, oldest first; `run` is the invocation that an entry names. */
const loops: readonly (readonly [
  systemd: string,
  entries: readonly (readonly [run: string | undefined, usec: number, message: string])[],
  wanted: readonly string[],
])[] = [
  [
    'systemd 252, which names the run in words of its own',
    [
      ['1', 100, 'Started a.service - A.'],
      ['1', 150, 'unknown flag'],
      ['1', 160, 'a.service: Main process exited, code=exited, status=1/FAILURE'],
      ['1', 161, "a.service: Failed with result 'exit-code'."],
      ['1', 260, 'a.service: Scheduled restart job, restart counter is at 1.'],
      ['now', 261, 'Stopped a.service - A.'],
      ['now', 300, 'Started a.service - A.'],
    ],
    ['unknown flag', 'a.service: Main process exited, code=exited, status=1/FAILURE'],
  ],
  [
    'systemd 257, which stops nothing between two runs',
    [
      ['1', 100, 'Started a.service - A.'],
      ['1', 150, 'unknown flag'],
      ['1', 160, 'a.service: Main process exited, code=exited, status=1/FAILURE'],
      ['now', 260, 'a.service: Scheduled restart job, restart counter is at 1.'],
      ['now', 300, 'Started a.service - A.'],
    ],
    ['unknown flag', 'a.service: Main process exited, code=exited, status=1/FAILURE'],
  ],
  [
    'words that came without their run',
    [
      ['1', 100, 'Started a.service - A.'],
      [undefined, 150, 'panic: no configuration'],
      ['1', 160, 'a.service: Main process exited, code=dumped, status=6/ABRT'],
      ['now', 300, 'Started a.service - A.'],
    ],
    ['panic: no configuration', 'a.service: Main process exited, code=dumped, status=6/ABRT'],
  ],
  [
    'words stamped before the start that caused them',
    [
      ['1', 99, 'unknown flag'],
      ['1', 100, 'Started a.service - A.'],
      ['now', 300, 'Started a.service - A.'],
    ],
    ['unknown flag'],
  ],
  [
    'a run that is killed, and one that has said nothing yet',
    [
      ['1', 100, 'too much memory'],
      ['1', 160, 'a.service: Main process exited, code=killed, status=9/KILL'],
      ['now', 300, 'Started a.service - A.'],
    ],
    ['too much memory', 'a.service: Main process exited, code=killed, status=9/KILL'],
  ],
];
for (const [systemd, said, wanted] of loops)
  test(`of a loop the words of the run that failed are had: ${systemd}`, () => {
    const json = entries(
      { __REALTIME_TIMESTAMP: '1000', MESSAGE: 'of yesterday', _SYSTEMD_INVOCATION_ID: 'yesterday' },
      ...said.map(([run, usec, MESSAGE]) => ({
        __REALTIME_TIMESTAMP: String(1_000_000 + usec * 1000),
        MESSAGE,
        ...(run !== undefined && { [MESSAGE.includes('a.service') ? 'INVOCATION_ID' : '_SYSTEMD_INVOCATION_ID']: run }),
      })),
    );
    const found = selectLines(json, { ...query, lines: 20, sinceUsec: 1_300_000, restarts: 1 });
    for (const line of wanted) assert.ok(found.includes(line), found.join('\n'));
    assert.ok(!found.includes('of yesterday'));
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
