/** Images without an archive: out of a real registry into the containerd of a real root, locked, verified, baked again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseManifestLock } from '../../../src/artifacts/manifest-lock.ts';
import { imageLockPath, parseImageLock } from '../../../src/image/image-lock.ts';
import { verify } from '../../../src/inspect/verify/verify.ts';
import { demoFolder, nodekiln } from '../../demo/baked.ts';
import { artifacts } from '../../lab/packages.ts';
import {
  describe as descriptor,
  digestOf,
  indexOf,
  manifestDescriptor,
  ociManifest,
  startRegistry,
  type Pushed,
  type TestRegistry,
} from '../../servers/registry.ts';
import { buildTarball, programBytes } from '../../support/artifacts.ts';
import { bakedCopy, type BakedCopy } from './baked-copy.ts';

describe('a bake of images from a registry', { concurrency: 1 }, () => {
  let copy: BakedCopy;
  let registry: TestRegistry;
  before(async () => {
    copy = await bakedCopy();
    registry = await startRegistry();
  });
  after(async () => {
    await registry.close();
    await copy.remove();
  });

  test('puts them into the store as archives are, by digest, once', { timeout: 240_000 }, async () => {
    const folder = dirname(copy.root);
    const layer = readFileSync(buildTarball(folder, 'layer.tar', { files: { 'bin/tool': programBytes(90_000, 7) } }));
    const [amd64, arm64] = [containerImage(layer, 'amd64'), containerImage(layer, 'arm64')];
    const single = await registry.push({ repository: 'team/single', tag: 'v1', ...amd64 });
    await registry.push({ repository: 'team/many', ...amd64 });
    await registry.push({ repository: 'team/many', ...arm64 });
    const index = await registry.push({
      repository: 'team/many',
      tag: 'v2',
      ...indexOf([manifestDescriptor(arm64, 'arm64'), manifestDescriptor(amd64, 'amd64')]),
    });
    const wanted = [
      { name: `${registry.host}/team/single:v1`, digest: single, more: ', unpack: always' },
      { name: `${registry.host}/team/many:v2`, digest: index, more: ', unpack: never' },
      { name: `${registry.host}/team/many@${index}`, digest: index, more: '' },
    ];
    const manifest = join(folder, 'image.yaml');
    const { dir } = await artifacts();
    const lines = wanted.map(
      ({ name, more }, at) =>
        `    - { name: pulled-${at}, action: image, reference: "${name}", plainHttp: true${more} }\n`,
    );
    const text = (await readFile(join(demoFolder, 'image.yaml'), 'utf8')).replaceAll('artifacts/', `${dir}/`);
    await writeFile(manifest, text.replace('  components:\n', `  components:\n${lines.join('')}`));

    const baked = await nodekiln(['bake', manifest, '--root', copy.root]);
    assert.equal(baked.status, 0, baked.stderr);
    const { images } = parseImageLock(await readFile(join(copy.root, imageLockPath), 'utf8'), imageLockPath);
    for (const { name, digest } of wanted)
      assert.deepEqual(
        images.find(({ reference }) => reference === name),
        { reference: name, digest, pinned: true },
      );
    const lockFile = manifest.replace('.yaml', '.lock.json');
    const locked = parseManifestLock(await readFile(lockFile, 'utf8'), lockFile).artifacts;
    for (const { name, digest } of wanted)
      assert.equal(locked.find(({ id }) => id.startsWith(`image:${name} `))?.digest, digest);
    const { checks } = await verify({ root: copy.root });
    assert.deepEqual(
      checks.filter(({ status, subject }) => status === 'failed' && subject.includes(registry.host)),
      [],
    );

    // A tag that moved changes nothing: the lock names what is taken.
    await registry.push({ repository: 'team/single', tag: 'v1', ...containerImage(programLayer(folder), 'amd64') });
    for (const more of [[], ['--frozen']]) {
      const again = await nodekiln(['bake', manifest, '--root', copy.root, '--json', ...more]);
      assert.equal(again.status, 0, again.stdout);
      assert.equal((JSON.parse(again.stdout) as { data: { changes: number } }).data.changes, 0);
    }
  });
});

function programLayer(folder: string): Buffer {
  return readFileSync(buildTarball(folder, 'other.tar', { files: { 'bin/tool': programBytes(9_000, 8) } }));
}

/** One that can be unpacked: its configuration names its layer. */
function containerImage(layer: Buffer, architecture: string): Omit<Pushed, 'repository'> {
  const config = Buffer.from(
    JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } }),
  );
  return {
    mediaType: ociManifest,
    blobs: [config, layer],
    manifest: {
      schemaVersion: 2,
      mediaType: ociManifest,
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [descriptor(layer, 'application/vnd.oci.image.layer.v1.tar')],
    },
  };
}
