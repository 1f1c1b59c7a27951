import assert from 'node:assert/strict';
import { it } from 'node:test';
import { textFile } from '../../test/support/memory-node.ts';
import { createMemoryMachine } from '../host/memory/machine.ts';
import { measureBoot } from './boot-metrics.ts';
import { createMetrics } from './metrics.ts';

async function expositionOf(result: string | undefined): Promise<string> {
  const { files } = createMemoryMachine();
  if (result !== undefined) await files.write([textFile('/var/lib/nodekiln/boot/result.json', result)]);
  const metrics = createMetrics();
  await measureBoot(files, metrics);
  return metrics.exposition();
}

it('tells when the boot passed its milestones, and what came of it', async () => {
  const milestones = [
    { name: 'registered', atMs: 2500 },
    { name: 'of a later version', atMs: 1 },
  ];
  const text = await expositionOf(JSON.stringify({ outcome: 'degraded', milestones }));
  assert.match(text, /^nodekiln_boot_milestone_seconds\{milestone="registered"\} 2\.5$/m);
  assert.match(text, /^nodekiln_boot_outcome\{outcome="degraded"\} 1$/m);
  assert.doesNotMatch(text, /later/);
});

it('tells nothing where there is no result, or none that can be read', async () => {
  for (const result of [undefined, '', '{', '7', 'null']) assert.equal(await expositionOf(result), '');
});
