import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { howItEnded } from './how-it-ended.ts';

const line = (code: string, status: string): string => `a.service: Main process exited, code=${code}, status=${status}`;

describe('how a unit’s last process ended', () => {
  const cases: [string, string[], number, string[]][] = [
    ['nobody knows', [], 0, []],
    ['only its status was seen', ['Started a.service.'], 3, ['exit status 3']],
    [
      'said in the log while another runs',
      [line('exited', '3/NOTIMPLEMENTED'), 'Started a.service.'],
      0,
      ['exit status 3'],
    ],
    ['the log knows of a later one', [line('exited', '1/FAILURE')], 7, ['exit status 1']],
    ['the last of several', [line('exited', '1/FAILURE'), line('exited', '2/INVALIDARGUMENT')], 0, ['exit status 2']],
    ['killed', [line('killed', '9/KILL')], 0, ['ended by SIGKILL']],
    ['dumped core', [line('dumped', '6/ABRT')], 0, ['ended by SIGABRT']],
    ['a status without a name', [line('exited', '77')], 0, ['exit status 77']],
  ];
  for (const [what, lines, seen, wanted] of cases) it(what, () => assert.deepEqual(howItEnded(lines, seen), wanted));
});
