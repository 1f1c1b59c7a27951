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
import { exitStatus } from '../errors.ts';
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
  const root = smallRoot(
    folder,
    ['cat', 'sleep', 'ln', 'ls', 'sed', 'sort', 'grep'].map((name) => `/usr/bin/${name}`),
  );
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

interface Bake {
  kill(signal: NodeJS.Signals): void;
  /** When it has ended; what it said tells why it failed where it was not to. */
  readonly ended: Promise<{ readonly status: number | null; readonly said: string }>;
}

function start(root: string): Bake {
  const argv = [nodeFlag, bundle, 'bake', `${root}.yaml`, '--root', root, '--quiet'];
  const child = spawn(nodeBinary, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, said }));
  return { kill: (signal) => void child.kill(signal), ended };
}

async function baked(root: string): Promise<void> {
  const { status, said } = await start(root).ended;
  assert.equal(status, 0, said);
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
      await baked(root);
      const resolver = readFileSync('/etc/resolv.conf', 'utf8');
      assert.equal(readFileSync(join(root, 'seen'), 'utf8').slice(0, resolver.length), resolver);
      await assertAsBefore(root, target);
    });

    it(`that ${what} is so again after a failure`, async () => {
      const root = rootWith('exit 100', target);
      const { status, said } = await start(root).ended;
      assert.equal(status, exitStatus.apply, said);
      await assertAsBefore(root, target);
    });

    it(`that ${what} is so again after the bake that follows one that was killed`, { timeout: 120_000 }, async () => {
      const root = rootWith(`[ -e /killed ] || { : >/begun; sleep 60; }; ${installs}`, target);
      const killed = start(root);
      const installing = async (): Promise<void> => {
        while (!existsSync(join(root, 'begun'))) await sleep(20);
      };
      const early = await Promise.race([killed.ended, installing()]);
      assert.equal(early, undefined, 'it ended before its packages');
      killed.kill('SIGKILL');
      await killed.ended;
      writeFileSync(join(root, 'killed'), '');
      await baked(root);
      await assertAsBefore(root, target);
    });
  }

  it('that a package brings meanwhile stays', async () => {
    for (const target of [undefined, '/srv/resolv.conf']) {
      const root = rootWith(`${installs}; [ $1 = update ] || ln -sf ${stub} /etc/resolv.conf`, target);
      await baked(root);
      await assertAsBefore(root, stub);
    }
  });
});
