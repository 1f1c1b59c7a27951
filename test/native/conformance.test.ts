/** The expectations of the port `Host`, met by the host program. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { buildNative } from './native.ts';

interface Line {
  readonly name?: string;
  readonly ok?: boolean;
  readonly error?: string;
}

describe('the host program', () => {
  const scratch = mkdtempSync('/var/tmp/nodekiln-native-');
  after(() => rmSync(scratch, { recursive: true }));
  const program = join(scratch, 'conformance');
  buildNative('conformance.ts', program);
  const lines = execFileSync(program, [scratch], { encoding: 'utf8' }).trim().split('\n');
  for (const { name, ok, error } of lines.map((line): Line => JSON.parse(line)))
    if (name !== undefined) test(name, () => assert.ok(ok, error));
});
