/**
 * Single packages out of Debian's archive, whatever the machine's own suite is: apt with a configuration of its own
 * fetches them and verifies them against the suite's signed index. The machine's apt is not touched.
 */
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import type { Progress } from './prerequisites.ts';
import { run } from './run.ts';
import { digestOf } from './tree.ts';

export interface DebianPackage {
  readonly path: string;
  /** As in the package's control file, with the revision. */
  readonly version: string;
  /** `sha256:…` of the .deb. */
  readonly digest: string;
}

/** A package of a suite, downloaded once: later versions in the archive do not change what the cache has. */
export async function debianPackage(suite: string, name: string, progress?: Progress): Promise<DebianPackage> {
  const dir = await cached(`debian/${suite}-${name}`, async (dir) => {
    progress?.(`downloading ${name} of Debian ${suite}`);
    const apt = join(dir, 'apt');
    for (const folder of ['state/lists/partial', 'cache/archives/partial', 'etc/apt.conf.d', 'etc/preferences.d']) {
      await mkdir(join(apt, folder), { recursive: true });
    }
    await writeFile(join(apt, 'status'), '');
    await writeFile(
      join(apt, 'etc/sources.list'),
      `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian ${suite} main\n`,
    );
    const settings = [
      `Dir::Etc=${apt}/etc`,
      `Dir::State=${apt}/state`,
      `Dir::State::status=${apt}/status`,
      `Dir::Cache=${apt}/cache`,
      'APT::Sandbox::User=root',
      'Acquire::Languages=none',
    ].flatMap((setting) => ['-o', setting]);
    await run(['apt-get', ...settings, 'update']);
    await run(['apt-get', ...settings, 'download', name], { cwd: dir });
    const file = (await readdir(dir)).find((each) => each.endsWith('.deb'));
    if (file === undefined) throw new Error(`apt-get download ${name}: no package came`);
    await rename(join(dir, file), join(dir, 'package.deb'));
    await run(['rm', '-rf', apt]);
  });
  const path = join(dir, 'package.deb');
  const version = (await run(['dpkg-deb', '--field', path, 'Version'])).stdout.trim();
  return { path, version, digest: await digestOf(path) };
}
