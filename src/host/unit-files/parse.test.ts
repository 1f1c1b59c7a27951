/** Unit files of others are read as systemd reads them: what it takes for a line is one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseUnitFile } from './parse.ts';

describe('a line of a unit file', () => {
  for (const [what, text, values] of [
    ['ends at a line feed', '[Install]\nWantedBy=a\nWantedBy=b\n', ['a', 'b']],
    ['ends at a carriage return', '[Install]\rWantedBy=a\rWantedBy=b\r', ['a', 'b']],
    ['ends at both', '[Install]\r\nWantedBy=a\r\nWantedBy=b\r\n', ['a', 'b']],
    ['ends at NUL', '[Install]\0WantedBy=a\0WantedBy=b', ['a', 'b']],
    ['goes on after a backslash', '[Install]\nWantedBy=a\\\n b\n', ['a b']],
    ['goes on past a comment', '[Install]\nWantedBy=a\\\n# c\n b\n', ['a b']],
    ['is none in a comment', '[Install]\n# WantedBy=a\n; WantedBy=b\nWantedBy=c\n', ['c']],
    ['takes earlier ones back when it is empty', '[Install]\nWantedBy=a\nWantedBy=\nWantedBy=b\n', ['b']],
  ] as const)
    it(what, () => {
      assert.deepEqual(parseUnitFile(text).values('Install', 'WantedBy'), values);
    });
});
