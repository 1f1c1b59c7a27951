/** Real containerds, one of each line that is in use: Debian 12's, Debian 13's, and the next Debian's in a root of Debian 13. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, keyHash } from './cache.ts';
import { debianPackage } from './debian.ts';
import type { Progress } from './prerequisites.ts';
import { derivedRoot, type Suite } from './root.ts';
import { run } from './run.ts';

export const containerdPackages = ['containerd', 'runc', 'containernetworking-plugins'];

export interface ContainerdRoot {
  readonly root: string;
  /** As facts have it. */
  readonly version: string;
  /** A shell script, run before anything else in the root's own mounts: `$2` is the root. */
  readonly prepare: string;
}

/** A line of releases, and a root with the newest that Debian has of it. */
export interface Containerd {
  readonly line: '1.6' | '1.7' | '2';
  readonly made: (progress?: Progress) => Promise<ContainerdRoot>;
}

export const containerds: readonly Containerd[] = [
  { line: '1.6', made: (progress) => ofSuite('bookworm', progress) },
  { line: '1.7', made: (progress) => ofSuite('trixie', progress) },
  { line: '2', made: newer },
];

async function ofSuite(suite: Suite, progress?: Progress): Promise<ContainerdRoot> {
  const root = await derivedRoot(suite, { packages: containerdPackages }, progress);
  return { root, version: await versionOf(`${root}/usr/bin/containerd`, root), prepare: '' };
}

async function newer(progress?: Progress): Promise<ContainerdRoot> {
  const { root } = await ofSuite('trixie', progress);
  const { path, digest } = await debianPackage('forky', 'containerd', progress);
  const folder = await cached(`debian/containerd-${keyHash(digest)}`, async (dir) => {
    await mkdir(dir, { recursive: true });
    await run(['dpkg-deb', '--extract', path, dir]);
  });
  const programs = ['containerd', 'containerd-shim-runc-v2', 'ctr'];
  const lines = programs.map((name) => `mount --bind ${join(folder, 'usr/bin', name)} "$2/usr/bin/${name}"`);
  return { root, version: await versionOf(join(folder, 'usr/bin/containerd')), prepare: `${lines.join('\n')}\n` };
}

async function versionOf(program: string, root?: string): Promise<string> {
  const argv = root === undefined ? [program] : ['chroot', root, '/usr/bin/containerd'];
  const { stdout } = await run([...argv, '--version']);
  const [, version] = /^containerd \S+ v?(\d[^\s~+-]*)/.exec(stdout) ?? [];
  if (version === undefined) throw new Error(`${program} says ${stdout}`);
  return version;
}
