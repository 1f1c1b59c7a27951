/**
 * Debian root file systems for the lab: small, with systemd as PID 1, cached as a tar. `unpackRoot` gives a folder to
 * change (apt works in it through chroot); `rootFolder` and `derivedRoot` give cached folders that many hosts share as
 * the lower layer of their overlays and that nobody may write to.
 */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, cacheFolder, exists, keyHash, withLock } from './cache.ts';
import { type Meter, metered } from './meter.ts';
import type { Progress } from './prerequisites.ts';
import { run, tryRun } from './run.ts';

export type Suite = 'trixie' | 'bookworm';

/** What a Kubernetes node of these suites needs besides containerd and kubelet; no more, so that unpacking is quick. */
const packages = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'udev',
  'libpam-systemd',
  'iproute2',
  'iptables',
  'procps',
  'kmod',
  'mount',
  'util-linux',
  'ca-certificates',
] as const;

/** A pod that ignores SIGTERM must not hold up a lab host's shutdown for the default 90 s. */
const stopTimeout = '[Manager]\nDefaultTimeoutStopSec=5s\n';

/** Timers of Debian that would do something of their own in the middle of a test. */
const timers = ['apt-daily', 'apt-daily-upgrade', 'dpkg-db-backup', 'e2scrub_all', 'fstrim'] as const;

const recipe = [
  '--variant=minbase',
  '--mode=root',
  `--include=${packages.join(',')}`,
  '--dpkgopt=path-exclude=/usr/share/man/*',
  '--dpkgopt=path-exclude=/usr/share/doc/*',
  '--dpkgopt=path-exclude=/usr/share/locale/*',
  '--customize-hook=mkdir -p "$1/etc/systemd/system.conf.d"',
  `--customize-hook=printf '${stopTimeout.replaceAll('\n', '\\n')}' > "$1/etc/systemd/system.conf.d/10-lab.conf"`,
  ...timers.map((name) => `--customize-hook=chroot "$1" systemctl --quiet disable ${name}.timer || true`),
] as const;

/** The tar of a suite's root; made in under a minute on first use. */
export async function hostRoot(suite: Suite, progress?: Progress): Promise<string> {
  const dir = await cached(`roots/${suite}-${keyHash(suite, ...recipe)}`, async (dir) => {
    progress?.(`making the Debian ${suite} root with mmdebstrap (a minute, once; then cached)`);
    await metered({ what: `Debian ${suite} root`, progress }, (meter) => {
      // It says what it is about to do: "I: downloading packages with apt...".
      const onLine = (line: string): void => {
        const [, doing] = /^I: ([a-z].*?)(?: of .*)?\.{3}$/.exec(line) ?? [];
        if (doing !== undefined) meter.phase(doing);
      };
      return run(['mmdebstrap', ...recipe, suite, join(dir, 'root.tar')], {
        env: { ...process.env, SOURCE_DATE_EPOCH: undefined },
        onLine,
      });
    });
  });
  return join(dir, 'root.tar');
}

/** Unpacks a root of its own into `dir`, which is made. Names resolve in it as on the machine, so that apt works. */
export async function unpackRoot(suite: Suite, dir: string, progress?: Progress): Promise<void> {
  const tar = await hostRoot(suite, progress);
  await mkdir(dir, { recursive: true });
  await run([
    'tar',
    '--extract',
    '--file',
    tar,
    '--directory',
    dir,
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
  ]);
  await lendResolver(dir);
}

async function lendResolver(dir: string): Promise<void> {
  await rm(join(dir, 'etc/resolv.conf'), { force: true });
  if (await exists('/etc/resolv.conf')) await copyFile('/etc/resolv.conf', join(dir, 'etc/resolv.conf'));
}

/** The cached, unpacked root of a suite: shared, read-only by agreement. */
export function rootFolder(suite: Suite, progress?: Progress): Promise<string> {
  return cached(`roots/${suite}-${keyHash(suite, ...recipe)}-folder`, (dir) => unpackRoot(suite, dir, progress));
}

/** Downloaded packages, kept so that the next root with the same packages needs no second download. */
export async function aptCacheDir(suite: Suite): Promise<string> {
  const dir = join(cacheFolder(), 'apt', suite);
  await mkdir(join(dir, 'partial'), { recursive: true });
  return dir;
}

export interface Derivation {
  /** Debian packages to install; their services are neither started nor enabled. */
  readonly packages: readonly string[];
  /** A shell script run with chroot afterwards. */
  readonly script?: string;
}

/** A cached root with more packages: shared, read-only by agreement. */
export async function derivedRoot(suite: Suite, derivation: Derivation, progress?: Progress): Promise<string> {
  const key = keyHash(suite, ...recipe, ...derivation.packages, derivation.script ?? '');
  return cached(`roots/${suite}-derived-${key}`, async (dir) => {
    await unpackRoot(suite, dir, progress);
    progress?.(`installing ${derivation.packages.join(', ')} into a ${suite} root (once; then cached)`);
    await installInto(suite, dir, derivation.packages, progress);
    if (derivation.script) await run(['chroot', dir, '/bin/sh', '-euc', derivation.script]);
  });
}

/** apt's own words: how many are to come, then each as it is unpacked and set up. */
function meterApt(meter: Meter): (line: string) => void {
  let total = 0;
  let installing = false;
  meter.phase('reading the package lists');
  return (line) => {
    const [, newly] = /, (\d+) newly installed,/.exec(line) ?? [];
    if (newly !== undefined) {
      // Each is unpacked, then set up.
      total = 2 * Number(newly);
      meter.phase('fetching');
    }
    if (!/^(Unpacking|Setting up) /.test(line)) return;
    if (!installing) meter.phase('installing', { total, unit: 'steps' });
    installing = true;
    meter.advance();
  };
}

/** Installs packages into a root folder with the root's own apt; nothing is started and no unit becomes enabled. */
export async function installInto(
  suite: Suite,
  dir: string,
  names: readonly string[],
  progress?: Progress,
): Promise<void> {
  const policy = join(dir, 'usr/sbin/policy-rc.d');
  const archives = await aptCacheDir(suite);
  await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const apt = `set -eu
    mount --make-rprivate /
    mount -t proc proc "$0/proc"
    mount --bind "$1" "$0/var/cache/apt/archives"
    root=$0; shift
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    chroot "$root" apt-get update --quiet
    chroot "$root" apt-get install --yes --quiet --no-install-recommends -o Binary::apt-get::APT::Keep-Downloaded-Packages=true -o APT::Keep-Downloaded-Packages=true "$@"`;
  // A mount namespace of its own: whatever happens, nothing stays mounted in the root.
  await withLock(`apt-${suite}`, () =>
    metered({ what: `packages of Debian ${suite}`, progress }, (meter) =>
      run(['unshare', '--mount', 'sh', '-c', apt, dir, archives, ...names], { onLine: meterApt(meter) }),
    ),
  );
  await rm(policy);
  await tryRun(['rm', '-rf', join(dir, 'var/lib/apt/lists')]);
  // Debian's maintainer scripts enable their services whatever policy says; a lab host starts none unasked.
  const units = (
    await run([
      'chroot',
      dir,
      'sh',
      '-c',
      'dpkg -L "$@" | grep -E "/systemd/system/[^/]+\\.(service|socket|timer|path)$" || true',
      'sh',
      ...names,
    ])
  ).stdout;
  for (const unit of units.split('\n').filter((line) => line !== '')) {
    await tryRun(['systemctl', `--root=${dir}`, 'disable', unit.split('/').pop() ?? '']);
  }
}
