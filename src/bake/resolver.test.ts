/** Bakes whose root has no resolver of its own: packages are installed, and the root has afterwards what it had. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildBundle, nodeBinary, nodeFlag } from '../../tools/build.ts';
import { script, smallRoot, withLibraries } from '../../test/support/small-root.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-resolver-'));
let bundle: string;
before(async () => {
  bundle = await buildBundle();
});
after(() => rmSync(folder, { recursive: true }));

/** A package manager that resolves a name as far as the root lets it: what it saw of the resolver stays in the root. */
const seen = 'cat /etc/resolv.conf >>/seen || exit 100';
const installs = `${seen}; case $1 in install) : >/installed;; esac`;

function rootWith(manager: string, target: string | undefined): string {
  const root = smallRoot(folder, ['/bin/cat', '/bin/sleep', '/bin/ln']);
  withLibraries(root, nodeBinary);
  script(root, 'apt-get', manager);
  script(root, 'dpkg-query', '[ -e /installed ] && echo "installed 1"');
  if (target !== undefined) symlinkSync(target, join(root, 'etc/resolv.conf'));
  const source = '{ type: apt, packages: [hello] }';
  writeFileSync(
    `${root}.yaml`,
    `apiVersion: nodekiln.dev/v1alpha1\nkind: ImageManifest\nspec: { components: [{ name: hello, action: install, source: ${source} }] }\n`,
  );
  return root;
}

const start = (root: string) =>
  spawn(nodeBinary, [nodeFlag, bundle, 'bake', `${root}.yaml`, '--root', root, '--quiet'], { stdio: 'ignore' });

async function bake(root: string): Promise<number | null> {
  const [status] = (await once(start(root), 'close')) as [number | null];
  return status;
}

async function assertAsBefore(root: string, target: string | undefined): Promise<void> {
  const path = join(root, 'etc/resolv.conf');
  const names = await readdir(join(root, 'etc'));
  assert.deepEqual(
    names.filter((name) => name.includes('resolv')),
    target === undefined ? [] : ['resolv.conf'],
  );
  if (target !== undefined) assert.equal(readlinkSync(path), target);
}

const stub = '../run/systemd/resolve/stub-resolv.conf';
const targets = [undefined, stub, '/srv/resolv.conf', '../var/x/../y', 'resolv.conf'];

describe('the resolver of a root', () => {
  for (const target of targets) {
    const what = target === undefined ? 'is missing' : `is a link to ${target}`;
    it(`that ${what} is the machine’s while packages are installed`, async () => {
      const root = rootWith(installs, target);
      assert.equal(await bake(root), 0);
      const resolver = readFileSync('/etc/resolv.conf', 'utf8');
      assert.equal(readFileSync(join(root, 'seen'), 'utf8').slice(0, resolver.length), resolver);
      await assertAsBefore(root, target);
    });

    it(`that ${what} is so again after a failure`, async () => {
      const root = rootWith('exit 100', target);
      assert.notEqual(await bake(root), 0);
      await assertAsBefore(root, target);
    });

    it(`that ${what} is so again after the bake that follows one that was killed`, { timeout: 120_000 }, async () => {
      const root = rootWith(`[ -e /killed ] || { : >/begun; sleep 60; }; ${installs}`, target);
      const killed = start(root);
      while (!existsSync(join(root, 'begun'))) await sleep(20);
      killed.kill('SIGKILL');
      await once(killed, 'close');
      writeFileSync(join(root, 'killed'), '');
      assert.equal(await bake(root), 0);
      await assertAsBefore(root, target);
    });
  }

  it('that a package brings meanwhile stays', async () => {
    for (const target of [undefined, '/srv/resolv.conf']) {
      const root = rootWith(`${installs}; [ $1 = update ] || ln -sf ${stub} /etc/resolv.conf`, target);
      assert.equal(await bake(root), 0);
      await assertAsBefore(root, stub);
    }
  });
});
