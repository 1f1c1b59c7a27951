import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createLinuxHost } from '../../host/linux/host.ts';
import type { Host } from '../../host/port.ts';
import { cachedPath, openCached, readIndex, type CacheEntry, type CacheIndex } from './cache.ts';
import { addToCache } from './fill.ts';
import { reclaim, reclaimable } from './reclaim.ts';
import { buildTarball, programBytes, removeFolder, temporaryFolder } from '../../../test/support/artifacts.ts';

function entry(tool: string, version: string, size = 100): CacheEntry {
  return {
    tool,
    version,
    key: version,
    digest: 'sha256:0',
    size,
    source: { type: 'deb', location: 'x' },
    seal: { size, mtimeNs: '0' },
  };
}
const indexOf = (...entries: CacheEntry[]): CacheIndex => ({
  apiVersion: 'nodekiln.dev/v1alpha1',
  kind: 'ArtifactCache',
  entries,
});
const given = (...of: Parameters<typeof reclaimable>): string[] =>
  reclaimable(...of).map(({ entry: { tool, version } }) => `${tool} ${version}`);

describe('what the cache gives up', () => {
  const index = indexOf(
    entry('kubelet', '1.34.2'),
    entry('kubelet', '1.34.10'),
    entry('kubelet', '1.34.9'),
    entry('kubelet', '1.35.0-rc.1'),
    entry('kubectl', '1.34.9'),
    entry('kubectl', '1.33.0'),
  );
  const inUse = [
    { tool: 'kubelet', version: '1.34.9-1.1' },
    // Asked for, and not cached.
    { tool: 'kubectl', version: '1.36.0' },
  ];

  for (const tool of ['crictl', 'containerd', 'runc', 'kubelet-extra', 'ctr'])
    it(`leaves every version of ${tool} alone, which no document names`, () => {
      const others = [entry(tool, '1.34.0'), entry(tool, '1.33.0'), entry(tool, '1.32.0')];
      const all = given(indexOf(...index.entries, ...others), inUse, { keep: 0, maxBytes: 0 });
      assert.equal(all.length, 5);
      assert.deepEqual(
        all.filter((name) => name.startsWith(`${tool} `)),
        [],
      );
    });

  it('gives up any version of a program that is in use as a build from elsewhere', () => {
    const built = [{ tool: 'kubelet' }, ...inUse.slice(1)];
    assert.deepEqual(given(index, built, { keep: 1 }), [
      'kubectl 1.33.0',
      'kubelet 1.34.2',
      'kubelet 1.34.9',
      'kubelet 1.34.10',
    ]);
  });

  it('keeps the newest beside the one in use, for each program', () => {
    assert.deepEqual(given(index, inUse, { keep: 2 }), ['kubelet 1.34.2']);
    assert.deepEqual(given(index, inUse, { keep: 1 }), ['kubectl 1.33.0', 'kubelet 1.34.2', 'kubelet 1.34.10']);
  });
  it('keeps only what is in use when that is the policy', () => {
    assert.equal(given(index, inUse, { keep: 0 }).length, 5);
  });
  it('keeps within the size', () => {
    assert.deepEqual(given(index, inUse, { keep: 9, maxBytes: 250 }), [
      'kubectl 1.33.0',
      'kubelet 1.34.2',
      'kubectl 1.34.9',
    ]);
  });
  it('never gives up what is in use, and never keeps more than it may', () => {
    const versions = fc.tuple(fc.constantFrom('kubelet', 'kubectl'), fc.nat(40), fc.nat(30), fc.nat(1000));
    fc.assert(
      fc.property(
        fc.array(versions),
        fc.nat(5),
        fc.option(fc.nat(5000), { nil: undefined }),
        (list, keep, maxBytes) => {
          const all = [
            ...new Map(
              list.map(([tool, minor, patch, size]) => [
                `${tool} ${minor} ${patch}`,
                entry(tool, `1.${minor}.${patch}`, size),
              ]),
            ).values(),
          ];
          const used = all.filter((_, index_) => index_ % 3 === 0);
          const named = ['kubelet', 'kubectl'].map((tool) => ({ tool, version: '9.0.0' }));
          const inUseToo = [...named, ...used];
          const gone = new Set(
            reclaimable(indexOf(...all), inUseToo, { keep, ...(maxBytes !== undefined && { maxBytes }) }).map(
              (one) => one.entry,
            ),
          );
          const spare = all.filter((one) => !used.includes(one) && !gone.has(one));
          assert.ok(used.every((one) => !gone.has(one)));
          for (const tool of ['kubelet', 'kubectl']) assert.ok(spare.filter((one) => one.tool === tool).length <= keep);
          if (maxBytes !== undefined) assert.ok(spare.reduce((sum, one) => sum + one.size, 0) <= maxBytes);
        },
      ),
    );
  });
});

describe('giving up versions', () => {
  const folder = temporaryFolder();
  let host: Host;

  before(async () => {
    mkdirSync(join(folder, 'root'));
    host = createLinuxHost({ root: join(folder, 'root') });
    for (const [index, version] of ['1.34.1', '1.34.2', '1.34.3'].entries()) {
      const path = buildTarball(folder, `${version}.tar`, { files: { kubelet: programBytes(1_000, index) } });
      await addToCache(host, { tool: 'kubelet', version, source: { path } });
    }
  });
  after(async () => {
    await host.close();
    removeFolder(folder);
  });

  it('removes files and entries, and takes up what a killed run left', async () => {
    const inUse = [{ tool: 'kubelet', version: '1.34.2' }];
    // Killed after the file, before the entry.
    rmSync(join(folder, 'root', cachedPath('kubelet', '1.34.1')));
    assert.equal((await openCached(host.files, { tool: 'kubelet', version: '1.34.1' })).found, false);
    assert.deepEqual(await reclaim(host.files, inUse, { keep: 1 }), ['/opt/bin/kubelet-1.34.1']);
    assert.deepEqual(await reclaim(host.files, inUse, { keep: 0 }), ['/opt/bin/kubelet-1.34.3']);
    assert.deepEqual(await reclaim(host.files, inUse, { keep: 0 }), []);
    assert.deepEqual(readdirSync(join(folder, 'root/opt/bin')), ['kubelet-1.34.2']);
    assert.deepEqual(
      (await readIndex(host.files)).entries.map(({ version }) => version),
      ['1.34.2'],
    );
  });
});
