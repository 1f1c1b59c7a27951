/** Whatever an earlier document, or an earlier nodekiln, put at a place: the next document takes it back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createEngine } from '../../test/support/engine.ts';
import { file, unit } from '../../test/support/planning.ts';
import { originalPaths } from '../host/originals.ts';
import type { Resource } from '../model/resources.ts';
import { originalsFolder } from '../model/state-paths.ts';
import { rebuildFromGenerations } from './journal/generations.ts';

const service = '/etc/systemd/system/a.service';
const dropIn = '/etc/systemd/system/a.service.d/10-a.conf';
const own = unit('a.service', { content: '[Service]\nExecStart=/bin/a\n' });

const cases: Record<string, { over: Resource; path: string; left: string | undefined }> = {
  'a file over a unit file': { over: own, path: service, left: '[Service]\nExecStart=/bin/a\n' },
  'a file over a drop-in': {
    over: { ...own, dropIns: [{ name: '10-a.conf', content: '[Unit]\n' }] },
    path: dropIn,
    left: '[Unit]\n',
  },
  'a file in the kernel’s settings': { over: own, path: '/proc/sys/kernel/domainname', left: 'bad' },
  'a file in our state': { over: own, path: '/var/lib/nodekiln/mine', left: 'bad' },
  'a file that nobody else wants': { over: own, path: '/etc/bad', left: undefined },
};

describe('taken back', () => {
  for (const [name, { over, path, left }] of Object.entries(cases)) {
    it(name, async () => {
      const engine = await createEngine();
      await engine.applied([over]);
      const bad = file(path, { text: 'bad' });
      // As an earlier nodekiln let it be: alone, where it stands in nobody's way that can be seen.
      await engine.apply([bad]);
      await engine.applied([over]);
      assert.equal(await engine.text(path), left);
      assert.equal(engine.journal.touched().has(bad.id), false);
      assert.deepEqual(await engine.host.files.list(originalsFolder), [], 'nothing is kept for nobody');
      const { changes } = await engine.applied([over]);
      assert.equal(changes, 0);
    });
  }

  it('what was replaced is known to be kept without the journal, whatever has become of what is known of it', async () => {
    const engine = await createEngine();
    await engine.put('/etc/foreign', 'theirs');
    await engine.applied([file('/etc/foreign', { text: 'x' }), file('/etc/mine', { text: 'x' })]);
    await engine.put(originalPaths('/etc/foreign').about, 'cut');
    const { touched } = await rebuildFromGenerations(engine.machine.files);
    assert.deepEqual(Object.fromEntries(touched.map(({ id, original }) => [id, original])), {
      'file:/etc/foreign': true,
      'file:/etc/mine': false,
    });
  });

  it('a file over a program, which is there as it was, and not by its place', async () => {
    const engine = await createEngine();
    await engine.put('/opt/bin/a', 'program');
    await engine.applied([file('/opt/bin/a', { text: 'bad' })]);
    await engine.applied([]);
    assert.equal(await engine.text('/opt/bin/a'), 'program');
  });
});
