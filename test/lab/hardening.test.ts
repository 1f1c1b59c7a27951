/** What systemd makes of the settings that keep the agent's unit from what it does not need: the guide says the same. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentUnit } from '../../src/desired/own-units.ts';
import { installPrerequisites } from './prerequisites.ts';
import { rootFolder } from './root.ts';
import { run } from './run.ts';

const guide = new URL('../../docs/guides/tend-from-a-cluster.md', import.meta.url);

test('the guide says what systemd says of the agent’s unit', { timeout: 300_000 }, async () => {
  await installPrerequisites(console.error);
  const root = await rootFolder('bookworm', console.error);
  const folder = await mkdtemp(join(tmpdir(), 'nodekiln-hardening-'));
  try {
    const unit = join(folder, 'nodekiln-agent.service');
    await writeFile(unit, agentUnit(undefined));
    // The root is shared: the unit is lent to it in a mount namespace of its own.
    const look = 'mount --bind "$1" "$2/mnt"; exec chroot "$2" systemd-analyze security --offline=true --no-pager "$3"';
    const apart = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', look, 'sh'];
    const { stdout } = await run(apart.concat(folder, root, '/mnt/nodekiln-agent.service'));
    const [, score] = /Overall exposure level for nodekiln-agent\.service: (\d+\.\d)/.exec(stdout) ?? [];
    const text = await readFile(guide, 'utf8');
    const [, told, version] = /nodekiln-agent\.service` says (\d+\.\d) \(systemd (\d+);/.exec(text) ?? [];
    assert.deepEqual([told, version], [score, '252']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
