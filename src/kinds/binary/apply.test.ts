/** Effects of programs on a machine in memory: the cache, activation out of it, and what is not trusted. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { cachedPath } from '../../artifacts/cache/cache.ts';
import { writeError } from '../../disk/write-error.ts';
import { sha256 } from '../../host/digest.ts';
import type { BinaryResource, BinarySource } from '../../model/resources.ts';
import { createEngine, type Engine } from '../../../test/support/engine.ts';

const target = '/opt/bin/kubelet';
const program = (version: string): string => `#!/bin/sh\n# kubelet ${version}\n`;
type PackageSource = Exclude<BinarySource, { type: 'cache' }>;

const fromFile = (version: string, digest?: string): PackageSource => ({
  type: 'file',
  role: 'manifest',
  from: { type: 'path', path: `/srv/kubelet-${version}` },
  ...(digest !== undefined && { digest }),
});
const cached: BinarySource = { type: 'cache', version: '1.34.3' };

function binary(version: string, about: Partial<BinaryResource> = {}): BinaryResource {
  return {
    kind: 'binary',
    id: 'binary:kubelet',
    scope: 'node',
    deferrable: false,
    importance: 'required',
    needs: [],
    tool: 'kubelet',
    version,
    sources: [{ type: 'cache', version }],
    place: { type: 'activate', target },
    ...about,
  };
}

const caching = (version: string): BinaryResource =>
  binary(version, { id: `binary:kubelet-${version}`, sources: [fromFile(version)], place: { type: 'cache' } });

let engine: Engine;
beforeEach(async () => {
  engine = await createEngine();
  for (const version of ['1.34.3', '1.34.4']) await engine.put(`/srv/kubelet-${version}`, program(version), 0o755);
});

/** As a bake leaves it. */
async function bake(...versions: readonly string[]): Promise<void> {
  await engine.applied(
    versions.map((version) => caching(version)),
    { source: 'image' },
  );
  engine.effects();
}

describe('the cache', () => {
  test('keeps each version as a file of its own, root’s and executable', async () => {
    await bake('1.34.3', '1.34.4');
    for (const version of ['1.34.3', '1.34.4']) {
      const path = cachedPath('kubelet', version);
      assert.equal(await engine.text(path), program(version));
      assert.equal((await engine.machine.files.stat(path))?.mode, 0o755);
    }
    await bake('1.34.3', '1.34.4');
  });

  test('gives a version up that the manifest drops', async () => {
    await bake('1.34.3', '1.34.4');
    await bake('1.34.4');
    assert.equal(await engine.text(cachedPath('kubelet', '1.34.3')), undefined);
    assert.equal(await engine.text(cachedPath('kubelet', '1.34.4')), program('1.34.4'));
  });

  test('takes nothing with another digest', async () => {
    const wrong = { ...caching('1.34.3'), sources: [fromFile('1.34.3', sha256('another'))] };
    const { error } = await engine.apply([wrong], { source: 'image' });
    assert.equal(error?.code, 'NK_ARTIFACT_DIGEST');
    assert.equal(await engine.text(cachedPath('kubelet', '1.34.3')), undefined);
  });
});

describe('activation', () => {
  test('puts the cached program in place and leaves the cache whole', async () => {
    await bake('1.34.3');
    await engine.applied([binary('1.34.3')]);
    assert.equal(await engine.text(target), program('1.34.3'));
    assert.equal(await engine.text(cachedPath('kubelet', '1.34.3')), program('1.34.3'));
    engine.effects();
    await engine.applied([binary('1.34.3')]);
    assert.deepEqual(engine.effects(), []);
  });

  test('changes versions there and back without a source', async () => {
    await bake('1.34.3', '1.34.4');
    for (const version of ['1.34.3', '1.34.4', '1.34.3']) {
      await engine.applied([binary(version)]);
      assert.equal(await engine.text(target), program(version));
    }
  });

  test('puts the program right again when somebody changed it', async () => {
    await bake('1.34.3');
    await engine.applied([binary('1.34.3')]);
    await engine.machine.files.remove([target]);
    await engine.put(target, 'other', 0o755);
    await engine.applied([binary('1.34.3')]);
    assert.equal(await engine.text(target), program('1.34.3'));
  });

  test('refuses a cached file whose content is not what was sealed', async () => {
    await bake('1.34.3');
    await engine.put(cachedPath('kubelet', '1.34.3'), 'tampered', 0o755);
    const { outcome, error } = await engine.apply([binary('1.34.3')]);
    assert.deepEqual([outcome, error?.code], ['failed', 'NK_ARTIFACT_NONE_USABLE']);
    assert.equal(await engine.text(target), undefined);
  });

  test('takes the next source when the cache has none, and says why', async () => {
    const { steps } = await engine.applied([
      binary('1.34.3', { sources: [cached, { ...fromFile('1.34.3'), role: 'tarball' }] }),
    ]);
    assert.equal(await engine.text(target), program('1.34.3'));
    assert.match(steps.flatMap(({ details }) => details).join('\n'), /cached as .*kubelet-1\.34\.3/);
    assert.equal(await engine.text(cachedPath('kubelet', '1.34.3')), program('1.34.3'));
  });

  test('names every source that did not serve', async () => {
    const missing: BinarySource = { type: 'file', role: 'tarball', from: { type: 'path', path: '/srv/absent' } };
    const { error } = await engine.apply([binary('1.34.3', { sources: [cached, missing] })]);
    assert.equal(error?.code, 'NK_ARTIFACT_NONE_USABLE');
    assert.deepEqual(
      error?.problems.map(({ message }) => message.split(':')[0]),
      ['cache', 'tarball'],
    );
  });

  for (const [what, sources] of [
    ['of the cache alone', [cached]],
    ['of several sources', [cached, fromFile('1.34.4')]],
  ] as const) {
    test(`on a full disk says so, and what to do about it: ${what}`, async () => {
      await bake('1.34.3');
      const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
      engine.machine.breakEffect(`place ${target}`, writeError('write', target, full));
      engine.machine.breakEffect(`write ${target}`, writeError('write', target, full));
      const { error } = await engine.apply([binary('1.34.3', { sources })]);
      assert.deepEqual([error?.code, error?.resource], ['NK_FILE_WRITE', 'binary:kubelet']);
      assert.match(error?.message ?? '', /^kubelet 1\.34\.3 cannot be put in place: cannot write .* no space left/);
      assert.match(error?.hint ?? '', /Free space/);
    });
  }

  test('that a document drops takes the program away, and not the cached one', async () => {
    await bake('1.34.3');
    await engine.applied([binary('1.34.3')]);
    await engine.applied([]);
    assert.equal(await engine.text(target), undefined);
    assert.equal(await engine.text(cachedPath('kubelet', '1.34.3')), program('1.34.3'));
  });
});
