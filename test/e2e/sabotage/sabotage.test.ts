/** The demo fails when something is broken, at the right stage and with the right code, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runDemo, StageFailure } from '../../demo/demo.ts';
import { sabotages, type Sabotage } from '../../demo/sabotage.ts';
import { runFolder } from '../../lab/protocol.ts';

describe('the demo, sabotaged', { concurrency: 1 }, () => {
  for (const [name, expected] of Object.entries(sabotages)) {
    test(`${name}: fails in ${expected.stage} with ${expected.code}`, { timeout: 180_000 }, async () => {
      const before = labs();
      const lines: string[] = [];
      const failure = await runDemo({ keep: false, sabotage: name as Sabotage, say: (line) => lines.push(line) }).then(
        () => assert.fail(`the demo did not notice:\n${lines.join('\n')}`),
        (error: unknown) => error,
      );
      assert.ok(failure instanceof StageFailure, String(failure));
      assert.deepEqual(
        { stage: failure.stage, code: failure.code },
        expected,
        `${failure.message}\n${lines.join('\n')}`,
      );
      assert.deepEqual(
        labs().filter((lab) => !before.includes(lab)),
        [],
      );
    });
  }
});

function labs(): string[] {
  try {
    return readdirSync(runFolder);
  } catch {
    return [];
  }
}
