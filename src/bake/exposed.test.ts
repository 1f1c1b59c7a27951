/** A manifest or a lock file that others can change is not baked. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { snapshotTree } from '../../test/lab/tree.ts';
import { bake } from './bake.ts';

const stranger = 65_534;

describe('a bake', { skip: process.getuid?.() === 0 ? false : 'bakes need root' }, () => {
  let scratch = '';
  let folder = '';
  let root = '';
  before(() => (scratch = mkdtempSync('/var/tmp/nodekiln-exposed-bake-')));
  after(() => rmSync(scratch, { recursive: true, force: true }));
  beforeEach(async () => {
    const base = mkdtempSync(join(scratch, 'case-'));
    [folder, root] = [join(base, 'manifest'), join(base, 'root')];
    mkdirSync(folder);
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc/os-release'), 'ID=debian\n');
    const text = 'kind: ImageManifest\nspec: { nodekiln: { boot: false }, files: [{ path: /srv/f, content: x }] }\n';
    writeFileSync(join(folder, 'image.yaml'), `apiVersion: nodekiln.dev/v1alpha1\n${text}`);
    writeFileSync(
      join(folder, 'image.lock.json'),
      '{"apiVersion":"nodekiln.dev/v1alpha1","kind":"ManifestLock","targets":{}}\n',
    );
  });

  const cases: Readonly<Record<string, () => void>> = {
    'a manifest that everybody may write to': () => chmodSync(join(folder, 'image.yaml'), 0o666),
    'a manifest that a group may write to': () => chmodSync(join(folder, 'image.yaml'), 0o664),
    'a manifest of another user': () => chownSync(join(folder, 'image.yaml'), stranger, stranger),
    'a manifest in a folder that everybody may write to': () => chmodSync(folder, 0o777),
    'a manifest in a folder of another user': () => chownSync(folder, stranger, stranger),
    'a link to a manifest that everybody may write to': () => {
      rmSync(join(folder, 'image.yaml'));
      writeFileSync(join(folder, 'other.yaml'), 'x');
      chmodSync(join(folder, 'other.yaml'), 0o666);
      symlinkSync('other.yaml', join(folder, 'image.yaml'));
    },
    'a lock file that everybody may write to': () => chmodSync(join(folder, 'image.lock.json'), 0o666),
    'a lock file of another user': () => chownSync(join(folder, 'image.lock.json'), stranger, stranger),
  };
  for (const [what, lay] of Object.entries(cases)) {
    test(`refuses ${what}, and does nothing`, async () => {
      lay();
      const unchanged = await snapshotTree(root, ['/']);
      await assert.rejects(bake({ manifest: join(folder, 'image.yaml'), root }), { code: 'NK_DOCUMENT_EXPOSED' });
      assert.deepEqual(await snapshotTree(root, ['/']), unchanged);
    });
  }
});
