/** Programs in a root: which resolver they see, whatever the root has in its place, and that the root stays as it was. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { snapshotTree } from '../../../test/lab/tree.ts';
import { smallRoot } from '../../../test/support/small-root.ts';
import { createRootExec } from './root-exec.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-root-exec-'));
after(() => rmSync(folder, { recursive: true }));

const stub = 'systemd/resolve/stub-resolv.conf';

/** What stands for the resolver in the root, and whether a program can be given one there. */
const cases: readonly [name: string, given: boolean, put: (root: string, path: string) => void][] = [
  ['a file', true, (_root, path) => writeFileSync(path, 'nameserver 192.0.2.1\n')],
  ['nothing', false, () => undefined],
  ['a link to nowhere in /run', true, (_root, path) => symlinkSync(`../run/${stub}`, path)],
  ['an absolute link to nowhere in /run', true, (_root, path) => symlinkSync(`/run/${stub}`, path)],
  [
    'a link through /var/run',
    true,
    (root, path) => {
      symlinkSync('/run', join(root, 'var/run'));
      symlinkSync('../var/run/NetworkManager/resolv.conf', path);
    },
  ],
  [
    'a link through a folder that is a link into /run',
    true,
    (root, path) => {
      mkdirSync(join(root, 'etc/resolvconf'));
      symlinkSync('/run/resolvconf', join(root, 'etc/resolvconf/run'));
      symlinkSync('resolvconf/run/resolv.conf', path);
    },
  ],
  [
    'a link to a file of /run',
    true,
    (root, path) => {
      mkdirSync(join(root, 'run/resolvconf'));
      writeFileSync(join(root, 'run/resolvconf/resolv.conf'), 'nameserver 192.0.2.1\n');
      symlinkSync('../run/resolvconf/resolv.conf', path);
    },
  ],
  [
    'a link to a file elsewhere',
    true,
    (root, path) => {
      writeFileSync(join(root, 'usr/resolv.conf'), 'nameserver 127.0.0.53\n');
      symlinkSync('../usr/resolv.conf', path);
    },
  ],
  ['a link to nowhere elsewhere', false, (_root, path) => symlinkSync('/srv/resolv.conf', path)],
  ['a link that climbs out', true, (_root, path) => symlinkSync('../../../../run/x', path)],
  ['a link to itself', false, (_root, path) => symlinkSync('resolv.conf', path)],
  ['a folder', false, (_root, path) => mkdirSync(path)],
  [
    'a link into a /run that is a link',
    false,
    (root, path) => {
      rmSync(join(root, 'run'), { recursive: true });
      symlinkSync('/srv', join(root, 'run'));
      symlinkSync('../run/x', path);
    },
  ],
];

describe('a program in a root', () => {
  for (const [name, given, put] of cases) {
    it(`${given ? 'finds the machine’s resolver' : 'runs all the same'} where the root has ${name}`, async () => {
      const root = smallRoot(folder, ['/bin/cat']);
      put(root, join(root, 'etc/resolv.conf'));
      const before = await snapshotTree(root, ['/']);
      const run = await createRootExec(root).run(['sh', '-c', 'cat /etc/resolv.conf; echo done'], {
        timeoutMs: 10_000,
      });
      assert.equal(run.status, 0, run.stderr);
      const resolver = readFileSync('/etc/resolv.conf', 'utf8');
      if (given) assert.equal(run.stdout, `${resolver}done\n`);
      else assert.ok(run.stdout.endsWith('done\n'), run.stderr);
      assert.deepEqual(await snapshotTree(root, ['/']), before, 'the root is as it was');
    });
  }
});
