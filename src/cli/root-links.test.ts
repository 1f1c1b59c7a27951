/** Whatever of a root folder is a link to elsewhere: no verb leaves the root by it. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lookAtJournal } from '../apply/journal.ts';
import { snapshotTree } from '../../test/lab/tree.ts';
import { programBytes } from '../../test/support/artifacts.ts';
import { bake } from '../bake/bake.ts';
import { sealImage } from '../bake/seal.ts';
import { asNodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import { status } from '../inspect/status.ts';
import { verify } from '../inspect/verify/verify.ts';

const state = 'var/lib/nodekiln';

/** A folder of the root, or a file of it, that leads elsewhere. */
const folders = [
  'var',
  'var/lib',
  state,
  `${state}/generations`,
  `${state}/originals`,
  `${state}/downloads`,
  `${state}/boot`,
  'opt',
  'opt/bin',
  'opt/nodekiln',
  'opt/nodekiln/cache',
  'etc',
  'etc/nodekiln',
  'etc/systemd',
  'etc/systemd/system',
  'run',
  'run/nodekiln',
  'usr',
  'srv',
] as const;
const files = [
  'state.db',
  'state.db-wal',
  'state.db-shm',
  'state.db-journal',
  'state.db.damaged',
  'lock.db',
  'lock.db-journal',
  'lock.pid',
  'generations/1.json',
]
  .map((name) => `${state}/${name}`)
  .concat([
    'opt/nodekiln/image.lock.json',
    'opt/nodekiln/cache/index.json',
    'opt/bin/tool-1.34.3',
    'srv/f',
    'etc/systemd/system/own.service',
    'etc/machine-id',
  ]);

describe(
  'a root folder with a link to elsewhere',
  { skip: process.getuid?.() === 0 ? false : 'bakes need root' },
  () => {
    let scratch = '';
    let outside = '';
    let manifest = '';
    let fresh = '';
    let baked = '';
    before(async () => {
      scratch = mkdtempSync('/var/tmp/nodekiln-root-links-');
      outside = join(scratch, 'outside');
      mkdirSync(join(outside, 'kept'), { recursive: true, mode: 0o755 });
      for (const name of ['file', 'lock.pid', 'lock.db', 'state.db', 'f', 'image.lock.json', 'index.json'])
        writeFileSync(join(outside, name), 'of somebody else', { mode: 0o644 });
      writeFileSync(join(scratch, 'tool'), programBytes(20_000, 1), { mode: 0o755 });
      manifest = join(scratch, 'image.yaml');
      writeFileSync(
        manifest,
        `apiVersion: nodekiln.dev/v1alpha1
kind: ImageManifest
spec:
  nodekiln: { boot: false }
  components:
    - { name: tool, action: cache, builds: [{ version: 1.34.3, source: { type: file, path: ./tool } }] }
  files:
    - { path: /srv/f, content: ours }
`,
      );
      fresh = join(scratch, 'fresh');
      for (const folder of ['etc', 'opt', 'var/lib', 'usr/lib', 'run', 'srv', 'tmp'])
        mkdirSync(join(fresh, folder), { recursive: true });
      writeFileSync(join(fresh, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
      baked = join(scratch, 'baked');
      cpSync(fresh, baked, { recursive: true });
      await bakeInto(baked);
    });
    after(() => rmSync(scratch, { recursive: true, force: true }));

    const bakeInto = (root: string): Promise<unknown> => bake({ manifest, root, lockFile: join(scratch, 'lock.json') });
    const verbs: Readonly<Record<string, (root: string) => Promise<unknown>>> = {
      bake: bakeInto,
      status: async (root) => {
        const host = createLinuxHost({ root });
        const journal = await lookAtJournal(host);
        await status(host, journal);
        journal?.close();
      },
      verify: (root) => verify({ root }),
      'seal --dry-run': (root) => sealImage({ root, dryRun: true }),
      seal: (root) => sealImage({ root }),
    };

    const cases = [...folders.map((path) => [path, 'kept'] as const), ...files.map((path) => [path, 'file'] as const)];
    for (const [path, to] of cases) {
      test(`nothing leaves it by ${path}`, async () => {
        const unchanged = await snapshotTree(outside, ['/']);
        const elsewhere = to === 'kept' ? outside : join(outside, to);
        for (const before of [fresh, baked]) {
          for (const far of [elsewhere, relative(dirname(join(scratch, 'root', path)), elsewhere)]) {
            const root = join(scratch, 'root');
            cpSync(before, root, { recursive: true });
            const link = join(root, path);
            rmSync(link, { recursive: true, force: true });
            mkdirSync(dirname(link), { recursive: true });
            symlinkSync(far, link);
            for (const [name, verb] of Object.entries(verbs)) {
              await verb(root).catch((thrown: unknown) => {
                const { code, message } = asNodekilnError(thrown);
                assert.notEqual(code, 'NK_INTERNAL', `${name}: ${message}`);
              });
              assert.deepEqual(await snapshotTree(outside, ['/']), unchanged, `${name}, by way of ${far}`);
            }
            rmSync(root, { recursive: true });
          }
        }
      });
    }

    test('without one everything is done', async () => {
      const root = join(scratch, 'plain');
      cpSync(fresh, root, { recursive: true });
      for (const verb of Object.values(verbs)) await verb(root);
      assert.equal(readFileSync(join(root, 'srv/f'), 'utf8'), 'ours');
    });
  },
);
