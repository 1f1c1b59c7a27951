/**
 * Real package repositories in folders: reprepro's and createrepo_c's, signed with keys of their own. They are served by
 * any static server.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../lab/run.ts';
import { ensurePrograms } from './programs.ts';

/** A key pair in a GnuPG home of its own. */
export interface SigningKey {
  readonly home: string;
  readonly fingerprint: string;
  /** Armoured public key. */
  readonly armoured: string;
  /** Path of the same without armour, as apt's keyrings are. */
  readonly keyring: string;
}

/** `expires`: as gpg writes it, `1d`, `seconds=1`; never when absent. */
export async function makeKey(home: string, name: string, expires = '0'): Promise<SigningKey> {
  await ensurePrograms([{ program: 'gpg', package: 'gpg', why: 'signs' }]);
  await mkdir(home, { mode: 0o700, recursive: true });
  await gpg(home, ['--quick-generate-key', `${name} <${name}@example.org>`, 'rsa2048', 'sign', expires]);
  const listed = (await gpg(home, ['--list-keys', '--with-colons'])).stdout;
  const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(listed)?.[1] ?? '';
  const keyring = join(home, 'public.gpg');
  await gpg(home, ['--output', keyring, '--export', fingerprint]);
  return { home, fingerprint, armoured: (await gpg(home, ['--armor', '--export', fingerprint])).stdout, keyring };
}

export function gpg(home: string, args: readonly string[]) {
  return run([
    'gpg',
    '--homedir',
    home,
    '--batch',
    '--yes',
    '--pinentry-mode',
    'loopback',
    '--passphrase',
    '',
    ...args,
  ]);
}

/** A repository of the suite `stable` with the packages given. `options` go into reprepro's distributions file. */
export async function aptRepository(
  folder: string,
  { debs, key, options = [] }: { debs: readonly string[]; key: SigningKey; options?: readonly string[] },
): Promise<void> {
  await ensurePrograms([{ program: 'reprepro', package: 'reprepro', why: 'makes apt repositories' }]);
  await mkdir(join(folder, 'conf'), { recursive: true });
  const distribution = [
    'Codename: stable',
    'Suite: stable',
    'Components: main',
    'Architectures: amd64 arm64',
    `SignWith: ${key.fingerprint}`,
    ...options,
  ];
  await writeFile(join(folder, 'conf/distributions'), `${distribution.join('\n')}\n`);
  for (const deb of debs)
    await run(
      ['reprepro', '--basedir', folder, '--section', 'misc', '--priority', 'optional', 'includedeb', 'stable', deb],
      {
        env: { ...process.env, GNUPGHOME: key.home },
      },
    );
}

/** A flat repository, as `apt-ftparchive`'s users make them: Packages, Release and its signatures in one folder. */
export async function flatRepository(folder: string, debs: readonly string[], key: SigningKey): Promise<void> {
  await ensurePrograms([{ program: 'apt-ftparchive', package: 'apt-utils', why: 'makes flat repositories' }]);
  await mkdir(folder, { recursive: true });
  for (const deb of debs) await copyFile(deb, join(folder, deb.slice(deb.lastIndexOf('/') + 1)));
  await writeFile(join(folder, 'Packages'), (await run(['apt-ftparchive', 'packages', '.'], { cwd: folder })).stdout);
  const release = (await run(['apt-ftparchive', 'release', '.'], { cwd: folder })).stdout;
  await signRelease(folder, release, key);
}

/** Release with Release.gpg and InRelease. */
export async function signRelease(folder: string, release: string, key: SigningKey): Promise<void> {
  const path = join(folder, 'Release');
  await writeFile(path, release);
  await gpg(key.home, ['--local-user', key.fingerprint, '--armor', '--detach-sign', '--output', `${path}.gpg`, path]);
  await gpg(key.home, ['--local-user', key.fingerprint, '--clearsign', '--output', join(folder, 'InRelease'), path]);
}

/** Signs a package as `rpmsign --addsign` does. */
export async function signRpm(path: string, key: SigningKey): Promise<void> {
  await ensurePrograms([{ program: 'rpmsign', package: 'rpm', why: 'signs packages' }]);
  await run([
    'rpmsign',
    '--define',
    `_gpg_name ${key.fingerprint}`,
    '--define',
    `_gpg_path ${key.home}`,
    '--define',
    '__gpg /usr/bin/gpg',
    '--define',
    '_gpg_sign_cmd_extra_args --batch --pinentry-mode loopback --passphrase ""',
    '--addsign',
    path,
  ]);
}

/** A dnf repository of the packages in a folder; its metadata is signed when a key is given. */
export async function dnfRepository(
  folder: string,
  options: { key?: SigningKey; args?: readonly string[] } = {},
): Promise<void> {
  await ensurePrograms([{ program: 'createrepo_c', package: 'createrepo-c', why: 'makes dnf repositories' }]);
  await run(['createrepo_c', '--quiet', ...(options.args ?? []), folder]);
  if (!options.key) return;
  const path = join(folder, 'repodata/repomd.xml');
  await gpg(options.key.home, [
    '--local-user',
    options.key.fingerprint,
    '--armor',
    '--detach-sign',
    '--output',
    `${path}.asc`,
    path,
  ]);
}
