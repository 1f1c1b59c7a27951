/** Every operation of other people's clean-up programs is carried out on a root that is sealed, or has its reason why not. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { sealImage } from '../src/bake/seal.ts';
import { cleanUpLists } from './clean-up-lists.ts';

const folder = mkdtempSync(join(tmpdir(), 'nodekiln-lists-'));
after(() => rmSync(folder, { recursive: true }));

function put(root: string, path: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), 'of one machine');
}

/** What is named as left. */
const left = [
  '/etc/resolv.conf',
  '/etc/shadow',
  '/home/a/.bashrc',
  '/var/lib/cloud/scripts/per-boot/a',
  '/var/lib/cloud/seed/nocloud/user-data',
  '/etc/cloud/clean.d/a',
  '/etc/locale.conf',
  '/etc/.updated',
  '/var/.updated',
  '/etc/aliases.db',
  '/etc/a.bak',
  '/etc/firewalld/zones/public.xml',
  '/var/spool/cron/crontabs/root',
  '/var/cache/fontconfig/a',
  '/etc/sysconfig/network-scripts/ifcfg-eth0',
  '/etc/NetworkManager/system-connections/mine.nmconnection',
  '/root/.ssh/config',
  '/home/a/.ssh/config.d/work',
  '/home/a/.ssh/environment',
  '/home/a/.ssh/rc',
];

describe('what a clean-up program takes away', () => {
  for (const { program, operations } of cleanUpLists)
    describe(program, () => {
      for (const operation of operations)
        it(`${operation.what} ${'gone' in operation ? 'is taken away' : 'is left'}`, async () => {
          const paths = 'gone' in operation ? operation.gone : [];
          const root = mkdtempSync(join(folder, 'root-'));
          put(root, '/etc/os-release');
          put(root, '/etc/machine-id');
          for (const path of [...paths, ...left]) put(root, path);
          await sealImage({ root });
          for (const path of paths) {
            const isEmptied =
              path.startsWith('/var/log/') && statSync(join(root, path), { throwIfNoEntry: false })?.size === 0;
            assert.ok(isEmptied || !existsSync(join(root, path)), path);
          }
          for (const path of left) assert.equal(readFileSync(join(root, path), 'utf8'), 'of one machine', path);
          assert.equal(readFileSync(join(root, '/etc/machine-id'), 'utf8'), '');
          if ('left' in operation) assert.ok(operation.left.length > 8 && !operation.left.endsWith('.'));
        });
    });
});
