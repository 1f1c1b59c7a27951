/** Who wrote a document: on a real disk, what others can change is refused before it is believed. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { exitStatus, NodekilnError } from '../errors.ts';
import { createLinuxHost } from '../host/linux/host.ts';
import type { Host } from '../host/port.ts';
import { bootTexts, namedTexts } from './documents.ts';
import { openSource } from './sources/table.ts';

const stranger = 65_534;
const text = 'apiVersion: nodekiln.dev/v1alpha1\nkind: NodeConfig\nspec: { kubernetes: { version: 1.34.3 } }\n';
const folder = '/etc/nodekiln/conf.d';
const file = `${folder}/10-node.yaml`;

describe('a document', { skip: process.getuid?.() === 0 ? false : 'only root gives files away' }, () => {
  let scratch = '';
  let root = '';
  let host: Host;
  before(() => (scratch = mkdtempSync('/var/tmp/nodekiln-exposed-')));
  after(() => rmSync(scratch, { recursive: true, force: true }));
  beforeEach(() => {
    root = mkdtempSync(join(scratch, 'root-'));
    put(file);
    host = createLinuxHost({ root });
  });

  const at = (path: string): string => join(root, path);
  function put(path: string, mode = 0o644): void {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
    chmodSync(at(path), mode);
  }
  function link(path: string, to: string): void {
    rmSync(at(path));
    symlinkSync(to, at(path));
  }

  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    'a boot': () => bootTexts(host.files),
    'a boot that names it': () => namedTexts(host.files, [file]),
    'an agent': () => openSource(`dir:${folder}`, { host }).read(),
    'a bake, on the machine’s own files': () => namedTexts(host.local, [at(file)]),
  };

  const exposed: Readonly<Record<string, { lay: () => void; said: RegExp; remedy: RegExp }>> = {
    'everybody may write to': {
      lay: () => chmodSync(at(file), 0o646),
      said: /10-node\.yaml can be written to by others \(mode 0646\)/,
      remedy: /`chmod go-w \S*\/etc\/nodekiln\/conf\.d\/10-node\.yaml`/,
    },
    'a group may write to': {
      lay: () => chmodSync(at(file), 0o664),
      said: /10-node\.yaml can be written to by others \(mode 0664\)/,
      remedy: /chmod go-w/,
    },
    'another user owns': {
      lay: () => chownSync(at(file), stranger, stranger),
      said: /10-node\.yaml belongs to user 65534/,
      remedy: /`chown 0 \S*10-node\.yaml`/,
    },
    'is in a folder that everybody may write to': {
      lay: () => chmodSync(at(folder), 0o777),
      said: /conf\.d can be written to by others \(mode 0777\)/,
      remedy: /`chmod go-w \S*\/etc\/nodekiln\/conf\.d`/,
    },
    'is in a folder that a group may write to': {
      lay: () => chmodSync(at(folder), 0o775),
      said: /conf\.d can be written to by others/,
      remedy: /chmod go-w/,
    },
    'is in a folder of another user': {
      lay: () => chownSync(at(folder), stranger, stranger),
      said: /conf\.d belongs to user 65534/,
      remedy: /`chown 0 \S*\/conf\.d`/,
    },
    'is below a folder that everybody may write to': {
      lay: () => chmodSync(at('/etc'), 0o777),
      said: /\/etc can be written to by others/,
      remedy: /`chmod go-w \S*\/etc`/,
    },
    'is below a folder of another user': {
      lay: () => chownSync(at('/etc/nodekiln'), stranger, stranger),
      said: /\/etc\/nodekiln belongs to user 65534/,
      remedy: /chown 0/,
    },
    'another user laid into a sticky folder': {
      lay: () => {
        chmodSync(at(folder), 0o1777);
        chownSync(at(file), stranger, stranger);
      },
      said: /10-node\.yaml belongs to user 65534/,
      remedy: /chown 0/,
    },
    'is a link to one that everybody may write to': {
      lay: () => {
        put('/srv/node.yaml', 0o666);
        link(file, '../../../srv/node.yaml');
      },
      said: /srv\/node\.yaml can be written to by others/,
      remedy: /`chmod go-w \S*\/srv\/node\.yaml`/,
    },
    'is a link to one of another user': {
      lay: () => {
        put('/srv/node.yaml');
        chownSync(at('/srv/node.yaml'), stranger, stranger);
        link(file, '../../../srv/node.yaml');
      },
      said: /srv\/node\.yaml belongs to user 65534/,
      remedy: /chown 0/,
    },
    'is a link into a folder that everybody may write to': {
      lay: () => {
        put('/srv/open/node.yaml');
        chmodSync(at('/srv/open'), 0o777);
        link(file, '../../../srv/open/node.yaml');
      },
      said: /srv\/open can be written to by others/,
      remedy: /chmod go-w/,
    },
  };
  for (const [what, { lay, said, remedy }] of Object.entries(exposed)) {
    for (const [who, read] of Object.entries(ways)) {
      test(`that ${what} is refused: ${who}`, async () => {
        lay();
        await assert.rejects(read(), (thrown: unknown) => {
          assert.ok(thrown instanceof NodekilnError);
          assert.deepEqual([thrown.code, thrown.exitStatus], ['NK_DOCUMENT_EXPOSED', exitStatus.document]);
          assert.match(thrown.message, said);
          assert.match(thrown.hint, remedy);
          assert.ok(thrown.place?.file?.endsWith(file));
          return true;
        });
      });
    }
  }

  const fine: Readonly<Record<string, () => void>> = {
    'root’s alone': () => chmodSync(at(file), 0o600),
    'everybody may read': () => chmodSync(at(file), 0o644),
    'is root’s in a sticky folder': () => chmodSync(at(folder), 0o1777),
    'is root’s link to root’s': () => {
      put('/srv/node.yaml');
      link(file, '../../../srv/node.yaml');
    },
    'is in a folder as kubelet lays out Secrets': () => {
      put(`${folder}/..v1/10-node.yaml`, 0o600);
      symlinkSync('..v1', at(`${folder}/..data`));
      link(file, '..data/10-node.yaml');
      chmodSync(at(folder), 0o1777);
    },
  };
  for (const [what, lay] of Object.entries(fine)) {
    test(`that ${what} is taken`, async () => {
      lay();
      for (const [who, read] of Object.entries(ways)) assert.ok(await read(), who);
    });
  }

  test('in a root folder of another user is that user’s to write', async () => {
    for (const path of ['/', '/etc', '/etc/nodekiln', folder, file]) chownSync(at(path), stranger, stranger);
    assert.equal((await bootTexts(host.files)).length, 1);
  });

  const unsafe: Readonly<Record<string, () => void>> = {
    'a link of another user in a sticky folder': () => {
      put('/srv/node.yaml');
      link(file, '../../../srv/node.yaml');
      chmodSync(at(folder), 0o1777);
      lchownSync(at(file), stranger, stranger);
    },
    'a folder that is a link of another user': () => {
      rmSync(at(folder), { recursive: true });
      put('/srv/conf.d/10-node.yaml');
      symlinkSync('../../srv/conf.d', at(folder));
      chmodSync(at('/etc/nodekiln'), 0o777);
    },
  };
  for (const [what, lay] of Object.entries(unsafe)) {
    test(`behind ${what} is not looked for`, async () => {
      lay();
      for (const [who, read] of Object.entries(ways)) await assert.rejects(read(), { code: 'NK_PATH_UNSAFE' }, who);
    });
  }
});
