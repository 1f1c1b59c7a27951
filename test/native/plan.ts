/** Plans a document for a bare machine, and says what it cost: `plan FILE`. The same runs in Node, as a bundle. */
import { readFileSync } from 'node:fs';
import { parseText } from '../../src/config/load.ts';
import { keyOf } from '../../src/documents/kinds/kind.ts';
import { documentKinds, type KindTable } from '../../src/documents/kinds/table.ts';
import { absentOn } from '../../src/kinds/planners.ts';
import { exampleFacts } from '../../src/model/facts.ts';
import { textOf } from '../../src/model/bytes.ts';
import { effectiveClaims } from '../../src/plan/claims.ts';
import { decide } from '../../src/plan/decide.ts';
import { sha256 } from '../../src/host/digest.ts';

async function plan(file: string): Promise<object> {
  const start = performance.now();
  const parsed = await parseText({ file, text: textOf(readFileSync(file)) });
  const kinds: KindTable = documentKinds;
  const kind = await kinds[keyOf(parsed)]?.();
  if (kind?.describes !== 'node') throw new Error(`no kind for ${keyOf(parsed)}`);
  const ask = (await kind.load([{ parsed, mode: 0o600 }]))(exampleFacts);
  const rendered = performance.now();
  const resources = [...ask.desired.resources.values()];
  const { plan: made, schedule } = decide({
    source: 'boot',
    asked: ask.desired.resources.keys(),
    desired: effectiveClaims({ boot: resources }),
    observed: new Map(resources.map((resource) => [resource.id, absentOn(resource, exampleFacts)])),
    touched: new Map(),
    goal: ask.desired.goal,
  });
  return {
    startMs: start,
    renderMs: rendered - start,
    planMs: performance.now() - rendered,
    steps: made.steps.length,
    sum: sha256(JSON.stringify(schedule.steps.map(({ step }) => step.id))).slice(7, 19),
  };
}

void plan(process.argv[2] ?? '').then((said) => {
  process.stdout.write(`${JSON.stringify(said)}\n`);
  process.exit(0);
});
